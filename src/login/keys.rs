//! Which key may verify a login token?

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use thiserror::Error;

use crate::config::login::{Login, Signature};
use crate::config::secret::Secret;
use crate::metrics::Metrics;

use super::connection::ClientError;
use super::published::{FindKeyError, PublishedKeys, Settings};

/// The keys that login tokens are verified with. Their kind decides on the one algorithm: whoever
/// lets a token's header choose, lets the attacker choose (RFC 8725 §3.1).
pub enum LoginKeys {
    /// HS256
    Secrets {
        /// `login.secret`
        current: DecodingKey,
        /// `login.previous_secret`
        previous: Option<DecodingKey>,
    },
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

/// The keys can't be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeysError {
    /// The signature library does not verify what it must, or verifies what it must not.
    #[error("the signature library failed its self-test")]
    SelfTest,
    /// See [`ClientError`].
    #[error(transparent)]
    Client(#[from] ClientError),
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
    /// Builds the keys, and tries the signature library on examples of RFC 7515 once. Published keys
    /// that `old` holds already are taken over.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub fn new(login: &Login, metrics: &Metrics, old: Option<&Self>) -> Result<Self, KeysError> {
        self_test()?;
        let (project_id, caching) = match &login.signature {
            Signature::Secret { current, previous } => {
                let key = |secret: &Secret| DecodingKey::from_secret(secret.bytes());
                return Ok(Self::Secrets { current: key(current), previous: previous.as_ref().map(key) });
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
            Self::Secrets { .. } => None,
            Self::Published(keys) => Some(keys),
        }
    }

    /// The `alg` that the header of every login token must name.
    #[must_use]
    pub const fn algorithm_name(&self) -> &'static str {
        match self {
            Self::Secrets { .. } => "HS256",
            Self::Published(_) => "RS256",
        }
    }

    /// The key under which `signature` (base64url) signs `message`. `kid` is the header's; secrets
    /// have none, and are tried.
    ///
    /// # Errors
    /// See [`NoKeyError`].
    pub async fn verify(&self, message: &[u8], signature: &str, kid: Option<&str>) -> Result<VerifiedBy, NoKeyError> {
        match self {
            Self::Secrets { current, previous } => {
                let verifies = |key: &DecodingKey| verifies(Algorithm::HS256, key, message, signature);
                if verifies(current) {
                    Ok(VerifiedBy::Current)
                } else if previous.as_ref().is_some_and(verifies) {
                    Ok(VerifiedBy::Previous)
                } else {
                    Err(NoKeyError::SecretUnknown)
                }
            }
            Self::Published(keys) => {
                let key = keys.find(kid.ok_or(NoKeyError::KidMissing)?).await?;
                let is_signed = verifies(Algorithm::RS256, &key, message, signature);
                if is_signed { Ok(VerifiedBy::Published) } else { Err(NoKeyError::SignatureWrong) }
            }
        }
    }

    /// Whether there are keys to verify with; published ones may be still to come, or too old.
    #[must_use]
    pub fn are_usable(&self) -> bool {
        match self {
            Self::Secrets { .. } => true,
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

fn verifies(algorithm: Algorithm, key: &DecodingKey, message: &[u8], signature: &str) -> bool {
    crypto::verify(signature, message, key, algorithm).unwrap_or(false)
}

/// Chooses the library's backend and tries it on the examples of RFC 7515 Appendices A.1 and A.2, since
/// a wrong set of cargo features would compile and show only at the first token.
fn self_test() -> Result<(), KeysError> {
    const SECRET: &[u8] = &[
        3, 35, 53, 75, 43, 15, 165, 188, 131, 126, 6, 101, 119, 123, 166, 143, 90, 179, 40, 230, 240, 84, 201, 40, 169,
        15, 132, 178, 210, 80, 46, 191, 211, 251, 90, 146, 210, 6, 71, 239, 150, 138, 180, 195, 119, 98, 61, 34, 61,
        46, 33, 114, 5, 46, 79, 8, 192, 205, 154, 245, 103, 208, 128, 163,
    ];
    const MESSAGE: &[u8] = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
        T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmt\
        dVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const RSA_MESSAGE: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const RSA_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7\
        t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI\
        7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    // Fails when it is chosen already, which is as good.
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let rsa = DecodingKey::from_rsa_components(MODULUS, "AQAB").map_err(|_| KeysError::SelfTest)?;
    let is_sound = [
        (Algorithm::HS256, DecodingKey::from_secret(SECRET), MESSAGE, SIGNATURE),
        (Algorithm::RS256, rsa, RSA_MESSAGE, RSA_SIGNATURE),
    ]
    .iter()
    .all(|(algorithm, key, message, signature)| {
        let other_message = message.split_last().map_or(*message, |(_, rest)| rest);
        verifies(*algorithm, key, message, signature) && !verifies(*algorithm, key, other_message, signature)
    });
    if is_sound { Ok(()) } else { Err(KeysError::SelfTest) }
}
