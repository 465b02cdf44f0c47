//! What does a token say that nobody has verified?
//!
//! For a person's eyes alone: nothing here is ever believed. The signature is not kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::login::Timestamp;

/// A token's two readable parts, as far as they can be read.
pub struct Opened {
    /// The header's members.
    pub header: Option<Map<String, Value>>,
    /// The claims.
    pub claims: Option<Map<String, Value>>,
}

impl Opened {
    /// Opens a compact token of three parts (RFC 7515 §7.1); anything else shows nothing.
    #[must_use]
    pub fn read(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        match parts.as_slice() {
            [header, claims, _signature] => Self { header: object(header), claims: object(claims) },
            _ => Self { header: None, claims: None },
        }
    }

    /// A member of the header that is text.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header.as_ref()?.get(name)?.as_str()
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.as_ref()?.get(name)
    }

    /// A claim that is text.
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }
}

/// A number as a time in seconds, a fraction rounded down; nothing when it is no number or out of all reason.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub fn seconds(value: &Value) -> Option<Timestamp> {
    let in_reason = |number: &f64| (-1e15..=1e15).contains(number);
    value.as_i64().or_else(|| value.as_f64().filter(in_reason).map(|number| number.floor() as Timestamp))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok()
}
