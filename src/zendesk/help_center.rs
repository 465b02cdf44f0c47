//! What does a token for the Help Center in the Web Widget (Classic) say?
//!
//! Claims and limits: support.zendesk.com, article 4408843923610. It has no end of its own: Zendesk takes
//! it within 2 minutes of `iat`, once, and lets the session it opens end after 2 hours.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::Identity;
use super::token_id::TokenId;

/// The claims of a Help Center token.
#[derive(Serialize)]
pub struct Claims<'a> {
    name: &'a str,
    email: &'a str,
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
        Ok(Self { name: contact.name, email: contact.email, jti: id, iat: now })
    }
}
