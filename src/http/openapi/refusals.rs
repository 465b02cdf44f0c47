//! The refusals in the OpenAPI document.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Ref, RefOr};

use crate::http::error::{ErrorBody, ErrorCode};

use super::headers::{ALLOW, CHALLENGE, ID, RETRY_AFTER, Row, headers};

/// Responses by status.
pub(in crate::http) type Responses = BTreeMap<String, RefOr<Response>>;

/// The responses for the codes that an operation has; `status` gives the status of each.
pub(in crate::http) fn refusals(has: fn(ErrorCode) -> bool, status: fn(ErrorCode) -> StatusCode) -> Responses {
    let mut by_status: BTreeMap<StatusCode, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.into_iter().filter(|code| has(*code)) {
        by_status.entry(status(code)).or_default().push(code);
    }
    by_status.into_iter().map(|(status, codes)| (status.as_str().to_owned(), response(status, &codes).into())).collect()
}

/// The component name of a refusal, such as `00-00_or_00-01`; `None` for other responses.
pub(super) fn name(response: &RefOr<Response>) -> Option<String> {
    let RefOr::T(response) = response else { return None };
    let Some(RefOr::T(body)) = response.content.get("application/json") else { return None };
    let codes: Vec<&str> = body.examples.keys().map(String::as_str).collect();
    (!codes.is_empty()).then(|| codes.join("_or_"))
}

/// A response with an example for each code.
fn response(status: StatusCode, codes: &[ErrorCode]) -> Response {
    let causes: Vec<String> = codes.iter().map(|code| format!("`{}`: {}.", code.code(), cause(*code))).collect();
    let examples = codes.iter().map(|code| {
        let (_, code, description) = code.row();
        let body = [("code", code), ("description", description)].into_iter().collect();
        (code, ExampleBuilder::new().value(Some(body)).build())
    });
    let schema = Ref::from_schema_name(ErrorBody::name());
    let body = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let response = ResponseBuilder::new().description(causes.join(" ")).content("application/json", body);
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

/// Why a request gets this code.
const fn cause(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::TokenMissing => "the request has no login token",
        ErrorCode::TokenInvalid => "the login token does not verify",
        ErrorCode::SubMissing => "the login token has no player id (claim `sub`, unless set otherwise)",
        ErrorCode::EmailMissing => "the login token has no email (claim `email`, unless set otherwise)",
        ErrorCode::ClaimUnusable => "Zendesk does not accept the id, the name or the email of the login",
        ErrorCode::OriginForbidden => {
            "the page's origin is not in `cors.origins`, or a page embeds the route as an image, script or frame"
        }
        ErrorCode::TooManyRequests => "the client is over `rate_limit`, or sends too many bodies at once",
        ErrorCode::LoginUnavailable => "the login can't be verified now",
        ErrorCode::NotFound => {
            "the product is not configured, or user tokens are not turned on; if the path has a doubled or trailing slash, the \
             description says so"
        }
        ErrorCode::MethodNotAllowed => {
            "the route does not support the method: every method without an operation here, except OPTIONS"
        }
        ErrorCode::BadRequest => {
            "the request has more than one `Origin` header; at `/support-sdk/token` also: the body is compressed, cut off, takes \
             more than 5 s, is neither a form nor a JSON object, or has `user_token` twice or not as a string"
        }
        ErrorCode::Overloaded => "too many concurrent requests",
        ErrorCode::TimedOut => "no response within `limits.request_timeout`",
        ErrorCode::BodyTooLarge => "the body is larger than 16 KiB",
        ErrorCode::Internal => "a fault of this service; its log has the details",
    }
}
