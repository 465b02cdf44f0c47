//! Issues and verifies user tokens: what an app with the Support SDK sets as its user token instead of its login token.
//!
//! The SDK takes another text for another person, and a 401 makes it delete the player's requests (developer.zendesk.com,
//! *how-anonymous-identities-work*). Login tokens change with each renewal and end soon. So a user token lives for months, and
//! the same player with the same claims gets the same text until half of its life is over. No storage is needed for that: its
//! times are those of a window of time, and nothing in it is random.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use jsonwebtoken::{DecodingKey, crypto};
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use thiserror::Error;

use crate::config::login::LoginName;
use crate::config::products;
use crate::config::secret::Secret;
use crate::login::Timestamp;
use crate::login::claims::MAX_TIMESTAMP;
use crate::login::strict_json::{Member, Members, StrictJsonError};
use crate::login::token::{LoginToken, USER_TOKEN_TYP, VerifyError, decode, read};

use super::IssueError;
use super::email::Email;
use super::identity::{Identity, IdentityError, IdentityRule};
use super::signing_key::{ALGORITHM, SignError, SigningKey, ZendeskToken};

/// What the key is derived for (RFC 5869 §3.2). Another text makes another key.
const PURPOSE: &[u8] = b"zendesk-token: user tokens of the Support SDK";

/// How far the clocks of two instances of the service may differ, in seconds.
const LEEWAY: i64 = 300;

/// Issues and verifies user tokens.
pub(crate) struct UserTokens {
    signing_key: SigningKey,
    key: DecodingKey,
    /// In seconds.
    lifetime: i64,
    valid_from: Timestamp,
}

/// The claims in the order in which they are written, which must not change: another text is another person for the SDK.
#[derive(Serialize)]
struct Claims<'a> {
    external_id: &'a str,
    name: &'a str,
    email: &'a str,
    login: &'a str,
    iat: Timestamp,
    exp: Timestamp,
}

/// A user token whose signature is valid. Its times are not checked yet.
pub(crate) struct Signed {
    external_id: String,
    name: String,
    email: Email<'static>,
    login: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
}

