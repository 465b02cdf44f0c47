//! How do claims become a token that Zendesk believes?

use std::fmt;

use aws_lc_rs::hmac;
use serde::Serialize;
use thiserror::Error;

use crate::base64url;
use crate::config::secret::Secret;

/// Room for a token with claims of usual length, in bytes.
const USUAL_BYTES: usize = 512;

/// A product's secret, ready to sign with.
pub struct SigningKey {
    key: hmac::Key,
    /// The encoded header, the same for every token.
    header: String,
}

/// The header of a token (RFC 7515 §4.1).
#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    /// HS256, the one algorithm that Zendesk takes, for every product; RS256 and ES256 are refused
    /// (support.zendesk.com, article 4408845838874).
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// A signed token (RFC 7515 §7.1). Whoever holds it is the player until it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct ZendeskToken(String);

/// The claims could not be written, or there were no random bytes for them; a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the claims could not be signed")]
pub struct SignError;

impl SigningKey {
    /// Builds the key from a product's secret, and from the id by which Zendesk knows it where it has one.
    ///
    /// # Errors
    /// The header could not be written.
    pub fn new(secret: &Secret, key_id: Option<&str>) -> Result<Self, SignError> {
        let mut header = String::new();
        encode(&Header { typ: "JWT", alg: "HS256", kid: key_id }, &mut header)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.bytes()), header })
    }

    /// Writes and signs the claims.
    ///
    /// # Errors
    /// The claims are no JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<ZendeskToken, SignError> {
        let mut token = String::with_capacity(USUAL_BYTES);
        token.push_str(&self.header);
        token.push('.');
        encode(claims, &mut token)?;
        let signature = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        base64url::encode(signature, &mut token);
        Ok(ZendeskToken(token))
    }
}

/// Whether `secret` signs this token by HS256, whatever the token says. For looking into tokens; none is
/// believed for it.
#[must_use]
pub fn is_signed_with(secret: &[u8], token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let Some(signature) = base64url::decode(signature) else { return false };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes(), &signature).is_ok()
}

/// Appends a part as base64url.
fn encode(part: &impl Serialize, token: &mut String) -> Result<(), SignError> {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, part).map_err(|_| SignError)?;
    base64url::encode(json, token);
    Ok(())
}

impl ZendeskToken {
    /// The token's text, for the answer alone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ZendeskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZendeskToken({} bytes)", self.0.len())
    }
}
