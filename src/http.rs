//! How does a request come in, and an answer go out?
//!
//! The layers, outermost first: observe, origin gate, requests in flight, request timeout, panics.
//! The gate stands outside of all that can refuse, so that a page can read every refusal.

pub mod refusal;
pub mod login_cookie;
pub mod origin_gate;
pub mod observe;
pub mod accept;
pub mod token;
pub mod admin;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::Config;
use crate::exchange::Exchange;

use admin::Readiness;
use observe::Peer;
use refusal::Cause;

/// Everything that answers on one listener.
#[derive(Clone)]
pub struct App(Router);

impl App {
    /// The public listener's routes and layers.
    #[must_use]
    pub fn public(exchange: Exchange, config: &Config) -> Self {
        let routes = Router::new()
            .route("/generate/token", get(token::chat))
            .with_state(Arc::new(exchange))
            .fallback(|| async { Cause::RouteUnknown })
            .method_not_allowed_fallback(|| async { Cause::MethodUnknown });
        Self::layered(routes, config)
    }

    /// Any routes inside the public listener's layers.
    #[must_use]
    pub fn layered(routes: Router, config: &Config) -> Self {
        let in_flight = Arc::new(Semaphore::new(config.limits.requests_in_flight));
        Self(
            routes
                .layer(CatchPanicLayer::custom(on_panic))
                .layer(from_fn_with_state(config.limits.request_timeout, limit_time))
                .layer(from_fn_with_state(in_flight, limit_in_flight))
                .layer(from_fn_with_state(Arc::from(config.origins.as_slice()), origin_gate::guard))
                .layer(from_fn(observe::observe)),
        )
    }

    /// The admin listener's routes.
    #[must_use]
    pub fn admin(readiness: Arc<Readiness>) -> Self {
        Self(admin::routes(readiness))
    }

    /// Answers one request from `peer`.
    pub async fn answer<B>(&self, request: axum::http::Request<B>, peer: SocketAddr) -> Response
    where
        B: HttpBody<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Cause::TooSlow.into_response(),
    }
}

async fn limit_in_flight(State(free): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match free.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Cause::TooManyInFlight.into_response(),
    }
}

fn on_panic(_: Box<dyn Any + Send>) -> Response {
    Cause::Panicked.into_response()
}
