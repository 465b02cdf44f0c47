//! How much of what there is for all does one client hold?

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::network::Network;

type Held = Arc<Mutex<HashMap<Network, usize>>>;

/// Places of which each client may hold so many. There are no more clients in it than places are taken.
pub struct Shares {
    most: usize,
    held: Held,
}

/// One place of a client's, until it is dropped.
pub struct Share {
    client: Network,
    held: Held,
}

impl Shares {
    /// Nobody holds any yet.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: Held::default() }
    }

    /// One more place for this client, if it does not have as many as it may.
    #[must_use]
    pub fn take(&self, client: IpAddr) -> Option<Share> {
        let client = Network::of(client);
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
