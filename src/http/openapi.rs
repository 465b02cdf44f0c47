//! Builds the OpenAPI document from the annotations of the handlers.

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
use super::{admin, open_routes, page_routes, server_routes, user_token_routes};

use layers::Layers;

pub(super) use refusals::{Responses, refusals};

pub(crate) const PATH: &str = "/openapi.json";

// Tags, described at [`Introduction`].
pub(super) const PAGES: &str = "pages";
pub(super) const SERVERS: &str = "servers";
pub(super) const DOCUMENTS: &str = "documents";
pub(super) const HEALTH: &str = "health";
pub(super) const ADMIN: &str = "admin";

/// Not signed.
pub(super) const EXAMPLE_TOKEN: &str =
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHRlcm5hbF9pZCI6IjgyY2Q1ZTBjIn0.c2lnbmF0dXJlIG9mIG5vYm9keQ";

// Serializing can't fail: all keys are strings, and no type in the document has a custom `Serialize`.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let routes = OpenApiRouter::with_openapi(Introduction::openapi());
    let routes = routes.merge(page_routes()).merge(user_token_routes()).merge(server_routes()).merge(open_routes());
    let mut document = routes.into_openapi();
    document.merge(admin::routes().into_openapi());
    Layers.modify(&mut document);
    document.to_pretty_json().map(|text| text + "\n").unwrap_or_default()
});

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new("application/json", text()));

/// The document as indented JSON (spec.openapis.org/oas/v3.1.0). `tests/in_process/openapi.rs` compares it with the service.
#[must_use]
pub fn text() -> &'static str {
    &TEXT
}

/// This document
#[utoipa::path(
    get,
    path = PATH,
    tag = DOCUMENTS,
    responses(
        (status = 200, description = "The document.", body = inline(AnyDocument), example = json!({"openapi": "3.1.0"})),
        Document,
    ),
)]
pub(super) async fn openapi(headers: HeaderMap) -> Response {
    DOCUMENT.response(&headers)
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
                       Zendesk's products. A request that is not valid HTTP gets 400 or 431 without a body. No response to \
                       `HEAD` has a body."
    ),
    servers((url = ".", description = "the public listener, at the base URL of this document")),
    tags(
        (name = PAGES, description = "For the shop's pages; CORS with credentials for `cors.origins`."),
        (name = SERVERS, description = "For Zendesk's servers; no cookie, no CORS."),
        (name = DOCUMENTS, description = "The same for every client; caches may keep them."),
        (name = HEALTH, description = "For health checks of platforms with one port."),
        (name = ADMIN, description = "On the admin listener, which must not be public."),
    ),
    components(schemas(ErrorBody, Token)),
)]
struct Introduction;
