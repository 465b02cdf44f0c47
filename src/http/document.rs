//! Documents that anybody may read and caches may keep.

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
use super::origin::X_REQUEST_ID;

/// Caches ask again after 5 minutes, so that pages soon have the script of a new release.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Which pages may embed an answer (fetch.spec.whatwg.org §3.7). Documents: any, also one that isolates itself
/// (`Cross-Origin-Embedder-Policy`).
pub(super) const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A document that is the same for everybody.
#[derive(Debug, Clone)]
pub struct Document {
    content_type: &'static str,
    body: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// Takes the text and its media type.
    #[must_use]
    pub fn new(content_type: &'static str, text: &'static str) -> Self {
        let body = Bytes::from_static(text.as_bytes());
        let hash = STANDARD.encode(digest(&SHA384, &body));
        // Base64 is always fit for a header.
        let etag = HeaderValue::try_from(format!("\"sha384-{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { content_type, body, etag }
    }

    /// The document, or 304 for a client that has it already.
    #[must_use]
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let kept = [
            (CACHE_CONTROL, KEEP),
            (ETAG, self.etag.clone()),
            (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
        ];
        if self.is_named_by(headers) {
            (StatusCode::NOT_MODIFIED, kept).into_response()
        } else {
            (kept, [(CONTENT_TYPE, HeaderValue::from_static(self.content_type))], self.body.clone()).into_response()
        }
    }

    /// Whether `If-None-Match` names this document (RFC 9110 §13.1.2).
    fn is_named_by(&self, headers: &HeaderMap) -> bool {
        let tags = headers.get_all(IF_NONE_MATCH).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        tags.map(<[u8]>::trim_ascii)
            .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.etag.as_bytes())
    }
}

/// What both documents answer next to themselves.
impl IntoResponses for Document {
    fn responses() -> Responses {
        let not_modified = ResponseBuilder::new().description("The copy that `If-None-Match` names is up to date.");
        let mut responses = refusals(
            |code| matches!(code, ErrorCode::Overloaded | ErrorCode::TimedOut | ErrorCode::Internal),
            ErrorCode::status,
        );
        responses.insert("304".to_owned(), not_modified.into());
        responses
    }
}

/// Takes off a document what the layers say of one request: a cache keeps it for all. A refusal stays as it is.
pub(super) async fn same_for_all(mut response: Response) -> Response {
    if response.headers().contains_key(ETAG) {
        let headers = response.headers_mut();
        for name in [X_REQUEST_ID, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS, VARY] {
            headers.remove(name);
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}
