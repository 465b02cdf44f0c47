//! Per-client limits on a shared pool.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::client_ip::ClientKey;

type Held = Arc<Mutex<HashMap<ClientKey, usize>>>;

/// Places of which each client may hold so many. Holds an entry for each client that has a place, and no other.
pub struct Shares {
    most: usize,
    held: Held,
}

/// One place of a client's, until it is dropped.
pub struct Share {
    client: ClientKey,
    held: Held,
}

impl Shares {
    /// Nobody holds any yet; `most` is 1 or more.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: Held::default() }
    }

    /// One more place for this client, if it does not have as many as it may.
    #[must_use]
    pub fn take(&self, client: IpAddr) -> Option<Share> {
        let client = ClientKey::of(client);
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.entry(client).or_default();
        if *held >= self.most {
            return None;
        }
        *held += 1;
        drop(all);
        Some(Share { client, held: Arc::clone(&self.held) })
    }
}

impl Drop for Share {
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
