//! What does this service say of itself to tools?

use super::document::Document;

/// Where tools find it.
pub const PATH: &str = "/openapi.json";

/// An OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1). `tests/openapi.rs` holds it to the code, and the service to it.
pub const TEXT: &str = include_str!("openapi/openapi.json");

/// The document as it is served.
#[must_use]
pub fn document() -> Document {
    Document::new("application/json", TEXT)
}
