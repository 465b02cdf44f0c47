//! The command line: arguments, subcommands, exit statuses.

mod serve;
mod check;
#[cfg(feature = "generate")]
mod generate;
mod inspect;
mod healthcheck;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
#[cfg(unix)]
use rlimit::Resource;
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::config::ConfigError;
use crate::config::secret::Secret;
use crate::config::settings::{self, FILE_VARIABLE, SETTINGS};
#[cfg(feature = "demo")]
use crate::demo;
#[cfg(feature = "desk")]
use crate::desk;
use crate::http::openapi;
use crate::terminal::{EXIT_USAGE, UsageError, print};

/// Exchanges the login token of a signed-in player for a Zendesk token, so that support agents see the real player.
#[derive(Debug, Parser)]
#[command(name = "zendesk-token", version, after_help = first_steps())]
#[command(arg_required_else_help = true, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[arg(long, global = true, value_name = "FILE", help = "Settings file (TOML) [env: ZENDESK_TOKEN_CONFIG]")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT
    #[command(after_long_help = settings_help())]
    Serve,
    /// Try the service on this machine: a web page with a pretend shop, and curl commands to copy
    #[cfg(feature = "demo")]
    #[command(after_help = demo::AFTER_HELP)]
    Demo(demo::Arguments),
    /// Check the settings and show what would run; exit status 0 good, 2 wrong settings, 1 --online found a problem
    #[command(after_long_help = settings_help())]
    Check(check::Arguments),
    /// Explain the token on standard input: its content, whether it is valid, and if not, why
    #[command(after_help = inspect::AFTER_HELP, after_long_help = inspect::AFTER_HELP)]
    Inspect(inspect::Arguments),
    /// Ask the running service's admin listener whether it is ready; exit status 0 or 1, within 3 s
    Healthcheck,
    #[cfg(feature = "desk")]
    #[command(flatten)]
    Desk(desk::Command),
    /// Print a new secret of 256 random bits, as 64 hexadecimal digits
    Secret,
    /// Print the OpenAPI document of the routes, which the service also serves at /openapi.json
    Openapi,
    /// Print the completions of a shell: source them, or save them where the shell looks for them
    #[cfg(feature = "generate")]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write a man page for each command into a folder
    #[cfg(feature = "generate")]
    Man {
        /// An existing folder
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Print the JSON schema of the settings file, with which editors complete and check it
    #[cfg(feature = "generate")]
    Schema,
}

/// Runs the command that the arguments name.
///
/// Exit status: 0 done, 1 failed, 2 wrong arguments or settings, 3 an API of the support desk failed.
#[must_use]
pub fn run() -> ExitCode {
    forbid_core_dumps();
    // Explicit, because the library panics at its first use if a dependency enables a second provider.
    let _ = DEFAULT_PROVIDER.install_default();
    let Arguments { command, config } = Arguments::parse();
    if config.is_some() && !command.reads_settings() {
        let message = "--config: this command reads no settings; remove it";
        Arguments::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    let config = config.as_deref();
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let ended = match command {
        Command::Serve => done(serve::run(config)),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => done(demo::run(&arguments, pasted_token)),
        Command::Check(arguments) => done(check::run(&arguments, config)),
        Command::Inspect(arguments) => inspect::run(&arguments, config),
        Command::Healthcheck => done(healthcheck::run(config)),
        #[cfg(feature = "desk")]
        Command::Desk(command) => desk::run(&command, config, player_in),
        Command::Secret => done(secret()),
        Command::Openapi => done(print(openapi::text())),
        #[cfg(feature = "generate")]
        Command::Completions { shell } => done(generate::completions(Arguments::command(), shell)),
        #[cfg(feature = "generate")]
        Command::Man { folder } => done(generate::man(Arguments::command(), &folder)),
        #[cfg(feature = "generate")]
        Command::Schema => done(generate::schema()),
    };
    ended.unwrap_or_else(|error| report(&error))
}

impl Command {
    const fn reads_settings(&self) -> bool {
        #[cfg(feature = "demo")]
        if matches!(self, Self::Demo(_)) {
            return false;
        }
        #[cfg(feature = "generate")]
        if matches!(self, Self::Completions { .. } | Self::Man { .. } | Self::Schema) {
            return false;
        }
        !matches!(self, Self::Secret | Self::Openapi)
    }
}

/// Keeps secrets out of core dumps. If the system refuses one of the two calls, the other still works.
fn forbid_core_dumps() {
    #[cfg(unix)]
    let _ = Resource::CORE.set(0, 0);
    // Dumps to a program (`core_pattern` with a pipe, as for systemd-coredump and apport) ignore that limit.
    #[cfg(target_os = "linux")]
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Prints an error and chooses the exit status.
fn report(error: &anyhow::Error) -> ExitCode {
    // A closed standard error must not hide the exit status.
    let _ = writeln!(io::stderr(), "{error:#}");
    #[cfg(feature = "desk")]
    if let Some(status) = desk::exit_status(error) {
        return ExitCode::from(status);
    }
    let is_usage = error.is::<ConfigError>() || error.is::<UsageError>();
    if is_usage { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
}

fn secret() -> anyhow::Result<()> {
    print([Secret::generate()?.bytes(), b"\n"].concat())
}

/// The token in pasted text, or else the text itself, without white space.
#[cfg(feature = "demo")]
fn pasted_token(text: &str) -> String {
    let token =
        inspect::input::Pasted::read(text.as_bytes(), "token").map_or_else(|_| text.into(), |pasted| pasted.token);
    String::from_utf8_lossy(&token).split_ascii_whitespace().collect()
}

/// The email and the login id of the token in pasted text, unverified.
#[cfg(feature = "desk")]
fn player_in(text: &str) -> desk::TokenPlayer {
    let Ok(pasted) = inspect::input::Pasted::read(text.as_bytes(), "token") else {
        return desk::TokenPlayer::default();
    };
    let decoded = inspect::decoded_token::DecodedToken::read(&pasted.token);
    let claim = |name| decoded.claim_text(name).map(str::to_owned);
    desk::TokenPlayer { email: claim("email"), external_id: claim("external_id").or_else(|| claim("sub")) }
}

/// Example commands, without those of features that are off.
fn first_steps() -> String {
    let steps = [
        (cfg!(feature = "demo"), "demo                      try it on this machine, without settings"),
        (true, "check --config FILE       check the settings, and show what would run"),
        (true, "serve --config FILE       run the service"),
        (true, "inspect --config FILE     explain a login token or a Zendesk token"),
        (cfg!(feature = "desk"), "desk                      fix a player's chat that ends in a 409, in the browser"),
        (true, "serve --help              list every setting with its default and environment variable"),
    ];
    let steps = steps.into_iter().filter(|(is_built, _)| *is_built);
    steps.fold("First steps:".to_owned(), |text, (_, step)| text + "\n  zendesk-token " + step)
}

/// Every setting with its environment variable, default and meaning.
fn settings_help() -> String {
    let mut text = format!(
        "Settings come from a TOML file (--config or {FILE_VARIABLE}) and from environment variables, which override it.\n\
         In the file a setting is in its section: login.secret is 'secret' under [login].\n\
         Each further login has a section [logins.NAME] with the settings of [login], except cookie, bearer, leeway and \
         max_lifetime: logins.eu.secret, {}.\n\n",
        settings::variable("logins.eu.secret")
    );
    for setting in SETTINGS {
        let default = setting.default.map_or(String::new(), |default| format!(" [{default}]"));
        let _ = writeln!(text, "  {}{default}\n      {}\n      {}", setting.key, setting.variable(), setting.help);
    }
    text
}
