//! The readable parts of a token that nobody has verified.
//!
//! For a person's eyes alone: nothing here is ever believed. The signature is not kept.

use crate::login::json::{Json, Object};
use crate::login::strict_json::{Members, StrictJsonError, without_lone_surrogates};
use crate::login::token::decode_part;

/// A token's two readable parts, as far as they can be read.
pub(crate) struct DecodedToken {
    /// Whether white space stands inside, as where a line was wrapped.
    pub(crate) has_blank: bool,
    /// Whether there is padding, which base64url in a token never has.
    pub(crate) has_padding: bool,
    /// Whether a member stands twice in one of the two; the last is the one shown.
    pub(crate) has_member_twice: bool,
    /// The header's members.
    pub(crate) header: Option<Object>,
    /// The claims.
    pub(crate) claims: Option<Object>,
}

impl DecodedToken {
    /// Opens a compact token of three parts (RFC 7515 §7.1); anything else shows nothing.
    pub(crate) fn read(token: &[u8]) -> Self {
        let parts: Vec<&[u8]> = token.split(|byte| *byte == b'.').collect();
        let [header, claims] = match parts.as_slice() {
            [header, claims, _signature] => [header, claims].map(|part| decode_part(part).unwrap_or_default()),
            _ => [Vec::new(), Vec::new()],
        };
        let is_twice = |json: &[u8]| matches!(Members::read(json), Err(StrictJsonError::Duplicate));
        Self {
            has_blank: token.iter().any(u8::is_ascii_whitespace),
            has_padding: token.contains(&b'='),
            has_member_twice: is_twice(&header) || is_twice(&claims),
            header: serde_json::from_slice(&header).ok(),
            claims: serde_json::from_slice(&without_lone_surrogates(&claims)).ok(),
        }
    }

    /// What a person can do about a token that can't be read.
    pub(crate) fn spelling_fix(&self) -> &'static str {
        if self.has_blank {
            "it has a blank or a line break inside; give it on one line"
        } else if self.has_padding {
            "it has padding (=), which a token never has; have whoever encodes it leave that out"
        } else {
            "give the token alone, as the cookie holds it: three parts with dots, nothing before or after"
        }
    }

    /// A member of the header that is text.
    pub(crate) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.as_ref()?.get(name)?.as_str()
    }

    /// A claim.
    pub(crate) fn claim(&self, name: &str) -> Option<&Json> {
        self.claims.as_ref()?.get(name)
    }

    /// A claim that is text.
    pub(crate) fn claim_text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }
}
