//! How does a page get its token?

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::config::products::Product;
use crate::exchange::Exchange;
use crate::login::Timestamp;
use crate::login::verifier::Candidates;

use super::accept::prefers_plain_text;
use super::answer::Answer;
use super::bearer;
use super::cause::Cause;
use super::login_cookie;

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
pub(super) async fn token(product: Product, exchange: &Exchange, headers: &HeaderMap) -> Result<Answer, Cause> {
    let issued = exchange.run(product, &candidates(exchange, headers)?, now()).await?;
    Ok(Answer::token(issued, product, prefers_plain_text(headers)))
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

/// The time on this machine's clock; 0 when it stands before 1970, where no login token is valid.
#[expect(clippy::disallowed_methods, reason = "the clock is read here and passed on")]
#[must_use]
pub fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since_1970.as_secs()).unwrap_or(Timestamp::MAX)
}
