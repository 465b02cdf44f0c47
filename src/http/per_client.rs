//! Per-client limits on a shared pool.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::client_ip::ClientKey;

type Held = Arc<Mutex<HashMap<ClientKey, usize>>>;

/// How many places of a pool each client holds. Has an entry for each client that holds one, and no other.
#[derive(Default)]
pub struct PerClient(Held);

/// One place of a client's, until it is dropped.
pub struct Place {
    client: ClientKey,
    held: Held,
}

impl PerClient {
    /// One more place for this client, unless it has `most` already.
    #[must_use]
    pub fn take(&self, client: IpAddr, most: usize) -> Option<Place> {
        let client = ClientKey::of(client);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.get(&client).copied().unwrap_or_default();
        if held >= most {
            return None;
        }
        all.insert(client, held + 1);
        drop(all);
        Some(Place { client, held: Arc::clone(&self.0) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut held) = all.entry(self.client) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}
