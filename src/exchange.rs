//! Exchanges login tokens for a Zendesk token: verifies, identifies the player, issues.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use thiserror::Error;

use crate::config::Config;
use crate::config::login::LoginName;
use crate::config::products::Product;
use crate::http_client::ClientError;
use crate::login::Timestamp;
use crate::login::claims::LoginClaims;
use crate::login::keys::{LoginKeys, Verified, VerifiedBy};
use crate::login::published::PublishedKeys;
use crate::login::token::LoginToken;
use crate::login::verifier::{Credentials, LoginError, LoginVerifier};
use crate::metrics::Metrics;
use crate::zendesk::identity::{Identity, IdentityError};
use crate::zendesk::signing_key::{SignError, ZendeskToken};
use crate::zendesk::user_token::{UserTokenError, UserTokens};
use crate::zendesk::{IssueError, Issuer, Zendesk};

/// The whole use case: a login token in, a Zendesk token out.
pub struct Exchange {
    login_cookie: String,
    accepts_bearer: bool,
    verifier: LoginVerifier,
    zendesk: Zendesk,
}

/// An issued token and its player.
#[derive(Clone)]
pub struct Issued {
    /// The Zendesk token, or the user token.
    pub token: ZendeskToken,
    /// The player's external id.
    pub external_id: String,
    /// The login and the key that verified the login token.
    pub verified: Verified,
}

/// Without the player's id, which may be an email.
impl Debug for Issued {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { token, verified, .. } = self;
        f.debug_struct("Issued").field("token", token).field("verified", verified).finish_non_exhaustive()
    }
}

/// The step that failed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// The product is not configured.
    #[error("no secret is set for this product")]
    NotServed,
    /// User tokens are not turned on.
    #[error("support_sdk.user_token_lifetime is not set")]
    UserTokensOff,
    /// There is no valid login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The user token is not valid. With the login that it names, if its signature is valid.
    #[error("{0}")]
    UserToken(UserTokenError, Option<LoginName>),
    /// The login gives no identity for Zendesk. With what verified the login.
    #[error("{0}")]
    Identify(IdentityError, Verified),
    /// The identity gets no token of the product. With what verified the login.
    #[error("{0}")]
    Issue(IssueError, Verified),
}

/// Why the exchange can't be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The client of the Login API can't be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl ExchangeError {
    /// The login that the token is for, if it says that, and the key that verified it, if one did.
    pub(crate) fn login_and_key(&self) -> (Option<&LoginName>, Option<VerifiedBy>) {
        match self {
            Self::NotServed | Self::UserTokensOff | Self::Login(LoginError::DifferentPlayers) => (None, None),
            Self::Login(LoginError::Verify(_, login) | LoginError::Undecided(_, login)) | Self::UserToken(_, login) => {
                (login.as_ref(), None)
            }
            Self::Login(LoginError::Revocation(_, verified))
            | Self::Identify(_, verified)
            | Self::Issue(_, verified) => (Some(&verified.login), Some(verified.key)),
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
            login_cookie: config.login_cookie.clone(),
            accepts_bearer: config.bearer,
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

    /// The names of the logins.
    pub(crate) fn logins(&self) -> impl Iterator<Item = &LoginName> {
        self.verifier.names()
    }

    /// Whether one of the logins has keys of any age. Published keys must be fetched first.
    pub(crate) fn has_keys(&self) -> bool {
        self.verifier.keys().any(LoginKeys::is_loaded)
    }

    /// Whether the login with this name has keys that are recent enough to verify with.
    pub(crate) fn has_usable_keys(&self, login: &LoginName) -> bool {
        self.verifier.keys_of(login).is_some_and(LoginKeys::is_usable)
    }

    /// The published keys of all logins that have such, for tasks that keep them fresh.
    pub fn published_keys(&self) -> impl Iterator<Item = &Arc<PublishedKeys>> {
        self.verifier.keys().filter_map(LoginKeys::published)
    }

    /// Whether tokens are issued for a product.
    pub(crate) fn serves(&self, product: Product) -> bool {
        self.zendesk.issuer(product).is_some()
    }

    /// Whether user tokens for apps are turned on.
    pub(crate) const fn issues_user_tokens(&self) -> bool {
        self.zendesk.user_tokens().is_some()
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
        let identity = identify(&login, issuer)?;
        issued(issuer.issue(&identity, now, login.accepted_until()), &identity, login.verified().clone())
    }

    /// Exchanges what an app has set as its user token for a token of the Support SDK: a login token, or a user token.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn run_for_app(&self, credentials: &Credentials, now: Timestamp) -> Result<Issued, ExchangeError> {
        match (self.zendesk.user_tokens(), &credentials.bearer) {
            (Some(user_tokens), Some(token)) if token.is_user_token() => self.run_user_token(user_tokens, token, now),
            _ => self.run(Product::SupportSdk, credentials, now).await,
        }
    }

    fn run_user_token(
        &self,
        user_tokens: &UserTokens,
        token: &LoginToken,
        now: Timestamp,
    ) -> Result<Issued, ExchangeError> {
        let issuer = self.zendesk.issuer(Product::SupportSdk).ok_or(ExchangeError::NotServed)?;
        let token = user_tokens.open(token).map_err(|error| ExchangeError::UserToken(error, None))?;
        let login = self.logins().find(|login| login.as_str() == token.login()).cloned();
        let login = login.ok_or(ExchangeError::UserToken(UserTokenError::LoginUnknown, None))?;
        let checked = user_tokens.check(&token, now);
        checked.map_err(|error| ExchangeError::UserToken(error, Some(login.clone())))?;
        let verified = Verified { login, key: VerifiedBy::UserToken };
        let identity = token.into_identity(issuer.identity_rule());
        let identity = identity.map_err(|error| ExchangeError::Identify(error, verified.clone()))?;
        issued(issuer.issue(&identity, now, now), &identity, verified)
    }

    /// Exchanges the credentials' login for a user token, which an app sets in the Support SDK.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn issue_user_token(&self, credentials: &Credentials, now: Timestamp) -> Result<Issued, ExchangeError> {
        let issuer = self.zendesk.issuer(Product::SupportSdk).ok_or(ExchangeError::NotServed)?;
        let user_tokens = self.zendesk.user_tokens().ok_or(ExchangeError::UserTokensOff)?;
        let login = self.verifier.verify(credentials, now).await?;
        let identity = identify(&login, issuer)?;
        let verified = login.verified().clone();
        issued(user_tokens.issue(&identity, &verified.login, now), &identity, verified)
    }
}

/// Identifies the player of a verified login for the issuer's product.
pub(crate) fn identify<'a>(login: &'a LoginClaims, issuer: &Issuer) -> Result<Identity<'a>, ExchangeError> {
    let identity = Identity::from_login(login, issuer.identity_rule());
    identity.map_err(|error| ExchangeError::Identify(error, login.verified().clone()))
}

fn issued(
    token: Result<ZendeskToken, IssueError>,
    player: &Identity<'_>,
    verified: Verified,
) -> Result<Issued, ExchangeError> {
    match token {
        Ok(token) => Ok(Issued { token, external_id: player.external_id().to_owned(), verified }),
        Err(error) => Err(ExchangeError::Issue(error, verified)),
    }
}
