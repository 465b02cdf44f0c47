//! The OpenAPI document, collected from the handlers.

mod headers;
mod layers;
mod refusals;

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::document::Document;
use super::error::ErrorBody;
use super::token::Token;
use super::{admin, for_anybody, pages, servers};

use layers::Layers;

pub(super) use refusals::{Responses, refusals};

/// Where tools find it.
pub const PATH: &str = "/openapi.json";

/// The tag of the routes for the shop's pages.
pub(super) const PAGES: &str = "pages";
/// The tag of the route for Zendesk's servers.
pub(super) const SERVERS: &str = "servers";
/// The tag of the script and of this document.
pub(super) const DOCUMENTS: &str = "documents";
/// The tag of the route of probes.
pub(super) const HEALTH: &str = "health";
/// The tag of the admin listener's routes.
pub(super) const ADMIN: &str = "admin";

/// A token for examples, which nobody signed.
pub(super) const EXAMPLE_TOKEN: &str =
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHRlcm5hbF9pZCI6IjgyY2Q1ZTBjIn0.c2lnbmF0dXJlIG9mIG5vYm9keQ";

// Serializing it can't fail: all keys are text and nothing in it has a `Serialize` of ours.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let routes = OpenApiRouter::with_openapi(Introduction::openapi());
    let mut document = routes.merge(pages()).merge(servers()).merge(for_anybody()).into_openapi();
    document.merge(admin::routes().into_openapi());
    Layers.modify(&mut document);
    document.to_pretty_json().map(|text| text + "\n").unwrap_or_default()
});

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new("application/json", text()));

/// The document as indented JSON (spec.openapis.org/oas/v3.1.0). `tests/openapi.rs` compares it with the service.
#[must_use]
pub fn text() -> &'static str {
    &TEXT
}

/// This document
#[utoipa::path(
    get,
    path = PATH,
    tag = DOCUMENTS,
    operation_id = "openapi",
    responses(
        (status = 200, description = "The document.", body = inline(AnyDocument), example = json!({"openapi": "3.1.0"})),
        Document,
    ),
)]
pub(super) async fn answer(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}

/// An OpenAPI document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct AnyDocument {
    openapi: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        description = "A login token comes in, is verified, becomes an identity, and leaves as a token for one of \
                       Zendesk's products. What is not HTTP is answered 400 or 431 without a body."
    ),
    servers((url = "/", description = "the public listener")),
    tags(
        (name = PAGES, description = "For the shop's pages; CORS with credentials for `cors.origins`."),
        (name = SERVERS, description = "For Zendesk's servers; no cookie, no CORS."),
        (name = DOCUMENTS, description = "The same for everybody, and kept by caches."),
        (name = HEALTH, description = "For health checks of platforms with one port."),
        (name = ADMIN, description = "On the admin listener, never for the public."),
    ),
    components(schemas(ErrorBody, Token)),
)]
struct Introduction;
