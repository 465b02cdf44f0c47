//! Decodes header and claims of a token without verifying them, for display only.

use crate::login::json::{Json, Object};
use crate::login::strict_json::{Members, StrictJsonError, without_lone_surrogates};
use crate::login::token::decode_part;

/// Header and claims as far as they can be decoded, without the signature.
pub(crate) struct DecodedToken {
    pub(crate) has_white_space: bool,
    has_padding: bool,
    /// Whether header or claims have a member twice; the last one is kept.
    pub(crate) has_duplicate_member: bool,
    pub(crate) header: Option<Object>,
    pub(crate) claims: Option<Object>,
}

impl DecodedToken {
    pub(crate) fn read(token: &[u8]) -> Self {
        let parts: Vec<&[u8]> = token.split(|byte| *byte == b'.').collect();
        let [header, claims] = match parts.as_slice() {
            [header, claims, _signature] => [header, claims].map(|part| decode_part(part).unwrap_or_default()),
            _ => [Vec::new(), Vec::new()],
        };
        let has_duplicate = |json: &[u8]| matches!(Members::read(json), Err(StrictJsonError::Duplicate));
        Self {
            has_white_space: token.iter().any(u8::is_ascii_whitespace),
            has_padding: token.contains(&b'='),
            has_duplicate_member: has_duplicate(&header) || has_duplicate(&claims),
            header: serde_json::from_slice(&header).ok(),
            claims: serde_json::from_slice(&without_lone_surrogates(&claims)).ok(),
        }
    }

    /// The fix for a token that can't be decoded.
    pub(crate) fn format_fix(&self) -> &'static str {
        if self.has_white_space {
            "remove the space or line break inside the token"
        } else if self.has_padding {
            "encode the token without padding (=)"
        } else {
            "give only the token, as in the cookie: three parts separated by dots"
        }
    }

    pub(crate) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.as_ref()?.get(name)?.as_str()
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&Json> {
        self.claims.as_ref()?.get(name)
    }

    pub(crate) fn claim_text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }
}
