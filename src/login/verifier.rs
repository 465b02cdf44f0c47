//! Selects the one login that a request authenticates as, from bearer token and cookies.

use std::cmp::Reverse;
use std::sync::Arc;

use thiserror::Error;

use crate::config::Config;
use crate::metrics::Metrics;

use super::Timestamp;
use super::api::{ClientError, LoginApi};
use super::claims::{LoginClaims, LoginRules};
use super::keys::{LoginKeys, VerifiedBy};
use super::revocation::{Revocation, RevocationError};
use super::token::{LoginToken, VerifyError};

/// Verifies login tokens as the settings say.
pub struct LoginVerifier {
    keys: LoginKeys,
    rules: LoginRules,
    revocation: Option<Arc<Revocation>>,
}

/// The login tokens of one request; nobody has verified them.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The one that the client named outright; it has to verify.
    pub bearer: Option<LoginToken>,
    /// Those that the browser sent along; one that does not verify counts for nothing.
    pub cookies: Vec<LoginToken>,
}

impl Credentials {
    /// One login token that the client named outright.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self { bearer: Some(LoginToken::new(token)), cookies: Vec::new() }
    }

    /// How many login tokens there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cookies.len() + usize::from(self.bearer.is_some())
    }
}

/// Why there is no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LoginError {
    /// No candidate is a valid login token.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Valid login tokens of two players.
    #[error("login tokens of two different players")]
    Settle,
    /// The token that this key verified does not stand, or nobody can say.
    #[error("{0}")]
    Revocation(RevocationError, VerifiedBy),
}

impl LoginVerifier {
    /// Builds keys, rules and the question of revocation. What `old` fetched and remembers is taken
    /// over where the settings are the same.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(config: &Config, metrics: &Metrics, old: Option<&Self>) -> Result<Self, ClientError> {
        let login = &config.login;
        let names = config.products.iter().flat_map(|section| &section.identity.name_from);
        // Also where nothing is asked of it yet: a wrong setting is told at once.
        LoginApi::check(&login.api)?;
        let old_revocation = old.and_then(|old| old.revocation.as_ref());
        Ok(Self {
            keys: LoginKeys::new(login, metrics, old.map(|old| &old.keys))?,
            rules: LoginRules::new(login, names.map(String::as_str)),
            revocation: Revocation::new(login, metrics, old_revocation)?,
        })
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &LoginKeys {
        &self.keys
    }

    /// The one login that the credentials agree on, verified and not revoked. Of several the latest to end counts; one that
    /// was revoked drops out, since the player has signed in again.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn verify(&self, credentials: &Credentials, now: Timestamp) -> Result<LoginClaims, LoginError> {
        let mut refused = None;
        for (login, token) in self.candidates(credentials, now).await? {
            let Some(revocation) = &self.revocation else { return Ok(login) };
            // Boxed, since few ask: what a question needs would make every request larger.
            match Box::pin(revocation.check(token.text(), &login, now)).await {
                Ok(()) => return Ok(login),
                Err(error) => {
                    let is_revoked = matches!(error, RevocationError::Revoked(_));
                    let error = LoginError::Revocation(error, login.verified_by());
                    if !is_revoked {
                        return Err(error);
                    }
                    refused = refused.or(Some(error));
                }
            }
        }
        Err(refused.unwrap_or(LoginError::Verify(VerifyError::Empty)))
    }

    /// Every candidate that verifies, at least one, the latest to end first: all must name one player. Taking the first
    /// or the last one's instead would let a cookie tossed from a sibling subdomain put an attacker's login before the
    /// player's own.
    ///
    /// The bearer token has to verify, whatever the cookies say: a client that names a player and is
    /// answered for another would mix the two up. And where one can't be judged now there is no login
    /// at all: it may be the player's own, and the one that verifies the attacker's.
    async fn candidates<'a>(
        &self,
        credentials: &'a Credentials,
        now: Timestamp,
    ) -> Result<Vec<(LoginClaims, &'a LoginToken)>, LoginError> {
        let mut verified = Vec::new();
        if let Some(bearer) = &credentials.bearer {
            verified.push((bearer.verify(&self.keys, &self.rules, now).await?, bearer));
        }
        let mut refused = None;
        for cookie in &credentials.cookies {
            match cookie.verify(&self.keys, &self.rules, now).await {
                Ok(login) => verified.push((login, cookie)),
                Err(error) if error.is_ours() => return Err(error.into()),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let Some((first, _)) = verified.first() else { return Err(refused.unwrap_or(VerifyError::Empty).into()) };
        if verified.iter().any(|(login, _)| login.sub() != first.sub()) {
            return Err(LoginError::Settle);
        }
        verified.sort_by_key(|(login, _)| Reverse(login.expires_at()));
        Ok(verified)
    }
}
