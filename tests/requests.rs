//! What happens to a request that is slow, one too many, or hits a fault of ours.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::Response;
use axum::routing::get;
use tokio::runtime::Runtime;
use tracing::Level;
use zendesk_token::config::Config;
use zendesk_token::http::App;
use zendesk_token::metrics::Metrics;
use zendesk_token::telemetry::{self, Format};

use crate::harness::{ORIGIN, usual, variable};

fn app(changes: &[(&str, &str)]) -> App {
    let routes = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/panic", get(|| async { assert!(std::hint::black_box(false), "jane@example.com") }))
        .route("/fine", get(|| async { "fine" }))
        .route(
            "/support-sdk/token",
            get(std::future::pending::<()>).post(|| async { assert!(std::hint::black_box(false)) }),
        );
    let settings = usual(changes).into_iter().map(|(key, value)| (variable(key).into(), value.into()));
    App::gated(routes, &Config::load(None, settings).unwrap(), &Metrics::new())
}

async fn ask(app: &App, path: &str) -> Response {
    let request = Request::get(path).header("Origin", ORIGIN).body(Body::empty()).unwrap();
    answer(app, request).await
}

async fn answer(app: &App, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    app.answer(&head, body, [127, 0, 0, 1].into()).await
}

/// Status and body, once the headers that every answer has are seen to be there.
async fn read(response: Response) -> (u16, String) {
    assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(response.headers().contains_key("x-request-id"));
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1024).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn a_request_that_takes_too_long_is_refused() {
    Runtime::new().unwrap().block_on(async {
        let app = app(&[("limits.request_timeout", "100ms")]);
        let refusal = (408, r#"{"code":"00-12","description":"Request timed out"}"#.to_owned());
        assert_eq!(read(ask(&app, "/never").await).await, refusal);
    });
}

#[test]
fn one_request_too_many_is_refused_at_once_and_the_next_is_served() {
    Runtime::new().unwrap().block_on(async {
        let app = app(&[("limits.requests_in_flight", "2")]);
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut request = Box::pin(ask(&app, "/never"));
            assert!(tokio::time::timeout(Duration::from_millis(10), &mut request).await.is_err());
            waiting.push(request);
        }
        let refused = ask(&app, "/fine").await;
        assert_eq!(refused.headers()["retry-after"], "1");
        let refusal = (503, r#"{"code":"00-11","description":"Service is overloaded"}"#.to_owned());
        assert_eq!(read(refused).await, refusal);
        waiting.pop();
        assert_eq!(read(ask(&app, "/fine").await).await, (200, "fine".to_owned()));
    });
}

/// Environment variable that has the next test log as the service does.
pub const WITH_LOG: &str = "SUITE_WITH_LOG";

#[test]
fn a_panic_is_one_refusal_and_says_nothing() {
    let with_log = std::env::vars_os().any(|(name, _)| name == WITH_LOG);
    let _log = with_log.then(|| telemetry::start(Format::Json, Level::TRACE));
    Runtime::new().unwrap().block_on(async {
        let app = app(&[]);
        let refusal = (500, r#"{"code":"00-14","description":"Internal error"}"#.to_owned());
        assert_eq!(read(ask(&app, "/panic").await).await, refusal);
        assert_eq!(read(ask(&app, "/fine").await).await, (200, "fine".to_owned()));
    });
}

#[test]
fn to_zendesks_servers_all_trouble_of_ours_is_worth_another_try() {
    Runtime::new().unwrap().block_on(async {
        let app = app(&[("limits.request_timeout", "100ms")]);
        for (method, code) in [("GET", "00-12"), ("POST", "00-14")] {
            let request = Request::builder().method(method).uri("/support-sdk/token").body(Body::empty()).unwrap();
            let response = answer(&app, request).await;
            assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
            assert!(!response.headers().contains_key("access-control-allow-origin"));
            let body = to_bytes(response.into_body(), 1024).await.unwrap();
            assert!(body.starts_with(format!("{{\"code\":\"{code}\"").as_bytes()), "{body:?}");
        }
    });
}
