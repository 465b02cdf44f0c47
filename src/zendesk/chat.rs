//! The claims of a token for Zendesk Chat.
//!
//! Claims and limits: support.zendesk.com, article 4408838925082.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::Identity;

/// The claims of a Chat token.
#[derive(Serialize)]
pub struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    external_id: &'a str,
    iat: Timestamp,
    exp: Timestamp,
}

impl<'a> Claims<'a> {
    /// The claims of a token from `now` to `exp`.
    ///
    /// # Errors
    /// The email is one that Chat refuses.
    pub fn new(player: &'a Identity<'_>, now: Timestamp, exp: Timestamp) -> Result<Self, IssueError> {
        let contact = player.contact().ok_or(IssueError::ContactMissing)?;
        if !contact.email.is_ascii() {
            return Err(IssueError::EmailNotAscii);
        }
        Ok(Self { name: contact.name, email: contact.email, external_id: contact.external_id, iat: now, exp })
    }
}
