//! Middleware: timeout, in-flight limit and panics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Method, Request};
use axum::routing::{get, post};
use tower::ServiceExt;
use tower::layer::util::Identity;
use tracing::Level;
use zendesk_token::exchange::Exchange;
use zendesk_token::http::AppState;
use zendesk_token::http::middleware::{support_sdk_middleware, with_middleware};
use zendesk_token::http::origin::cors;
use zendesk_token::metrics::Metrics;
use zendesk_token::telemetry::{self, Format};

use crate::app::read;
use crate::client::Answer;
use crate::harness::{ORIGIN, usual};
use crate::settings::load;

/// The app state for these settings.
fn state(changes: &[(&str, &str)], old: Option<&AppState>) -> Arc<AppState> {
    let (config, metrics) = (load(None, &usual(changes)).unwrap(), Metrics::new());
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
    with_middleware(routes, cors(&state, &[Method::GET]), Identity::new(), &state).with_state(state)
}

async fn ask(app: &Router, path: &str) -> Answer {
    let answer = send(app, Request::get(path).header("Origin", ORIGIN)).await;
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN));
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    assert!(answer.header("x-request-id").is_some());
    answer
}

async fn send(app: &Router, request: Builder) -> Answer {
    read(app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_refused() {
    let app = app(state(&[("limits.request_timeout", "100ms")], None));
    assert_eq!(ask(&app, "/never").await.refusal(), "503 00-12");
}

#[tokio::test]
async fn a_request_over_the_in_flight_limit_is_refused() {
    let app = app(state(&[("limits.requests_in_flight", "2")], None));
    let mut waiting = vec![stalled(&app).await, stalled(&app).await];
    check_overloaded(&ask(&app, "/fine").await);
    waiting.pop();
    assert_eq!(ask(&app, "/fine").await.body, "fine");
}

#[tokio::test]
async fn requests_that_began_before_a_reload_count_after_it() {
    let old_state = state(&[("limits.requests_in_flight", "3")], None);
    let old = app(Arc::clone(&old_state));
    let mut waiting = vec![stalled(&old).await, stalled(&old).await];
    let new = app(state(&[("limits.requests_in_flight", "2")], Some(&old_state)));
    check_overloaded(&ask(&new, "/fine").await);
    waiting.pop();
    assert_eq!(ask(&new, "/fine").await.body, "fine");
}

/// A request that is in flight and never answered.
async fn stalled(app: &Router) -> impl Future<Output = Answer> + use<> {
    let app = app.clone();
    let mut request = Box::pin(async move { ask(&app, "/never").await });
    assert!(tokio::time::timeout(Duration::from_millis(10), &mut request).await.is_err());
    request
}

fn check_overloaded(answer: &Answer) {
    assert_eq!((answer.refusal().as_str(), answer.header("retry-after").as_deref()), ("503 00-11", Some("1")));
}

/// Environment variable that makes the next test log as the service does.
pub const WITH_LOG: &str = "SUITE_WITH_LOG";

#[tokio::test]
async fn a_panic_is_one_refusal_and_says_nothing() {
    let with_log = std::env::vars_os().any(|(name, _)| name == WITH_LOG);
    let _log = with_log.then(|| telemetry::start(Format::Json, Level::TRACE));
    let app = app(state(&[], None));
    let answer = ask(&app, "/panic").await;
    assert_eq!((answer.status, &*answer.body), (500, r#"{"code":"00-14","description":"Internal error"}"#));
    assert_eq!(ask(&app, "/fine").await.body, "fine");
}

#[tokio::test]
async fn timeouts_and_panics_of_the_support_sdk_route_are_503s_with_retry_after() {
    let app = app(state(&[("limits.request_timeout", "100ms")], None));
    for (method, refusal) in [("GET", "503 00-12"), ("POST", "503 00-14")] {
        let answer = send(&app, Request::builder().method(method).uri("/support-sdk/token")).await;
        assert_eq!((answer.refusal().as_str(), answer.header("retry-after").as_deref()), (refusal, Some("1")));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
