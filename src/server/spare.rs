//! How is a connection taken when no file descriptor is left?

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there are: so many connections of the admin listener can be open while nothing else is left, and others may take for
/// a moment what one leaves.
const COUNT: usize = 16;

/// No descriptor is left: in the system, in this process (`errno(3)` on Linux).
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Descriptors of the process to give up for it. Without them nobody could be let in, not even to be turned away,
/// and the admin listener would answer no probe: the orchestrator would take a flood for a dead service.
/// Clones are the same descriptors.
#[derive(Clone, Default)]
pub(super) struct Spares(Arc<Mutex<Vec<UnixDatagram>>>);

impl Spares {
    /// Takes those that are not there, as far as the system lets it. Says whether descriptors suffice.
    pub(super) fn fill(&self) -> bool {
        let mut held = self.held();
        while held.len() < COUNT {
            match UnixDatagram::unbound() {
                Ok(spare) => held.push(spare),
                // Whatever else keeps spares away (a sandbox without AF_UNIX) is no want of descriptors.
                Err(error) => return !matches!(error.raw_os_error(), Some(ENFILE | EMFILE)),
            }
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
