//! How does a page get its token?

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::response::Response;

use crate::config::products::Product;
use crate::exchange::{Exchange, Issued};
use crate::login::Timestamp;
use crate::login::verifier::Candidates;

use super::accept::prefers_plain_text;
use super::bearer;
use super::cause::Cause;
use super::login_cookie;

/// Room for the headers of an answer: ten at most.
const HEADERS: usize = 10;

/// Where a product's tokens are asked for; Chat's is the path of Xsolla's reference.
#[must_use]
pub const fn path(product: Product) -> &'static str {
    match product {
        Product::Chat => "/generate/token",
        Product::Messaging => "/messaging/token",
        Product::HelpCenter => "/help-center/token",
        Product::SupportSdk => "/support-sdk/token",
    }
}

/// `GET` of a product's path: the login cookie or bearer token in, the product's token out.
///
/// # Errors
/// Whatever keeps the player from getting one.
pub async fn token(product: Product, exchange: Arc<Exchange>, request: Request) -> Result<Response, Cause> {
    // As an argument the headers would be a copy.
    let (Parts { headers, .. }, _) = request.into_parts();
    let issued = exchange.run(product, &candidates(&exchange, &headers)?, now()).await?;
    Ok(answer(issued, product, prefers_plain_text(&headers)))
}

/// The login tokens of both kinds; one of the two is enough.
///
/// # Errors
/// There is none, or too many, or a header that is none.
pub fn candidates<'a>(exchange: &Exchange, headers: &'a HeaderMap) -> Result<Candidates<'a>, Cause> {
    let bearer = if exchange.takes_bearer() { bearer::read(headers)? } else { None };
    let cookies = login_cookie::read(headers, exchange.login_cookie())?;
    match (cookies.is_empty() && bearer.is_none(), exchange.takes_bearer()) {
        (false, _) => Ok(Candidates { bearer, cookies }),
        (true, true) => Err(Cause::LoginTokenMissing),
        (true, false) if headers.contains_key(AUTHORIZATION) => Err(Cause::BearerIgnored),
        (true, false) => Err(Cause::LoginCookieMissing),
    }
}

/// Writes the token, and leaves what was issued in the response's extensions for the log.
pub(super) fn answer(issued: Issued, product: Product, is_plain: bool) -> Response {
    let token = issued.token.as_str();
    // To pages what the reference gives, to Zendesk's servers what they read. No letter of a token has to be escaped.
    let name = if product.is_for_pages() { "token" } else { "jwt" };
    let (content_type, body) = if is_plain {
        ("text/plain; charset=utf-8", token.to_owned())
    } else {
        ("application/json", [r#"{""#, name, r#"":""#, token, r#""}"#].concat())
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
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
