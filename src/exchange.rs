//! Which Zendesk token does this login get?

use thiserror::Error;

use crate::config::Config;
use crate::login::Timestamp;
use crate::login::claims::{LoginClaims, LoginRules};
use crate::login::keys::{LoginKeys, SelfTestError, VerifiedBy};
use crate::login::token::{LoginToken, VerifyError};
use crate::zendesk::chat::{Chat, ChatError};
use crate::zendesk::identity::{Identity, IdentityError};
use crate::zendesk::signing_key::{SignError, ZendeskToken};

/// The whole use case: a login token in, a Zendesk token out.
pub struct Exchange {
    login_cookie: String,
    login_keys: LoginKeys,
    login_rules: LoginRules,
    chat: Chat,
}

/// A token that was issued, and for whom.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token.
    pub token: ZendeskToken,
    /// The player's external id.
    pub external_id: String,
    /// The key that verified the login token.
    pub verified_by: VerifiedBy,
}

/// The step that stopped, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// No candidate is a valid login token.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Valid login tokens of two players.
    #[error("login tokens of two different players")]
    Settle,
    /// The player, whose login that key verified, can't be named to Zendesk.
    #[error("{0}")]
    Identify(IdentityError, VerifiedBy),
    /// The product refuses the player whose login that key verified.
    #[error("{0}")]
    Issue(ChatError, VerifiedBy),
}

/// The exchange can't be built; a fault of the build, not of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BuildError {
    /// See [`SelfTestError`].
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ExchangeError {
    /// The key that verified the login token, when one did.
    #[must_use]
    pub const fn verified_by(self) -> Option<VerifiedBy> {
        match self {
            Self::Verify(_) | Self::Settle => None,
            Self::Identify(_, key) | Self::Issue(_, key) => Some(key),
        }
    }
}

impl Exchange {
    /// Builds keys and rules from the settings.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        Ok(Self {
            login_cookie: config.login.cookie.clone(),
            login_keys: LoginKeys::new(&config.login)?,
            login_rules: LoginRules::new(&config.login),
            chat: Chat::new(&config.chat)?,
        })
    }

    /// Name of the cookie that holds the login token.
    #[must_use]
    pub fn login_cookie(&self) -> &str {
        &self.login_cookie
    }

    /// Exchanges the login that the candidates agree on for a Chat token.
    ///
    /// # Errors
    /// The step that stopped.
    pub fn run(&self, candidates: &[LoginToken<'_>], now: Timestamp) -> Result<Issued, ExchangeError> {
        let login = self.settle(candidates, now)?;
        let key = login.verified_by();
        let identity = Identity::from_login(&login, self.chat.identity_rule());
        let identity = identity.map_err(|error| ExchangeError::Identify(error, key))?;
        let token = self.chat.issue(&identity, now, login.honoured_until());
        let token = token.map_err(|error| ExchangeError::Issue(error, key))?;
        Ok(Issued { token, external_id: identity.external_id().to_owned(), verified_by: key })
    }

    /// One login out of every candidate that verifies: all must name one player, the latest to end
    /// wins. Taking the first or the last instead would let a cookie tossed from a sibling subdomain
    /// put an attacker's login before the player's own.
    fn settle(&self, candidates: &[LoginToken<'_>], now: Timestamp) -> Result<LoginClaims, ExchangeError> {
        let mut settled: Option<LoginClaims> = None;
        let mut refused = None;
        for candidate in candidates {
            match (candidate.verify(&self.login_keys, &self.login_rules, now), &settled) {
                (Err(error), _) => refused = refused.or(Some(error)),
                (Ok(login), Some(other)) if login.sub() != other.sub() => return Err(ExchangeError::Settle),
                (Ok(login), Some(other)) if login.expires_at() <= other.expires_at() => {}
                (Ok(login), _) => settled = Some(login),
            }
        }
        settled.ok_or(ExchangeError::Verify(refused.unwrap_or(VerifyError::Empty)))
    }
}
