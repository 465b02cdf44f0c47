//! Checks the settings of the support desk, and tries their keys without changing anything.

use crate::config::files::WatchedFiles;
use crate::config::reader::Reader;
use crate::config::{ConfigError, Problem};
use crate::terminal::{block_on, print};

use super::api::ApiError;
use super::chat_api::ChatApi;
use super::conversations::Conversations;
use super::messages::{CHAT_API, CONVERSATIONS};
use super::settings::{self, Sections};

/// An email that nobody has (RFC 2606 §2).
const NOBODY: &str = "nobody@example.invalid";

/// A visitor that no account has.
const NO_VISITOR: &str = "0.0";

/// The sections that are set.
pub(crate) struct Desk {
    pub(super) conversations: Option<settings::Conversations>,
    pub(super) chat_api: Option<settings::ChatApi>,
}

/// Whether the settings are the support desk's alone, without any of the service.
pub(crate) fn is_alone(merged: &Reader) -> Result<bool, ConfigError> {
    let Sections { conversations, chat_api, service, .. } = Sections::of(merged.clone())?;
    Ok((conversations || chat_api) && !service)
}

impl Desk {
    /// Loads the sections that are set.
    ///
    /// # Errors
    /// Everything that is wrong with them, and what is not a setting.
    pub(crate) fn of(merged: &Reader) -> Result<Self, ConfigError> {
        let sections = Sections::of(merged.clone())?;
        let conversations = sections.conversations.then(|| settings::Conversations::of(merged.clone()));
        let chat_api = sections.chat_api.then(|| settings::ChatApi::of(merged.clone()));
        let mut problems = sections.unknown;
        let mut add = |error: ConfigError| {
            for problem in error.problems {
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        };
        let conversations = conversations.transpose().map_err(&mut add).unwrap_or_default();
        let mut chat_api = chat_api.transpose().map_err(&mut add).unwrap_or_default();
        if let (Some(conversations), Some(chat_api)) = (&conversations, &mut chat_api) {
            // Both sections have the warnings about their file.
            chat_api.warnings.retain(|warning| !conversations.warnings.contains(warning));
        }
        if problems.is_empty() {
            Ok(Self { conversations, chat_api })
        } else {
            Err(ConfigError { problems, files: WatchedFiles::default() })
        }
    }

    /// Prints the sections, and with `online` also tries their keys. Returns what is wrong with those.
    pub(crate) fn check(&self, online: bool) -> anyhow::Result<Vec<String>> {
        let mut failures = Vec::new();
        if let Some(settings) = &self.conversations {
            let endpoint = format!("Conversations API {}, app {}", settings.endpoint.url, settings.app_id);
            failures.extend(report(&endpoint, &settings.warnings, online.then(|| try_conversations(settings)))?);
        }
        if let Some(settings) = &self.chat_api {
            let endpoint = format!("Chat API {}", settings.endpoint.url);
            failures.extend(report(&endpoint, &settings.warnings, online.then(|| try_chat_api(settings)))?);
        }
        Ok(failures)
    }
}

/// Prints a section, and returns why its key does not work.
fn report(
    endpoint: &str,
    warnings: &[Problem],
    check: Option<impl Future<Output = anyhow::Result<()>>>,
) -> anyhow::Result<Option<String>> {
    print(format!("\nSupport desk: {endpoint}\n"))?;
    for warning in warnings {
        print(format!("  Warning: {warning}\n"))?;
    }
    match check.map(block_on).transpose()? {
        Some(Err(error)) => return Ok(Some(format!("{error:#}"))),
        Some(Ok(())) => print("  accepts the key\n")?,
        None => print("  no errors\n")?,
    }
    Ok(None)
}

/// Lists the users with an email that nobody has.
///
/// # Errors
/// Why the API can't be used, and the fix.
pub(super) async fn try_conversations(settings: &settings::Conversations) -> anyhow::Result<()> {
    let conversations = Conversations::new(settings, CONVERSATIONS.reporter())?;
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
    let api = ChatApi::new(settings, CHAT_API.reporter())?;
    match api.visitor(NO_VISITOR).await {
        Ok(_) | Err(ApiError::NotFound) => Ok(()),
        Err(error) => Err(CHAT_API.failure(&error).into()),
    }
}
