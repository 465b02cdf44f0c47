//! Messages of the desk's commands: failed API calls with a fix, and users as tables.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use crate::config::Problem;
use crate::http_client::CallError;
use crate::terminal::{UsageError, printable};

use super::api::{ApiError, MAX_ATTEMPTS, OnRetry, Refusal, Retry};
use super::conversations::User;
use super::finding::Activity;

/// How messages name an API and its settings.
pub(super) struct ApiNames {
    name: &'static str,
    /// What to check if the API does not accept the key.
    credentials: &'static str,
    /// What to check if the key may not do this.
    rights: &'static str,
    endpoint: &'static str,
    ca_file: &'static str,
}

pub(super) static CONVERSATIONS: ApiNames = ApiNames {
    name: "the Conversations API",
    credentials: "the key's ID and secret (conversations.key_id and key_secret), and that the key was not revoked",
    rights: "the permissions of the API key: it must be a key of this app, and the plan must be Suite Professional or above",
    endpoint: "the address of your Zendesk (conversations.subdomain or base_url) and the app's ID (conversations.app_id)",
    ca_file: "conversations.ca_file",
};

pub(super) static CHAT_API: ApiNames = ApiNames {
    name: "the Chat API",
    credentials: "the access token (chat_api.token): that it was not revoked and has not expired (some live for 30 minutes)",
    rights: "the token: it needs the scope read, and its owner access to Chat; the account needs a plan with the Chat API",
    endpoint: "the address of your Zendesk (chat_api.subdomain or base_url)",
    ca_file: "chat_api.ca_file",
};

/// Why an existing user may not be found.
pub(super) const BRAND: &str =
    "; if users are separate for each brand, the settings need this user's brand (conversations.brand_id)";

/// A failed API call.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ApiFailure(pub(super) String);

impl ApiNames {
    /// Reports retries to a person at a terminal; scripts and logs do not need them.
    pub(super) fn reporter(&'static self) -> OnRetry {
        Box::new(|retry| {
            if io::stderr().is_terminal() {
                let _ = writeln!(io::stderr(), "{}", self.retry_text(retry));
            }
        })
    }

    pub(super) fn retry_text(&self, retry: &Retry) -> String {
        let (message, seconds) = (self.describe(&retry.cause), retry.delay.as_secs_f32());
        format!("{message}; trying again in {seconds:.1} s (attempt {} of {MAX_ATTEMPTS})", retry.attempt)
    }

    /// What was found. If there is nothing, prints `not_found`.
    pub(super) fn found<T>(
        &self,
        result: Result<T, ApiError>,
        invalid_id: &'static str,
        not_found: &str,
    ) -> anyhow::Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(ApiError::InvalidId) => Err(UsageError(invalid_id).into()),
            Err(ApiError::NotFound) => {
                let _ = writeln!(io::stderr(), "{not_found}");
                Ok(None)
            }
            Err(error) => Err(self.failure(&error).into()),
        }
    }

    /// The cause and the fix.
    pub(super) fn failure(&self, error: &ApiError) -> ApiFailure {
        let Self { credentials, rights, endpoint, ca_file, .. } = self;
        let fix = match error {
            ApiError::Call(CallError::Unreachable) => format!("; check {endpoint} and the network"),
            ApiError::Call(CallError::Untrusted) => format!("; if its CA is private, set {ca_file}"),
            ApiError::Call(CallError::TooLarge) | ApiError::InvalidId | ApiError::UnexpectedResponse => {
                format!("; check {endpoint}")
            }
            ApiError::NotFound => String::new(),
            ApiError::Call(CallError::TimedOut | CallError::Broken) => "; try again in a minute".to_owned(),
            ApiError::Refused(Refusal { status, retry_after, .. }) => match status {
                300..=399 => format!(", a redirect, which is not followed; check {endpoint}"),
                401 => format!("; check {credentials}"),
                402 | 403 => format!("; check {rights}"),
                404 => format!("; check {endpoint}"),
                408 | 429 | 500.. => {
                    let wait = retry_after.map_or("a minute".to_owned(), |wait| format!("{} s", wait.as_secs()));
                    format!("; try again in {wait}")
                }
                _ => String::new(),
            },
        };
        ApiFailure(self.describe(error) + &fix)
    }

    /// The cause, and the fix unless the error passes by itself: then it is for the caller to say what to do meanwhile.
    pub(super) fn cause(&self, error: &ApiError) -> String {
        if error.is_temporary() { self.describe(error) } else { self.failure(error).0 }
    }

    fn describe(&self, error: &ApiError) -> String {
        let name = self.name;
        match error {
            ApiError::Call(CallError::Unreachable) => format!("{name} can't be reached"),
            ApiError::Call(CallError::Untrusted) => {
                format!("no TLS with {name}: its certificate is not trusted, or it does not speak TLS 1.2 or later")
            }
            ApiError::Call(CallError::TimedOut) => format!("{name} did not answer within 10 s"),
            ApiError::Call(CallError::TooLarge) => format!("the response of {name} is over 8 MiB"),
            ApiError::Call(CallError::Broken) => format!("the response of {name} is incomplete or not HTTP"),
            ApiError::NotFound => format!("{name} has no such user"),
            // An invalid id here comes from a response of the API.
            ApiError::InvalidId | ApiError::UnexpectedResponse => {
                format!("the response of {name} does not match its description")
            }
            ApiError::Refused(Refusal { status, code, title, .. }) => {
                let details: Vec<String> = [code, title].into_iter().flatten().map(|text| printable(text)).collect();
                let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(": ")) };
                format!("{name} answered with status {status}{details}")
            }
        }
    }
}

