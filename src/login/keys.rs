//! Holds the keys that verify a login's tokens: shared secrets, or published keys.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use thiserror::Error;

use crate::config::login::{Login, LoginName, Signature};
use crate::config::secret::Secret;
use crate::http_client::ClientError;
use crate::metrics::Metrics;

use super::published::{FindKeyError, KeySource, PublishedKeys};

/// The algorithms that are accepted of an OpenID Connect provider. Each key verifies only those of its kind.
const OIDC_ALGORITHMS: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// The keys that verify login tokens. They determine the accepted algorithms. The token's header must not: an attacker may
/// have written it (RFC 8725 §3.1).
pub(crate) enum LoginKeys {
    /// HS256: `login.secret`, then `login.previous_secret` if it is set.
    Secrets(Vec<(VerifiedBy, DecodingKey)>),
    /// The keys of a login project (RS256) or of a provider.
    Published(Arc<PublishedKeys>),
}

/// The key that verified a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedBy {
    /// `login.secret`.
    Current,
    /// `login.previous_secret`.
    Previous,
    /// A published key.
    Published,
    /// The key of this service's user tokens.
    UserToken,
}

/// The login and the key that verified a token. A user token is of the login that it was issued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The login that the token is for.
    pub login: LoginName,
    /// The key of that login.
    pub key: VerifiedBy,
}

/// Why no key verified a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoKeyError {
    /// HS256: signed with a different secret.
    #[error("signed with neither secret nor previous_secret of the login")]
    SecretUnknown,
    /// Without `kid` the key is unknown.
    #[error("header kid is missing")]
    KidMissing,
    /// Not signed with the key that has this `kid`, or `alg` is not one of that key.
    #[error("signature does not match the published key with this kid")]
    SignatureWrong,
    /// See [`FindKeyError`].
    #[error(transparent)]
    Find(#[from] FindKeyError),
}

impl LoginKeys {
    /// Builds the keys. Keeps published keys that one of `old`, the keys of all logins before a reload, has already fetched.
    pub(crate) fn new<'a>(
        login: &Login,
        metrics: &Metrics,
        old: impl Iterator<Item = &'a Self>,
    ) -> Result<Self, ClientError> {
        match &login.signature {
            Signature::Secret { current, previous } => {
                let secrets = [(VerifiedBy::Current, Some(current)), (VerifiedBy::Previous, previous.as_ref())];
                let key = |secret: &Secret| DecodingKey::from_secret(secret.bytes());
                let keys = secrets.into_iter().filter_map(|(name, secret)| Some((name, key(secret?))));
                Ok(Self::Secrets(keys.collect()))
            }
            Signature::Published { keys, caching } => {
                let source = KeySource { api: login.api.clone(), keys: keys.clone(), caching: *caching };
                Ok(Self::Published(PublishedKeys::new(source, metrics, old.filter_map(Self::published))?))
            }
        }
    }

    /// The published keys, for a task that keeps them fresh; `None` with shared secrets.
    pub(crate) const fn published(&self) -> Option<&Arc<PublishedKeys>> {
        match self {
            Self::Secrets(_) => None,
            Self::Published(keys) => Some(keys),
        }
    }

    /// Whether login tokens may have this `alg`.
    pub(crate) fn accepts(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Secrets(_) => algorithm == Algorithm::HS256,
            Self::Published(keys) if keys.is_of_project() => algorithm == Algorithm::RS256,
            Self::Published(_) => OIDC_ALGORITHMS.contains(&algorithm),
        }
    }

    /// Finds the key that verifies `signature` (base64url) of `message`. `algorithm` must be one that is accepted. With
    /// secrets `kid` is not used: each secret is tried.
    pub(crate) async fn verify(
        &self,
        message: &str,
        signature: &str,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<VerifiedBy, NoKeyError> {
        match self {
            Self::Secrets(secrets) => {
                let is_valid = |key| crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false);
                let secret = secrets.iter().find(|(_, key)| is_valid(key));
                secret.map(|(name, _)| *name).ok_or(NoKeyError::SecretUnknown)
            }
            // Boxed, since its large state would be part of every request's future, and few requests wait for a fetch.
            Self::Published(keys) => Box::pin(verify_published(keys, message, signature, algorithm, kid)).await,
        }
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

async fn verify_published(
    keys: &Arc<PublishedKeys>,
    message: &str,
    signature: &str,
    algorithm: Algorithm,
    kid: Option<&str>,
) -> Result<VerifiedBy, NoKeyError> {
    if kid.is_none() && keys.is_of_project() {
        return Err(NoKeyError::KidMissing);
    }
    let (key, received_at) = keys.find(kid, None).await?;
    if key.verifies(message, signature, algorithm) {
        return Ok(VerifiedBy::Published);
    }
    // Without kid, a new key can only be noticed by its signature.
    let newer = if kid.is_none() { keys.find(None, Some(received_at)).await } else { Err(FindKeyError::Unknown) };
    match newer {
        Ok((key, _)) if key.verifies(message, signature, algorithm) => Ok(VerifiedBy::Published),
        Err(error @ (FindKeyError::Unavailable | FindKeyError::CoolingDown)) => Err(error.into()),
        Ok(_) | Err(FindKeyError::Unknown) => Err(NoKeyError::SignatureWrong),
    }
}

impl VerifiedBy {
    /// All variants.
    pub const ALL: [Self; 4] = [Self::Current, Self::Previous, Self::Published, Self::UserToken];

    /// The value in the log and in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Published => "published",
            Self::UserToken => "user-token",
        }
    }
}
