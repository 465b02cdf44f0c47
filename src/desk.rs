//! The support desk: commands and a page that resolve conflicts of users in Messaging, and show visitors of Chat.

mod api;
mod chat_api;
pub(crate) mod check;
mod conflict;
mod conversations;
mod finding;
mod messages;
mod page;
mod record;
mod remedy;
mod resolve;
pub mod settings;
mod visitor;

pub use chat_api::{Scalar, Visitor};
pub use conversations::{User, UserIdentity};
pub(crate) use page::TokenPlayer;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use crate::terminal::EXIT_USAGE;

/// Exit status when an API failed or refused the key.
const EXIT_API: u8 = 3;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Open the support desk in the browser: fix a player's 409 in Messaging, show visitors of Chat
    #[command(after_help = page::AFTER_HELP, after_long_help = page::AFTER_HELP)]
    Desk(page::Arguments),
    /// Find and fix what makes Messaging refuse a player with 409: another user with the player's email
    #[command(after_help = conflict::AFTER_HELP, after_long_help = conflict::AFTER_HELP)]
    Conflict(conflict::Arguments),
    /// Show a visitor of Chat, and whether it is linked to a login
    #[command(after_help = visitor::AFTER_HELP, after_long_help = visitor::AFTER_HELP)]
    Visitor(visitor::Arguments),
}

/// Runs a command with the settings of a file and of the environment. `player_in` reads the player from pasted text.
pub(crate) fn run(
    command: &Command,
    file: Option<&Path>,
    player_in: fn(&str) -> TokenPlayer,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Desk(arguments) => page::run(arguments, file, player_in).map(|()| ExitCode::SUCCESS),
        Command::Conflict(arguments) => conflict::run(arguments, file),
        Command::Visitor(arguments) => visitor::run(arguments, file),
    }
}

/// The exit status of an error of this module; `None` for other errors.
pub(crate) fn exit_status(error: &anyhow::Error) -> Option<u8> {
    if error.is::<messages::ApiFailure>() {
        Some(EXIT_API)
    } else {
        let is_argument = error.is::<record::BackupError>() || error.is::<resolve::ImpossibleMerge>();
        (is_argument || error.is::<page::NoSection>()).then_some(EXIT_USAGE)
    }
}
