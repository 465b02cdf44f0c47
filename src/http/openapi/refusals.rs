//! Refusals as answers of the OpenAPI document.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Ref, RefOr};

use crate::http::error::{ErrorBody, ErrorCode};

use super::headers::{ALLOW, CHALLENGE, ID, RETRY_AFTER, Row, headers};

/// Answers by status.
pub(in crate::http) type Responses = BTreeMap<String, RefOr<Response>>;

/// The answers of the refusals that an operation has, with the statuses that it gives them.
pub(in crate::http) fn refusals(has: fn(ErrorCode) -> bool, status: fn(ErrorCode) -> StatusCode) -> Responses {
    let mut by_status: BTreeMap<StatusCode, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL.into_iter().filter(|code| has(*code)) {
        by_status.entry(status(code)).or_default().push(code);
    }
    by_status.into_iter().map(|(status, codes)| (status.as_str().to_owned(), response(status, &codes).into())).collect()
}

/// What a refusal is called among the components: its codes, as in `00-00_or_00-01`. Nothing for any other answer.
pub(super) fn name(response: &RefOr<Response>) -> Option<String> {
    let RefOr::T(response) = response else { return None };
    let Some(RefOr::T(body)) = response.content.get("application/json") else { return None };
    let codes: Vec<&str> = body.examples.keys().map(String::as_str).collect();
    (!codes.is_empty()).then(|| codes.join("_or_"))
}

/// An answer with each code as an example.
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

/// When a request is refused with this code.
const fn cause(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::TokenMissing => "there is no login token",
        ErrorCode::TokenInvalid => "the login token does not verify",
        ErrorCode::SubMissing => "the login names no player",
        ErrorCode::EmailMissing => "the login has no email",
        ErrorCode::ClaimUnusable => "Zendesk could not take the id, the name or the email of the login",
        ErrorCode::OriginForbidden => {
            "the page's origin is not in `cors.origins`, or a page embeds the route as an image, a script or a frame"
        }
        ErrorCode::TooManyRequests => "the client is over `rate_limit`, or sends too many bodies at once",
        ErrorCode::LoginUnavailable => "the login can't be judged now",
        ErrorCode::NotFound => {
            "no secret is set for this product; for a path with a doubled or trailing slash the description says so"
        }
        ErrorCode::MethodNotAllowed => {
            "the path does not take this method; all but OPTIONS that have no operation here are answered so"
        }
        ErrorCode::BadRequest => {
            "there is more than one `Origin` header; at `/support-sdk/token` also if the body is compressed, cut off, not \
             there within 5 s, neither a form nor a JSON object, or has `user_token` twice or not as text"
        }
        ErrorCode::Overloaded => "too many requests are being answered at once",
        ErrorCode::TimedOut => "there was no answer within `limits.request_timeout`",
        ErrorCode::BodyTooLarge => "the body is over 16 KiB",
        ErrorCode::Internal => "this service has a fault; its log says where",
    }
}
