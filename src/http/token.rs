//! How does a browser get its token?

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::exchange::{Exchange, Issued};
use crate::login::Timestamp;
use crate::login::verifier::Candidates;

use super::accept::prefers_plain_text;
use super::bearer;
use super::login_cookie;
use super::refusal::Cause;

/// Where browsers ask for a Chat token; the path of Xsolla's reference.
pub const CHAT_PATH: &str = "/generate/token";

/// `GET /generate/token`: the login cookie or bearer token in, a Chat token out.
///
/// # Errors
/// Whatever keeps the player from getting one.
pub async fn chat(State(exchange): State<Arc<Exchange>>, headers: HeaderMap) -> Result<Response, Cause> {
    let issued = exchange.run(&candidates(&exchange, &headers)?, now()).await?;
    Ok(answer(issued, prefers_plain_text(&headers)))
}

/// The login tokens of both kinds; one of the two is enough.
fn candidates<'a>(exchange: &Exchange, headers: &'a HeaderMap) -> Result<Candidates<'a>, Cause> {
    let bearer = if exchange.takes_bearer() { bearer::read(headers)? } else { None };
    let cookies = login_cookie::read(headers, exchange.login_cookie())?;
    match (cookies.is_empty() && bearer.is_none(), exchange.takes_bearer()) {
        (false, _) => Ok(Candidates { bearer, cookies }),
        (true, true) => Err(Cause::LoginTokenMissing),
        (true, false) if headers.contains_key(AUTHORIZATION) => Err(Cause::BearerIgnored),
        (true, false) => Err(Cause::LoginCookieMissing),
    }
}

/// The JSON answer: what the reference gives.
#[derive(Serialize)]
struct Body<'a> {
    token: &'a str,
}

/// Writes the token, and leaves what was issued in the response's extensions for the log.
fn answer(issued: Issued, is_plain: bool) -> Response {
    let token = issued.token.as_str();
    let (content_type, body) = if is_plain {
        ("text/plain; charset=utf-8", token.as_bytes().to_vec())
    } else {
        ("application/json", serde_json::to_vec(&Body { token }).unwrap_or_default())
    };
    let mut response = ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response();
    response.extensions_mut().insert(issued);
    response
}

/// The time on this machine's clock; 0 when it stands before 1970, where no login token is valid.
#[expect(clippy::disallowed_methods, reason = "the clock is read here and passed on")]
#[must_use]
pub fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since_1970.as_secs()).unwrap_or(Timestamp::MAX)
}
