//! Extracts unverified login tokens from the cookies and the `Authorization` header of a request.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use axum::http::request::Parts;
use cookie::Cookie;

use crate::login::token::LoginToken;
use crate::login::verifier::Credentials;

use super::error::{ApiError, Reason};
use super::state::AppState;

/// Most different login cookies of a request. One is usual, or two if an old one has another path. A sibling subdomain could
/// set hundreds, and each costs an HMAC. Four, four made of parts, and the bearer token: at most nine tokens are verified.
const MAX_COOKIES: usize = 4;

/// Most parts of a split login cookie; later ones are ignored. Supabase splits at 3,180 characters, so that the longest login
/// token, 8 KiB, has three.
const MAX_PARTS: usize = 4;

impl FromRequestParts<Arc<AppState>> for Credentials {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, ApiError> {
        Ok(read(&parts.headers, state.exchange.login_cookie(), state.exchange.accepts_bearer())?)
    }
}

/// Reads the cookies named `cookie` and, if `accepts_bearer`, the bearer token. One of the two is enough.
///
/// # Errors
/// There is no token, there are too many cookies, a part of one is missing, or `Authorization` is malformed.
pub fn read(headers: &HeaderMap, cookie: &str, accepts_bearer: bool) -> Result<Credentials, Reason> {
    let bearer = if accepts_bearer { bearer(headers)? } else { None };
    let (mut cookies, parts) = cookies(headers, cookie)?;
    match parts.missing() {
        // Even if there is a whole cookie: an attacker may have set it, and the parts may be the player's login.
        Some(index) if bearer.is_none() => return Err(Reason::CookiePartMissing(index)),
        Some(_) | None => cookies.extend(parts.joined()),
    }
    if !cookies.is_empty() || bearer.is_some() {
        return Ok(Credentials { bearer, cookies });
    }
    Err(match (headers.contains_key(AUTHORIZATION), accepts_bearer) {
        (true, true) => Reason::SchemeIgnored,
        (true, false) => Reason::BearerIgnored,
        (false, true) => Reason::LoginTokenMissing,
        (false, false) => Reason::LoginCookieMissing,
    })
}

/// The token of `Authorization: Bearer <token>` (RFC 6750 §2.1). `None` without the header, or if it has another scheme: browsers
/// add `Basic` to every request to a site behind a password.
///
/// # Errors
/// The header is repeated, or is not a scheme and credentials. This is an invalid token, not a missing one.
fn bearer(headers: &HeaderMap) -> Result<Option<LoginToken>, Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => return Err(Reason::AuthorizationMalformed),
    };
    let mut parts = value.splitn(2, |byte| *byte == b' ');
    let scheme = parts.next().unwrap_or_default();
    let credentials = parts.next().unwrap_or_default().trim_ascii_start();
    // Without dots, so that a JWT is not read as a scheme.
    let is_scheme = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if credentials.is_empty() || !is_scheme {
        return Err(Reason::AuthorizationMalformed);
    }
    Ok(strip_bearer(value).map(LoginToken::new))
}

/// The text after `Bearer `, if a value starts with this scheme (in any case, RFC 9110 §11.1).
pub(super) fn strip_bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii_start())
}

/// The different values of the cookie `name` in all `Cookie` headers (RFC 6265 §4.2.1), and its parts if it was split. Empty
/// cookies are ignored.
///
/// # Errors
/// There are too many values, or two of one part.
fn cookies(headers: &HeaderMap, name: &str) -> Result<(Vec<LoginToken>, CookieParts), Reason> {
    let mut found = Vec::new();
    let mut parts = CookieParts::default();
    for header in headers.get_all(COOKIE) {
        for pair in text(header).split(';') {
            let pair = strict(pair);
            let Ok(cookie) = Cookie::parse(pair.as_ref()) else { continue };
            let (Some(suffix), value) = (cookie.name().strip_prefix(name), cookie.value_trimmed()) else { continue };
            match suffix.as_bytes() {
                _ if value.is_empty() => {}
                [] => {
                    let token = LoginToken::new(value);
                    if !found.contains(&token) {
                        found.push(token);
                    }
                }
                [b'.', digit @ b'0'..=b'9'] => parts.add(usize::from(digit - b'0'), value)?,
                _ => {}
            }
            if found.len() > MAX_COOKIES {
                return Err(Reason::TooManyLoginCookies(MAX_COOKIES));
            }
        }
    }
    Ok((found, parts))
}

/// A login token that is split over `token.0`, `token.1` and so on, as `NextAuth` and Supabase do since browsers drop cookies
/// over 4,096 bytes.
#[derive(Default)]
struct CookieParts([Option<String>; MAX_PARTS]);

impl CookieParts {
    /// Fails if the part already has another value, since either may be the player's.
    fn add(&mut self, index: usize, value: &str) -> Result<(), Reason> {
        let Some(part) = self.0.get_mut(index) else { return Ok(()) };
        if *part.get_or_insert_with(|| value.to_owned()) == value { Ok(()) } else { Err(Reason::CookiePartTwice) }
    }

    /// The first part that is missing before a later one.
    fn missing(&self) -> Option<usize> {
        let missing = self.0.iter().position(Option::is_none)?;
        self.0.iter().skip(missing).any(Option::is_some).then_some(missing)
    }

    /// The token of all parts, then of all but the last, and so on. If an attacker adds a part, one of these is still the
    /// player's login, so that a whole cookie of the attacker's can't replace it.
    fn joined(&self) -> impl Iterator<Item = LoginToken> {
        let parts: Vec<&str> = self.0.iter().map_while(Option::as_deref).collect();
        (1..=parts.len()).rev().map(move |count| LoginToken::new(parts.iter().take(count).copied().collect::<String>()))
    }
}

/// Is not in the name of a login cookie, and not in a login token.
const NEVER_VALID: &str = "\u{fffd}";

/// A header as text, with each byte outside ASCII replaced: the `cookie` crate takes only text and trims Unicode spaces. Such a
/// byte in another cookie must not hide the login cookie, and U+00A0 is a part of the name after it (`tests/cookies.rs`).
fn text(header: &HeaderValue) -> Cow<'_, str> {
    let replaced = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
    header.to_str().map_or_else(|_| header.as_bytes().iter().map(replaced).collect::<String>().into(), Cow::Borrowed)
}

/// A pair without spaces at its ends. Makes it invalid if it has spaces around `=`, which the crate would trim although RFC 6265
/// does not allow them.
fn strict(pair: &str) -> Cow<'_, str> {
    const SPACES: [char; 2] = [' ', '\t'];
    let pair = pair.trim_matches(SPACES);
    let is_malformed =
        pair.split_once('=').is_some_and(|(name, value)| name.ends_with(SPACES) || value.starts_with(SPACES));
    if is_malformed { pair.replace(SPACES, NEVER_VALID).into() } else { Cow::Borrowed(pair) }
}
