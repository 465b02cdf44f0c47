//! Per-client limits on a shared pool.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::client_ip::ClientKey;

type Counts = Arc<Mutex<HashMap<ClientKey, usize>>>;

/// Counts the permits of each client. Clients without one have no entry, so that memory stays bounded.
#[derive(Default)]
pub struct PerClientLimit(Counts);

/// One permit of a client, until it is dropped.
pub struct ClientPermit {
    client: ClientKey,
    counts: Counts,
}

impl PerClientLimit {
    /// A permit for this client, unless it has `max` already.
    #[must_use]
    pub fn try_acquire(&self, client: IpAddr, max: usize) -> Option<ClientPermit> {
        let client = ClientKey::of(client);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&client).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        counts.insert(client, count + 1);
        drop(counts);
        Some(ClientPermit { client, counts: Arc::clone(&self.0) })
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
