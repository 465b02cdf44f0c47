//! What stands before the routes, and in which order?
//!
//! Outermost first: observe, origin, rate limit, requests in flight, request timeout, panics, route. The origin
//! stands outside of all that can refuse, so that a page can read every refusal. Plain calls instead
//! of tower layers: each of those boxes a future for each request, and hides the order in a builder.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::{Bytes, HttpBody};
use axum::http::header::HeaderValue;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;
use tracing::Instrument;

use crate::config::Config;
use crate::config::clients::Proxy;
use crate::config::origin::OriginPattern;
use crate::metrics::Metrics;

use super::answer::Answer;
use super::cause::Cause;
use super::client_ip::client_ip;
use super::observe::{self, Seen};
use super::rate_limit::RateLimit;
use super::routes::{Asker, Route, Routes};
use super::{origin_gate, support_sdk};

/// Routes, and all that stands before them.
pub(super) struct Gate {
    /// Swapped in whole when the settings change.
    site: ArcSwap<Site>,
    metrics: Metrics,
}

/// Everything that one request needs of the settings: it keeps the one it began with.
struct Site {
    routes: Routes,
    origins: Vec<OriginPattern>,
    takes_bearer: bool,
    proxy: Proxy,
    rate_limit: Option<Arc<RateLimit>>,
    in_flight: Arc<Semaphore>,
    most_in_flight: usize,
    request_timeout: Duration,
}

impl Gate {
    pub(super) fn new(routes: Routes, config: &Config, metrics: &Metrics) -> Self {
        let site = ArcSwap::from_pointee(Site::new(routes, config));
        observe::expect_exchanges(metrics);
        Self { site, metrics: metrics.clone() }
    }

    /// Has other routes and other settings from the next request on.
    pub(super) fn swap(&self, routes: Routes, config: &Config) {
        let (mut new, old) = (Site::new(routes, config), self.site.load_full());
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
        self.site.store(Arc::new(new));
    }

    /// See [`super::App::request_timeout`].
    pub(super) fn request_timeout(&self) -> Duration {
        self.site.load().request_timeout
    }

    /// See [`super::App::trusts`].
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.site.load().proxy.trusts(peer)
    }

    /// Answers one request from `peer`.
    pub(super) async fn answer<B>(&self, head: &Parts, body: B, peer: IpAddr) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let site = self.site.load_full();
        let client = client_ip(&head.headers, peer, &site.proxy);
        let route = Route::of(head.uri.path());
        let (asker, seen) = (Asker::of(route), Seen::new(head, route, client));
        let _counted = self.metrics.request();
        let (origin, admitted) = site.admit(head, asker, client);
        let _permit = match admitted {
            Ok(permit) => permit,
            Err(answer) => return seen.finish(for_asker(*answer, asker, origin), &self.metrics),
        };
        // Pinned here, so that what is put around it does not move it.
        let answer = pin!(site.routes.answer(route, head, body, client));
        let answer = AssertUnwindSafe(answer).catch_unwind();
        let answer = match timeout_at(seen.started() + site.request_timeout, answer).instrument(seen.span()).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(cause))) => cause.into(),
            Ok(Err(_)) => Cause::Panicked.into(),
            Err(_) => Cause::TooSlow.into(),
        };
        seen.finish(for_asker(answer, asker, origin), &self.metrics)
    }
}

impl Site {
    fn new(routes: Routes, config: &Config) -> Self {
        Self {
            routes,
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
    fn admit(&self, head: &Parts, asker: Asker, client: IpAddr) -> (Option<HeaderValue>, Admitted<'_>) {
        let origin = match (origin_gate::allowed_origin(&head.headers, &self.origins), asker) {
            (Err(cause), Asker::Page | Asker::Server) => return (None, refused(cause)),
            (Err(_), Asker::Anyone) | (Ok(_), Asker::Server) => None,
            (Ok(origin), Asker::Anyone | Asker::Page) => origin,
        };
        if asker == Asker::Page && origin.is_some() && origin_gate::is_preflight(head) {
            return (origin, Err(Box::new(origin_gate::preflight(self.takes_bearer).into())));
        }
        let limit = self.rate_limit.as_ref().filter(|_| asker == Asker::Page);
        let admitted = match limit.map(|limit| limit.check(client)) {
            Some(Err(seconds)) => refused(Cause::TooManyRequests(seconds)),
            Some(Ok(())) | None => self.in_flight.try_acquire().or_else(|_| refused(Cause::TooManyInFlight)),
        };
        (origin, admitted)
    }
}

/// A request's place among those that are answered at once, or the answer that it has already.
type Admitted<'a> = Result<SemaphorePermit<'a>, Box<Answer>>;

fn refused<'a>(cause: Cause) -> Admitted<'a> {
    Err(Box::new(cause.into()))
}

/// Names the allowed origin on an answer to a page, and says to Zendesk's servers what is worth another try.
fn for_asker(mut answer: Answer, asker: Asker, origin: Option<HeaderValue>) -> Answer {
    match (asker, origin) {
        (Asker::Server, _) => support_sdk::worth_another_try(&mut answer.response),
        (Asker::Anyone | Asker::Page, Some(origin)) if !answer.is_for_all() => {
            origin_gate::name_origin(&mut answer.response, origin);
        }
        (Asker::Anyone | Asker::Page, _) => {}
    }
    answer
}
