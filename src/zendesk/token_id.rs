//! The random id that tells one Zendesk token from every other.

use serde::Serialize;

use super::signing_key::SignError;

/// The claim `jti` (RFC 7519 §4.1.7): 128 random bits as hexadecimal digits, never used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenId(String);

impl TokenId {
    /// A new one.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn random() -> Result<Self, SignError> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| SignError)?;
        Ok(Self(hex::encode(random)))
    }
}
