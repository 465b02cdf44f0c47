//! Adds to the OpenAPI document what the middleware adds to requests and responses.

use std::mem;

use utoipa::Modify;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, OperationBuilder, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, ServerBuilder};

use crate::http::error::ErrorCode;

use super::headers::{
    ALLOW_HEADERS, ALLOW_METHODS, ALLOW_ORIGIN, ALLOW_POST, ETAG, ID, IF_NONE_MATCH, KEEP, MAX_AGE, METHOD, NO_STORE,
    ORIGIN, OWN_ID, Row, VARY, headers, parameters,
};
use super::refusals::{Responses, name, refusals};
use super::{ADMIN, DOCUMENTS, HEALTH, PAGES, SERVERS};

pub(super) struct Layers;

impl Modify for Layers {
    fn modify(&self, document: &mut OpenApi) {
        // utoipa's `Info` has no `summary`, which is new in OpenAPI 3.1.
        document.info.extensions = Some(Extensions::from_iter([("summary", env!("CARGO_PKG_DESCRIPTION"))]));
        let components = document.components.get_or_insert_with(Components::new);
        for path in document.paths.paths.values_mut() {
            if let Some(operation) = path.get.as_mut().or(path.post.as_mut()) {
                share_refusals(&mut operation.responses.responses, components);
            }
            complete(path);
        }
        share_refusals(&mut refusals(|code| code == ErrorCode::MethodNotAllowed, ErrorCode::status), components);
        let cookie = ApiKeyValue::with_description(
            "token",
            "The login token, or its parts in `token.0` to `token.3`; `login.cookie` sets the name.",
        );
        components.add_security_scheme("loginCookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let bearer = bearer.description(Some("The login token, if `login.bearer` is on.")).build();
        components.add_security_scheme("loginBearer", SecurityScheme::Http(bearer));
    }
}

/// Moves refusals to the components, so that operations share them.
fn share_refusals(responses: &mut Responses, components: &mut Components) {
    for response in responses.values_mut() {
        if let Some(name) = name(response) {
            let reference = Ref::from_response_name(&name).into();
            components.responses.insert(name, mem::replace(response, reference));
        }
    }
}

/// Adds the headers and servers of the path's tag, and the methods without a handler.
fn complete(path: &mut PathItem) {
    let Some(operation) = path.get.as_mut().or(path.post.as_mut()) else { return };
    match operation.tags.iter().flatten().map(String::as_str).next() {
        Some(PAGES) => {
            add_headers(operation, &[ORIGIN, OWN_ID], &[ID, NO_STORE, ALLOW_ORIGIN, VARY]);
            let id = operation.operation_id.clone().unwrap_or_default();
            path.options = Some(preflight(&id, if path.get.is_some() { ALLOW_METHODS } else { ALLOW_POST }));
        }
        Some(SERVERS | HEALTH) => add_headers(operation, &[OWN_ID], &[ID, NO_STORE]),
        Some(DOCUMENTS) => add_headers(operation, &[IF_NONE_MATCH, OWN_ID], &[KEEP, ETAG]),
        Some(ADMIN) => {
            let server = ServerBuilder::new().url("http://127.0.0.1:9001");
            path.servers = Some(vec![server.description(Some("the admin listener, `admin.listen`")).build()]);
        }
        Some(_) | None => {}
    }
    path.head = path.get.clone().map(without_body);
}

/// Adds headers to the requests of an operation, and to its responses except refusals.
fn add_headers(operation: &mut Operation, of_request: &[Row], of_response: &[Row]) {
    operation.parameters = Some(parameters(of_request));
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers = headers(of_response);
        }
    }
}

/// `HEAD`, which axum handles as `GET` without the body.
fn without_body(mut get: Operation) -> Operation {
    get.operation_id = get.operation_id.map(|id| id + "Head");
    get.summary = get.summary.map(|summary| summary + ", without the body");
    for response in get.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
    get
}

/// `OPTIONS`, to which the CORS layer responds.
fn preflight(id: &str, methods: Row) -> Operation {
    let description = "Browsers send it before a request with custom headers (fetch.spec.whatwg.org §3.2.2). The page may \
                       send the request if `Access-Control-Allow-Origin` names its origin.";
    let response = ResponseBuilder::new().description("What the page may do.").build();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{id}Preflight")))
        .tags(Some([PAGES]))
        .summary(Some("CORS preflight"))
        .description(Some(description))
        .response("200", response)
        .build();
    let of_response = [ID, NO_STORE, ALLOW_ORIGIN, VARY, methods, ALLOW_HEADERS, MAX_AGE];
    add_headers(&mut operation, &[ORIGIN, METHOD, OWN_ID], &of_response);
    operation
}
