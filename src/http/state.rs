//! What the handlers and layers of one router share, and what outlives it at a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::origin::OriginPattern;
use crate::config::{Config, Proxy};
use crate::exchange::Exchange;
use crate::metrics::Metrics;

use super::access_log::expect_exchanges;
use super::health::Readiness;
use super::rate_limit::RateLimit;
use super::support_sdk::BodySlots;

/// Everything that requests need of one set of settings.
pub struct AppState {
    pub(super) exchange: Arc<Exchange>,
    pub(super) origins: Vec<OriginPattern>,
    pub(super) proxy: Proxy,
    pub(super) request_timeout: Duration,
    pub(super) requests_in_flight: usize,
    pub(super) rate_limit: Option<Arc<RateLimit>>,
    pub(super) counters: Counters,
    pub(super) metrics: Metrics,
}

/// What goes on over a reload: requests that the old router still answers count for the new one.
#[derive(Clone, Default)]
pub(super) struct Counters {
    pub(super) in_flight: Arc<Count>,
    pub(super) body_slots: Arc<BodySlots>,
    pub(super) readiness: Arc<Readiness>,
}

impl AppState {
    /// Takes the exchange and the settings. What `old` has counted is handed over.
    #[must_use]
    pub fn new(exchange: Arc<Exchange>, config: &Config, metrics: &Metrics, old: Option<&Self>) -> Arc<Self> {
        if old.is_none() {
            expect_exchanges(metrics);
        }
        let old_limit = old.and_then(|old| old.rate_limit.clone());
        let rate_limit = config.rate_limit.map(|settings| {
            old_limit.filter(|old| old.is_as(&settings)).unwrap_or_else(|| Arc::new(RateLimit::new(settings)))
        });
        Arc::new(Self {
            exchange,
            origins: config.origins.clone(),
            proxy: config.proxy.clone(),
            request_timeout: config.limits.request_timeout,
            requests_in_flight: config.limits.requests_in_flight,
            rate_limit,
            counters: old.map(|old| old.counters.clone()).unwrap_or_default(),
            metrics: metrics.clone(),
        })
    }
}

/// How many of something there are at once. Unlike a semaphore it has no size: while two routers answer, before and after a
/// reload, each asks it with the limit of its own settings.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicUsize);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<Count>);

impl Count {
    /// One more, unless there are `most` already.
    pub(super) fn take(self: &Arc<Self>, most: usize) -> Option<Counted> {
        let counted = Counted(Arc::clone(self));
        (self.0.fetch_add(1, Ordering::Relaxed) < most).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
