//! Exchanges login tokens for a Zendesk token: verify, identify, issue.

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
    takes_bearer: bool,
    verifier: LoginVerifier,
    zendesk: Zendesk,
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
    /// The product is not configured.
    #[error("no secret is set for this product")]
    NotServed,
    /// There is no login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The player, whose login that key verified, can't be named to Zendesk.
    #[error("{0}")]
    Identify(IdentityError, VerifiedBy),
    /// The product refuses the player whose login that key verified.
    #[error("{0}")]
    Issue(IssueError, VerifiedBy),
}

/// The exchange can't be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BuildError {
    /// See [`ClientError`].
    #[error(transparent)]
    Client(#[from] ClientError),
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ExchangeError {
    /// The key that verified the login token, when one did.
    #[must_use]
    pub const fn verified_by(self) -> Option<VerifiedBy> {
        match self {
            Self::NotServed | Self::Login(LoginError::Verify(_) | LoginError::Settle) => None,
            Self::Login(LoginError::Revocation(_, key)) | Self::Identify(_, key) | Self::Issue(_, key) => Some(key),
        }
    }
}

impl Exchange {
    /// Builds keys and rules from the settings. What `old` fetched and remembers of the login side is
    /// taken over where the settings are the same.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn new(config: &Config, metrics: &Metrics, old: Option<&Self>) -> Result<Self, BuildError> {
        Ok(Self {
            login_cookie: config.login.cookie.clone(),
            takes_bearer: config.login.bearer,
            verifier: LoginVerifier::new(config, metrics, old.map(|old| &old.verifier))?,
            zendesk: Zendesk::new(&config.products)?,
        })
    }

    /// Name of the cookie that holds the login token.
    #[must_use]
    pub fn login_cookie(&self) -> &str {
        &self.login_cookie
    }

    /// Whether the login token may come as `Authorization: Bearer`.
    #[must_use]
    pub const fn takes_bearer(&self) -> bool {
        self.takes_bearer
    }

    /// Whether there are login keys, however old. Published ones have to be fetched first.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.verifier.keys().are_there()
    }

    /// Whether there are login keys that are young enough to verify with.
    #[must_use]
    pub fn has_usable_keys(&self) -> bool {
        self.verifier.keys().are_usable()
    }

    /// The login keys that somebody has to keep fresh; nothing where secrets verify.
    #[must_use]
    pub const fn published_keys(&self) -> Option<&Arc<PublishedKeys>> {
        self.verifier.keys().published()
    }

    /// Whether tokens are issued for a product.
    #[must_use]
    pub fn serves(&self, product: Product) -> bool {
        self.zendesk.issuer(product).is_some()
    }

    /// Exchanges the login that the credentials agree on for a product's token.
    ///
    /// # Errors
    /// The step that stopped.
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
        let token = issuer.issue(&identity, now, login.honoured_until());
        let token = token.map_err(|error| ExchangeError::Issue(error, key))?;
        Ok(Issued { token, external_id: identity.external_id().to_owned(), verified_by: key })
    }
}
