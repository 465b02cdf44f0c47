//! How much of what there is for all does one client hold?

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::network::Network;

type Held = Arc<Mutex<HashMap<Network, usize>>>;

/// How many clients' worth all that is in one /56 or one /48 may hold: else whoever has many subnets has many shares.
const SITE_CLIENTS: usize = 4;

/// Places that clients hold. No more networks are in it than there are places taken, three each.
#[derive(Default)]
pub struct Shares {
    held: Held,
}

/// One place of a client's, until it is dropped.
pub struct Share {
    networks: Vec<Network>,
    held: Held,
}

impl Shares {
    /// One more place for this client, unless it has `most` already.
    #[must_use]
    pub fn take(&self, client: IpAddr, most: usize) -> Option<Share> {
        let client = Network::of(client);
        let networks: Vec<Network> = std::iter::once(client).chain(client.sites()).collect();
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = networks.iter().all(|network| {
            let most = if *network == client { most } else { most.saturating_mul(SITE_CLIENTS) };
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
