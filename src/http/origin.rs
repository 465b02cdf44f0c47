//! Which pages may ask: CORS for allowed origins, a refusal for all others and for what a page embeds.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{HeaderName, HeaderValue, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::config::origin::OriginPattern;

use super::error::Reason;
use super::state::AppState;

/// For how long a browser may remember a preflight: short enough that a changed `cors.origins` is felt within a visit.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_mins(10);

// What a browser says of a request (W3C Fetch Metadata, §2). No page can set or leave out any of them.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

/// The header that names a request.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// CORS with credentials (fetch.spec.whatwg.org §3.3): an allowed origin is named outright on every answer, refusals
/// included, since a page can't even see the status of an answer without it. Any request header of such a page is
/// allowed: error trackers and tracing add their own to every request. To other pages the same headers say nothing, since
/// their origin is not named.
pub fn cors(state: &Arc<AppState>) -> CorsLayer {
    let state = Arc::clone(state);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |_, parts| {
            matches!(allowed_origin(&parts.headers, &state.origins), Ok(Some(_)))
        }))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([RETRY_AFTER, X_REQUEST_ID])
        .max_age(PREFLIGHT_MAX_AGE)
        // Every answer has the header, by a layer outside of this one, also one that no origin was named to.
        .vary([])
}

/// The origin of a request, if it has one and it is allowed.
///
/// A request without `Origin` passes: curl and apps send none, and a browser that sends none does
/// not let a foreign page read the answer.
///
/// # Errors
/// The origin is foreign, or there are two.
pub fn allowed_origin<'a>(
    headers: &'a HeaderMap,
    origins: &[OriginPattern],
) -> Result<Option<&'a HeaderValue>, Reason> {
    let mut values = headers.get_all(ORIGIN).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Reason::OriginTwice),
        (Some(origin), None) if origins.iter().any(|pattern| pattern.allows(origin.as_bytes())) => Ok(Some(origin)),
        (Some(_), None) => Err(Reason::OriginForeign),
    }
}

/// Refuses what a browser fetches for an image, a script or a frame of a page, or in advance. Any page can cause such a request, with
/// the player's cookie and without `Origin`. It can read nothing of the answer, but would spend the player's rate limit.
///
/// # Errors
/// The browser says that it is such a request. An address that a person opens in a tab is not.
pub fn not_embedded(headers: &HeaderMap) -> Result<(), Reason> {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes);
    let is_embedded = match value(SEC_FETCH_MODE) {
        Some(b"no-cors") => true,
        Some(b"navigate") => value(SEC_FETCH_DEST).is_some_and(|dest| dest != b"document"),
        Some(_) | None => false,
    };
    let is_in_advance = value(SEC_PURPOSE).is_some_and(|purpose| purpose.starts_with(b"prefetch"));
    if is_embedded || is_in_advance { Err(Reason::Embedded) } else { Ok(()) }
}
