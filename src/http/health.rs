//! Whether the service wants requests, and `GET /health`, which says so on the public listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use utoipa::IntoResponses;

use crate::exchange::Exchange;

use super::error::ErrorCode;
use super::openapi::{self, Responses, refusals};
use super::state::AppState;

/// Where platforms with one port ask whether the service wants requests.
pub const PATH: &str = "/health";

/// Whether the service wants requests: from the moment that it has login keys until it drains.
///
/// At no other time is the answer no. While the Login API is down for long, all replicas would say it at once, and the proxy would
/// answer in their place without CORS headers: a page would see a network error and not `00-07`.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    draining: AtomicBool,
    /// Once true it stays so, also over a reload to a login project whose keys are still to come.
    has_keys: AtomicBool,
}

/// Why the service wants no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReady {
    Draining,
    NoKeysYet,
}

impl Readiness {
    /// From now on the answer is no.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the service wants requests, with this exchange.
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

/// Whether the service wants requests
///
/// The same as `/ready` of the admin listener, for platforms with one port. The answer has no body.
#[utoipa::path(
    get,
    path = PATH,
    tag = openapi::HEALTH,
    responses(
        (status = 200, description = "It does."),
        (status = 503, description = "Not now: it drains, or has no login keys yet."),
        HealthRefusals,
    ),
)]
pub(super) async fn answer(State(state): State<Arc<AppState>>) -> StatusCode {
    match state.counters.readiness.check(&state.exchange) {
        Ok(()) => StatusCode::OK,
        Err(NotReady::Draining | NotReady::NoKeysYet) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A probe can be refused for a panic alone: it asks for nothing that takes time, and no limit holds for it.
struct HealthRefusals;

impl IntoResponses for HealthRefusals {
    fn responses() -> Responses {
        refusals(|code| code == ErrorCode::Internal, ErrorCode::status)
    }
}
