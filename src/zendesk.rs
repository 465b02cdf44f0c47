//! The Zendesk side: turns a verified login into an identity, and signs the token of a product.

mod chat;
mod email;
mod help_center;
pub(crate) mod identity;
mod messaging;
mod name;
pub mod rules;
pub mod signing_key;
mod support_sdk;
pub mod user_token;

use thiserror::Error;

use crate::config::products::{Product, Section};
use crate::login::Timestamp;

use identity::{Identity, IdentityRule};
use signing_key::{SignError, SigningKey, ZendeskToken, random_id};
use user_token::UserTokens;

/// The issuers of all configured products, and of user tokens if they are turned on.
pub(crate) struct Zendesk {
    issuers: Vec<Issuer>,
    user_tokens: Option<UserTokens>,
}

/// Issues the tokens of one product.
pub(crate) struct Issuer {
    product: Product,
    key: SigningKey,
    /// In seconds; `None` for products whose tokens have no `exp`.
    lifetime: Option<i64>,
    outlives_login: bool,
    identity: IdentityRule,
}

/// Why an identity gets no token of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IssueError {
    /// Chat refuses accented characters in emails.
    #[error("claim email has characters that are not ASCII, which Chat refuses")]
    EmailNotAscii,
    /// The email was not confirmed, and the product identifies players by email.
    #[error("claim email_verified is not true, and this product identifies the player by email")]
    EmailUnconfirmed,
    /// Messaging needs an id that never changes.
    #[error("the player's id is an email or a phone number, which Messaging does not accept as an external id")]
    ExternalIdIsContact,
    /// The identity lacks a name or an email, although the product needs both: a bug.
    #[error("the identity has no name or email, which the product needs")]
    ContactMissing,
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Zendesk {
    /// Builds the issuers from the products' settings.
    pub(crate) fn new(products: &[Section]) -> Result<Self, SignError> {
        // The first random bytes take the library about 20 ms; here, no request waits for them.
        random_id()?;
        // `inspect` may have no secret, and everybody could derive the key from an empty one.
        let mut with_secret = products.iter().filter(|section| !section.secret.bytes().is_empty());
        let user_tokens = with_secret.find_map(|section| Some((section, section.user_tokens?)));
        Ok(Self {
            issuers: products.iter().map(|section| Issuer::new(section, products)).collect(),
            user_tokens: user_tokens
                .map(|(section, settings)| UserTokens::new(&section.secret, settings))
                .transpose()?,
        })
    }

    /// The issuer of a product's tokens, if the product is configured.
    pub(crate) fn issuer(&self, product: Product) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.product == product)
    }

    /// The user tokens for apps, if they are turned on.
    pub(crate) const fn user_tokens(&self) -> Option<&UserTokens> {
        self.user_tokens.as_ref()
    }
}

impl Issuer {
    fn new(section: &Section, products: &[Section]) -> Self {
        Self {
            product: section.product,
            key: SigningKey::new(&section.secret, section.key_id.as_deref()),
            lifetime: section.lifetime.and_then(|lifetime| i64::try_from(lifetime.as_secs()).ok()),
            outlives_login: section.outlives_login,
            identity: IdentityRule::new(section, products),
        }
    }

    /// How the product identifies a player.
    pub(crate) const fn identity_rule(&self) -> &IdentityRule {
        &self.identity
    }

    /// Issues a token. Its `exp`, if the product has one, comes from the settings. It is never after `until`, unless the
    /// settings say so.
    pub(crate) fn issue(
        &self,
        player: &Identity<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ZendeskToken, IssueError> {
        let exp = match self.lifetime {
            Some(lifetime) if self.outlives_login => now + lifetime,
            Some(lifetime) => until.min(now + lifetime),
            None => until,
        };
        Ok(match self.product {
            Product::Chat => self.key.sign(&chat::Claims::new(player, now, exp)?)?,
            Product::Messaging => self.key.sign(&messaging::Claims::new(player, now, exp)?)?,
            Product::HelpCenter => self.key.sign(&help_center::Claims::new(player, now)?)?,
            Product::SupportSdk => self.key.sign(&support_sdk::Claims::new(player, now)?)?,
        })
    }
}
