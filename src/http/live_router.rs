//! The public router that is in use; a reload swaps it.

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

/// A router that is swapped as a whole. A request stays with the router that it began with. Clones share the router.
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
    /// The router of these settings.
    #[must_use]
    pub fn new(exchange: Arc<Exchange>, config: &Config, metrics: &Metrics) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Current::new(AppState::new(exchange, config, metrics, None)))))
    }

    /// Uses another exchange and other settings from the next request on. Shared state is kept.
    pub(crate) fn reload(&self, exchange: Arc<Exchange>, config: &Config) {
        let old = &self.0.load().state;
        // Records that the old exchange has keys, since those of the new one may not be fetched yet.
        let _ = old.shared.readiness.check(&old.exchange);
        self.0.store(Arc::new(Current::new(AppState::new(exchange, config, &old.metrics, Some(old)))));
    }

    pub(crate) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&self.0.load().state.exchange)
    }

    pub(super) fn readiness(&self) -> Result<(), NotReady> {
        let current = self.0.load();
        current.state.shared.readiness.check(&current.state.exchange)
    }

    /// Makes readiness probes fail from now on.
    pub(crate) fn drain(&self) {
        self.0.load().state.shared.readiness.drain();
    }

    /// Whether many clients connect from this address, as from a trusted proxy.
    pub(crate) fn is_many_clients(&self, peer: IpAddr) -> bool {
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
