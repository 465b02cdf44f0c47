//! The command line: arguments, subcommands, exit statuses.

pub mod words;
mod serve;
pub mod players;
pub mod wire;
pub mod journey;
pub mod session;
pub mod shop;
pub mod demo;
mod check;
mod inspect;
mod healthcheck;
pub mod desk;
pub mod resolve;
pub mod conflict;
pub mod visitor;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use rlimit::Resource;
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tokio::runtime::Runtime;

use crate::config::problem::ConfigError;
use crate::config::secret::Secret;
use crate::config::settings::{FILE_VARIABLE, SETTINGS};
use crate::exchange::BuildError;
use crate::http::openapi;
use crate::server::tls::TlsError;
use crate::zendesk::desk_api::DeskClientError;

use desk::ApiFailure;
use resolve::BackupError;

/// The arguments are right, but what should come with them is not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(&'static str);

/// Exit status when the settings are wrong; clap uses the same for wrong arguments.
const EXIT_SETTINGS: u8 = 2;

/// Exit status when an API of the support desk failed, or does not let us in.
const EXIT_API: u8 = 3;

/// Exchanges an Xsolla Login token for a Zendesk token, so that support agents see the real player.
#[derive(Debug, Parser)]
#[command(name = "zendesk-token", version, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Settings file (TOML); the environment variable `ZENDESK_TOKEN_CONFIG` names one as well
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
First steps:
  zendesk-token demo                      try it on this machine, no settings needed
  zendesk-token check --config FILE       say what is wrong with the settings, and what would run
  zendesk-token serve --config FILE       run the service
  zendesk-token inspect --config FILE     say what is wrong with a login token or a Zendesk token
  zendesk-token conflict --help           mend a player's chat that ends in a 409
  zendesk-token serve --help              every setting, with its default and environment variable";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT
    #[command(after_long_help = settings_help())]
    Serve,
    /// Show the service on this machine alone: a page with a pretend shop, and ready curl lines
    #[command(after_help = demo::AFTER_HELP)]
    Demo(demo::Arguments),
    /// Check the settings and print what would run; exit status 0, 2 when they are wrong, online 1 when the Login API fails or the clock is off
    #[command(after_long_help = settings_help())]
    Check(check::Arguments),
    /// Explain the token on standard input: what it says, whether it is good, and if not, why
    #[command(after_help = inspect::AFTER_HELP, after_long_help = inspect::AFTER_HELP)]
    Inspect(inspect::Arguments),
    /// Ask the running service's admin listener whether it is ready; exit status 0 or 1, within 3 s
    Healthcheck,
    /// Find and mend what keeps a player out of Messaging with a 409: another user that has the player's email
    #[command(after_help = conflict::AFTER_HELP, after_long_help = conflict::AFTER_HELP)]
    Conflict(conflict::Arguments),
    /// Show a visitor of Chat, and whether it is linked to a login
    #[command(after_help = visitor::AFTER_HELP, after_long_help = visitor::AFTER_HELP)]
    Visitor(visitor::Arguments),
    /// Print a fresh secret of 256 random bits, as 64 hexadecimal digits
    Secret,
    /// Print the OpenAPI document of the routes, which the service also answers at /openapi.json
    Openapi,
}

/// Runs the command that the arguments name.
///
/// Exit status: 0 done, 1 failed, 2 wrong arguments or settings, 3 an API of the support desk failed.
#[must_use]
pub fn run() -> ExitCode {
    forbid_core_dumps();
    // By name, since the library panics at its first use where another crate turns on a second provider of it.
    let _ = DEFAULT_PROVIDER.install_default();
    let arguments = Arguments::parse();
    let config = arguments.config.as_deref();
    if config.is_some() && matches!(arguments.command, Command::Demo(_) | Command::Secret | Command::Openapi) {
        let message = "--config: this command reads no settings; drop it";
        Arguments::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let ended = match arguments.command {
        Command::Serve => done(serve::run(config)),
        Command::Demo(demo) => done(demo::run(&demo)),
        Command::Check(check) => done(check::run(&check, config)),
        Command::Inspect(inspect) => inspect::run(&inspect, config),
        Command::Healthcheck => done(healthcheck::run(config)),
        Command::Conflict(conflict) => conflict::run(&conflict, config),
        Command::Visitor(visitor) => visitor::run(&visitor, config),
        Command::Secret => done(secret()),
        Command::Openapi => done(print(openapi::text())),
    };
    ended.unwrap_or_else(|error| report(&error))
}

/// Keeps secrets out of core dumps: none is written. Where the system refuses one of the two calls, the other still holds.
fn forbid_core_dumps() {
    let _ = Resource::CORE.set(0, 0);
    // A dump that goes to a program (`core_pattern` with a pipe, as systemd-coredump and apport set it) ignores that limit.
    #[cfg(target_os = "linux")]
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Tells the person what went wrong. A standard error that is closed is no reason to fail twice.
fn report(error: &anyhow::Error) -> ExitCode {
    let is_authority = matches!(error.downcast_ref(), Some(BuildError::Client(_)));
    let is_desk = error.is::<DeskClientError>() || error.is::<BackupError>();
    let is_settings = error.is::<ConfigError>() || error.is::<UsageError>() || error.is::<TlsError>();
    let _ = writeln!(io::stderr(), "{error:#}");
    if is_settings || is_authority || is_desk {
        ExitCode::from(EXIT_SETTINGS)
    } else if error.is::<ApiFailure>() {
        ExitCode::from(EXIT_API)
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a future to its end. A look-up of a name may go on by then, which nothing can end and nobody needs.
fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Runtime::new()?;
    let output = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(output)
}

/// Prints what a command has for standard output.
///
/// # Errors
/// Standard output is closed.
fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(text.as_ref())?)
}

/// Prints a secret of 256 random bits.
fn secret() -> anyhow::Result<()> {
    print([Secret::generate()?.bytes(), b"\n"].concat())
}

/// Every setting with its environment variable, default and meaning.
fn settings_help() -> String {
    let mut text = format!(
        "Settings come from a TOML file (--config or {FILE_VARIABLE}) and from environment variables, which win.\n\
         In the file a setting stands in its section: login.secret is 'secret' under [login].\n\n"
    );
    for setting in SETTINGS {
        let default = setting.default.map_or(String::new(), |default| format!(" [{default}]"));
        let _ = writeln!(text, "  {}{default}\n      {}\n      {}", setting.key, setting.variable(), setting.help);
    }
    text
}
