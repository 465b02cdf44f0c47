//! Which key may verify a login token?

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use thiserror::Error;

use crate::config::Login;

/// The one algorithm that login tokens are accepted in, and its name in their headers. Whoever lets
/// the header choose, lets the attacker choose (RFC 8725 §3.1).
const ALGORITHM: Algorithm = Algorithm::HS256;
/// The `alg` that the header of every login token must name; it goes with `ALGORITHM`.
pub const ALGORITHM_NAME: &str = "HS256";

/// The keys that login tokens are verified with.
pub struct LoginKeys {
    current: DecodingKey,
    previous: Option<DecodingKey>,
}

/// Which of the keys verified a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedBy {
    /// `login.secret`
    Current,
    /// `login.previous_secret`
    Previous,
}

/// The signature library does not verify what it must, or verifies what it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature library failed its self-test")]
pub struct SelfTestError;

impl LoginKeys {
    /// Builds the keys, and tries the signature library on an example of RFC 7515 once.
    ///
    /// # Errors
    /// The library failed that test.
    pub fn new(login: &Login) -> Result<Self, SelfTestError> {
        self_test()?;
        let previous = login.previous_secret.as_ref();
        Ok(Self {
            current: DecodingKey::from_secret(login.secret.bytes()),
            previous: previous.map(|secret| DecodingKey::from_secret(secret.bytes())),
        })
    }

    /// The key under which `signature` (base64url) signs `message`, if there is one.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &str) -> Option<VerifiedBy> {
        if verifies(&self.current, message, signature) {
            return Some(VerifiedBy::Current);
        }
        let previous = self.previous.as_ref()?;
        verifies(previous, message, signature).then_some(VerifiedBy::Previous)
    }
}

impl VerifiedBy {
    /// The word for it in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

fn verifies(key: &DecodingKey, message: &[u8], signature: &str) -> bool {
    crypto::verify(signature, message, key, ALGORITHM).unwrap_or(false)
}

/// Chooses the library's backend and tries it on the example of RFC 7515 Appendix A.1, since a
/// wrong set of cargo features would compile and show only at the first token.
fn self_test() -> Result<(), SelfTestError> {
    const SECRET: &[u8] = &[
        3, 35, 53, 75, 43, 15, 165, 188, 131, 126, 6, 101, 119, 123, 166, 143, 90, 179, 40, 230, 240, 84, 201, 40, 169,
        15, 132, 178, 210, 80, 46, 191, 211, 251, 90, 146, 210, 6, 71, 239, 150, 138, 180, 195, 119, 98, 61, 34, 61,
        46, 33, 114, 5, 46, 79, 8, 192, 205, 154, 245, 103, 208, 128, 163,
    ];
    const MESSAGE: &[u8] = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    // Fails when it is chosen already, which is as good.
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let key = DecodingKey::from_secret(SECRET);
    let other_message = MESSAGE.split_last().map_or(MESSAGE, |(_, rest)| rest);
    let is_sound = verifies(&key, MESSAGE, SIGNATURE) && !verifies(&key, other_message, SIGNATURE);
    if is_sound { Ok(()) } else { Err(SelfTestError) }
}
