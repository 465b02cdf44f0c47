//! What does a page load that would rather not write its own `jwt_fn`?

use super::document::Document;

/// Where pages load it from.
pub const PATH: &str = "/jwt_fn.js";

/// The script: `zendeskToken.jwtFn`, `.helpCenterJwtFn` and `.loginUser`.
#[must_use]
pub fn document() -> Document {
    Document::new("text/javascript; charset=utf-8", include_str!("script/jwt_fn.js"))
}
