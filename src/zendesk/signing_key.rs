//! Signs the claims of Zendesk tokens.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto, encode};
use serde::Serialize;
use thiserror::Error;

use crate::config::secret::Secret;

/// The one algorithm that Zendesk takes, for every product; RS256 and ES256 are refused
/// (support.zendesk.com, article 4408845838874).
const ALGORITHM: Algorithm = Algorithm::HS256;

/// A product's secret, ready to sign with.
pub struct SigningKey {
    key: EncodingKey,
    /// The same for every token.
    header: Header,
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
    #[must_use]
    pub fn new(secret: &Secret, key_id: Option<&str>) -> Self {
        let header = Header { kid: key_id.map(str::to_owned), ..Header::new(ALGORITHM) };
        Self { key: EncodingKey::from_secret(secret.bytes()), header }
    }

    /// Writes and signs the claims.
    ///
    /// # Errors
    /// The claims are no JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<ZendeskToken, SignError> {
        encode(&self.header, claims, &self.key).map(ZendeskToken).map_err(|_| SignError)
    }
}

/// Whether `secret` signs this token by HS256, whatever the token says. For looking into tokens; none is
/// believed for it.
#[must_use]
pub fn is_signed_with(secret: &[u8], token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    crypto::verify(signature, message.as_bytes(), &DecodingKey::from_secret(secret), ALGORITHM).unwrap_or(false)
}

/// A claim `jti` (RFC 7519 §4.1.7): 128 random bits as hexadecimal digits, which tell a token from every other.
///
/// # Errors
/// The operating system gave no random bytes.
pub fn random_id() -> Result<String, SignError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| SignError)?;
    Ok(hex::encode(random))
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
