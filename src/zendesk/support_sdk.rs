//! Builds the claims of a token for the Support SDK in apps.
//!
//! Claims and limits: developer.zendesk.com, *building-a-dedicated-jwt-endpoint-for-the-support-sdk*. The token
//! has no `exp`: Zendesk's servers request it, and accept it within 3 minutes of `iat`.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::Identity;
use super::signing_key::random_id;

#[derive(Serialize)]
pub(super) struct Claims<'a> {
    name: &'a str,
    email: &'a str,
    external_id: &'a str,
    jti: String,
    iat: Timestamp,
}

impl<'a> Claims<'a> {
    pub(super) fn new(player: &'a Identity<'_>, now: Timestamp) -> Result<Self, IssueError> {
        let (name, email) = player.name_and_confirmed_email()?;
        Ok(Self { name, email, external_id: player.external_id(), jti: random_id()?, iat: now })
    }
}
