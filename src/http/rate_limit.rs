//! May this client ask for one more token now?

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::config::clients::RateLimit as Settings;

use super::network::Network;

/// Most clients that are counted at once, some 20 MB. Beyond it those that asked longest ago start anew.
const MAX_CLIENTS: u64 = 65_536;

/// How many clients' worth all subnets of one /56, and of one /48, may ask for: else the owner of a /48 would be 65,536
/// clients. More would do for those; but a mobile network has many customers in one.
const SITE_CLIENTS: [NonZeroU32; 2] = [NonZeroU32::new(16).unwrap(), NonZeroU32::new(1024).unwrap()];

/// A leaky bucket for each client.
pub struct RateLimit {
    settings: Settings,
    clients: Cache<Network, Arc<DefaultDirectRateLimiter>>,
    clock: DefaultClock,
}

impl RateLimit {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        // By then a bucket has run empty, and is like one that was never used.
        let idle = Duration::from_secs(u64::from(settings.burst.get().div_ceil(settings.per_second.get())) + 1);
        let clients = Cache::builder()
            .max_capacity(MAX_CLIENTS)
            .time_to_idle(idle)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { settings, clients, clock: DefaultClock::default() }
    }

    /// Whether it limits as the settings say.
    #[must_use]
    pub fn is_as(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// Counts a request.
    ///
    /// # Errors
    /// It is one too many; after so many seconds the next is not.
    pub fn check(&self, client: IpAddr) -> Result<(), u64> {
        let client = Network::of(client);
        // What a client asks for beyond its own limit does not count against its neighbours, and a site beyond its own
        // adds no clients.
        let is_known = self.clients.contains_key(&client);
        if is_known {
            self.count(client, NonZeroU32::MIN)?;
        }
        client.sites().zip(SITE_CLIENTS).try_for_each(|(site, clients)| self.count(site, clients))?;
        if is_known { Ok(()) } else { self.count(client, NonZeroU32::MIN) }
    }

    fn count(&self, network: Network, clients: NonZeroU32) -> Result<(), u64> {
        let [per_second, burst] =
            [self.settings.per_second, self.settings.burst].map(|number| number.saturating_mul(clients));
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let bucket = self.clients.get_with(network, || Arc::new(RateLimiter::direct(quota)));
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}
