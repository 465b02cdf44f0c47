//! The login tokens of a request, from its cookies and its `Authorization` header; nobody has verified them.

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

/// Most different login cookies that are looked at. A page has one, two where a stale one lingers
/// under another path; a sibling subdomain could toss hundreds, each of which would cost an HMAC. With the tokens of
/// [`MAX_PARTS`] and the bearer token, nine are verified at most.
const MAX_DIFFERENT: usize = 4;

/// Most parts of a login cookie; later ones are ignored. A token of 8 KiB, the longest that is read, has three even at 3,180
/// letters each (Supabase); one to spare.
const MAX_PARTS: usize = 4;

impl FromRequestParts<Arc<AppState>> for Credentials {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, ApiError> {
        Ok(read(&parts.headers, state.exchange.login_cookie(), state.exchange.takes_bearer())?)
    }
}

/// Reads the cookies of the name `cookie`, and the bearer token where that is taken. One of the two is enough.
///
/// # Errors
/// There is none, or there are too many, or a part of one is missing, or the header can't be read.
pub fn read(headers: &HeaderMap, cookie: &str, takes_bearer: bool) -> Result<Credentials, Reason> {
    let bearer = if takes_bearer { bearer(headers)? } else { None };
    let (mut cookies, parts) = cookies(headers, cookie)?;
    match parts.missing() {
        // Also next to a whole cookie: that one may be tossed, and the parts what is left of the player's own login.
        Some(index) if bearer.is_none() => return Err(Reason::CookiePartMissing(index)),
        Some(_) | None => cookies.extend(parts.joined()),
    }
    match (cookies.is_empty() && bearer.is_none(), takes_bearer) {
        (false, _) => Ok(Credentials { bearer, cookies }),
        (true, true) if headers.contains_key(AUTHORIZATION) => Err(Reason::SchemeIgnored),
        (true, true) => Err(Reason::LoginTokenMissing),
        (true, false) if headers.contains_key(AUTHORIZATION) => Err(Reason::BearerIgnored),
        (true, false) => Err(Reason::LoginCookieMissing),
    }
}

/// The token of `Authorization: Bearer <token>` (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1). Nothing when there
/// is no such header, or one of another scheme: a browser adds `Basic` to every request of a site behind a password.
///
/// # Errors
/// The header is there twice, or has a scheme without credentials or the other way round: whoever sends it means to sign in,
/// so it is a token that won't verify, not a missing one.
fn bearer(headers: &HeaderMap) -> Result<Option<LoginToken>, Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => return Err(Reason::AuthorizationUnusable),
    };
    let mut words = value.splitn(2, |byte| *byte == b' ');
    let scheme = words.next().unwrap_or_default();
    let credentials = words.next().unwrap_or_default().trim_ascii_start();
    // Nothing of a JWT, which has dots, passes for a scheme.
    let is_scheme = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if credentials.is_empty() || !is_scheme {
        return Err(Reason::AuthorizationUnusable);
    }
    Ok(scheme.eq_ignore_ascii_case(b"Bearer").then(|| LoginToken::new(credentials)))
}

/// Every different value of the cookie `name`, in all Cookie headers (RFC 6265 §4.2.1), and the parts of one that was
/// split; an empty one is none.
///
/// # Errors
/// There are too many, or two of one part.
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
            if found.len() > MAX_DIFFERENT {
                return Err(Reason::TooManyLoginCookies(MAX_DIFFERENT));
            }
        }
    }
    Ok((found, parts))
}

/// A login token that was split over `token.0`, `token.1` and so on, as `NextAuth` and Supabase do: browsers drop a cookie over
/// 4,096 bytes.
#[derive(Default)]
struct CookieParts([Option<String>; MAX_PARTS]);

impl CookieParts {
    /// # Errors
    /// The part came with another value before, and nobody knows which is the player's.
    fn add(&mut self, index: usize, value: &str) -> Result<(), Reason> {
        let Some(part) = self.0.get_mut(index) else { return Ok(()) };
        if *part.get_or_insert_with(|| value.to_owned()) == value { Ok(()) } else { Err(Reason::CookiePartTwice) }
    }

    /// The first part that is missing before another.
    fn missing(&self) -> Option<usize> {
        let missing = self.0.iter().position(Option::is_none)?;
        self.0.iter().skip(missing).any(Option::is_some).then_some(missing)
    }

    /// The tokens that the parts make up, from the longest on. All of them, so that a part tossed behind the player's does
    /// not put a whole cookie, tossed too, in the place of the player's own login.
    fn joined(&self) -> impl Iterator<Item = LoginToken> {
        let parts: Vec<&str> = self.0.iter().map_while(Option::as_deref).collect();
        (1..=parts.len()).rev().map(move |count| LoginToken::new(parts.iter().take(count).copied().collect::<String>()))
    }
}

/// A character that stands in no cookie name of ours and in no token.
const NEVER_VALID: &str = "\u{fffd}";

/// A header as text. The crate wants text and trims Unicode's spaces, so each byte outside ASCII is replaced: one in
/// another cookie must not lose ours, and U+00A0 before a name makes it another (`tests/cookies.rs`).
fn text(header: &HeaderValue) -> Cow<'_, str> {
    let replaced = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
    header.to_str().map_or_else(|_| header.as_bytes().iter().map(replaced).collect::<String>().into(), Cow::Borrowed)
}

/// A pair without blanks at its ends. The crate also drops blanks around `=`, which RFC 6265 does not have.
fn strict(pair: &str) -> Cow<'_, str> {
    const BLANKS: [char; 2] = [' ', '\t'];
    let pair = pair.trim_matches(BLANKS);
    let is_odd = pair.split_once('=').is_some_and(|(name, value)| name.ends_with(BLANKS) || value.starts_with(BLANKS));
    if is_odd { pair.replace(BLANKS, NEVER_VALID).into() } else { Cow::Borrowed(pair) }
}
