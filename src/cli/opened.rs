//! The readable parts of a token that nobody has verified.
//!
//! For a person's eyes alone: nothing here is ever believed. The signature is not kept.

use crate::login::json::{Json, Object};
use crate::login::strict_json::{Members, StrictJsonError, without_lone_surrogates};
use crate::login::token::decode_part;

/// A token's two readable parts, as far as they can be read.
pub struct Opened {
    /// Whether white space stands inside, as where a line was wrapped.
    pub has_blank: bool,
    /// Whether a member stands twice in one of the two; the last is the one shown.
    pub has_member_twice: bool,
    /// The header's members.
    pub header: Option<Object>,
    /// The claims.
    pub claims: Option<Object>,
}

impl Opened {
    /// Opens a compact token of three parts (RFC 7515 §7.1); anything else shows nothing.
    #[must_use]
    pub fn read(token: &[u8]) -> Self {
        let parts: Vec<&[u8]> = token.split(|byte| *byte == b'.').collect();
        let [header, claims] = match parts.as_slice() {
            [header, claims, _signature] => [header, claims].map(|part| decode_part(part).unwrap_or_default()),
            _ => [Vec::new(), Vec::new()],
        };
        let is_twice = |json: &[u8]| matches!(Members::read(json), Err(StrictJsonError::Duplicate));
        Self {
            has_blank: token.iter().any(u8::is_ascii_whitespace),
            has_member_twice: is_twice(&header) || is_twice(&claims),
            header: serde_json::from_slice(&header).ok(),
            claims: serde_json::from_slice(&without_lone_surrogates(&claims)).ok(),
        }
    }

    /// A member of the header that is text.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header.as_ref()?.get(name)?.as_str()
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Json> {
        self.claims.as_ref()?.get(name)
    }

    /// A claim that is text.
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }
}

/// The token out of what people copy: the JSON of an answer, an Authorization header's value, a cookie with
/// its name, or quotes and white space around it.
#[must_use]
pub fn unwrapped(text: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii();
    let answer: Option<Object> = serde_json::from_slice(text).ok();
    let member = |name| answer.as_ref().and_then(|answer| answer.get(name)?.as_str());
    if let Some(token) = member("token").or_else(|| member("jwt")) {
        return token.as_bytes().to_vec();
    }
    let text = match text.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => token.trim_ascii(),
        _ => text,
    };
    let text = match text.iter().position(|byte| *byte == b'=') {
        // A name before it, and not padding behind a part.
        Some(at) if is_name(text.get(..at)) && !matches!(text.get(at + 1), None | Some(b'.' | b'=')) => {
            text.get(at + 1..).unwrap_or_default()
        }
        _ => text,
    };
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner.to_vec(),
        _ => text.to_vec(),
    }
}

/// Whether no dot stands in it: a token's first part has one behind it.
fn is_name(text: Option<&[u8]>) -> bool {
    text.is_some_and(|text| !text.contains(&b'.'))
}
