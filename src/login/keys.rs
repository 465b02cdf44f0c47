//! The keys that verify login tokens: the shared secrets, or those that the login project publishes.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use thiserror::Error;

use crate::config::login::{Login, Signature};
use crate::config::secret::Secret;
use crate::metrics::Metrics;

use super::api::ClientError;
use super::published::{FindKeyError, PublishedKeys, Settings};

/// The keys that login tokens are verified with. Their kind decides on the one algorithm: whoever
/// lets a token's header choose, lets the attacker choose (RFC 8725 §3.1).
pub enum LoginKeys {
    /// HS256: `login.secret`, and then `login.previous_secret` where there is one.
    Secrets(Vec<(VerifiedBy, DecodingKey)>),
    /// RS256
    Published(Arc<PublishedKeys>),
}

/// Which of the keys verified a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedBy {
    /// `login.secret`
    Current,
    /// `login.previous_secret`
    Previous,
    /// A key that the login project publishes.
    Published,
}

/// Why no key verifies a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoKeyError {
    /// HS256: signed with another secret.
    #[error("signed with neither login.secret nor login.previous_secret")]
    SecretUnknown,
    /// RS256: no `kid`, so nothing says which key.
    #[error("header has no kid")]
    KidMissing,
    /// RS256: not signed with the key of that `kid`.
    #[error("not signed with the published key that kid names")]
    SignatureWrong,
    /// RS256: see [`FindKeyError`].
    #[error(transparent)]
    Find(#[from] FindKeyError),
}

impl LoginKeys {
    /// Builds the keys. Published ones that `old` holds already are taken over.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(login: &Login, metrics: &Metrics, old: Option<&Self>) -> Result<Self, ClientError> {
        let (project_id, caching) = match &login.signature {
            Signature::Secret { current, previous } => {
                let secrets = [(VerifiedBy::Current, Some(current)), (VerifiedBy::Previous, previous.as_ref())];
                let key = |secret: &Secret| DecodingKey::from_secret(secret.bytes());
                let keys = secrets.into_iter().filter_map(|(name, secret)| Some((name, key(secret?))));
                return Ok(Self::Secrets(keys.collect()));
            }
            Signature::Published { project_id, caching } => (project_id.clone(), *caching),
        };
        let settings = Settings { api: login.api.clone(), project_id, caching };
        Ok(Self::Published(PublishedKeys::new(settings, metrics, old.and_then(Self::published))?))
    }

    /// The published keys, which somebody has to keep fresh.
    #[must_use]
    pub const fn published(&self) -> Option<&Arc<PublishedKeys>> {
        match self {
            Self::Secrets(_) => None,
            Self::Published(keys) => Some(keys),
        }
    }

    /// The algorithm that the header of every login token must name.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secrets(_) => Algorithm::HS256,
            Self::Published(_) => Algorithm::RS256,
        }
    }

    /// The key under which `signature`, in base64url, signs `message`. `kid` is the header's; secrets have none, and
    /// are tried.
    ///
    /// # Errors
    /// See [`NoKeyError`].
    pub async fn verify(&self, message: &str, signature: &str, kid: Option<&str>) -> Result<VerifiedBy, NoKeyError> {
        match self {
            Self::Secrets(secrets) => secrets
                .iter()
                .find(|(_, key)| self.signs(key, message, signature))
                .map(|(name, _)| *name)
                .ok_or(NoKeyError::SecretUnknown),
            Self::Published(keys) => {
                // Boxed, since few wait: what a fetch needs would make every request larger.
                let key = Box::pin(keys.find(kid.ok_or(NoKeyError::KidMissing)?)).await?;
                if self.signs(&key, message, signature) {
                    Ok(VerifiedBy::Published)
                } else {
                    Err(NoKeyError::SignatureWrong)
                }
            }
        }
    }

    fn signs(&self, key: &DecodingKey, message: &str, signature: &str) -> bool {
        crypto::verify(signature, message.as_bytes(), key, self.algorithm()).unwrap_or(false)
    }

    /// Whether there are keys, however old. Published ones have to be fetched first.
    #[must_use]
    pub fn are_there(&self) -> bool {
        match self {
            Self::Secrets(_) => true,
            Self::Published(keys) => keys.age().is_some(),
        }
    }

    /// Whether there are keys that are young enough to verify with.
    #[must_use]
    pub fn are_usable(&self) -> bool {
        match self {
            Self::Secrets(_) => true,
            Self::Published(keys) => keys.are_usable(),
        }
    }
}

impl VerifiedBy {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Current, Self::Previous, Self::Published];

    /// The word for it in the log and the metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Published => "published",
        }
    }
}
