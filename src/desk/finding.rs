//! Finds the users that have an email, and says which of them conflict with a player.

use serde::Serialize;

use crate::terminal::printable;

use super::api::ApiError;
use super::conversations::{Conversations, User};
use super::messages::BRAND;

/// The users that have an email, and the login id that should have it.
pub(super) struct Finding<'a> {
    pub(super) email: &'a str,
    /// The player's present login id, which should be the external id of the email's user.
    pub(super) expect: Option<&'a str>,
    pub(super) users: Vec<User>,
}

/// How much a user has written.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Activity {
    /// Number of conversations.
    pub(super) conversations: usize,
    /// Whether there are more than were counted.
    pub(super) more: bool,
    /// When the last message came.
    pub(super) last_updated_at: Option<String>,
}

impl<'a> Finding<'a> {
    pub(super) async fn load(
        conversations: &Conversations,
        email: &'a str,
        expect: Option<&'a str>,
    ) -> Result<Self, ApiError> {
        Ok(Self { email, expect, users: conversations.find(email).await? })
    }

    /// The users that conflict with the expected login id.
    pub(super) fn conflicting(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| self.expect.is_some_and(|expect| conflicts(user, expect)))
    }

    /// Whether a user conflicts with the expected one; `None` without an expected one.
    pub(super) fn is_conflict(&self) -> Option<bool> {
        self.expect.map(|_| self.conflicting().next().is_some())
    }

    /// What was found, as one sentence; empty if users were found and none is expected.
    pub(super) fn sentence(&self) -> String {
        let conflicting: Vec<&User> = self.conflicting().collect();
        match (self.expect, conflicting.as_slice()) {
            _ if self.users.is_empty() => {
                format!("No user of Messaging has the email {}{BRAND}.", printable(self.email))
            }
            (None, _) => String::new(),
            (Some(expect), []) => {
                let owner = self.users.iter().find_map(|user| user.external_id.as_deref()).unwrap_or(expect);
                let (owner, expect) = (printable(owner), printable(expect));
                if owner == expect {
                    format!("No conflict: no other login id than {expect} has this email.")
                } else {
                    format!(
                        "No conflict: the email belongs to {owner}, which differs from {expect} only in upper and lower case or spaces."
                    )
                }
            }
            (Some(expect), users) => {
                let owner = |user: &&User| {
                    let external_id = user.external_id.as_deref().unwrap_or_default();
                    format!("{} (user {})", printable(external_id), printable(&user.id))
                };
                let owners = users.iter().map(owner).collect::<Vec<_>>().join(" and ");
                let expect = printable(expect);
                format!("Conflict: the email belongs to {owners}, so Messaging refuses {expect} with 409.")
            }
        }
    }
}

/// Whether Messaging refuses a player with this login id while the user has the player's email: the user signed in with another
/// login id. Upper and lower case are the same to Zendesk (developer.zendesk.com, *Using external ID with profiles*),
/// and white space is a mistake of copying.
pub(super) fn conflicts(user: &User, login_id: &str) -> bool {
    user.external_id.is_some() && !user.has_login_id(login_id)
}

/// Whether two login ids differ at most in case and in white space around them.
pub(super) fn is_same_login_id(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// Counts a user's conversations, as [`Conversations::conversations`] lists them.
pub(super) async fn activity(
    conversations: &Conversations,
    user: &User,
    max_pages: usize,
    progress: impl Fn(usize),
) -> Result<Activity, ApiError> {
    let (list, more) = conversations.conversations(&user.id, max_pages, progress).await?;
    // Dates of one format in UTC, so that the greatest text is the latest date.
    let last_updated_at = list.iter().filter_map(|conversation| conversation.last_updated_at.clone()).max();
    Ok(Activity { conversations: list.len(), more, last_updated_at })
}
