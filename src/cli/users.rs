//! How is a user of Messaging found and shown?

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;

use crate::zendesk::conversations::{Conversations, Record, Remedy, User};
use crate::zendesk::desk_error::{DeskApiError, ShowError};

use super::UsageError;
use super::desk::{CONVERSATIONS, table};
use super::words::printable;

/// Why users may be out of sight.
pub const BRAND: &str = "; where users are kept apart by brand, conversations.brand_id has to be the user's";

/// A user, as JSON tells of one.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    id: &'a str,
    external_id: Option<&'a str>,
    zendesk_id: Option<&'a str>,
    brand_id: Option<&'a str>,
    signed_up_at: Option<&'a str>,
    authenticated: Option<bool>,
    identities: Vec<ShownIdentity<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownIdentity<'a> {
    r#type: &'a str,
    value: &'a str,
    verification: Option<&'a str>,
}

/// The user of an id or external id; when there is none, that is said.
///
/// # Errors
/// No id, or the API.
pub async fn find_user(conversations: &Conversations, id: &str) -> anyhow::Result<Option<Record>> {
    match conversations.show(id, CONVERSATIONS.pausing()).await {
        Ok(record) => Ok(Some(record)),
        Err(ShowError::Id(_)) => Err(UsageError("USER: is no id: empty, '.' or '..'").into()),
        Err(ShowError::Api(DeskApiError::Missing)) => {
            let id = printable(id);
            let _ = writeln!(io::stderr(), "no user of Messaging has the id or external id {id}{BRAND}");
            Ok(None)
        }
        Err(ShowError::Api(error)) => Err(CONVERSATIONS.failure(&error).into()),
    }
}

/// A user, for a person.
#[must_use]
pub fn user_table(user: &User) -> String {
    let mut rows = vec![
        ("id", Some(user.id.clone())),
        ("external id", Some(user.external_id.clone().unwrap_or_else(|| "none: it never signed in".to_owned()))),
        ("signed up", user.signed_up_at.clone()),
        ("Zendesk id", user.zendesk_id.clone()),
        ("brand", user.brand_id.clone()),
    ];
    for identity in &user.identities {
        let by = identity.verification.as_ref().map_or(String::new(), |by| format!(" (verification: {by})"));
        rows.push((identity.kind.as_str(), Some(identity.value.clone() + &by)));
    }
    table(&rows)
}

impl<'a> Shown<'a> {
    /// What is shown of a user.
    #[must_use]
    pub fn new(user: &'a User) -> Self {
        let identities = user.identities.iter().map(|identity| ShownIdentity {
            r#type: &identity.kind,
            value: &identity.value,
            verification: identity.verification.as_deref(),
        });
        Self {
            id: &user.id,
            external_id: user.external_id.as_deref(),
            zendesk_id: user.zendesk_id.as_deref(),
            brand_id: user.brand_id.as_deref(),
            signed_up_at: user.signed_up_at.as_deref(),
            authenticated: user.authenticated,
            identities: identities.collect(),
        }
    }
}

/// What is there after a deletion.
pub struct Seen {
    /// The user; nothing when it is gone.
    pub user: Option<User>,
    /// Whoever has an email that was the user's.
    pub holders: Vec<User>,
}

impl Seen {
    /// Looks at a user, and at each email that it had.
    ///
    /// # Errors
    /// The API.
    pub async fn look(conversations: &Conversations, before: &User) -> Result<Self, DeskApiError> {
        let user = conversations.look_again(before, CONVERSATIONS.pausing()).await?.map(|record| record.user);
        // The user's own record counts for the user: a list may lag behind.
        let mut holders: Vec<User> = user.iter().filter(|user| user.emails().next().is_some()).cloned().collect();
        for email in before.emails() {
            let found = conversations.find(&email.value, CONVERSATIONS.pausing()).await?;
            holders.extend(found.into_iter().filter(|user| user.id != before.id));
        }
        Ok(Self { user, holders })
    }

    /// Whether a remedy has done what it is for.
    #[must_use]
    pub fn is_done(&self, remedy: Remedy) -> bool {
        self.user.as_ref().is_none_or(|user| remedy == Remedy::ForgetEmail && user.emails().next().is_none())
    }

    /// For a person.
    #[must_use]
    pub fn text(&self, before: &User, remedy: Remedy) -> String {
        let id = printable(&before.id);
        let mut text = match (self.is_done(remedy), &self.user) {
            (true, None) if remedy == Remedy::DeleteUser => {
                format!("Done: user {id} is gone, and its conversations.\n")
            }
            (true, None) => format!("Done: user {id} is gone.\n"),
            (true, Some(_)) => format!("Done: user {id} has no email any more, and keeps its conversations.\n"),
            (false, _) => format!(
                "The API took the request, but is not done: user {id} is still there. Look again in a minute, with conflict show.\n"
            ),
        };
        for holder in self.holders.iter().filter(|holder| holder.id != before.id) {
            let other = printable(&holder.id);
            let _ = writeln!(text, "The email is user {other}'s too: conflict find says more.");
        }
        text
    }
}
