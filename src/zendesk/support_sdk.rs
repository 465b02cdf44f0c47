//! What does a token for the Support SDK in apps say?
//!
//! Claims and limits: developer.zendesk.com, *building-a-dedicated-jwt-endpoint-for-the-support-sdk*. It has no
//! end of its own: Zendesk's servers ask for it, and take it within 3 minutes of `iat`.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::Identity;
use super::token_id::TokenId;

/// The claims of a Support SDK token.
#[derive(Serialize)]
pub struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    external_id: &'a str,
    jti: &'a TokenId,
    iat: Timestamp,
}

impl<'a> Claims<'a> {
    /// The claims of a token issued at `now`.
    ///
    /// # Errors
    /// The player was identified without an email.
    pub fn new(player: &'a Identity<'_>, id: &'a TokenId, now: Timestamp) -> Result<Self, IssueError> {
        let contact = player.contact().ok_or(IssueError::ContactMissing)?;
        Ok(Self { name: contact.name, email: contact.email, external_id: contact.external_id, jti: id, iat: now })
    }
}
