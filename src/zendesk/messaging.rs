//! Builds the claims of a token for Messaging.
//!
//! Claims and limits: support.zendesk.com, articles 4411666638746 and 8851239832090;
//! developer.zendesk.com, *widget-messaging/web/authentication*.

use serde::Serialize;

use crate::login::Timestamp;

use super::IssueError;
use super::identity::Identity;
use super::signing_key::random_id;

#[derive(Serialize)]
pub(super) struct Claims<'a> {
    scope: &'static str,
    external_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// With `true`, Zendesk gives the player an email identity, and so the conversations of that email. The settings decide
    /// this; a login token can only deny it.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    jti: String,
    iat: Timestamp,
    exp: Timestamp,
}

impl<'a> Claims<'a> {
    pub(super) fn new(player: &'a Identity<'_>, now: Timestamp, exp: Timestamp) -> Result<Self, IssueError> {
        if is_contact(player.external_id()) {
            return Err(IssueError::ExternalIdIsContact);
        }
        Ok(Self {
            scope: "user",
            external_id: player.external_id(),
            name: player.name(),
            email: player.email(),
            email_verified: player.is_email_verified().then_some(true),
            jti: random_id()?,
            iat: now,
            exp,
        })
    }
}

/// Whether an external id looks like an email or a phone number (E.164, also in groups or as a `tel` URI), which another person
/// can get later.
pub(super) fn is_contact(external_id: &str) -> bool {
    let is_phone = |number: &str| number.len() > 6 && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = external_id.strip_prefix("tel:").unwrap_or(external_id).replace([' ', '(', ')', '-', '.'], "");
    external_id.contains('@') || number.strip_prefix('+').is_some_and(is_phone)
}
