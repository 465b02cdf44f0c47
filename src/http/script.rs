//! Serves the script that gets tokens for the Zendesk widgets of a page.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;

use super::document::Document;
use super::openapi;

pub(crate) const PATH: &str = "/jwt_fn.js";

/// Defines `zendeskToken.jwtFn`, `.helpCenterJwtFn` and `.loginUser`.
static SCRIPT: LazyLock<Document> =
    LazyLock::new(|| Document::new("text/javascript; charset=utf-8", include_str!("script/jwt_fn.js")));

/// Script that gets tokens for the widgets of a page
#[utoipa::path(
    get,
    path = PATH,
    tag = openapi::DOCUMENTS,
    responses(
        (
            status = 200,
            description = "The script.",
            content((String = "text/javascript", example = "zendeskToken.jwtFn(callback)")),
        ),
        Document,
    ),
)]
pub(super) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.response(&headers)
}