/// Prints the settings' warnings to standard error.
pub(super) fn warn(warnings: &[Problem]) {
    for warning in warnings {
        let _ = writeln!(io::stderr(), "Warning: {warning}");
    }
}

/// The login id of `--expect`, which may be left out but not empty.
pub(super) fn expected(argument: Option<&str>) -> Result<Option<&str>, UsageError> {
    match argument.map(str::trim) {
        Some("") => Err(UsageError("--expect: is empty; give the player's login id (sub)")),
        expect => Ok(expect),
    }
}

/// An argument that can't be a user's id.
pub(super) const INVALID_ID: &str = "USER: is not an id (empty, '.' or '..')";

pub(super) fn no_user(id: &str) -> String {
    format!("no user of Messaging has the id or external id {}{BRAND}", printable(id))
}

/// A line on a terminal with a number that grows, wiped on drop; nothing if standard error is not a terminal.
pub(super) struct Progress(String);

impl Progress {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn show(&self, number: usize) {
        Self::write(&format!("{}{number}", self.0));
    }

    fn write(text: &str) {
        if io::stderr().is_terminal() {
            // Back to the start of the line, whose rest is erased (ECMA-48, CR and EL).
            let _ = write!(io::stderr(), "\r\u{1b}[K{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        Self::write("");
    }
}

/// What tables show for an external id that is missing.
pub(super) const NEVER_SIGNED_IN: &str = "none: never signed in";

/// A user's fields, with the conversations if they were counted.
pub(super) fn user_table(user: &User, activity: Option<&Activity>) -> String {
    let count =
        |activity: &Activity| format!("{}{}", if activity.more { "more than " } else { "" }, activity.conversations);
    let mut rows = vec![
        ("id", Some(user.id.clone())),
        ("external id", Some(user.external_id.clone().unwrap_or_else(|| NEVER_SIGNED_IN.to_owned()))),
        ("signed up", user.signed_up_at.clone()),
        ("Zendesk id", user.zendesk_id.clone()),
        ("brand", user.brand_id.clone()),
        ("conversations", activity.map(count)),
        ("last message", activity.and_then(|activity| activity.last_updated_at.clone())),
    ];
    for identity in &user.identities {
        let by = identity.verification.as_ref().map_or(String::new(), |by| format!(" (verification: {by})"));
        rows.push((identity.kind.as_str(), Some(identity.value.clone() + &by)));
    }
    table(&rows)
}

/// One line for each name that has a value. Both may be untrusted.
pub(super) fn table(rows: &[(&str, Option<String>)]) -> String {
    let rows = rows.iter().filter_map(|(name, value)| Some((printable(name), printable(value.as_ref()?))));
    let rows: Vec<(String, String)> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}
