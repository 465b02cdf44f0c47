//! Middleware: timeout, in-flight limit and panics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::Response;
use axum::routing::{get, post};
use tower::ServiceExt;
use tower::layer::util::Identity;
use tracing::Level;
use zendesk_token::config::Config;
use zendesk_token::exchange::Exchange;
use zendesk_token::http::AppState;
use zendesk_token::http::middleware::{support_sdk_middleware, with_middleware};
use zendesk_token::http::origin::cors;
use zendesk_token::metrics::Metrics;
use zendesk_token::telemetry::{self, Format};

use crate::harness::{ORIGIN, usual, variable};

/// The app state for these settings.
fn state(changes: &[(&str, &str)], old: Option<&AppState>) -> Arc<AppState> {
    let settings = usual(changes).into_iter().map(|(key, value)| (variable(key).into(), value.into()));
    let config = Config::load(None, settings).unwrap();
    let metrics = Metrics::new();
    AppState::new(Arc::new(Exchange::new(&config, &metrics, None).unwrap()), &config, &metrics, old)
}

/// Routes that stall and panic, behind the middleware of the public listener.
fn app(state: Arc<AppState>) -> Router {
    let panic = || async { assert!(std::hint::black_box(false), "jane@example.com") };
    let routes = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/panic", get(panic))
        .route("/fine", get(|| async { "fine" }));
    let support_sdk = Router::new().route("/support-sdk/token", post(panic).get(std::future::pending::<()>));
    let routes = routes.merge(support_sdk_middleware(support_sdk));
    with_middleware(routes, cors(&state), Identity::new(), &state).with_state(state)
}

async fn ask(app: &Router, path: &str) -> Response {
    answer(app, Request::get(path).header("Origin", ORIGIN).body(Body::empty()).unwrap()).await
}

async fn answer(app: &Router, request: Request<Body>) -> Response {
    app.clone().oneshot(request).await.unwrap()
}

/// Status and body of a response, which has the headers of every answer.
async fn read(response: Response) -> (u16, String) {
    assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(response.headers().contains_key("x-request-id"));
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1024).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_refused() {
    let app = app(state(&[("limits.request_timeout", "100ms")], None));
    let refusal = (503, r#"{"code":"00-12","description":"Request timed out"}"#.to_owned());
    assert_eq!(read(ask(&app, "/never").await).await, refusal);
}

#[tokio::test]
async fn a_request_over_the_in_flight_limit_is_refused_at_once_and_a_later_one_is_served() {
    let app = app(state(&[("limits.requests_in_flight", "2")], None));
    let mut waiting = vec![stalled(&app).await, stalled(&app).await];
    assert_overloaded(ask(&app, "/fine").await).await;
    waiting.pop();
    assert_eq!(read(ask(&app, "/fine").await).await, (200, "fine".to_owned()));
}

#[tokio::test]
async fn requests_that_began_before_a_reload_count_after_it() {
    let old_state = state(&[("limits.requests_in_flight", "3")], None);
    let old = app(Arc::clone(&old_state));
    let mut waiting = vec![stalled(&old).await, stalled(&old).await];
    let new = app(state(&[("limits.requests_in_flight", "2")], Some(&old_state)));
    assert_overloaded(ask(&new, "/fine").await).await;
    waiting.pop();
    assert_eq!(read(ask(&new, "/fine").await).await, (200, "fine".to_owned()));
}

/// A request that is in flight and never answered.
async fn stalled(app: &Router) -> impl Future<Output = Response> + use<> {
    let app = app.clone();
    let mut request = Box::pin(async move { ask(&app, "/never").await });
    assert!(tokio::time::timeout(Duration::from_millis(10), &mut request).await.is_err());
    request
}

async fn assert_overloaded(response: Response) {
    assert_eq!(response.headers()["retry-after"], "1");
    let refusal = (503, r#"{"code":"00-11","description":"Service is overloaded"}"#.to_owned());
    assert_eq!(read(response).await, refusal);
}

/// Environment variable that makes the next test log as the service does.
pub const WITH_LOG: &str = "SUITE_WITH_LOG";

#[tokio::test]
async fn a_panic_is_one_refusal_and_says_nothing() {
    let with_log = std::env::vars_os().any(|(name, _)| name == WITH_LOG);
    let _log = with_log.then(|| telemetry::start(Format::Json, Level::TRACE));
    let app = app(state(&[], None));
    let refusal = (500, r#"{"code":"00-14","description":"Internal error"}"#.to_owned());
    assert_eq!(read(ask(&app, "/panic").await).await, refusal);
    assert_eq!(read(ask(&app, "/fine").await).await, (200, "fine".to_owned()));
}

#[tokio::test]
async fn timeouts_and_panics_of_the_support_sdk_route_are_503s_with_retry_after() {
    let app = app(state(&[("limits.request_timeout", "100ms")], None));
    for (method, code) in [("GET", "00-12"), ("POST", "00-14")] {
        let request = Request::builder().method(method).uri("/support-sdk/token").body(Body::empty()).unwrap();
        let response = answer(&app, request).await;
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        assert!(body.starts_with(format!("{{\"code\":\"{code}\"").as_bytes()), "{body:?}");
    }
}
