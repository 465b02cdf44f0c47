//! How do claims become a token that Zendesk believes?

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use serde::Serialize;
use thiserror::Error;

use crate::config::secret::Secret;

/// The one algorithm that Zendesk takes, for every product; RS256 and ES256 are refused.
/// (support.zendesk.com, article 4408845838874)
const ALGORITHM: Algorithm = Algorithm::HS256;

/// A product's secret, ready to sign with.
pub struct SigningKey {
    key: EncodingKey,
    /// The encoded header, the same for every token.
    header: String,
}

/// A signed token (RFC 7515 §7.1). Whoever holds it is the player until it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct ZendeskToken(String);

/// The claims could not be written or signed; a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the claims could not be signed")]
pub struct SignError;

impl SigningKey {
    /// Builds the key from a product's secret, and from the id by which Zendesk knows it where it has one.
    ///
    /// # Errors
    /// The header could not be written.
    pub fn new(secret: &Secret, key_id: Option<&str>) -> Result<Self, SignError> {
        let header = encode(&Header { kid: key_id.map(str::to_owned), ..Header::new(ALGORITHM) })?;
        Ok(Self { key: EncodingKey::from_secret(secret.bytes()), header })
    }

    /// Writes and signs the claims.
    ///
    /// # Errors
    /// The claims are no JSON, or the library failed.
    pub fn sign(&self, claims: &impl Serialize) -> Result<ZendeskToken, SignError> {
        let mut token = format!("{}.{}", self.header, encode(claims)?);
        let signature = crypto::sign(token.as_bytes(), &self.key, ALGORITHM).map_err(|_| SignError)?;
        token.push('.');
        token.push_str(&signature);
        Ok(ZendeskToken(token))
    }
}

/// Whether `secret` signs this token by HS256, whatever the token says. For looking into tokens; none is
/// believed for it.
#[must_use]
pub fn is_signed_with(secret: &[u8], token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes(), &signature).is_ok()
}

fn encode(part: &impl Serialize) -> Result<String, SignError> {
    serde_json::to_vec(part).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| SignError)
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
