//! Builds the claims of a token for Zendesk Chat.
//!
//! Claims and limits: support.zendesk.com, article 4408838925082.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::Identity;

#[derive(Serialize)]
pub(super) struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    external_id: &'a str,
    iat: Timestamp,
    exp: Timestamp,
}

impl<'a> Claims<'a> {
    pub(super) fn new(player: &'a Identity<'_>, now: Timestamp, exp: Timestamp) -> Result<Self, IssueError> {
        let (name, email) = player.name_and_email()?;
        if !email.is_ascii() {
            return Err(IssueError::EmailNotAscii);
        }
        Ok(Self { name, email, external_id: player.external_id(), iat: now, exp })
    }
}
