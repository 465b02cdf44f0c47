//! Serves the script that gets tokens for the Zendesk widgets of a page: as a classic script, as a module, and its types.
//!
//! All come from the npm package in `client/`.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::response::Response;

use super::document::Document;
use super::openapi;

pub(crate) const PATH: &str = "/jwt_fn.js";
const MODULE_PATH: &str = "/jwt_fn.mjs";
const TYPES_PATH: &str = "/jwt_fn.d.ts";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The paths of all forms.
pub(super) const PATHS: [&str; 3] = [PATH, MODULE_PATH, TYPES_PATH];

/// The module of the package: the function `create`, and then the exports of what it creates.
const PACKAGE: &str = include_str!("../../client/index.js");

/// Defines `window.zendeskToken`.
static SCRIPT: LazyLock<Document> = LazyLock::new(|| {
    let (create, _) = PACKAGE.split_once("\nexport ").unwrap_or_default();
    Document::new(
        JAVASCRIPT,
        format!("(() => {{\n\"use strict\";\n{create}\n{}}})();\n", include_str!("script/classic.js")),
    )
});

/// Exports the same functions. The module's own URL says where the service is.
static MODULE: LazyLock<Document> =
    LazyLock::new(|| Document::new(JAVASCRIPT, PACKAGE.replace("= create();", "= create(import.meta.url);")));

/// Declares `zendeskToken` for TypeScript.
static TYPES: LazyLock<Document> = LazyLock::new(|| {
    let types = include_str!("../../client/index.d.ts");
    Document::new("text/plain; charset=utf-8", format!("{types}{}", include_str!("script/global.d.ts")))
});

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

/// The same script as a module
#[utoipa::path(
    get,
    path = MODULE_PATH,
    tag = openapi::DOCUMENTS,
    responses(
        (
            status = 200,
            description = "The module.",
            content((String = "text/javascript", example = "export const { jwtFn } = create(import.meta.url);")),
        ),
        Document,
    ),
)]
pub(super) async fn module(headers: HeaderMap) -> Response {
    MODULE.response(&headers)
}

/// Types of the script, for TypeScript
#[utoipa::path(
    get,
    path = TYPES_PATH,
    tag = openapi::DOCUMENTS,
    responses(
        (
            status = 200,
            description = "The declarations.",
            content((String = "text/plain", example = "export function signedIn(): void;")),
        ),
        Document,
    ),
)]
pub(super) async fn types(headers: HeaderMap) -> Response {
    TYPES.response(&headers)
}
