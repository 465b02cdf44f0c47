//! The claims of a token for the Help Center in the Web Widget (Classic).
//!
//! Claims and limits: support.zendesk.com, article 4408843923610. It has no end of its own: Zendesk takes
//! it within 2 minutes of `iat`, once, and lets the session it opens end after 2 hours.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::{EmailStanding, Identity};
use super::signing_key::random_id;

/// The claims of a Help Center token.
#[derive(Serialize)]
pub struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    jti: String,
    iat: Timestamp,
}

impl<'a> Claims<'a> {
    /// The claims of a token issued at `now`.
    ///
    /// # Errors
    /// The login says that the email was not confirmed, the player was identified without one, or there are no random bytes.
    pub fn new(player: &'a Identity<'_>, now: Timestamp) -> Result<Self, IssueError> {
        if player.email_standing() == EmailStanding::Unconfirmed {
            return Err(IssueError::EmailUnconfirmed);
        }
        let (name, email) = player.name_and_email().ok_or(IssueError::ContactMissing)?;
        Ok(Self { name, email, jti: random_id()?, iat: now })
    }
}
