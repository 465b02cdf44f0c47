//! Selects the one login that a request authenticates as, from bearer token and cookies.

use std::cmp::Reverse;
use std::sync::Arc;

use thiserror::Error;

use crate::config::login::LoginName;
use crate::config::{self, Config};
use crate::http_client::ClientError;
use crate::metrics::Metrics;

use super::Timestamp;
use super::claims::{LoginClaims, LoginRules};
use super::keys::{LoginKeys, Verified};
use super::revocation::{Revocation, RevocationError};
use super::token::{LoginToken, Unverified, VerifyError};

/// Verifies login tokens according to the settings.
pub(crate) struct LoginVerifier {
    /// No two accept the same token.
    logins: Vec<Login>,
    /// What selects each login, for a person.
    known: Arc<str>,
}

/// One login: its keys and its rules.
pub(super) struct Login {
    name: LoginName,
    pub(super) keys: LoginKeys,
    pub(super) rules: LoginRules,
    /// Whether it is an OpenID Connect provider's, not Xsolla's.
    pub(super) is_oidc: bool,
    revocation: Option<Arc<Revocation>>,
}

/// The login tokens of one request, not verified.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// From the `Authorization` header or the request body; it must verify.
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
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoginError {
    /// No login token is valid. With the login that the token is for, if it says that.
    #[error("{0}")]
    Verify(VerifyError, Option<LoginName>),
    /// One login token is valid, and another one, which claims to be of another player, can't be verified yet.
    #[error("{0}; until then the valid login token of another player does not count")]
    Undecided(VerifyError, Option<LoginName>),
    /// The valid login tokens name different players.
    #[error("login tokens of two different players")]
    DifferentPlayers,
    /// The token was revoked, or the Login API gave no answer. With what verified the token.
    #[error("{0}")]
    Revocation(RevocationError, Verified),
}

impl LoginVerifier {
    /// Builds keys, rules and revocation checks. Keeps what `old` has cached if the settings are the same.
    pub(crate) fn new(config: &Config, metrics: &Metrics, old: Option<&Self>) -> Result<Self, ClientError> {
        let names = config.products.iter().flat_map(|section| &section.name_from);
        let names: Vec<&str> = names.map(String::as_str).collect();
        let login = |login: &config::login::Login| {
            let old = || old.into_iter().flat_map(|old| &old.logins);
            let old_revocation = old().find(|old| old.name == login.name).and_then(|old| old.revocation.as_ref());
            Ok(Login {
                name: login.name.clone(),
                keys: LoginKeys::new(login, metrics, old().map(|old| &old.keys))?,
                rules: LoginRules::new(login, &names),
                is_oidc: !login.is_xsolla(),
                revocation: Revocation::new(login, metrics, old_revocation)?,
            })
        };
        let logins = config.logins.iter().map(login).collect::<Result<_, ClientError>>()?;
        let known = |login: &config::login::Login| format!("{} ({})", login.name.as_str(), login.selected_by());
        let known = config.logins.iter().map(known).collect::<Vec<_>>().join(", ");
        Ok(Self { logins, known: known.into() })
    }

    /// The names of the logins.
    pub(crate) fn names(&self) -> impl Iterator<Item = &LoginName> {
        self.logins.iter().map(|login| &login.name)
    }

