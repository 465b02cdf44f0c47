//! How does a request come in, and an answer go out?
//!
//! Outermost first: observe, origin, requests in flight, request timeout, panics, route. The origin
//! stands outside of all that can refuse, so that a page can read every refusal. Plain calls instead
//! of tower layers: each of those boxes a future for each request, and hides the order in a builder.

pub mod refusal;
pub mod login_cookie;
pub mod origin_gate;
pub mod accept;
pub mod token;
pub mod observe;
pub mod admin;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::config::Config;
use crate::config::origin::OriginPattern;
use crate::exchange::Exchange;

use admin::Readiness;
use observe::Seen;
use refusal::Cause;

/// Everything that answers on one listener.
#[derive(Clone)]
pub struct App {
    routes: Router,
    /// What stands before the routes; nothing on the admin listener.
    gate: Option<Arc<Gate>>,
}

/// What every request of the public listener goes through, outermost first.
struct Gate {
    origins: Vec<OriginPattern>,
    in_flight: Semaphore,
    request_timeout: Duration,
}

impl App {
    /// The public listener's routes, behind the gate.
    #[must_use]
    pub fn public(exchange: Exchange, config: &Config) -> Self {
        observe::warm_up();
        let routes = Router::new()
            .route(token::CHAT_PATH, get(token::chat))
            .with_state(Arc::new(exchange))
            .fallback(|| async { Cause::RouteUnknown })
            .method_not_allowed_fallback(|| async { Cause::MethodUnknown });
        Self::gated(routes, config)
    }

    /// Any routes behind the public listener's gate; tests bring routes that stall or panic.
    #[must_use]
    pub fn gated(routes: Router, config: &Config) -> Self {
        let gate = Gate {
            origins: config.origins.clone(),
            in_flight: Semaphore::new(config.limits.requests_in_flight),
            request_timeout: config.limits.request_timeout,
        };
        Self { routes, gate: Some(Arc::new(gate)) }
    }

    /// The admin listener's routes.
    #[must_use]
    pub fn admin(readiness: Arc<Readiness>) -> Self {
        Self { routes: admin::routes(readiness), gate: None }
    }

    /// Answers one request from `peer`.
    pub async fn answer<B>(&self, request: axum::http::Request<B>, peer: SocketAddr) -> Response
    where
        B: HttpBody<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let request = request.map(Body::new);
        match &self.gate {
            None => self.route(request).await,
            Some(gate) => {
                let seen = Seen::new(&request, peer);
                let response = self.pass_origin(gate, request).await;
                seen.finish(response)
            }
        }
    }

    /// Refuses foreign origins, answers preflights, and names the allowed origin on every answer.
    async fn pass_origin(&self, gate: &Gate, request: Request) -> Response {
        match origin_gate::allowed_origin(request.headers(), &gate.origins) {
            Err(cause) => origin_gate::name_origin(cause.into_response(), None),
            Ok(Some(origin)) if origin_gate::is_preflight(&request) => {
                origin_gate::name_origin(origin_gate::preflight(), Some(origin))
            }
            Ok(origin) => origin_gate::name_origin(self.pass_limits(gate, request).await, origin),
        }
    }

    /// Refuses one request too many, ends one that takes too long, and outlives one that panics.
    async fn pass_limits(&self, gate: &Gate, request: Request) -> Response {
        let Ok(_permit) = gate.in_flight.try_acquire() else { return Cause::TooManyInFlight.into_response() };
        let answer = AssertUnwindSafe(self.route(request)).catch_unwind();
        match timeout(gate.request_timeout, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => Cause::Panicked.into_response(),
            Err(_) => Cause::TooSlow.into_response(),
        }
    }

    async fn route(&self, request: Request) -> Response {
        match self.routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
