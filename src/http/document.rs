//! Public documents that caches may keep.

use aws_lc_rs::digest::{SHA384, digest};
use axum::body::Bytes;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL,
    CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use utoipa::IntoResponses;
use utoipa::openapi::ResponseBuilder;

use super::error::ErrorCode;
use super::openapi::{Responses, refusals};
use super::request_id::X_REQUEST_ID;

/// A short time, so that pages soon get the script of a new release.
const CACHE_FOR_5_MINUTES: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Says which pages may embed a response (fetch.spec.whatwg.org §3.7). Documents allow every page, even one with
/// `Cross-Origin-Embedder-Policy`.
pub(super) const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A document that is the same for every client.
pub(super) struct Document {
    content_type: &'static str,
    body: Bytes,
    etag: HeaderValue,
}

impl Document {
    pub(super) fn new(content_type: &'static str, text: impl Into<Bytes>) -> Self {
        let body = text.into();
        let hash = STANDARD.encode(digest(&SHA384, &body));
        // Base64 is always a valid header value.
        let etag = HeaderValue::try_from(format!("\"sha384-{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { content_type, body, etag }
    }

    /// The document, or 304 if the client has it.
    pub(super) fn response(&self, headers: &HeaderMap) -> Response {
        let cached = [
            (CACHE_CONTROL, CACHE_FOR_5_MINUTES),
            (ETAG, self.etag.clone()),
            (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
        ];
        if self.matches(headers) {
            (StatusCode::NOT_MODIFIED, cached).into_response()
        } else {
            (cached, [(CONTENT_TYPE, HeaderValue::from_static(self.content_type))], self.body.clone()).into_response()
        }
    }

    /// Whether `If-None-Match` names this document (RFC 9110 §13.1.2).
    fn matches(&self, headers: &HeaderMap) -> bool {
        let tags = headers.get_all(IF_NONE_MATCH).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        tags.map(<[u8]>::trim_ascii)
            .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.etag.as_bytes())
    }
}

impl IntoResponses for Document {
    fn responses() -> Responses {
        let not_modified = ResponseBuilder::new().description("The copy that `If-None-Match` names is current.");
        let mut responses = refusals(
            |code| matches!(code, ErrorCode::Overloaded | ErrorCode::TimedOut | ErrorCode::Internal),
            ErrorCode::status,
        );
        responses.insert("304".to_owned(), not_modified.into());
        responses
    }
}

/// Removes the headers that the middleware adds for one request, since a cache keeps the document for all. Refusals keep them.
pub(super) async fn remove_request_headers(mut response: Response) -> Response {
    if response.headers().contains_key(ETAG) {
        let headers = response.headers_mut();
        for name in [X_REQUEST_ID, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS, VARY] {
            headers.remove(name);
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}
