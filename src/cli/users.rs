//! A user of Messaging, found and shown.

use std::io::{self, Write};

use crate::zendesk::conversations::{Conversations, Record, User};
use crate::zendesk::desk_api::DeskApiError;

use super::UsageError;
use super::desk::{CONVERSATIONS, table};
use super::words::printable;

/// Why users may be out of sight.
pub const BRAND: &str = "; where users are kept apart by brand, conversations.brand_id has to be the user's";

/// The user of an id or external id; when there is none, that is said.
///
/// # Errors
/// No id, or the API.
pub async fn find_user(conversations: &Conversations, id: &str) -> anyhow::Result<Option<Record>> {
    match conversations.show(id, CONVERSATIONS.pausing()).await {
        Ok(record) => Ok(Some(record)),
        Err(DeskApiError::Id) => Err(UsageError("USER: is no id: empty, '.' or '..'").into()),
        Err(DeskApiError::Missing) => {
            let id = printable(id);
            let _ = writeln!(io::stderr(), "no user of Messaging has the id or external id {id}{BRAND}");
            Ok(None)
        }
        Err(error) => Err(CONVERSATIONS.failure(&error).into()),
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
