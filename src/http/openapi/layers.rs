//! What the layers around the handlers add to the operations of the OpenAPI document.

use utoipa::Modify;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, OperationBuilder, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, RefOr, ServerBuilder};

use super::headers::{
    ASKED_BY_PAGES, ASKED_ETAG, ASKED_ID, ASKED_METHOD, CORS, ID, KEPT, NO_STORE, PREFLIGHT, Row, headers, parameters,
};
use super::{ADMIN, DOCUMENTS, PAGES, SERVERS, refusals};

/// Completes the document.
pub(super) struct Layers;

impl Modify for Layers {
    fn modify(&self, document: &mut OpenApi) {
        // utoipa's `Info` does not have `summary`, which is new in OpenAPI 3.1.
        document.info.extensions = Some(Extensions::from_iter([("summary", env!("CARGO_PKG_DESCRIPTION"))]));
        document.paths.paths.values_mut().for_each(complete);
        let components = document.components.get_or_insert_with(Components::new);
        components.responses.extend(refusals::components());
        components.add_security_scheme("loginCookie", login_cookie());
        components.add_security_scheme("loginBearer", login_bearer());
    }
}

fn login_cookie() -> SecurityScheme {
    let description = "The login token; `login.cookie` names the cookie.";
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description("token", description)))
}

fn login_bearer() -> SecurityScheme {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    SecurityScheme::Http(bearer.description(Some("The login token, if `login.bearer` is on.")).build())
}

/// Adds to a path what its tag says, and the methods that have no handler of their own.
fn complete(path: &mut PathItem) {
    let Some(operation) = path.get.as_mut().or(path.post.as_mut()) else { return };
    match operation.tags.iter().flatten().map(String::as_str).next() {
        Some(PAGES) => {
            let id = operation.operation_id.clone().unwrap_or_default();
            add_headers(operation, &ASKED_BY_PAGES, &[&[ID, NO_STORE], &CORS[..]].concat());
            path.options = Some(preflight(&id));
        }
        Some(SERVERS) => add_headers(operation, &[ASKED_ID], &[ID, NO_STORE]),
        Some(DOCUMENTS) => add_headers(operation, &[ASKED_ETAG, ASKED_ID], &KEPT),
        Some(ADMIN) => {
            let server = ServerBuilder::new().url("http://127.0.0.1:9001");
            path.servers = Some(vec![server.description(Some("the admin listener, `admin.listen`")).build()]);
        }
        Some(_) | None => {}
    }
    path.head = path.get.clone().map(without_body);
}

/// Adds headers to what an operation is asked with, and to its answers other than refusals.
fn add_headers(operation: &mut Operation, asked: &[Row], answered: &[Row]) {
    operation.parameters = Some(parameters(asked));
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers = headers(answered);
        }
    }
}

/// `HEAD`, which axum answers as it answers `GET`, without the body.
fn without_body(mut get: Operation) -> Operation {
    get.operation_id = get.operation_id.map(|id| id + "Head");
    get.summary = get.summary.map(|summary| summary + "; without the body");
    for response in get.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
    get
}

/// `OPTIONS`, which the CORS layer answers before any handler.
fn preflight(id: &str) -> Operation {
    let answered = [&[ID, NO_STORE], &CORS[..], &PREFLIGHT[..]].concat();
    let mut response =
        ResponseBuilder::new().description("The page may ask if `Access-Control-Allow-Origin` names it.").build();
    response.headers = headers(&answered);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{id}Preflight")))
        .tags(Some([PAGES]))
        .summary(Some("Whether a page may ask"))
        .description(Some(
            "Browsers send it before a request with headers of the page's own (fetch.spec.whatwg.org §3.2.2). Only an \
             allowed origin is named in the answer.",
        ))
        .response("200", response)
        .build();
    operation.parameters = Some(parameters(&[&ASKED_BY_PAGES[..], &[ASKED_METHOD]].concat()));
    operation
}
