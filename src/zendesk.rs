//! The Zendesk side: an identity becomes the signed token of a product.

pub mod email;
pub mod name;
pub mod identity;
pub mod signing_key;
pub mod chat;
pub mod messaging;
pub mod help_center;
pub mod support_sdk;
pub mod rules;

use std::time::Duration;

use thiserror::Error;

use crate::config::products::{ClaimSet, IdentityRule, Product, Section};
use crate::login::Timestamp;

use identity::Identity;
use signing_key::{SignError, SigningKey, ZendeskToken, random_id};

/// The products that tokens are issued for.
pub struct Zendesk(Vec<Issuer>);

/// Issues the tokens of one product.
pub struct Issuer {
    key: SigningKey,
    identity: IdentityRule,
    claims: ClaimSet,
}

/// Why a product's token can't be issued to a player who has an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IssueError {
    /// Chat refuses accented characters in emails.
    #[error("claim email is not ASCII, which Chat refuses")]
    EmailNotAscii,
    /// The login says that the email was not confirmed, and the product knows players by it.
    #[error("claim email_verified is not true, and the product knows the player by the email")]
    EmailUnconfirmed,
    /// Messaging wants an id that never changes.
    #[error("claim sub is an email or a phone number, which Messaging does not take as an external id")]
    ExternalIdIsContact,
    /// The product needs a name and an email, and its rule did not ask for them; a fault of ours.
    #[error("the player was identified without the name and email that the product needs")]
    ContactMissing,
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Zendesk {
    /// Builds the issuers from their sections.
    ///
    /// # Errors
    /// See [`random_id`].
    pub fn new(products: &[Section]) -> Result<Self, SignError> {
        // The library gathers its first random bytes, which takes it some 20 ms, before a request has to wait for them.
        random_id()?;
        Ok(Self(products.iter().map(Issuer::new).collect()))
    }

    /// The issuer of a product's tokens; nothing when the product is not configured.
    #[must_use]
    pub fn issuer(&self, product: Product) -> Option<&Issuer> {
        self.0.iter().find(|issuer| issuer.claims.product() == product)
    }
}

impl Issuer {
    fn new(section: &Section) -> Self {
        let key_id = match &section.claims {
            ClaimSet::Messaging { key_id, .. } => Some(key_id.as_str()),
            ClaimSet::Chat { .. } | ClaimSet::HelpCenter | ClaimSet::SupportSdk => None,
        };
        let key = SigningKey::new(&section.secret, key_id);
        Self { key, identity: section.identity.clone(), claims: section.claims.clone() }
    }

    /// How the product wants a player named.
    #[must_use]
    pub const fn identity_rule(&self) -> &IdentityRule {
        &self.identity
    }

    /// Issues a token that lives as long as the settings or the product say, and where it says so itself,
    /// never beyond `until`.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub fn issue(&self, player: &Identity<'_>, now: Timestamp, until: Timestamp) -> Result<ZendeskToken, IssueError> {
        let end = |lifetime: Duration| until.min(now + i64::try_from(lifetime.as_secs()).unwrap_or_default());
        Ok(match self.claims {
            ClaimSet::Chat { lifetime } => self.key.sign(&chat::Claims::new(player, now, end(lifetime))?)?,
            ClaimSet::Messaging { lifetime, .. } => {
                self.key.sign(&messaging::Claims::new(player, now, end(lifetime))?)?
            }
            ClaimSet::HelpCenter => self.key.sign(&help_center::Claims::new(player, now)?)?,
            ClaimSet::SupportSdk => self.key.sign(&support_sdk::Claims::new(player, now)?)?,
        })
    }
}