    /// The keys of every login.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &LoginKeys> {
        self.logins.iter().map(|login| &login.keys)
    }

    /// The keys of the login with this name.
    pub(crate) fn keys_of(&self, name: &LoginName) -> Option<&LoginKeys> {
        self.logins.iter().find(|login| login.name == *name).map(|login| &login.keys)
    }

    /// The one login of the credentials, verified and not revoked. Of several valid tokens, the one that expires last is
    /// used. Revoked ones are skipped, since the player may have signed in again.
    pub(crate) async fn verify(&self, credentials: &Credentials, now: Timestamp) -> Result<LoginClaims, LoginError> {
        let mut refused = None;
        for Candidate { claims, token, login } in self.candidates(credentials, now).await? {
            let Some(revocation) = &login.revocation else { return Ok(claims) };
            // Boxed, since its large state would be part of every request's future, and few requests wait for an answer.
            match Box::pin(revocation.check(token.text(), &claims, now)).await {
                Ok(()) => return Ok(claims),
                Err(error) => {
                    let is_revoked = matches!(error, RevocationError::Revoked(_));
                    let error = LoginError::Revocation(error, claims.verified().clone());
                    if !is_revoked {
                        return Err(error);
                    }
                    refused = refused.or(Some(error));
                }
            }
        }
        Err(refused.unwrap_or(NO_TOKEN))
    }

    /// All valid login tokens, at least one, sorted by expiry, the last first. All must name one player: if only one of them
    /// counted, a sibling subdomain could set a cookie that replaces the player's login with an attacker's.
    ///
    /// A bearer token must verify, even if a cookie is valid: its client expects an answer for the bearer token's player. A
    /// cookie whose key can't be fetched fails the request: it may be the player's, and the valid one an attacker's. So does one
    /// that may become valid otherwise, if it claims to be of another player.
    async fn candidates<'a>(
        &'a self,
        credentials: &'a Credentials,
        now: Timestamp,
    ) -> Result<Vec<Candidate<'a>>, LoginError> {
        let mut verified = Vec::new();
        if let Some(bearer) = &credentials.bearer {
            verified.push(self.candidate(bearer, now).await?);
        }
        let mut refused = Vec::new();
        for cookie in &credentials.cookies {
            match self.candidate(cookie, now).await {
                Ok(candidate) => verified.push(candidate),
                Err(LoginError::Verify(error, login)) if error.is_unavailable() => {
                    return Err(LoginError::Verify(error, login));
                }
                Err(error) => refused.push((cookie, error)),
            }
        }
        let Some(first) = verified.first() else {
            return Err(refused.into_iter().next().map_or(NO_TOKEN, |(_, error)| error));
        };
        if verified.iter().any(|other| !other.claims.is_same_player(&first.claims)) {
            return Err(LoginError::DifferentPlayers);
        }
        for (cookie, error) in refused {
            if let LoginError::Verify(error, login) = error
                && error.is_temporary()
                && self.is_of_another(cookie, &first.claims, now)
            {
                return Err(LoginError::Undecided(error, login));
            }
        }
        verified.sort_by_key(|candidate| Reverse(candidate.claims.expires_at()));
        Ok(verified)
    }

    /// Whether a token that can't be verified yet claims to be of another player than `verified`, and its other claims would be
    /// accepted. Those of a cookie that has expired, or of another shop with the same name, would not.
    fn is_of_another(&self, token: &LoginToken, verified: &LoginClaims, now: Timestamp) -> bool {
        let claims_another = || {
            let unverified = token.read()?;
            unverified.claims_another_player(self.select(&unverified)?, verified, now)
        };
        claims_another().unwrap_or(false)
    }

    async fn candidate<'a>(&'a self, token: &'a LoginToken, now: Timestamp) -> Result<Candidate<'a>, LoginError> {
        let unselected = |error| LoginError::Verify(error, None);
        let unverified = token.read().map_err(unselected)?;
        let login = self.select(&unverified).map_err(unselected)?;
        let claims = unverified.verify(login, now).await;
        let claims = claims.map_err(|error| LoginError::Verify(error, Some(login.name.clone())))?;
        Ok(Candidate { claims, token, login })
    }

    /// The login that a token is for, by what its payload says. With one login there is nothing to select, and the payload
    /// is not read before it is verified.
    fn select(&self, token: &Unverified<'_>) -> Result<&Login, VerifyError> {
        if let [only] = self.logins.as_slice() {
            return Ok(only);
        }
        let payload = token.payload()?;
        let selected = self.logins.iter().find(|login| login.rules.is_for(&payload));
        selected.ok_or_else(|| VerifyError::NoLogin { origin: payload.origin(), known: Arc::clone(&self.known) })
    }
}

/// A valid login token and its login.
struct Candidate<'a> {
    claims: LoginClaims,
    token: &'a LoginToken,
    login: &'a Login,
}

const NO_TOKEN: LoginError = LoginError::Verify(VerifyError::Empty, None);
