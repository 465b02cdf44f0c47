//! How is a connection taken when no file descriptor is left?

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there are. One would do, were nobody else to take what it leaves for a moment.
const COUNT: usize = 16;

/// Descriptors of the process to give up for it. Without them nobody could be let in, not even to be turned away,
/// and the admin listener would answer no probe: the orchestrator would take a flood for a dead service.
/// Clones are the same descriptors.
#[derive(Clone, Default)]
pub(super) struct Spares(Arc<Mutex<Vec<UnixDatagram>>>);

impl Spares {
    /// Takes those that are not there, as far as the system lets it. Says whether all are.
    pub(super) fn fill(&self) -> bool {
        let mut held = self.held();
        while held.len() < COUNT {
            let Ok(spare) = UnixDatagram::unbound() else { return false };
            held.push(spare);
        }
        true
    }

    /// Gives one up; says whether there was one.
    pub(super) fn release(&self) -> bool {
        self.held().pop().is_some()
    }

    fn held(&self) -> MutexGuard<'_, Vec<UnixDatagram>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
