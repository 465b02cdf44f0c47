//! Limits how many requests one client may send.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::config::RateLimit as Settings;

use super::client_ip::ClientKey;

/// Most clients that are counted at once, some 20 MB. Beyond it those that asked longest ago start anew.
const MAX_CLIENTS: u64 = 65_536;

/// A leaky bucket for each client.
pub struct RateLimit {
    settings: Settings,
    clients: Cache<ClientKey, Arc<DefaultDirectRateLimiter>>,
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
        let Settings { per_second, burst } = self.settings;
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let bucket = self.clients.get_with(ClientKey::of(client), || Arc::new(RateLimiter::direct(quota)));
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}
