//! The public router that answers now; a reload puts another in its place.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use axum::body::{Bytes, HttpBody};
use axum::http::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use axum::{BoxError, Router};
use tower::Service;

use crate::config::Config;
use crate::exchange::Exchange;
use crate::metrics::Metrics;

use super::health::NotReady;
use super::router;
use super::state::AppState;

/// A router that is swapped as a whole; requests under way end with the one they began with. Clones are the same.
#[derive(Clone)]
pub struct LiveRouter(Arc<ArcSwap<Current>>);

struct Current {
    router: Router,
    state: Arc<AppState>,
}

impl Current {
    fn new(state: Arc<AppState>) -> Self {
        Self { router: router(Arc::clone(&state)), state }
    }
}

impl LiveRouter {
    /// Answers by this exchange and these settings.
    #[must_use]
    pub fn new(exchange: Arc<Exchange>, config: &Config, metrics: &Metrics) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Current::new(AppState::new(exchange, config, metrics, None)))))
    }

    /// Answers by others from the next request on. What the old router has counted goes on.
    pub fn reload(&self, exchange: Arc<Exchange>, config: &Config) {
        let old = &self.0.load().state;
        // Remembers the keys that the old exchange has: the new one's may be still to come.
        let _ = old.counters.readiness.check(&old.exchange);
        self.0.store(Arc::new(Current::new(AppState::new(exchange, config, &old.metrics, Some(old)))));
    }

    /// The exchange that answers now.
    #[must_use]
    pub fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&self.0.load().state.exchange)
    }

    /// Whether the service wants requests.
    pub(super) fn readiness(&self) -> Result<(), NotReady> {
        let current = self.0.load();
        current.state.counters.readiness.check(&current.state.exchange)
    }

    /// From now on the service wants no requests, and says so to whoever asks.
    pub fn drain(&self) {
        self.0.load().state.counters.readiness.drain();
    }

    /// Whether connections of this address are many clients'.
    #[must_use]
    pub fn is_many_clients(&self, peer: IpAddr) -> bool {
        self.0.load().state.proxy.is_many_clients(peer)
    }
}

impl<B> Service<Request<B>> for LiveRouter
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut router = self.0.load().router.clone();
        router.call(request)
    }
}
