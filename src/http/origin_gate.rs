//! May a page of this origin ask?
//!
//! Answered before the login token is looked at. CORS with credentials (fetch.spec.whatwg.org
//! §3.2): the allowed origin is named outright, on every answer, refusals included, since a page
//! can't even see the status of an answer without it. `tower-http`'s layer answers every OPTIONS
//! and runs the handler for refused origins, so this is ours.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderValue, ORIGIN,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::config::origin::OriginPattern;

use super::cause::Cause;

/// Seconds for which a browser may remember a preflight: short enough that a changed `cors.origins`
/// is felt within a visit.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Headers beyond the safelisted ones that a page may send: none is needed, both are common.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Content-Type, X-Request-Id");
/// The same where the login token may come in a header.
const BEARER_REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, X-Request-Id");

/// Headers beyond the safelisted ones that a page may read.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static("Retry-After, X-Request-Id");

/// The origin to name on the answer, if the request has one and it is allowed.
///
/// A request without `Origin` passes: curl and apps send none, and a browser that sends none does
/// not let a foreign page read the answer.
///
/// # Errors
/// The origin is foreign, or there are two.
pub fn allowed_origin(headers: &HeaderMap, origins: &[OriginPattern]) -> Result<Option<HeaderValue>, Cause> {
    let mut values = headers.get_all(ORIGIN).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Cause::OriginTwice),
        (Some(origin), None) if origins.iter().any(|pattern| pattern.allows(origin.as_bytes())) => {
            Ok(Some(origin.clone()))
        }
        (Some(_), None) => Err(Cause::OriginForeign),
    }
}

/// An OPTIONS without `Access-Control-Request-Method` is an ordinary request.
#[must_use]
pub fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Says yes for every path: a preflight's refusal would hide from the page what is wrong with the path.
#[must_use]
pub fn preflight(takes_bearer: bool) -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD")),
        (ACCESS_CONTROL_ALLOW_HEADERS, if takes_bearer { BEARER_REQUEST_HEADERS } else { REQUEST_HEADERS }),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Names the allowed origin on an answer.
pub fn name_origin(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
}
