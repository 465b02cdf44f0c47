//! The admin listener's routes: `/live`, `/ready` and `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Metrics;

use super::health::NotReady;
use super::live_router::LiveRouter;
use super::openapi;

#[derive(Clone)]
pub(super) struct AdminState {
    live: LiveRouter,
    metrics: Metrics,
}

/// The router of the admin listener, for the orchestrator and Prometheus.
pub fn router(live: LiveRouter, metrics: Metrics) -> Router {
    Router::from(routes()).with_state(AdminState { live, metrics })
}

pub(super) fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(metrics))
}

/// Liveness
#[utoipa::path(
    get,
    path = "/live",
    tag = openapi::ADMIN,
    responses((status = 200, description = "The process runs.", content((String = "text/plain", example = "live\n")))),
)]
async fn live() -> &'static str {
    "live\n"
}

/// Readiness
#[utoipa::path(
    get,
    path = "/ready",
    tag = openapi::ADMIN,
    responses(
        (status = 200, description = "Ready.", content((String = "text/plain", example = "ready\n"))),
        (
            status = 503,
            description = "Not ready; the text says why.",
            content((String = "text/plain", example = "draining\n")),
        ),
    ),
)]
async fn ready(State(state): State<AdminState>) -> (StatusCode, &'static str) {
    match state.live.readiness() {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(NotReady::Draining) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        Err(NotReady::NoKeysYet) => (StatusCode::SERVICE_UNAVAILABLE, "no login keys yet\n"),
    }
}

/// Metrics
#[utoipa::path(
    get,
    path = "/metrics",
    tag = openapi::ADMIN,
    responses((
        status = 200,
        description = "The text format of OpenMetrics 1.0.",
        content((String = "application/openmetrics-text", example = "zendesk_token_reloads_total{outcome=\"done\"} 0\n")),
    )),
)]
async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let exchange = state.live.exchange();
    let text = state.metrics.text(exchange.published_keys().map(|keys| (keys.login().label(), keys.age())));
    // The media type of the text format (OpenMetrics 1.0, "Content type").
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
