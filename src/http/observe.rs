//! What happened to this request?
//!
//! One log line for each that is answered, with nothing in it that a client could use: no token, cookie, secret,
//! email, path or query; every text from outside is checked to be what it should be before it is
//! written.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderName, HeaderValue, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use tokio::time::Instant;
use tracing::Span;

use crate::config::origin::OriginPattern;
use crate::config::products::{PRODUCTS, Product};
use crate::login::keys::VerifiedBy;
use crate::metrics::Metrics;
use crate::telemetry::spans;

use super::answer::{Answer, Outcome};
use super::origin_gate;
use super::refusal::REFUSALS;
use super::routes::Route;
use super::trace::traceparent;

/// Longest request id that is taken from a client. Too short for a JWT or a generated secret, so that
/// none gets into the log by this door.
const MAX_ID_BYTES: usize = 63;

/// The outcome of an exchange that gave a token; the others are refusals' codes.
const ISSUED: &str = "issued";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What of a request goes into the log.
pub(super) struct Seen {
    started: Instant,
    id: HeaderValue,
    span: Span,
    trace_id: Option<String>,
    method: &'static str,
    route: Option<Route>,
    is_preflight: bool,
    origin: Option<HeaderValue>,
    client: IpAddr,
}

/// One log line at a level; `tracing` wants the level fixed at each place.
macro_rules! log_line {
    ($level:ident, $seen:ident, $answer:ident) => {{
        let issued = $answer.outcome.issued();
        tracing::$level!(
            request_id = $seen.id.to_str().unwrap_or_default(),
            trace_id = $seen.trace_id,
            method = $seen.method,
            route = shown($seen.route),
            status = $answer.response.status().as_u16(),
            refusal = $answer.outcome.refused_with(),
            cause = $answer.outcome.cause().map(tracing::field::display),
            duration_us = u64::try_from($seen.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            client = tracing::field::display($seen.client),
            origin = $seen.origin(&$answer.response),
            key = $answer.outcome.verified_by().map(VerifiedBy::word),
            token_sha256 = issued.map(|issued| Sha256::of(issued.token.as_str())).as_ref().map(Sha256::digits),
            sub_sha256 = issued.map(|issued| Sha256::of(&issued.external_id)).as_ref().map(Sha256::digits),
            "request"
        );
    }};
}

impl Seen {
    /// Takes what the answer's log line will need, and starts the clock.
    pub(super) fn new(head: &Parts, route: Option<Route>, client: IpAddr) -> Self {
        let id = request_id(&head.headers);
        let method = known(&head.method);
        let span = spans::request(method, shown(route), id.to_str().unwrap_or_default());
        let parent = traceparent(&head.headers);
        let (parent, trace_id) = parent.unzip();
        Self {
            started: Instant::now(),
            trace_id: spans::adopt(&span, parent).or(trace_id.map(str::to_owned)),
            span,
            id,
            method,
            route,
            is_preflight: origin_gate::is_preflight(head),
            origin: head.headers.get(ORIGIN).cloned(),
            client,
        }
    }

    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// What the answer's steps are part of.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Logs and counts the answer, and names the request on it.
    pub(super) fn finish(self, mut answer: Answer, metrics: &Metrics) -> Response {
        self.log(&answer);
        self.count(&answer.outcome, metrics);
        spans::end(&self.span, answer.response.status().as_u16(), answer.outcome.refused_with());
        if !answer.is_for_all() {
            answer.response.headers_mut().insert(X_REQUEST_ID, self.id);
        }
        answer.response
    }

    /// Counts what became of an exchange; a preflight is none.
    fn count(&self, outcome: &Outcome, metrics: &Metrics) {
        let word = outcome.refused_with().or(outcome.issued().map(|_| ISSUED));
        if let (Some(Route::Token(product)), Some(word), false) = (self.route, word, self.is_preflight) {
            let key = outcome.verified_by().map(VerifiedBy::word);
            metrics.count_exchange(product.word(), word, self.started.elapsed(), key);
        }
    }

    fn log(&self, answer: &Answer) {
        // Zendesk's servers are told 503 of all trouble of ours; the log tells it apart.
        let cause = answer.outcome.cause();
        match cause.map_or(answer.response.status(), |cause| cause.refusal().wire().0) {
            StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
                log_line!(warn, self, answer);
            }
            status if status.is_server_error() => log_line!(error, self, answer),
            _ => log_line!(info, self, answer),
        }
    }

    /// The origin when it is allowed or written as browsers write one.
    fn origin(&self, response: &Response) -> Option<&str> {
        let is_origin = |text: &&str| OriginPattern::parse(text).is_ok_and(|origin| origin.is_exact());
        let is_allowed = response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN) == self.origin.as_ref();
        // Browsers write null for sandboxed pages and local files.
        let shown = |text: &&str| is_allowed || *text == "null" || is_origin(text);
        self.origin.as_ref().map(|origin| origin.to_str().ok().filter(shown).unwrap_or("malformed"))
    }
}

/// A method of RFC 9110 or RFC 5789; anything else is text of the client's choosing.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::CONNECT => "CONNECT",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// The path of a route; any other is text of the client's choosing.
fn shown(route: Option<Route>) -> &'static str {
    route.map_or("none", Route::path)
}

/// Has every series of the exchanges there from the start.
pub(super) fn expect_exchanges(metrics: &Metrics) {
    let refusals = REFUSALS.map(|refusal| refusal.wire().1);
    let outcomes: Vec<&str> = [ISSUED].into_iter().chain(refusals).collect();
    metrics.expect_exchanges(&PRODUCTS.map(Product::word), &outcomes, &VerifiedBy::ALL.map(VerifiedBy::word));
}

/// The client's own id when there is one and it is sane, else one that is made.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if is_sane(id.as_bytes()) => id.clone(),
        _ => random_id(),
    }
}

fn is_sane(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.iter().all(is_plain)
}

/// Tells requests apart. Whoever has seen some can guess others: nothing hangs on that, and a client may name its own.
fn random_id() -> HeaderValue {
    let mut text = [0; 32];
    // 16 bytes always fit.
    let _ = hex::encode_to_slice(fastrand::u128(..).to_be_bytes(), &mut text);
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("none"))
}

/// A hash in hexadecimal digits: tells two tokens or players apart, or finds one in hand, without naming them.
struct Sha256([u8; 64]);

impl Sha256 {
    fn of(text: &str) -> Self {
        let mut digits = [0; 64];
        // 32 bytes always fit.
        let _ = hex::encode_to_slice(digest(&SHA256, text.as_bytes()), &mut digits);
        Self(digits)
    }

    fn digits(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
