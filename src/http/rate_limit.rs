//! Limits the request rate of each client.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::config::RateLimit as Settings;

use super::client_ip::ClientKey;

/// Most clients that are tracked, about 20 MB. With more, the least recent ones are dropped and start again with a full burst.
const MAX_CLIENTS: u64 = 65_536;

/// A leaky bucket for each client.
pub struct RateLimit {
    settings: Settings,
    clients: Cache<ClientKey, Arc<DefaultDirectRateLimiter>>,
    clock: DefaultClock,
}

impl RateLimit {
    /// A limit without clients.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        // After this time without requests a bucket is empty, so that dropping it changes nothing.
        let idle = Duration::from_secs(u64::from(settings.burst.get().div_ceil(settings.per_second.get())) + 1);
        let clients = Cache::builder()
            .max_capacity(MAX_CLIENTS)
            .time_to_idle(idle)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { settings, clients, clock: DefaultClock::default() }
    }

    pub(super) fn has_settings(&self, settings: Settings) -> bool {
        self.settings == settings
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The client is over its limit; the number is the seconds until its next request is allowed.
    pub fn check(&self, client: IpAddr) -> Result<(), u64> {
        let bucket = self.clients.get_with(ClientKey::of(client), || {
            let Settings { per_second, burst } = self.settings;
            Arc::new(RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst)))
        });
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}
