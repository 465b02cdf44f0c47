//! What does a token for Zendesk Chat say?
//!
//! Claims and limits: support.zendesk.com, article 4408838925082.

use serde::Serialize;
use thiserror::Error;

use crate::config;
use crate::login::Timestamp;

use super::identity::{Identity, IdentityRule};
use super::signing_key::{SignError, SigningKey, ZendeskToken};

/// Issues tokens for Zendesk Chat.
pub struct Chat {
    key: SigningKey,
    lifetime: i64,
    rule: IdentityRule,
}

/// The claims of a Chat token.
#[derive(Serialize)]
pub struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    external_id: &'a str,
    iat: Timestamp,
    exp: Timestamp,
}

/// Why no Chat token can be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChatError {
    /// Chat refuses accented characters in emails.
    #[error("claim email is not ASCII, which Chat refuses")]
    EmailNotAscii,
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Chat {
    /// Builds the issuer from its section.
    ///
    /// # Errors
    /// See [`SigningKey::new`].
    pub fn new(chat: &config::Chat) -> Result<Self, SignError> {
        let rule = IdentityRule {
            name_from: chat.name_from.clone(),
            fallback_email_domain: chat.fallback_email_domain.clone(),
        };
        let lifetime = i64::try_from(chat.lifetime.as_secs()).unwrap_or_default();
        Ok(Self { key: SigningKey::new(&chat.secret)?, lifetime, rule })
    }

    /// How Chat wants a player named.
    #[must_use]
    pub const fn identity_rule(&self) -> &IdentityRule {
        &self.rule
    }

    /// Issues a token that lives for the configured lifetime, and never beyond `until`.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub fn issue(&self, identity: &Identity, now: Timestamp, until: Timestamp) -> Result<ZendeskToken, ChatError> {
        let claims = Claims::new(identity, now, until.min(now + self.lifetime))?;
        Ok(self.key.sign(&claims)?)
    }
}

impl<'a> Claims<'a> {
    /// The claims of a token from `now` to `exp`.
    ///
    /// # Errors
    /// The email is one that Chat refuses.
    pub fn new(identity: &'a Identity, now: Timestamp, exp: Timestamp) -> Result<Self, ChatError> {
        if !identity.email().is_ascii() {
            return Err(ChatError::EmailNotAscii);
        }
        Ok(Self { name: identity.name(), email: identity.email(), external_id: identity.external_id(), iat: now, exp })
    }
}
