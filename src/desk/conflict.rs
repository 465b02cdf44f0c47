//! `conflict`: finds and resolves conflicts in Messaging, where another user has a player's email.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::config::environment;
use crate::terminal::{UsageError, block_on, json, print, printable};

use super::conversations::{Conversations, Record, User};
use super::messages::{BRAND, CONVERSATIONS, find_user, user_table, warn};
use super::{resolve, settings};

pub(super) const AFTER_HELP: &str = "\
Messaging refuses a player with 409 when another user has the player's email:

  zendesk-token conflict find --email jane@example.com --expect LOGIN-ID
  zendesk-token conflict resolve USER --forget-email

Settings: only [conversations]. Exit status: 0 done (find: users were found), 1 nothing found, declined, or the user has changed,
2 wrong arguments or settings, 3 the API failed, refused the key or has not deleted the data yet.";

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
    #[arg(long, value_name = "SUB")]
    expect: Option<String>,

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
    users: &'a [User],
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let settings = settings::Conversations::load(file, environment())?;
    warn(&settings.warnings);
    let conversations = Conversations::new(&settings, |retry| CONVERSATIONS.report_retry(retry))?;
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
        let users = conversations.find(email).await;
        let users = users.map_err(|error| CONVERSATIONS.failure(&error))?;
        let conflicting = self.conflicting(&users);
        print(if self.json {
            json(&Found {
                email,
                expect: self.expect.as_deref(),
                conflict: self.expect.as_ref().map(|_| !conflicting.is_empty()),
                in_the_way: conflicting.iter().map(|user| user.id.as_str()).collect(),
                users: &users,
            })?
        } else {
            self.text(email, &users, &conflicting, file)
        })?;
        Ok(if users.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// The users that have a login id, but not the expected one.
    fn conflicting<'a>(&self, users: &'a [User]) -> Vec<&'a User> {
        let is_another = |user: &&User| {
            let expected = self.expect.as_deref();
            expected.is_some() && user.external_id.is_some() && user.external_id.as_deref() != expected
        };
        users.iter().filter(is_another).collect()
    }

    fn text(&self, email: &str, users: &[User], conflicting: &[&User], file: Option<&Path>) -> String {
        let email = printable(email);
        let mut text = match users.len() {
            0 => return format!("No user of Messaging has the email {email}{BRAND}.\n"),
            1 => format!("One user of Messaging has the email {email}:\n\n"),
            count => format!("{count} users of Messaging have the email {email}:\n\n"),
        };
        for user in users {
            text += &user_table(user);
            text.push('\n');
        }
        let Some(expect) = self.expect.as_deref().map(printable) else {
            text += "If the external id is not the player's login id (sub), Messaging refuses the player with 409.\n\
                     --expect SUB compares the two.\n";
            return text;
        };
        if conflicting.is_empty() {
            let _ = writeln!(text, "No conflict: no other login id than {expect} has this email.");
            return text;
        }
        let config = file.map_or(String::new(), |file| format!(" --config {}", shell_word(&file.to_string_lossy())));
        for user in conflicting {
            let resolve = format!("zendesk-token conflict resolve {}{config}", shell_word(&user.id));
            let (id, other) = (printable(&user.id), printable(user.external_id.as_deref().unwrap_or_default()));
            let _ = write!(
                text,
                "Conflict: the email belongs to {other} (user {id}), so Messaging refuses {expect} with 409. To fix it, run one of:\n\n  \
                 {resolve} --forget-email\n    frees the email; keeps the conversations, deletes the user's name and other personal information\n  \
                 {resolve} --delete-user\n    permanently deletes the user and all its conversations\n"
            );
        }
        text
    }
}

impl Show {
    async fn run(&self, conversations: &Conversations) -> anyhow::Result<ExitCode> {
        let Some(Record { user, .. }) = find_user(conversations, &self.user).await? else {
            return Ok(ExitCode::FAILURE);
        };
        print(if self.json { json(&user)? } else { user_table(&user) })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Text quoted as one argument of a shell command to copy (POSIX shells; PowerShell if it has no quotes).
fn shell_word(text: &str) -> String {
    let text = printable(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
