//! The script that pages load instead of writing their own `jwt_fn`.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;

use super::document::Document;
use super::openapi;

/// Where pages load it from.
pub const PATH: &str = "/jwt_fn.js";

/// The script: `zendeskToken.jwtFn`, `.helpCenterJwtFn` and `.loginUser`.
pub static SCRIPT: LazyLock<Document> =
    LazyLock::new(|| Document::new("text/javascript; charset=utf-8", include_str!("script/jwt_fn.js")));

/// A script that gives the widgets their tokens
#[utoipa::path(
    get,
    path = PATH,
    tag = openapi::DOCUMENTS,
    operation_id = "script",
    responses(
        (
            status = 200,
            description = "The script.",
            content((String = "text/javascript", example = "zendeskToken.jwtFn(callback)")),
        ),
        Document,
    ),
)]
pub(super) async fn answer(headers: HeaderMap) -> Response {
    SCRIPT.answer(&headers)
}
