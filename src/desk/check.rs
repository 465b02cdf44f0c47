//! Checks the settings of the support desk, and tries their keys without changing anything.

use std::io::{self, Write as _};
use std::path::Path;

use crate::config::{ConfigError, Problem, environment};
use crate::terminal::block_on;

use super::api::ApiError;
use super::chat_api::ChatApi;
use super::conversations::Conversations;
use super::messages::{CHAT_API, CONVERSATIONS};
use super::settings::{self, Sections};

/// An email that nobody has (RFC 2606 §2).
const NOBODY: &str = "nobody@example.invalid";

/// A visitor that no account has.
const NO_VISITOR: &str = "0.0";

/// Whether the settings are the support desk's alone, without any of the service.
pub(crate) fn is_alone(file: Option<&Path>) -> Result<bool, ConfigError> {
    let Sections { conversations, chat_api, service } = Sections::load(file, environment())?;
    Ok((conversations || chat_api) && !service)
}

/// Checks the sections that are set and prints them, and with `online` also tries their keys. Returns what is wrong with those.
///
/// # Errors
/// What is wrong with the settings.
pub(crate) fn run(file: Option<&Path>, online: bool) -> anyhow::Result<Vec<String>> {
    let sections = Sections::load(file, environment())?;
    let mut failures = Vec::new();
    if sections.conversations {
        let settings = settings::Conversations::load(file, environment())?;
        let endpoint = format!("Conversations API {}, app {}", settings.endpoint.url, settings.app_id);
        failures.extend(report(&endpoint, &settings.warnings, online.then(|| try_conversations(&settings)))?);
    }
    if sections.chat_api {
        let settings = settings::ChatApi::load(file, environment())?;
        let endpoint = format!("Chat API {}", settings.endpoint.url);
        failures.extend(report(&endpoint, &settings.warnings, online.then(|| try_chat_api(&settings)))?);
    }
    Ok(failures)
}

/// Prints a section, and returns why its key does not work.
fn report(
    endpoint: &str,
    warnings: &[Problem],
    check: Option<impl Future<Output = anyhow::Result<()>>>,
) -> anyhow::Result<Option<String>> {
    writeln!(io::stdout(), "\nSupport desk: {endpoint}")?;
    for warning in warnings {
        writeln!(io::stdout(), "  Warning: {warning}")?;
    }
    match check.map(block_on).transpose()? {
        Some(Err(error)) => return Ok(Some(format!("{error:#}"))),
        Some(Ok(())) => writeln!(io::stdout(), "  accepts the key")?,
        None => writeln!(io::stdout(), "  no errors")?,
    }
    Ok(None)
}

/// Lists the users with an email that nobody has.
///
/// # Errors
/// Why the API can't be used, and the fix.
pub(super) async fn try_conversations(settings: &settings::Conversations) -> anyhow::Result<()> {
    let conversations = Conversations::new(settings, |retry| CONVERSATIONS.report_retry(retry))?;
    match conversations.find(NOBODY).await {
        Ok(_) => Ok(()),
        Err(error) => Err(CONVERSATIONS.failure(&error).into()),
    }
}

/// Asks for a visitor that does not exist.
///
/// # Errors
/// Why the API can't be used, and the fix.
pub(super) async fn try_chat_api(settings: &settings::ChatApi) -> anyhow::Result<()> {
    let api = ChatApi::new(settings, |retry| CHAT_API.report_retry(retry))?;
    match api.visitor(NO_VISITOR).await {
        Ok(_) | Err(ApiError::NotFound) => Ok(()),
        Err(error) => Err(CHAT_API.failure(&error).into()),
    }
}
