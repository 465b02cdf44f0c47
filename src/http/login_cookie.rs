//! Which login tokens did the Cookie headers bring?
//!
//! Read by hand, as bytes: the `cookie` crate trims Unicode spaces around names, and a
//! `HeaderValue::to_str` before it would lose every cookie over one foreign byte in another.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use memchr::memchr_iter;

use crate::login::token::LoginToken;

use super::cause::Cause;

/// Most different login cookies that are looked at. A page has one, two where a stale one lingers
/// under another path; a sibling subdomain could toss hundreds, each of which would cost an HMAC.
const MAX_DIFFERENT: usize = 4;

/// Every different value of the cookie `name`, in all Cookie headers.
///
/// Pairs stand between semicolons, with blanks around them (RFC 6265 §4.2.1); a value may stand in
/// double quotes (§4.1.1). Nothing is decoded. A value outside that grammar is a login token that
/// won't verify, not a missing one.
///
/// # Errors
/// There are too many.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Result<Vec<LoginToken<'a>>, Cause> {
    let mut tokens = Vec::new();
    for value in headers.get_all(COOKIE).iter().flat_map(|header| values(header.as_bytes(), name)) {
        let token = LoginToken::new(unquoted(value));
        if !tokens.contains(&token) {
            tokens.push(token);
        }
        if tokens.len() > MAX_DIFFERENT {
            return Err(Cause::TooManyLoginCookies(MAX_DIFFERENT));
        }
    }
    Ok(tokens)
}

fn values<'a>(header: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let mut start = 0;
    let ends = memchr_iter(b';', header).chain(std::iter::once(header.len()));
    ends.filter_map(move |end| {
        let pair = header.get(std::mem::replace(&mut start, end + 1)..end)?;
        let value = trimmed(pair).strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    })
}

/// Without spaces and tabs at either end: the `OWS` of RFC 9110 §5.6.3.
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}
