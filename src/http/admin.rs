//! The admin listener's routes: `/live`, `/ready` and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::exchange::Exchange;
use crate::metrics::Metrics;

/// Whether the service wants requests; shared by `/ready` and the server.
pub struct Readiness {
    draining: AtomicBool,
    exchange: ArcSwap<Exchange>,
}

impl Readiness {
    /// Wants requests as soon as the exchange is ready for them.
    #[must_use]
    pub fn new(exchange: Arc<Exchange>) -> Self {
        Self { draining: AtomicBool::new(false), exchange: ArcSwap::new(exchange) }
    }

    /// From now on it is this exchange that counts.
    pub fn swap(&self, exchange: Arc<Exchange>) {
        self.exchange.store(exchange);
    }

    /// From now on the answer is no.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// How old the published keys are, where there are any.
    fn key_age(&self) -> Option<Duration> {
        self.exchange.load().published_keys().and_then(|keys| keys.age())
    }

    fn answer(&self) -> (StatusCode, &'static str) {
        if self.draining.load(Ordering::Relaxed) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else if self.exchange.load().is_ready() {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "no login keys from the Login API\n")
        }
    }
}

/// `/live`, `/ready` and `/metrics`, for the orchestrator and Prometheus; never for the public.
#[must_use]
pub fn router(readiness: Arc<Readiness>, metrics: Metrics) -> Router {
    // The media type of the text format (OpenMetrics 1.0, "Content type").
    let text = [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let scrape = {
        let readiness = Arc::clone(&readiness);
        move || async move {
            metrics.set_key_age(readiness.key_age());
            (text, metrics.text())
        }
    };
    Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(move || async move { readiness.answer() }))
        .route("/metrics", get(scrape))
}
