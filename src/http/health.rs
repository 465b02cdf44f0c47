//! Readiness of the service, and `GET /health`, which reports it on the public listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use utoipa::IntoResponses;

use crate::exchange::Exchange;

use super::error::ErrorCode;
use super::openapi::{self, Responses, refusals};
use super::state::AppState;

/// For platforms that can only probe the public port.
pub(crate) const PATH: &str = "/health";

/// Whether the service is ready: from its first login keys until it drains.
///
/// It stays ready during an outage of the Login API or a provider. Otherwise all replicas would be unready at once, and the
/// proxy would respond without CORS headers, so that a page would see a network error and not `00-07`.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    draining: AtomicBool,
    /// Never reset, not even by a reload to another login project before its keys are fetched.
    has_keys: AtomicBool,
}

/// Why the service is not ready.
pub(super) enum NotReady {
    Draining,
    NoKeysYet,
}

impl Readiness {
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the service is ready with this exchange.
    pub(super) fn check(&self, exchange: &Exchange) -> Result<(), NotReady> {
        if exchange.has_keys() {
            self.has_keys.store(true, Ordering::Relaxed);
        }
        match (self.draining.load(Ordering::Relaxed), self.has_keys.load(Ordering::Relaxed)) {
            (true, _) => Err(NotReady::Draining),
            (false, false) => Err(NotReady::NoKeysYet),
            (false, true) => Ok(()),
        }
    }
}

/// Readiness
///
/// The same as `/ready` of the admin listener, for platforms with one port. The response has no body.
#[utoipa::path(
    get,
    path = PATH,
    tag = openapi::HEALTH,
    responses(
        (status = 200, description = "Ready."),
        (status = 503, description = "Not ready: the service is draining or has no login keys yet."),
        HealthRefusals,
    ),
)]
pub(super) async fn health(State(state): State<Arc<AppState>>) -> StatusCode {
    match state.shared.readiness.check(&state.exchange) {
        Ok(()) => StatusCode::OK,
        Err(NotReady::Draining | NotReady::NoKeysYet) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Only a panic: probes have no limit and wait for nothing.
struct HealthRefusals;

impl IntoResponses for HealthRefusals {
    fn responses() -> Responses {
        refusals(|code| code == ErrorCode::Internal, ErrorCode::status)
    }
}
