//! The OpenAPI document of the routes.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;

use super::document::Document;

/// Where tools find it.
pub const PATH: &str = "/openapi.json";

/// An OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1). `tests/openapi.rs` holds it to the code, and the service to it.
pub const TEXT: &str = include_str!("openapi/openapi.json");

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new("application/json", TEXT));

/// `GET /openapi.json`
pub(super) async fn answer(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}
