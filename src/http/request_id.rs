//! Sets the id of a request: the client's own if it is usable, otherwise a random one.

use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, Request};
use tower_http::request_id::{MakeRequestId, RequestId};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is accepted from a client: too short for a JWT or a generated secret, which must not get into the
/// log.
const MAX_BYTES: usize = 63;

/// Removes an unusable id, since `SetRequestIdLayer` keeps every id that a request has.
pub(super) fn drop_unusable<B>(mut request: Request<B>) -> Request<B> {
    if !is_usable(request.headers()) {
        request.headers_mut().remove(X_REQUEST_ID);
    }
    request
}

/// Makes ids of 128 random bits. They need not be unpredictable, since clients may choose their own.
#[derive(Clone, Copy)]
pub(super) struct RandomId;

impl MakeRequestId for RandomId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        HeaderValue::try_from(format!("{:032x}", fastrand::u128(..))).ok().map(RequestId::new)
    }
}

/// Whether the header is missing, or is one short id of safe characters.
fn is_usable(headers: &HeaderMap) -> bool {
    let mut ids = headers.get_all(X_REQUEST_ID).iter().map(HeaderValue::as_bytes);
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match (ids.next(), ids.next()) {
        (None, _) => true,
        (Some(id), None) => (1..=MAX_BYTES).contains(&id.len()) && id.iter().all(is_safe),
        (Some(_), Some(_)) => false,
    }
}
