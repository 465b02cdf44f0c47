//! The state that handlers and middleware share, and the part of it that survives a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::origin::OriginPattern;
use crate::config::{Config, Proxy};
use crate::exchange::Exchange;
use crate::metrics::Metrics;

use super::access_log::init_metrics;
use super::health::Readiness;
use super::rate_limit::RateLimit;
use super::support_sdk::BodyLimits;

/// The state of one router. A reload builds another.
pub struct AppState {
    pub(super) exchange: Arc<Exchange>,
    pub(super) origins: Vec<OriginPattern>,
    pub(super) proxy: Proxy,
    pub(super) request_timeout: Duration,
    pub(super) requests_in_flight: usize,
    pub(super) rate_limit: Option<Arc<RateLimit>>,
    pub(super) shared: Shared,
    pub(super) metrics: Metrics,
}

/// State that a reload passes on, so that requests on the old router count for the new one.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub(super) in_flight: Arc<SharedLimit>,
    pub(super) bodies: Arc<BodyLimits>,
    pub(super) readiness: Arc<Readiness>,
}

impl AppState {
    /// The state of a new router; shared state comes from `old`.
    #[must_use]
    pub fn new(exchange: Arc<Exchange>, config: &Config, metrics: &Metrics, old: Option<&Self>) -> Arc<Self> {
        init_metrics(metrics, exchange.logins());
        let old_limit = old.and_then(|old| old.rate_limit.clone());
        let rate_limit = config.rate_limit.map(|settings| {
            old_limit.filter(|old| old.has_settings(settings)).unwrap_or_else(|| Arc::new(RateLimit::new(settings)))
        });
        Arc::new(Self {
            exchange,
            origins: config.origins.clone(),
            proxy: config.proxy.clone(),
            request_timeout: config.limits.request_timeout,
            requests_in_flight: config.limits.requests_in_flight,
            rate_limit,
            shared: old.map(|old| old.shared.clone()).unwrap_or_default(),
            metrics: metrics.clone(),
        })
    }
}

/// A limit on concurrent users. Not a semaphore, which has a fixed size: the routers before and after a reload share this limit,
/// each with the maximum of its own settings.
#[derive(Debug, Default)]
pub(super) struct SharedLimit(AtomicUsize);

/// One user of a [`SharedLimit`], until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<SharedLimit>);

impl SharedLimit {
    /// A permit, unless there are `max` already.
    pub(super) fn try_acquire(self: &Arc<Self>, max: usize) -> Option<Permit> {
        let permit = Permit(Arc::clone(self));
        (self.0.fetch_add(1, Ordering::Relaxed) < max).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
