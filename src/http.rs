//! How does a request come in, and an answer go out?
//!
//! Outermost first: observe, origin, rate limit, requests in flight, request timeout, panics, route. The origin
//! stands outside of all that can refuse, so that a page can read every refusal. Plain calls instead
//! of tower layers: each of those boxes a future for each request, and hides the order in a builder.

pub mod refusal;
pub mod cause;
pub mod client_ip;
pub mod network;
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
pub mod admin;

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{ETAG, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tower::Service;
use tracing::Instrument;

use crate::config::Config;
use crate::config::clients::Proxy;
use crate::config::origin::OriginPattern;
use crate::exchange::Exchange;
use crate::metrics::Metrics;

use admin::Readiness;
use cause::Cause;
use client_ip::client_ip;
use observe::Seen;
use rate_limit::RateLimit;
use routes::Asker;

/// For an answer that has nothing to wait for.
const PLAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that answers on one listener. Clones are the same app.
#[derive(Clone)]
pub struct App(Arc<Kind>);

enum Kind {
    /// Swapped in whole when the settings change.
    Public(ArcSwap<Site>, Metrics),
    Plain(Router),
}

/// Everything that one request needs of the settings: it keeps the one it began with.
struct Site {
    routes: Router,
    origins: Vec<OriginPattern>,
    takes_bearer: bool,
    proxy: Proxy,
    rate_limit: Option<Arc<RateLimit>>,
    in_flight: Arc<Semaphore>,
    most_in_flight: usize,
    request_timeout: Duration,
}

impl App {
    /// The public listener's routes, behind all that stands before them.
    #[must_use]
    pub fn public(exchange: &Arc<Exchange>, config: &Config, metrics: &Metrics) -> Self {
        observe::expect(metrics);
        Self::gated(routes::routes(exchange, config), config, metrics)
    }

    /// Any routes behind the same; tests bring routes that stall or panic.
    #[must_use]
    pub fn gated(routes: Router, config: &Config, metrics: &Metrics) -> Self {
        Self(Arc::new(Kind::Public(ArcSwap::from_pointee(Site::new(routes, config)), metrics.clone())))
    }

    /// The admin listener's routes.
    #[must_use]
    pub fn admin(readiness: Arc<Readiness>, metrics: Metrics) -> Self {
        Self::plain(admin::routes(readiness, metrics))
    }

    /// Routes with nothing before them.
    #[must_use]
    pub fn plain(routes: Router) -> Self {
        Self(Arc::new(Kind::Plain(routes.with_state(()))))
    }

    /// Answers the public with another exchange and other settings from the next request on. Requests
    /// under way end with those they began with.
    pub fn swap(&self, exchange: &Arc<Exchange>, config: &Config) {
        if let Kind::Public(site, _) = &*self.0 {
            let mut new = Site::new(routes::routes(exchange, config), config);
            let old = site.load_full();
            if old.most_in_flight == new.most_in_flight {
                // Requests under way count on.
                new.in_flight = Arc::clone(&old.in_flight);
            }
            if let (Some(limit), Some(settings)) = (&old.rate_limit, &config.rate_limit)
                && limit.is_as(settings)
            {
                // And so do those that a client has sent.
                new.rate_limit = Some(Arc::clone(limit));
            }
            site.store(Arc::new(new));
        }
    }

    /// How long an answer may take now.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        match &*self.0 {
            Kind::Public(site, _) => site.load().request_timeout,
            Kind::Plain(_) => PLAIN_TIMEOUT,
        }
    }

    /// Whether connections of this address are many clients', since a trusted proxy has it.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        match &*self.0 {
            Kind::Public(site, _) => site.load().proxy.trusts(peer),
            Kind::Plain(_) => false,
        }
    }

    /// Answers one request from `peer`.
    pub async fn answer<B>(&self, request: axum::http::Request<B>, peer: SocketAddr) -> Response
    where
        B: HttpBody<Data = axum::body::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        match &*self.0 {
            Kind::Plain(routes) => route(routes.clone(), request.map(Body::new)).await,
            Kind::Public(site, metrics) => {
                let (site, mut request) = (site.load_full(), request.map(Body::new));
                let client = client_ip(request.headers(), peer.ip(), &site.proxy);
                let (asker, seen) = (Asker::of(request.uri().path()), Seen::new(&request, client));
                let _counted = metrics.request();
                let (origin, admitted) = site.admit(&request, asker, client);
                let response = match admitted {
                    Ok(_permit) => {
                        if asker == Asker::Server {
                            request.extensions_mut().insert(support_sdk::Client(client));
                        }
                        let answer = AssertUnwindSafe(route(site.routes.clone(), request)).catch_unwind();
                        match timeout(site.request_timeout, answer).instrument(seen.span()).await {
                            Ok(Ok(response)) => response,
                            Ok(Err(_)) => Cause::Panicked.into_response(),
                            Err(_) => Cause::TooSlow.into_response(),
                        }
                    }
                    Err(response) => response,
                };
                seen.finish(for_asker(response, asker, origin), metrics)
            }
        }
    }
}

