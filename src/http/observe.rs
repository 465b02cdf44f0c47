//! What happened to this request?
//!
//! One log line for each, with nothing in it that a client could use: no token, cookie, secret,
//! email, path or query; every text from outside is checked to be what it should be before it is
//! written.

use std::net::SocketAddr;
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::config::origin::OriginPattern;
use crate::exchange::Issued;

use super::refusal::Cause;

/// Longest request id that is taken from a client. Too short for a JWT, so that none gets into the
/// log by this door.
const MAX_ID_BYTES: usize = 64;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The address of the other end of a request's connection, left in its extensions by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Names the request, times it, sets the headers that every answer has, and logs it.
pub async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let seen = Seen::new(&request);
    let mut response = next.run(request).await;

    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_REQUEST_ID, id.clone());
    seen.log(id.to_str().unwrap_or_default(), started, &response);
    response
}

/// What of a request goes into the log.
struct Seen {
    method: Method,
    route: Option<MatchedPath>,
    origin: Option<HeaderValue>,
    client: Option<Peer>,
}

/// One log line at a level; `tracing` wants the level fixed at each place.
macro_rules! log_line {
    ($level:ident, $seen:ident, $id:ident, $started:ident, $response:ident) => {{
        let cause = $response.extensions().get::<Cause>();
        let issued = $response.extensions().get::<Issued>();
        tracing::$level!(
            request_id = $id,
            method = $seen.method(),
            route = $seen.route.as_ref().map_or("none", MatchedPath::as_str),
            status = $response.status().as_u16(),
            refusal = cause.map(|cause| cause.refusal().wire().1),
            cause = cause.map(tracing::field::display),
            duration_us = u64::try_from($started.elapsed().as_micros()).unwrap_or(u64::MAX),
            client = $seen.client.map(|Peer(address)| tracing::field::display(address.ip().to_canonical())),
            origin = $seen.origin(),
            key = issued.map(|issued| issued.verified_by.word()),
            token_sha256 = issued.map(|issued| sha256(issued.token.as_str())),
            sub_sha256 = issued.map(|issued| sha256(&issued.external_id)),
            "request"
        );
    }};
}

impl Seen {
    fn new(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            route: request.extensions().get().cloned(),
            origin: request.headers().get(ORIGIN).cloned(),
            client: request.extensions().get().copied(),
        }
    }

    fn log(&self, id: &str, started: Instant, response: &Response) {
        match response.status() {
            StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
                log_line!(warn, self, id, started, response);
            }
            status if status.is_server_error() => log_line!(error, self, id, started, response),
            _ => log_line!(info, self, id, started, response),
        }
    }

    /// A method of RFC 9110 or RFC 5789; anything else is text of the client's choosing.
    fn method(&self) -> &str {
        match self.method {
            Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::DELETE
            | Method::CONNECT
            | Method::OPTIONS
            | Method::TRACE
            | Method::PATCH => self.method.as_str(),
            _ => "other",
        }
    }

    /// The origin when it is written as browsers write one.
    fn origin(&self) -> Option<&str> {
        let is_origin = |text: &&str| OriginPattern::parse(text).is_ok_and(|origin| origin.is_exact());
        self.origin.as_ref().map(|origin| origin.to_str().ok().filter(is_origin).unwrap_or("malformed"))
    }
}

/// The client's own id when there is one and it is sane, else 128 random bits.
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

fn random_id() -> HeaderValue {
    let mut random = [0; 16];
    match aws_lc_rs::rand::fill(&mut random) {
        Ok(()) => HeaderValue::try_from(hex::encode(random)).unwrap_or(HeaderValue::from_static("none")),
        Err(_) => HeaderValue::from_static("none"),
    }
}

/// Tells two tokens or players apart, or finds one in hand, without naming them.
fn sha256(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}
