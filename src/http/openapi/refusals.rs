//! The refusals of each group of routes, as the OpenAPI document describes them.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

use crate::http::error::{ErrorBody, ErrorCode};

use super::headers::{ALLOW, CHALLENGE, ID, RETRY_AFTER, Row, headers};

/// Refusals of any public route.
const ANY: &[ErrorCode] = &[ErrorCode::Overloaded, ErrorCode::TimedOut, ErrorCode::Internal];

/// Refusals of any route that takes a login token.
const LOGIN: &[ErrorCode] = &[
    ErrorCode::TokenMissing,
    ErrorCode::TokenInvalid,
    ErrorCode::SubMissing,
    ErrorCode::ClaimUnusable,
    ErrorCode::OriginForbidden,
    ErrorCode::TooManyRequests,
    ErrorCode::LoginUnavailable,
    ErrorCode::NotFound,
    ErrorCode::BadRequest,
];

type Codes = &'static [&'static [ErrorCode]];

const DOCUMENT: Codes = &[ANY];
const PAGE: Codes = &[ANY, LOGIN];
const PAGE_WITH_EMAIL: Codes = &[ANY, LOGIN, &[ErrorCode::EmailMissing]];
const SERVER: Codes = &[ANY, LOGIN, &[ErrorCode::EmailMissing, ErrorCode::BodyTooLarge]];

/// Refusals of a document.
pub(in crate::http) struct DocumentRefusals;
/// Refusals of a page's route.
pub(in crate::http) struct PageRefusals;
/// Refusals of a page's route whose product needs an email.
pub(in crate::http) struct PageRefusalsWithEmail;
/// Refusals of the route for Zendesk's servers.
pub(in crate::http) struct ServerRefusals;

type Responses = BTreeMap<String, RefOr<Response>>;

impl IntoResponses for DocumentRefusals {
    fn responses() -> Responses {
        references(by_status(DOCUMENT, ErrorCode::status))
    }
}

impl IntoResponses for PageRefusals {
    fn responses() -> Responses {
        references(by_status(PAGE, ErrorCode::status))
    }
}

impl IntoResponses for PageRefusalsWithEmail {
    fn responses() -> Responses {
        references(by_status(PAGE_WITH_EMAIL, ErrorCode::status))
    }
}

impl IntoResponses for ServerRefusals {
    fn responses() -> Responses {
        references(by_status(SERVER, status_for_servers))
    }
}

/// Every answer that an operation refers to, and the one to methods that no operation has.
pub(super) fn components() -> Responses {
    let sets = [
        by_status(DOCUMENT, ErrorCode::status),
        by_status(PAGE, ErrorCode::status),
        by_status(PAGE_WITH_EMAIL, ErrorCode::status),
        by_status(SERVER, status_for_servers),
        by_status(&[&[ErrorCode::MethodNotAllowed]], ErrorCode::status),
    ];
    sets.into_iter().flatten().map(|(status, codes)| (name(&codes), response(status, &codes).into())).collect()
}

/// `support_sdk::worth_another_try` in the document's words.
fn status_for_servers(code: ErrorCode) -> StatusCode {
    let status = code.status();
    if status.is_server_error() { StatusCode::SERVICE_UNAVAILABLE } else { status }
}

fn by_status(codes: Codes, status: fn(ErrorCode) -> StatusCode) -> BTreeMap<StatusCode, Vec<ErrorCode>> {
    let mut by_status: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for code in ErrorCode::ALL.into_iter().filter(|code| codes.concat().contains(code)) {
        by_status.entry(status(code)).or_default().push(code);
    }
    by_status
}

fn references(by_status: BTreeMap<StatusCode, Vec<ErrorCode>>) -> Responses {
    let reference = |codes: &[ErrorCode]| Ref::from_response_name(name(codes)).into();
    by_status.into_iter().map(|(status, codes)| (status.as_str().to_owned(), reference(&codes))).collect()
}

/// What an answer is called in the document: `00-00_or_00-01`.
fn name(codes: &[ErrorCode]) -> String {
    let codes: Vec<&str> = codes.iter().map(|code| code.code()).collect();
    codes.join("_or_")
}

/// An answer with each code as an example.
fn response(status: StatusCode, codes: &[ErrorCode]) -> Response {
    let causes: Vec<String> = codes.iter().map(|code| format!("`{}`: {}.", code.code(), cause(*code))).collect();
    let examples = codes.iter().map(|code| {
        let (_, code, description) = code.row();
        let body = [("code", code), ("description", description)].into_iter().collect();
        (code, ExampleBuilder::new().value(Some(body)).build())
    });
    let body =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name()))).examples_from_iter(examples);
    let response = ResponseBuilder::new().description(causes.join(" ")).content("application/json", body.build());
    let mut response = response.build();
    response.headers = headers(headers_of(status));
    response
}

fn headers_of(status: StatusCode) -> &'static [Row] {
    match status {
        StatusCode::UNAUTHORIZED => &[ID, CHALLENGE],
        StatusCode::METHOD_NOT_ALLOWED => &[ID, ALLOW],
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => &[ID, RETRY_AFTER],
        _ => &[ID],
    }
}

/// When a request is refused with this code.
const fn cause(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::TokenMissing => "there is no login token",
        ErrorCode::TokenInvalid => "the login token does not verify",
        ErrorCode::SubMissing => "the login names no player",
        ErrorCode::EmailMissing => "the login has no email",
        ErrorCode::ClaimUnusable => "Zendesk could not take the id, the name or the email of the login",
        ErrorCode::OriginForbidden => "the page's origin is not in `cors.origins`",
        ErrorCode::TooManyRequests => {
            "the client sent more requests than `rate_limit` allows, or sends too many bodies at once"
        }
        ErrorCode::LoginUnavailable => "the login can't be judged now",
        ErrorCode::NotFound => "no secret is set for this product",
        ErrorCode::MethodNotAllowed => {
            "the path does not take this method, which is true of all that it has no operation for"
        }
        ErrorCode::BadRequest => {
            "there is more than one `Origin` header, or a body that is compressed, cut off, not there within 5 s, \
             neither a form nor a JSON object, or that has `user_token` twice or not as text"
        }
        ErrorCode::Overloaded => "too many requests are being answered at once",
        ErrorCode::TimedOut => "there was no answer within `limits.request_timeout`",
        ErrorCode::BodyTooLarge => "the body is over 16 KiB",
        ErrorCode::Internal => "this service has a fault; its log says where",
    }
}