impl Site {
    fn new(routes: Router, config: &Config) -> Self {
        Self {
            // Has axum make its services now, and not for each request.
            routes: routes.with_state(()),
            origins: config.origins.clone(),
            takes_bearer: config.login.bearer,
            proxy: config.proxy.clone(),
            rate_limit: config.rate_limit.map(|settings| Arc::new(RateLimit::new(settings))),
            in_flight: Arc::new(Semaphore::new(config.limits.requests_in_flight)),
            most_in_flight: config.limits.requests_in_flight,
            request_timeout: config.limits.request_timeout,
        }
    }

    /// Refuses foreign origins, answers preflights, and refuses a client that asks too often and one request too
    /// many. Gives the origin to name on the answer, and the request's place or the answer that it has already.
    ///
    /// Documents cost nothing, and Zendesk's servers ask for all the players there are from a few addresses:
    /// neither counts for how often a client asks.
    fn admit(&self, request: &Request, asker: Asker, client: IpAddr) -> (Option<HeaderValue>, Admitted<'_>) {
        let origin = match (origin_gate::allowed_origin(request.headers(), &self.origins), asker) {
            (Err(cause), Asker::Page | Asker::Server) => return (None, Err(cause.into_response())),
            (Err(_), Asker::Anyone) | (Ok(_), Asker::Server) => None,
            (Ok(origin), Asker::Anyone | Asker::Page) => origin,
        };
        if asker == Asker::Page && origin.is_some() && origin_gate::is_preflight(request) {
            return (origin, Err(origin_gate::preflight(self.takes_bearer)));
        }
        let limit = self.rate_limit.as_ref().filter(|_| asker == Asker::Page);
        let admitted = match limit.map(|limit| limit.check(client)) {
            Some(Err(seconds)) => Err(Cause::TooManyRequests(seconds).into_response()),
            Some(Ok(())) | None => self.in_flight.try_acquire().map_err(|_| Cause::TooManyInFlight.into_response()),
        };
        (origin, admitted)
    }
}

/// A request's place among those that are answered at once, or the answer that it has already.
type Admitted<'a> = Result<SemaphorePermit<'a>, Response>;

/// Names the allowed origin on an answer to a page, and says to Zendesk's servers what is worth another try.
fn for_asker(response: Response, asker: Asker, origin: Option<HeaderValue>) -> Response {
    match asker {
        // A document is the same for all.
        Asker::Anyone if response.headers().contains_key(ETAG) => response,
        Asker::Server => origin_gate::name_origin(support_sdk::worth_another_try(response), None),
        Asker::Anyone | Asker::Page => origin_gate::name_origin(response, origin),
    }
}

/// A future of its own, so that a panic of the router's is caught with those of the handlers.
async fn route(mut routes: Router, request: Request) -> Response {
    let Ok(response) = routes.call(request).await;
    response
}
