//! Signs the claims of Zendesk tokens.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto, encode};
use serde::Serialize;
use thiserror::Error;

use crate::config::secret::Secret;

/// The only algorithm that Zendesk accepts, for every product (support.zendesk.com, article 4408845838874).
pub(super) const ALGORITHM: Algorithm = Algorithm::HS256;

/// A product's secret, ready to sign with.
pub struct SigningKey {
    key: EncodingKey,
    header: Header,
}

/// A signed token (RFC 7515 §7.1). Its holder can act as the player until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct ZendeskToken(String);

/// The claims could not be serialized, or the system has no random bytes for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the claims could not be signed")]
pub struct SignError;

impl SigningKey {
    /// Builds the key from a product's secret and, for Messaging, its id in Zendesk (`kid`).
    #[must_use]
    pub fn new(secret: &Secret, key_id: Option<&str>) -> Self {
        let header = Header { kid: key_id.map(str::to_owned), ..Header::new(ALGORITHM) };
        Self { key: EncodingKey::from_secret(secret.bytes()), header }
    }

    /// The same key, for tokens with another `typ`.
    pub(super) fn with_typ(mut self, typ: &str) -> Self {
        self.header.typ = Some(typ.to_owned());
        self
    }

    /// Signs the claims.
    ///
    /// # Errors
    /// The claims could not be serialized.
    pub fn sign(&self, claims: &impl Serialize) -> Result<ZendeskToken, SignError> {
        encode(&self.header, claims, &self.key).map(ZendeskToken).map_err(|_| SignError)
    }
}

/// Whether this token's signature is HS256 with `secret`; its `alg` is ignored. Only to inspect tokens, not to trust them.
#[must_use]
pub fn is_signed_with(secret: &[u8], token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    crypto::verify(signature, message.as_bytes(), &DecodingKey::from_secret(secret), ALGORITHM).unwrap_or(false)
}

/// A unique claim `jti` (RFC 7519 §4.1.7): 128 random bits as hexadecimal digits. Fails if the system has no random bytes.
pub(crate) fn random_id() -> Result<String, SignError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| SignError)?;
    Ok(hex::encode(random))
}

impl ZendeskToken {
    /// The token's text; only for the response.
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
