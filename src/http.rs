//! How does a request come in, and an answer go out?

pub mod refusal;
pub mod cause;
pub mod answer;
pub mod client_ip;
pub mod shares;
pub mod rate_limit;
pub mod login_cookie;
pub mod bearer;
pub mod origin_gate;
pub mod accept;
pub mod token;
pub mod support_sdk;
pub mod document;
pub mod script;
pub mod openapi;
pub mod routes;
pub mod trace;
pub mod observe;
mod gate;
pub mod admin;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::request::Parts;
use axum::response::Response;
use hyper::body::Incoming;
use tower::Service;

use crate::config::Config;
use crate::exchange::Exchange;
use crate::metrics::Metrics;

use admin::Readiness;
use gate::Gate;
use routes::Routes;

/// Everything that answers on one listener. Clones are the same app.
#[derive(Clone)]
pub struct App(Kind);

#[derive(Clone)]
enum Kind {
    Public(Arc<Gate>),
    Plain(Router),
}

impl App {
    /// The public listener's routes, behind all that stands before them.
    #[must_use]
    pub fn public(exchange: &Arc<Exchange>, config: &Config, metrics: &Metrics) -> Self {
        Self(Kind::Public(Arc::new(Gate::new(Routes::own(exchange, config), config, metrics))))
    }

    /// Any routes behind the same; tests bring routes that stall or panic.
    #[must_use]
    pub fn gated(routes: Router, config: &Config, metrics: &Metrics) -> Self {
        Self(Kind::Public(Arc::new(Gate::new(Routes::Given(routes.with_state(())), config, metrics))))
    }

    /// The admin listener's routes.
    #[must_use]
    pub fn admin(readiness: Arc<Readiness>, metrics: Metrics) -> Self {
        Self::plain(admin::routes(readiness, metrics))
    }

    /// Routes with nothing before them.
    #[must_use]
    pub fn plain(routes: Router) -> Self {
        Self(Kind::Plain(routes.with_state(())))
    }

    /// Answers the public with another exchange and other settings from the next request on. Requests
    /// under way end with those they began with.
    pub fn swap(&self, exchange: &Arc<Exchange>, config: &Config) {
        if let Kind::Public(gate) = &self.0 {
            gate.swap(Routes::own(exchange, config), config);
        }
    }

    /// Whether connections of this address are many clients'.
    #[must_use]
    pub fn is_many_clients(&self, peer: IpAddr) -> bool {
        match &self.0 {
            Kind::Public(gate) => gate.is_many_clients(peer),
            Kind::Plain(_) => false,
        }
    }

    /// Answers one request from `peer`.
    pub async fn answer<B>(&self, head: &Parts, body: B, peer: IpAddr) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        match &self.0 {
            Kind::Public(gate) => gate.answer(head, body, peer).await,
            Kind::Plain(routes) => {
                let request = Request::from_parts(head.clone(), Body::new(body));
                // Boxed, since few ask: what a router needs would make the public's requests larger.
                let Ok(response) = Box::pin(routes.clone().call(request)).await;
                response
            }
        }
    }
}

impl Service<Request<Incoming>> for App {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let app = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let peer: Option<&ConnectInfo<SocketAddr>> = head.extensions.get();
            let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip());
            Ok(app.answer(&head, body, peer).await)
        })
    }
}
