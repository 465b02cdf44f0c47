//! How much of what there is for all does one client hold?

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::network::Network;

type Held = Arc<Mutex<HashMap<Network, usize>>>;

/// How many clients' worth all that is in one /56 or one /48 may hold: else whoever has many subnets has many shares.
const SITE_CLIENTS: usize = 4;

/// Places of which each client may hold so many. No more networks are in it than there are places taken, three each.
pub struct Shares {
    most: usize,
    held: Held,
}

/// One place of a client's, until it is dropped.
pub struct Share {
    networks: Vec<Network>,
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
        let networks: Vec<Network> = std::iter::once(client).chain(client.sites()).collect();
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = networks.iter().all(|network| {
            let most = if *network == client { self.most } else { self.most.saturating_mul(SITE_CLIENTS) };
            all.get(network).is_none_or(|held| *held < most)
        });
        if !is_free {
            return None;
        }
        for network in &networks {
            *all.entry(*network).or_default() += 1;
        }
        drop(all);
        Some(Share { networks, held: Arc::clone(&self.held) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for network in &self.networks {
            if let Entry::Occupied(mut held) = all.entry(*network) {
                *held.get_mut() -= 1;
                if *held.get() == 0 {
                    held.remove();
                }
            }
        }
    }
}
