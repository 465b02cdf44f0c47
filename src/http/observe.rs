//! What happened to this request?
//!
//! One log line for each that is answered, with nothing in it that a client could use: no token, cookie, secret,
//! email, path or query; every text from outside is checked to be what it should be before it is
//! written.

use std::net::IpAddr;
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, HeaderName, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use tracing::Span;

use crate::config::origin::OriginPattern;
use crate::config::products::{PRODUCTS, Product};
use crate::exchange::Issued;
use crate::logging::spans;
use crate::login::keys::VerifiedBy;
use crate::metrics::Metrics;

use super::cause::Cause;
use super::refusal::REFUSALS;
use super::token;
use super::trace::traceparent;
use super::{openapi, origin_gate, script};

/// Longest request id that is taken from a client. Too short for a JWT or a generated secret, so that
/// none gets into the log by this door.
const MAX_ID_BYTES: usize = 63;

/// Paths that the log names; any other is text of the client's choosing.
const ROUTES: [&str; 6] = [
    token::path(Product::Chat),
    token::path(Product::Messaging),
    token::path(Product::HelpCenter),
    token::path(Product::SupportSdk),
    script::PATH,
    openapi::PATH,
];

/// The outcome of an exchange that gave a token; the others are refusals' codes.
const ISSUED: &str = "issued";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What of a request goes into the log.
pub struct Seen {
    started: Instant,
    id: HeaderValue,
    span: Span,
    trace_id: Option<String>,
    method: &'static str,
    route: &'static str,
    product: Option<Product>,
    is_preflight: bool,
    origin: Option<HeaderValue>,
    client: IpAddr,
}

/// One log line at a level; `tracing` wants the level fixed at each place.
macro_rules! log_line {
    ($level:ident, $seen:ident, $response:ident) => {{
        let cause = $response.extensions().get::<Cause>();
        let issued = $response.extensions().get::<Issued>();
        tracing::$level!(
            request_id = $seen.id.to_str().unwrap_or_default(),
            trace_id = $seen.trace_id,
            method = $seen.method,
            route = $seen.route,
            status = $response.status().as_u16(),
            refusal = refused_with($response),
            cause = cause.map(tracing::field::display),
            duration_us = u64::try_from($seen.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            client = tracing::field::display($seen.client),
            origin = $seen.origin($response),
            key = verified_by($response),
            token_sha256 = issued.map(|issued| Sha256::of(issued.token.as_str())).as_ref().map(Sha256::digits),
            sub_sha256 = issued.map(|issued| Sha256::of(&issued.external_id)).as_ref().map(Sha256::digits),
            "request"
        );
    }};
}

impl Seen {
    /// Takes what the answer's log line will need, and starts the clock.
    #[must_use]
    pub fn new(request: &Request, client: IpAddr) -> Self {
        let path = request.uri().path();
        let id = request_id(request.headers());
        let method = known(request.method());
        let route = ROUTES.into_iter().find(|route| *route == path).unwrap_or("none");
        let span = spans::request(method, route, id.to_str().unwrap_or_default());
        let parent = traceparent(request.headers());
        let (parent, trace_id) = parent.unzip();
        Self {
            started: Instant::now(),
            trace_id: spans::adopt(&span, parent).or(trace_id.map(str::to_owned)),
            span,
            id,
            method,
            route,
            is_preflight: origin_gate::is_preflight(request),
            product: PRODUCTS.into_iter().find(|product| token::path(*product) == path),
            origin: request.headers().get(ORIGIN).cloned(),
            client,
        }
    }

    /// What the answer's steps are part of.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Logs and counts the answer, and sets the headers that every answer has.
    #[must_use]
    pub fn finish(self, mut response: Response, metrics: &Metrics) -> Response {
        self.log(&response);
        self.count(&response, metrics);
        spans::end(&self.span, response.status().as_u16(), refused_with(&response));
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // A document that caches keep says so itself, and is no answer to one request.
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(X_REQUEST_ID, self.id);
        }
        response
    }

    /// Counts what became of an exchange; a preflight is none.
    fn count(&self, response: &Response, metrics: &Metrics) {
        let issued = response.extensions().get::<Issued>();
        let outcome = refused_with(response).or(issued.map(|_| ISSUED));
        if let (Some(product), Some(outcome), false) = (self.product, outcome, self.is_preflight) {
            metrics.count_exchange(product.word(), outcome, self.started.elapsed(), verified_by(response));
        }
    }

    fn log(&self, response: &Response) {
        // Zendesk's servers are told 503 of all trouble of ours; the log tells it apart.
        let cause = response.extensions().get::<Cause>();
        match cause.map_or(response.status(), |cause| cause.refusal().wire().0) {
            StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
                log_line!(warn, self, response);
            }
            status if status.is_server_error() => log_line!(error, self, response),
            _ => log_line!(info, self, response),
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

/// Has every series of the exchanges counted from zero.
pub fn expect(metrics: &Metrics) {
    let refusals = REFUSALS.map(|refusal| refusal.wire().1);
    let outcomes: Vec<&str> = [ISSUED].into_iter().chain(refusals).collect();
    metrics.expect_exchanges(&PRODUCTS.map(Product::word), &outcomes, &VerifiedBy::ALL.map(VerifiedBy::word));
}

/// The refusal's code, where it is one.
fn refused_with(response: &Response) -> Option<&'static str> {
    response.extensions().get::<Cause>().map(|cause| cause.refusal().wire().1)
}

/// The word for the key that verified the login, where one did.
fn verified_by(response: &Response) -> Option<&'static str> {
    let issued = response.extensions().get::<Issued>().map(|issued| issued.verified_by);
    issued.or(response.extensions().get::<Cause>().and_then(|cause| cause.verified_by())).map(VerifiedBy::word)
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
