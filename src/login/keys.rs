//! Holds the keys that verify login tokens: shared secrets, or the keys that the login project publishes.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use thiserror::Error;

use crate::config::login::{Login, Signature};
use crate::config::secret::Secret;
use crate::metrics::Metrics;

use super::api::ClientError;
use super::published::{FindKeyError, KeySource, PublishedKeys};

/// The keys that verify login tokens. They determine the one accepted algorithm. The token's header must not: an attacker
/// may have written it (RFC 8725 §3.1).
pub(crate) enum LoginKeys {
    /// HS256: `login.secret`, then `login.previous_secret` if it is set.
    Secrets(Vec<(VerifiedBy, DecodingKey)>),
    /// RS256.
    Published(Arc<PublishedKeys>),
}

/// The key that verified a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedBy {
    /// `login.secret`.
    Current,
    /// `login.previous_secret`.
    Previous,
    /// A key that the login project publishes.
    Published,
}

/// Why no key verified a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoKeyError {
    /// HS256: signed with a different secret.
    #[error("signed with neither login.secret nor login.previous_secret")]
    SecretUnknown,
    /// RS256: without `kid` the key is unknown.
    #[error("header kid is missing")]
    KidMissing,
    /// RS256: not signed with the key that has this `kid`.
    #[error("signature does not match the published key with this kid")]
    SignatureWrong,
    /// RS256: see [`FindKeyError`].
    #[error(transparent)]
    Find(#[from] FindKeyError),
}

impl LoginKeys {
    /// Builds the keys. Keeps published keys that `old` has already fetched.
    pub(crate) fn new(login: &Login, metrics: &Metrics, old: Option<&Self>) -> Result<Self, ClientError> {
        let (project_id, caching) = match &login.signature {
            Signature::Secret { current, previous } => {
                let secrets = [(VerifiedBy::Current, Some(current)), (VerifiedBy::Previous, previous.as_ref())];
                let key = |secret: &Secret| DecodingKey::from_secret(secret.bytes());
                let keys = secrets.into_iter().filter_map(|(name, secret)| Some((name, key(secret?))));
                return Ok(Self::Secrets(keys.collect()));
            }
            Signature::Published { project_id, caching } => (project_id.clone(), *caching),
        };
        let source = KeySource { api: login.api.clone(), project_id, caching };
        Ok(Self::Published(PublishedKeys::new(source, metrics, old.and_then(Self::published))?))
    }

    /// The published keys, for a task that keeps them fresh; `None` with shared secrets.
    pub(crate) const fn published(&self) -> Option<&Arc<PublishedKeys>> {
        match self {
            Self::Secrets(_) => None,
            Self::Published(keys) => Some(keys),
        }
    }

    /// The value that every login token must have as `alg`.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secrets(_) => Algorithm::HS256,
            Self::Published(_) => Algorithm::RS256,
        }
    }

    /// Finds the key that verifies `signature` (base64url) of `message`. With secrets `kid` is not used: each secret is tried.
    pub(crate) async fn verify(
        &self,
        message: &str,
        signature: &str,
        kid: Option<&str>,
    ) -> Result<VerifiedBy, NoKeyError> {
        match self {
            Self::Secrets(secrets) => secrets
                .iter()
                .find(|(_, key)| self.is_valid(key, message, signature))
                .map(|(name, _)| *name)
                .ok_or(NoKeyError::SecretUnknown),
            Self::Published(keys) => {
                // Boxed, since its large state would be part of every request's future, and few requests wait for a fetch.
                let key = Box::pin(keys.find(kid.ok_or(NoKeyError::KidMissing)?)).await?;
                if self.is_valid(&key, message, signature) {
                    Ok(VerifiedBy::Published)
                } else {
                    Err(NoKeyError::SignatureWrong)
                }
            }
        }
    }

    fn is_valid(&self, key: &DecodingKey, message: &str, signature: &str) -> bool {
        crypto::verify(signature, message.as_bytes(), key, self.algorithm()).unwrap_or(false)
    }

    /// Whether there are keys of any age. Published keys must be fetched first.
    pub(crate) fn is_loaded(&self) -> bool {
        match self {
            Self::Secrets(_) => true,
            Self::Published(keys) => keys.age().is_some(),
        }
    }

    /// Whether there are keys that are recent enough to verify with.
    pub(crate) fn is_usable(&self) -> bool {
        match self {
            Self::Secrets(_) => true,
            Self::Published(keys) => keys.is_usable(),
        }
    }
}

impl VerifiedBy {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Current, Self::Previous, Self::Published];

    /// The value in the log and in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Published => "published",
        }
    }
}
