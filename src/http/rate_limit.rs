//! May this client ask for one more token now?

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::config::clients::RateLimit as Settings;

/// Most clients that are counted at once, some 20 MB. Beyond it those that asked longest ago start anew.
const MAX_CLIENTS: u64 = 65_536;

/// A leaky bucket for each client.
pub struct RateLimit {
    settings: Settings,
    clients: Cache<IpAddr, Arc<DefaultDirectRateLimiter>>,
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
        let quota = Quota::per_second(self.settings.per_second).allow_burst(self.settings.burst);
        let bucket = self.clients.get_with(network(client), || Arc::new(RateLimiter::direct(quota)));
        bucket.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

/// What one client has: an IPv4 address, or a whole IPv6 network of 64 bits, in which it may take any address
/// (RFC 4291 §2.5.4).
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}
