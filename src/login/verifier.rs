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

/// Verifies login tokens according to the settings.
pub(crate) struct LoginVerifier {
    keys: LoginKeys,
    rules: LoginRules,
    revocation: Option<Arc<Revocation>>,
}

/// The login tokens of one request, not verified.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// From the `Authorization` header or the request body; it must be valid.
    pub bearer: Option<LoginToken>,
    /// From cookies; invalid ones are ignored if another one is valid.
    pub cookies: Vec<LoginToken>,
}

impl Credentials {
    /// How many login tokens there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cookies.len() + usize::from(self.bearer.is_some())
    }
}

/// Why a request has no valid login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LoginError {
    /// No login token is valid.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The valid login tokens name different players.
    #[error("login tokens of two different players")]
    DifferentPlayers,
    /// The token was revoked, or the Login API gave no answer. With the key that verified the token.
    #[error("{0}")]
    Revocation(RevocationError, VerifiedBy),
}

impl LoginVerifier {
    /// Builds keys, rules and the revocation check. Keeps what `old` has cached if the settings are the same.
    pub(crate) fn new(config: &Config, metrics: &Metrics, old: Option<&Self>) -> Result<Self, ClientError> {
        let login = &config.login;
        let names = config.products.iter().flat_map(|section| &section.name_from);
        // Even if the API is not used yet, so that a wrong setting is reported at once.
        LoginApi::check(&login.api)?;
        let old_revocation = old.and_then(|old| old.revocation.as_ref());
        Ok(Self {
            keys: LoginKeys::new(login, metrics, old.map(|old| &old.keys))?,
            rules: LoginRules::new(login, names.map(String::as_str)),
            revocation: Revocation::new(login, metrics, old_revocation)?,
        })
    }

    /// The keys that verify login tokens.
    pub(crate) const fn keys(&self) -> &LoginKeys {
        &self.keys
    }

    /// The one login of the credentials, verified and not revoked. Of several valid tokens, the one that expires last is
    /// used. Revoked ones are skipped, since the player may have signed in again.
    pub(crate) async fn verify(&self, credentials: &Credentials, now: Timestamp) -> Result<LoginClaims, LoginError> {
        let mut refused = None;
        for (login, token) in self.candidates(credentials, now).await? {
            let Some(revocation) = &self.revocation else { return Ok(login) };
            // Boxed, since its large state would be part of every request's future, and few requests wait for an answer.
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

    /// All valid login tokens, at least one, sorted by expiry, the last first. All must name one player: if only one of them
    /// counted, a sibling subdomain could set a cookie that replaces the player's login with an attacker's.
    ///
    /// A bearer token must be valid, even if a cookie is too: its client expects an answer for the bearer token's player. A
    /// cookie that can't be verified now fails the request: it may be the player's, and the valid one an attacker's.
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
                Err(error) if error.is_temporary() => return Err(error.into()),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let Some((first, _)) = verified.first() else { return Err(refused.unwrap_or(VerifyError::Empty).into()) };
        if verified.iter().any(|(login, _)| login.sub() != first.sub()) {
            return Err(LoginError::DifferentPlayers);
        }
        verified.sort_by_key(|(login, _)| Reverse(login.expires_at()));
        Ok(verified)
    }
}
