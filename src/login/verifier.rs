//! Selects the one login that a request authenticates as, from bearer token and cookies.

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

    /// The one login that the credentials agree on, verified and not revoked.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn verify(&self, credentials: &Credentials, now: Timestamp) -> Result<LoginClaims, LoginError> {
        let (login, token) = self.settle(credentials, now).await?;
        if let Some(revocation) = &self.revocation {
            // Boxed, since few ask: what a question needs would make every request larger.
            let verdict = Box::pin(revocation.check(token.text(), &login, now)).await;
            verdict.map_err(|error| LoginError::Revocation(error, login.verified_by()))?;
        }
        Ok(login)
    }

    /// One login out of every candidate that verifies: all must name one player, the latest to end
    /// wins. Taking the first or the last instead would let a cookie tossed from a sibling subdomain
    /// put an attacker's login before the player's own.
    ///
    /// The bearer token has to verify, whatever the cookies say: a client that names a player and is
    /// answered for another would mix the two up. And where one can't be judged now there is no login
    /// at all: it may be the player's own, and the one that verifies the attacker's.
    async fn settle<'a>(
        &self,
        credentials: &'a Credentials,
        now: Timestamp,
    ) -> Result<(LoginClaims, &'a LoginToken), LoginError> {
        let mut settled = match &credentials.bearer {
            Some(bearer) => Some((bearer.verify(&self.keys, &self.rules, now).await?, bearer)),
            None => None,
        };
        let mut refused = None;
        for candidate in &credentials.cookies {
            match (candidate.verify(&self.keys, &self.rules, now).await, &settled) {
                (Err(error), _) if error.is_ours() => return Err(error.into()),
                (Err(error), _) => refused = refused.or(Some(error)),
                (Ok(login), Some((other, _))) if login.sub() != other.sub() => return Err(LoginError::Settle),
                (Ok(login), Some((other, _))) if login.expires_at() <= other.expires_at() => {}
                (Ok(login), _) => settled = Some((login, candidate)),
            }
        }
        settled.ok_or(LoginError::Verify(refused.unwrap_or(VerifyError::Empty)))
    }
}
