//! What an API of the support desk says, in the words for a person.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use crate::config::problem::Problem;
use crate::http_client::CallError;
use crate::zendesk::conversations::{Conversations, Record, User};
use crate::zendesk::desk_api::{DeskApiError, Pause, Refused, TRIES};

use super::UsageError;
use super::words::printable;

/// An API, in the words of its settings.
pub struct Api {
    /// What it is called.
    pub name: &'static str,
    /// The settings that open it, behind their verb.
    pub login: &'static str,
    /// The settings that say where it is.
    pub place: &'static str,
    /// The setting of a private authority.
    pub ca_file: &'static str,
}

/// The API of `conflict`.
pub const CONVERSATIONS: Api = Api {
    name: "the Sunshine Conversations API",
    login: "are conversations.key_id and conversations.key_secret",
    place: "conversations.subdomain (or base_url) and conversations.app_id",
    ca_file: "conversations.ca_file",
};

/// The API of `visitor`.
pub const CHAT_API: Api = Api {
    name: "the Chat API",
    login: "is chat_api.token",
    place: "chat_api.subdomain (or base_url)",
    ca_file: "chat_api.ca_file",
};

/// Why users may be out of sight.
pub const BRAND: &str = "; where users are kept apart by brand, conversations.brand_id has to be the user's";

/// The API failed, or does not let us in.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ApiFailure(pub String);

impl Api {
    /// Tells a person at a terminal of each pause; a log or a script needs no word of it.
    pub fn tell(&self, pause: &Pause) {
        if io::stderr().is_terminal() {
            let (told, seconds) = (sentence(self, &pause.cause), pause.length.as_secs_f32());
            let _ = writeln!(io::stderr(), "{told}; again in {seconds:.1} s (try {} of {TRIES})", pause.next);
        }
    }

    /// What has an id; when there is nothing, that is said.
    ///
    /// # Errors
    /// No id, or the API.
    pub fn found<T>(
        &self,
        shown: Result<T, DeskApiError>,
        no_id: &'static str,
        missing: &str,
    ) -> anyhow::Result<Option<T>> {
        match shown {
            Ok(found) => Ok(Some(found)),
            Err(DeskApiError::Id) => Err(UsageError(no_id).into()),
            Err(DeskApiError::Missing) => {
                let _ = writeln!(io::stderr(), "{missing}");
                Ok(None)
            }
            Err(error) => Err(self.failure(&error).into()),
        }
    }

    /// What keeps an answer away, and the mend.
    #[must_use]
    pub fn failure(&self, error: &DeskApiError) -> ApiFailure {
        let (told, Self { login, place, ca_file, .. }) = (sentence(self, error), self);
        let mend = match error {
            DeskApiError::Call(CallError::Unreachable) => format!("; is {place} right, and the network up?"),
            DeskApiError::Call(CallError::Untrusted) => format!("; a private authority goes into {ca_file}"),
            DeskApiError::Call(CallError::TooLarge) | DeskApiError::Id | DeskApiError::NotAsDescribed => {
                format!("; is {place} right?")
            }
            DeskApiError::Missing => String::new(),
            DeskApiError::Call(CallError::TimedOut | CallError::Broken) => "; try again in a minute".to_owned(),
            DeskApiError::Refused(Refused { status, retry_after, .. }) => match status {
                300..=399 => format!(", which would lead elsewhere; is {place} right?"),
                401 => format!("; {login} right, and not revoked?"),
                403 => "; does that key have the right to this?".to_owned(),
                404 => format!("; is {place} right?"),
                408 | 429 | 500.. => {
                    let wait = retry_after.map_or("a minute".to_owned(), |wait| format!("{} s", wait.as_secs()));
                    format!("; try again in {wait}")
                }
                _ => String::new(),
            },
        };
        ApiFailure(told + &mend)
    }
}

/// Writes the settings' warnings to standard error, a line each.
pub fn warn(warnings: &[Problem]) {
    for warning in warnings {
        let _ = writeln!(io::stderr(), "Warning: {warning}");
    }
}

/// The user of an id or external id; when there is none, that is said.
///
/// # Errors
/// No id, or the API.
pub async fn find_user(conversations: &Conversations, id: &str) -> anyhow::Result<Option<Record>> {
    let shown = conversations.show(id).await;
    let missing = format!("no user of Messaging has the id or external id {}{BRAND}", printable(id));
    CONVERSATIONS.found(shown, "USER: is no id: empty, '.' or '..'", &missing)
}

fn sentence(Api { name, .. }: &Api, error: &DeskApiError) -> String {
    match error {
        DeskApiError::Call(CallError::Unreachable) => format!("{name} can't be reached"),
        DeskApiError::Call(CallError::Untrusted) => {
            format!("no TLS with {name}: its certificate is not believed, or it speaks none, or one too old")
        }
        DeskApiError::Call(CallError::TimedOut) => format!("{name} gave no answer within 10 s"),
        DeskApiError::Call(CallError::TooLarge) => format!("the answer of {name} is over 1 MiB"),
        DeskApiError::Call(CallError::Broken) => format!("the answer of {name} broke off or is no HTTP"),
        DeskApiError::Missing => format!("{name} knows nothing of it"),
        // An id that the API gave and that can't be one.
        DeskApiError::Id | DeskApiError::NotAsDescribed => {
            format!("the answer of {name} is not what its description says")
        }
        DeskApiError::Refused(Refused { status, code, title, .. }) => {
            let words: Vec<String> = [code, title].into_iter().flatten().map(|words| printable(words)).collect();
            let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(": ")) };
            format!("{name} answered with status {status}{words}")
        }
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

/// Names and values, one under the other; what is not there is left out. Both may be anybody's.
#[must_use]
pub fn table(rows: &[(&str, Option<String>)]) -> String {
    let rows = rows.iter().filter_map(|(name, value)| Some((printable(name), printable(value.as_ref()?))));
    let rows: Vec<(String, String)> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}
