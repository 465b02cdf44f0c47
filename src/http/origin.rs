//! CORS for allowed origins; refuses other origins and embedded requests.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{HeaderName, HeaderValue, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::config::origin::OriginPattern;

use super::error::Reason;
use super::request_id::X_REQUEST_ID;
use super::state::AppState;

/// How long a browser may cache a preflight: short, so that a change of `cors.origins` soon takes effect.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_mins(10);

// Headers that browsers add and pages can neither set nor remove (W3C Fetch Metadata, §2).
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

/// CORS with credentials (fetch.spec.whatwg.org §3.3), for requests with these methods. If the origin is allowed, every response
/// names it: a page could not see the status of a refusal otherwise. All request headers are allowed, since error trackers and
/// tracing add some.
pub fn cors(state: &Arc<AppState>, methods: &[Method]) -> CorsLayer {
    let state = Arc::clone(state);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |_, parts| {
            matches!(allowed_origin(&parts.headers, &state.origins), Ok(Some(_)))
        }))
        .allow_credentials(true)
        .allow_methods(methods.to_vec())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([RETRY_AFTER, X_REQUEST_ID])
        .max_age(PREFLIGHT_MAX_AGE)
        // Set by an outer layer, also on responses without CORS headers.
        .vary([])
}

/// The allowed origin of a request. `None` without an `Origin` header: curl and apps send none, and without it no browser lets
/// a foreign page read the response.
///
/// # Errors
/// The origin is not allowed, or there are two.
pub(crate) fn allowed_origin<'a>(
    headers: &'a HeaderMap,
    origins: &[OriginPattern],
) -> Result<Option<&'a HeaderValue>, Reason> {
    let mut values = headers.get_all(ORIGIN).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Reason::OriginTwice),
        (Some(origin), None) if origins.iter().any(|pattern| pattern.allows(origin.as_bytes())) => Ok(Some(origin)),
        (Some(_), None) => Err(Reason::OriginNotAllowed),
    }
}

/// Refuses requests for an image, script or frame of a page, and prefetches, but not an address opened in a tab. Every page can
/// cause them, with the player's cookie and without `Origin`. The page can't read the response, but the requests would use up
/// the player's rate limit.
pub(super) fn not_embedded(headers: &HeaderMap) -> Result<(), Reason> {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes);
    let is_embedded = match value(SEC_FETCH_MODE) {
        Some(b"no-cors") => true,
        Some(b"navigate") => value(SEC_FETCH_DEST).is_some_and(|dest| dest != b"document"),
        Some(_) | None => false,
    };
    let is_prefetch = value(SEC_PURPOSE).is_some_and(|purpose| purpose.starts_with(b"prefetch"));
    if is_embedded || is_prefetch { Err(Reason::Embedded) } else { Ok(()) }
}
