//! `conflict`: finds and resolves conflicts in Messaging, where another user has a player's email.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::config::environment;
use crate::terminal::{UsageError, block_on, json, print, printable};

use super::conversations::{Conversations, MAX_PAGES, Record, User};
use super::finding::{Activity, Finding};
use super::messages::{CONVERSATIONS, INVALID_ID, Progress, expected, no_user, user_table, warn};
use super::remedy::{REMEDIES, Remedy};
use super::{finding, resolve, settings};

pub(super) const AFTER_HELP: &str = "\
Messaging refuses a player with 409 when another user has the player's email:

  zendesk-token conflict find --email jane@example.com --expect LOGIN-ID
  zendesk-token conflict resolve USER --merge-into LOGIN-ID

The merge was tested against a stand-in of the documented API, not against an account of Zendesk.

Settings: only [conversations]. Exit status: 0 done (find: users were found), 1 nothing found, declined, or the user has changed,
2 wrong arguments or settings, 3 the API failed, refused the key or has not finished yet.";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the users that have an email, and say whether one of them conflicts with a player
    Find(Find),
    /// Show one user, by its id or external id
    Show(Show),
    /// Free a user's email, after showing the user, asking, and saving its record to a file
    Resolve(resolve::Arguments),
}

#[derive(Debug, clap::Args)]
struct Find {
    /// The player's email
    #[arg(long, value_name = "EMAIL")]
    email: String,

    /// The player's login id (sub), which should be the external id of the email's user
    #[arg(long, value_name = "SUB", allow_hyphen_values = true)]
    expect: Option<String>,

    /// Also count each user's conversations
    #[arg(long)]
    count: bool,

    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The user's id or external id
    #[arg(value_name = "USER")]
    user: String,

    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// The output of `conflict find --json`.
#[derive(Serialize)]
struct Found<'a> {
    email: &'a str,
    expect: Option<&'a str>,
    /// Whether a user conflicts with the expected one; `None` without an expected one.
    conflict: Option<bool>,
    /// Ids of the users that conflict.
    in_the_way: Vec<&'a str>,
    users: Vec<CountedUser<'a>>,
}

#[derive(Serialize)]
struct CountedUser<'a> {
    #[serde(flatten)]
    user: &'a User,
    /// The conversations, if they were counted.
    #[serde(flatten)]
    activity: Option<Activity>,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let settings = settings::Conversations::load(file, &environment())?;
    warn(&settings.warnings);
    let conversations = Conversations::new(&settings, CONVERSATIONS.reporter())?;
    block_on(async {
        match &arguments.action {
            Action::Find(find) => find.run(&conversations, file).await,
            Action::Show(show) => show.run(&conversations).await,
            Action::Resolve(resolve) => resolve::run(resolve, &conversations).await,
        }
    })?
}

impl Find {
    async fn run(&self, conversations: &Conversations, file: Option<&Path>) -> anyhow::Result<ExitCode> {
        let email = self.email.trim();
        if !email.contains('@') {
            return Err(UsageError("--email: is not an email; give the player's whole email").into());
        }
        let expect = expected(self.expect.as_deref())?;
        let finding = Finding::load(conversations, email, expect).await;
        let finding = finding.map_err(|error| CONVERSATIONS.failure(&error))?;
        let mut users = Vec::new();
        for user in &finding.users {
            let activity = if self.count { Some(count(conversations, user).await?) } else { None };
            users.push(CountedUser { user, activity });
        }
        let is_empty = users.is_empty();
        print(if self.json {
            json(&Found {
                email,
                expect: finding.expect,
                conflict: finding.is_conflict(),
                in_the_way: finding.conflicting().map(|user| user.id.as_str()).collect(),
                users,
            })?
        } else {
            text(&finding, &users, file)
        })?;
        Ok(if is_empty { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Counts a user's conversations. Long lists show progress on a terminal.
async fn count(conversations: &Conversations, user: &User) -> anyhow::Result<Activity> {
    let progress = Progress::new(format!("counting the conversations of user {}: ", printable(&user.id)));
    let activity = finding::activity(conversations, user, MAX_PAGES, |so_far| progress.show(so_far)).await;
    drop(progress);
    Ok(activity.map_err(|error| CONVERSATIONS.failure(&error))?)
}

fn text(finding: &Finding<'_>, users: &[CountedUser<'_>], file: Option<&Path>) -> String {
    let email = printable(finding.email);
    let mut text = match users.len() {
        0 => return finding.sentence() + "\n",
        1 => format!("One user of Messaging has the email {email}:\n\n"),
        count => format!("{count} users of Messaging have the email {email}:\n\n"),
    };
    for CountedUser { user, activity } in users {
        text += &user_table(user, activity.as_ref());
        text.push('\n');
    }
    let Some(expect) = finding.expect else {
        text += "If the external id is not the player's login id (sub), Messaging refuses the player with 409.\n\
                 --expect SUB compares the two.\n";
        return text;
    };
    text += &finding.sentence();
    text.push('\n');
    let config = file.map_or(String::new(), |file| format!(" --config {}", shell_word(&file.to_string_lossy())));
    for user in finding.conflicting() {
        let resolve = format!("zendesk-token conflict resolve {}{config}", shell_word(&user.id));
        let _ = write!(
            text,
            "To free the email of user {}, run one of these, the gentlest first:\n\n",
            printable(&user.id)
        );
        for remedy in REMEDIES {
            let into = if remedy == Remedy::Merge { format!(" {}", shell_word(expect)) } else { String::new() };
            let _ = writeln!(text, "  {resolve} --{}{into}\n    {}", remedy.name(), remedy.summary());
        }
    }
    text
}

impl Show {
    async fn run(&self, conversations: &Conversations) -> anyhow::Result<ExitCode> {
        let result = conversations.show(&self.user).await;
        let Some(Record { user, .. }) = CONVERSATIONS.found(result, INVALID_ID, &no_user(&self.user))? else {
            return Ok(ExitCode::FAILURE);
        };
        print(if self.json { json(&user)? } else { user_table(&user, None) })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Text quoted as one argument of a shell command to copy (POSIX shells; PowerShell if it has no quotes).
fn shell_word(text: &str) -> String {
    let text = printable(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
