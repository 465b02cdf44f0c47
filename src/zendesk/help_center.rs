//! Builds the claims of a token for the Help Center in the Web Widget (Classic).
//!
//! Claims and limits: support.zendesk.com, article 4408843923610. The token has no `exp`:
//! Zendesk accepts it once, within 2 minutes of `iat`. The session that it opens ends after 2 hours.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::Identity;
use super::signing_key::random_id;

#[derive(Serialize)]
pub(super) struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    jti: String,
    iat: Timestamp,
}

impl<'a> Claims<'a> {
    pub(super) fn new(player: &'a Identity<'_>, now: Timestamp) -> Result<Self, IssueError> {
        let (name, email) = player.name_and_confirmed_email()?;
        Ok(Self { name, email, jti: random_id()?, iat: now })
    }
}
