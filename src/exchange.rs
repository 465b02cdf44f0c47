//! Exchanges login tokens for a Zendesk token: verifies, identifies the player, issues.

use std::sync::Arc;

use thiserror::Error;

use crate::config::Config;
use crate::config::products::Product;
use crate::login::Timestamp;
use crate::login::api::ClientError;
use crate::login::keys::VerifiedBy;
use crate::login::published::PublishedKeys;
use crate::login::verifier::{Credentials, LoginError, LoginVerifier};
use crate::metrics::Metrics;
use crate::zendesk::identity::{Identity, IdentityError};
use crate::zendesk::signing_key::{SignError, ZendeskToken};
use crate::zendesk::{IssueError, Zendesk};

/// The whole use case: a login token in, a Zendesk token out.
pub struct Exchange {
    login_cookie: String,
    accepts_bearer: bool,
    verifier: LoginVerifier,
    zendesk: Zendesk,
}

/// An issued token and its player.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The Zendesk token.
    pub token: ZendeskToken,
    /// The player's external id.
    pub external_id: String,
    /// The key that verified the login token.
    pub verified_by: VerifiedBy,
}

/// The step that failed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// The product is not configured.
    #[error("no secret is set for this product")]
    NotServed,
    /// There is no valid login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The login gives no identity for Zendesk. With the key that verified the login.
    #[error("{0}")]
    Identify(IdentityError, VerifiedBy),
    /// The identity gets no token of the product. With the key that verified the login.
    #[error("{0}")]
    Issue(IssueError, VerifiedBy),
}

/// Why the exchange can't be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The client of the Login API can't be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ExchangeError {
    /// The key that verified the login token, if one did.
    pub(crate) const fn verified_by(self) -> Option<VerifiedBy> {
        match self {
            Self::NotServed | Self::Login(LoginError::Verify(_) | LoginError::DifferentPlayers) => None,
            Self::Login(LoginError::Revocation(_, key)) | Self::Identify(_, key) | Self::Issue(_, key) => Some(key),
        }
    }
}

impl Exchange {
    /// Builds keys and rules from the settings. Keeps the login side's caches of `old` if their settings are the same.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn new(config: &Config, metrics: &Metrics, old: Option<&Self>) -> Result<Self, BuildError> {
        Ok(Self {
            login_cookie: config.login.cookie.clone(),
            accepts_bearer: config.login.bearer,
            verifier: LoginVerifier::new(config, metrics, old.map(|old| &old.verifier))?,
            zendesk: Zendesk::new(&config.products)?,
        })
    }

    /// Name of the login token's cookie.
    pub(crate) fn login_cookie(&self) -> &str {
        &self.login_cookie
    }

    /// Whether `Authorization: Bearer` is accepted.
    pub(crate) const fn accepts_bearer(&self) -> bool {
        self.accepts_bearer
    }

    /// Whether there are login keys of any age. Published keys must be fetched first.
    pub(crate) fn has_keys(&self) -> bool {
        self.verifier.keys().is_loaded()
    }

    /// Whether there are login keys that are recent enough to verify with.
    pub(crate) fn has_usable_keys(&self) -> bool {
        self.verifier.keys().is_usable()
    }

    /// The published login keys, for a task that keeps them fresh; `None` with shared secrets.
    #[must_use]
    pub const fn published_keys(&self) -> Option<&Arc<PublishedKeys>> {
        self.verifier.keys().published()
    }

    /// Whether tokens are issued for a product.
    pub(crate) fn serves(&self, product: Product) -> bool {
        self.zendesk.issuer(product).is_some()
    }

    /// Exchanges the credentials' login for a product's token.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn run(
        &self,
        product: Product,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Issued, ExchangeError> {
        let issuer = self.zendesk.issuer(product).ok_or(ExchangeError::NotServed)?;
        let login = self.verifier.verify(credentials, now).await?;
        let key = login.verified_by();
        let identity = Identity::from_login(&login, issuer.identity_rule());
        let identity = identity.map_err(|error| ExchangeError::Identify(error, key))?;
        let token = issuer.issue(&identity, now, login.accepted_until());
        let token = token.map_err(|error| ExchangeError::Issue(error, key))?;
        Ok(Issued { token, external_id: identity.external_id().to_owned(), verified_by: key })
    }
}
