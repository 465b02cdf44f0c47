//! The script that pages load instead of writing their own `jwt_fn`.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;

use super::document::Document;

/// Where pages load it from.
pub const PATH: &str = "/jwt_fn.js";

/// The script: `zendeskToken.jwtFn`, `.helpCenterJwtFn` and `.loginUser`.
pub static SCRIPT: LazyLock<Document> =
    LazyLock::new(|| Document::new("text/javascript; charset=utf-8", include_str!("script/jwt_fn.js")));

/// `GET /jwt_fn.js`
pub(super) async fn answer(headers: HeaderMap) -> Response {
    SCRIPT.answer(&headers)
}
