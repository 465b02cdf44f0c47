//! The claims of a token for the Support SDK in apps.
//!
//! Claims and limits: developer.zendesk.com, *building-a-dedicated-jwt-endpoint-for-the-support-sdk*. It has no
//! end of its own: Zendesk's servers ask for it, and take it within 3 minutes of `iat`.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::{EmailStanding, Identity};
use super::signing_key::random_id;

/// The claims of a Support SDK token.
#[derive(Serialize)]
pub struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    external_id: &'a str,
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
        Ok(Self { name, email, external_id: player.external_id(), jti: random_id()?, iat: now })
    }
}
