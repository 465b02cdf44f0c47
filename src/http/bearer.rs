//! Which login token does the Authorization header bring?

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::login::token::LoginToken;

use super::cause::Cause;

/// The token of `Authorization: Bearer <token>` (RFC 6750 §2.1; the scheme in any case, RFC 9110
/// §11.1), or nothing when there is no such header.
///
/// # Errors
/// The header is there twice, is empty, or has another scheme: whoever sends it means to sign in, so
/// it is a token that won't verify, not a missing one.
pub fn read(headers: &HeaderMap) -> Result<Option<LoginToken<'_>>, Cause> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => return Err(Cause::AuthorizationUnusable),
    };
    match value.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
            Ok(Some(LoginToken::new(token.trim_ascii_start())))
        }
        _ => Err(Cause::AuthorizationUnusable),
    }
}