/// Why a user token is not valid. Quotes only names of claims, and times.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UserTokenError {
    /// Not three parts of base64url, or too long.
    #[error("user token: {0}")]
    Form(#[from] VerifyError),
    /// A part is not a strict JSON object.
    #[error("user token: the payload {0}")]
    NotStrictJson(#[from] StrictJsonError),
    /// Changed, made by another program, or made before `support_sdk.secret` was changed.
    #[error("user token: not signed with the key that is derived from support_sdk.secret")]
    SignatureWrong,
    /// A claim is missing or has a wrong type.
    #[error("user token: claim {0} is missing or has the wrong type")]
    Claim(&'static str),
    /// The login was removed from the settings, or has another name now.
    #[error("user token: its login is not in the settings any more")]
    LoginUnknown,
    /// Issued before `support_sdk.user_tokens_valid_from`.
    #[error("user token: issued before support_sdk.user_tokens_valid_from")]
    Revoked,
    /// `exp` has passed, this many seconds ago.
    #[error("user token: expired {0} s ago")]
    Expired(i64),
    /// `iat` is this many seconds in the future.
    #[error("user token: issued {0} s in the future; check that the clocks are right")]
    InFuture(i64),
}

impl UserTokens {
    /// Derives the key from the secret of the Support SDK (HKDF, RFC 5869): the secret itself signs Zendesk's tokens.
    pub(super) fn new(secret: &Secret, settings: products::UserTokens) -> Result<Self, SignError> {
        let mut derived = Zeroizing::new([0; 32]);
        let extracted = Salt::none(HKDF_SHA256).extract(secret.bytes());
        let expanded = extracted.expand(&[PURPOSE], HKDF_SHA256).map_err(|_| SignError)?;
        expanded.fill(derived.as_mut()).map_err(|_| SignError)?;
        let secret = Secret::new(derived.to_vec());
        Ok(Self {
            signing_key: SigningKey::new(&secret, None).with_typ(USER_TOKEN_TYP),
            key: DecodingKey::from_secret(secret.bytes()),
            lifetime: i64::try_from(settings.lifetime.as_secs()).map_err(|_| SignError)?,
            valid_from: settings.valid_from,
        })
    }

    /// Issues the user token of a player of `login`.
    pub(crate) fn issue(
        &self,
        player: &Identity<'_>,
        login: &LoginName,
        now: Timestamp,
    ) -> Result<ZendeskToken, IssueError> {
        let (name, email) = player.name_and_confirmed_email()?;
        let external_id = player.external_id();
        // A clock may be behind that time, and a token from before it would be refused at once.
        let iat = self.window_start(external_id, now).max(self.valid_from);
        let exp = iat + self.lifetime;
        Ok(self.signing_key.sign(&Claims { external_id, name, email, login: login.as_str(), iat, exp })?)
    }

    /// The start of the player's window at `now`. A window is half a lifetime long, so that an issued token has more than half
    /// of its life left. Windows of different players start at different times: not all get a new token at once. After a
    /// revocation all start at its time, or the first token from then on would be replaced before half of its life is over.
    fn window_start(&self, external_id: &str, now: Timestamp) -> Timestamp {
        let first = if self.valid_from > 0 {
            self.valid_from
        } else {
            let hash = digest(&SHA256, external_id.as_bytes());
            hash.as_ref().iter().take(7).fold(0, |number, byte| number << 8 | i64::from(*byte))
        };
        now - (now - first).rem_euclid(self.lifetime / 2)
    }

    /// Checks that a token is one of ours, and reads it.
    pub(crate) fn open(&self, token: &LoginToken) -> Result<Signed, UserTokenError> {
        let parts = token.split()?;
        let header = decode("header", parts.header)?;
        let header = read("header", &header)?;
        if header.text("typ") != Some(USER_TOKEN_TYP) {
            return Err(VerifyError::TypMismatch.into());
        }
        let is_signed =
            crypto::verify(parts.signature, parts.message.as_bytes(), &self.key, ALGORITHM).unwrap_or(false);
        if header.text("alg") != Some("HS256") || !is_signed {
            return Err(UserTokenError::SignatureWrong);
        }
        let payload = decode("payload", parts.payload)?;
        Signed::read(&Members::read(&payload)?)
    }

    /// Checks the times of a token.
    pub(crate) fn check(&self, token: &Signed, now: Timestamp) -> Result<(), UserTokenError> {
        let Signed { issued_at, expires_at, .. } = *token;
        if issued_at < self.valid_from {
            Err(UserTokenError::Revoked)
        } else if issued_at > now + LEEWAY {
            Err(UserTokenError::InFuture(issued_at - now))
        } else if now >= expires_at {
            Err(UserTokenError::Expired(now - expires_at))
        } else {
            Ok(())
        }
    }
}

impl Signed {
    fn read(claims: &Members<'_>) -> Result<Self, UserTokenError> {
        let text = |name| {
            let text = claims.text(name).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or(UserTokenError::Claim(name))
        };
        let time = |name| match claims.find(name) {
            Some(Member::Number(number)) => {
                number.as_i64().filter(|time| (0..=MAX_TIMESTAMP).contains(time)).ok_or(UserTokenError::Claim(name))
            }
            Some(Member::Text(_) | Member::Bool(_) | Member::Null | Member::Other) | None => {
                Err(UserTokenError::Claim(name))
            }
        };
        Ok(Self {
            external_id: text("external_id")?,
            name: text("name")?,
            email: Email::parse(text("email")?).ok_or(UserTokenError::Claim("email"))?,
            login: text("login")?,
            issued_at: time("iat")?,
            expires_at: time("exp")?,
        })
    }

    /// The name of the login that the player signed in with.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }

    /// The player, as they were when the token was issued.
    pub(crate) fn into_identity(self, rule: &IdentityRule) -> Result<Identity<'static>, IdentityError> {
        Identity::from_user_token(self.external_id, self.name, self.email, rule)
    }
}
