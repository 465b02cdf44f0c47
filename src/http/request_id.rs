//! The id of a request: the client's own where it is sane, else a random one.

use axum::http::header::HeaderValue;
use axum::http::{HeaderMap, Request};
use tower_http::request_id::{MakeRequestId, RequestId};

use super::origin::X_REQUEST_ID;

/// Longest request id that is taken from a client. Too short for a JWT or a generated secret, so that
/// none gets into the log by this door.
const MAX_BYTES: usize = 63;

/// Drops an id that can't be taken: `SetRequestIdLayer` keeps any that is there.
pub(super) fn drop_unusable<B>(mut request: Request<B>) -> Request<B> {
    if !is_usable(request.headers()) {
        request.headers_mut().remove(X_REQUEST_ID);
    }
    request
}

/// Makes 128 random bits. Whoever has seen some can guess others: nothing hangs on that, and a client may name its own.
#[derive(Clone, Copy)]
pub(super) struct RandomId;

impl MakeRequestId for RandomId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        HeaderValue::try_from(format!("{:032x}", fastrand::u128(..))).ok().map(RequestId::new)
    }
}

/// Whether there is no id, or one that is short and plain.
fn is_usable(headers: &HeaderMap) -> bool {
    let mut ids = headers.get_all(X_REQUEST_ID).iter().map(HeaderValue::as_bytes);
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match (ids.next(), ids.next()) {
        (None, _) => true,
        (Some(id), None) => (1..=MAX_BYTES).contains(&id.len()) && id.iter().all(is_plain),
        (Some(_), Some(_)) => false,
    }
}
