//! `conflict`: finds and mends what keeps a player out of Messaging, which is another user with the email.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::config::{Config, environment};
use crate::zendesk::conversations::{Conversations, Record, User};

use super::desk::{self, BRAND, CONVERSATIONS, find_user, user_table};
use super::words::{json, printable, shell_word};
use super::{UsageError, block_on, print, resolve};

/// What `conflict --help` says last.
pub const AFTER_HELP: &str = "\
A player's chat ends in a 409 when another user of Messaging has the player's email:

  zendesk-token conflict find --email jane@example.com --expect LOGIN-ID
  zendesk-token conflict resolve USER --forget-email

Settings: [conversations] alone. Exit status: 0 done (find: users were found), 1 nothing found or declined,
2 wrong arguments or settings, 3 the API failed, does not let us in, or has not done it yet.";

/// Arguments of `conflict`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The users that are known by an email, and whether one of them keeps a player out
    Find(Find),
    /// One user, by its id or external id
    Show(Show),
    /// Make a user let go of its email, after showing it and keeping its record in a file
    Resolve(resolve::Arguments),
}

#[derive(Debug, clap::Args)]
struct Find {
    /// The player's email
    #[arg(long, value_name = "EMAIL")]
    email: String,

    /// The player's login id (sub), which the email's user should have as its external id
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

/// What `conflict find --json` prints.
#[derive(Serialize)]
struct Found<'a> {
    email: &'a str,
    expect: Option<&'a str>,
    /// Whether one of the users keeps the expected one out; nothing when none is expected.
    conflict: Option<bool>,
    /// Ids of the users that do.
    in_the_way: Vec<&'a str>,
    users: &'a [User],
}

/// Runs one of the three.
///
/// # Errors
/// Wrong arguments or settings, the API, or a closed standard output.
pub fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let settings = Config::load_conversations(file, environment())?;
    desk::warn(&settings.warnings);
    let conversations = Conversations::new(&settings, |pause| CONVERSATIONS.tell(pause))?;
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
            return Err(UsageError("--email: is no email; give the player's whole email").into());
        }
        let users = conversations.find(email).await;
        let users = users.map_err(|error| CONVERSATIONS.failure(&error))?;
        let in_the_way = self.in_the_way(&users);
        let told = if self.json {
            json(&Found {
                email,
                expect: self.expect.as_deref(),
                conflict: self.expect.as_ref().map(|_| !in_the_way.is_empty()),
                in_the_way: in_the_way.iter().map(|user| user.id.as_str()).collect(),
                users: &users,
            })?
        } else {
            self.text(email, &users, &in_the_way, file)
        };
        print(told)?;
        Ok(if users.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Those whose email is paired with another login id than the expected one.
    fn in_the_way<'a>(&self, users: &'a [User]) -> Vec<&'a User> {
        let is_another = |user: &&User| {
            let expected = self.expect.as_deref();
            expected.is_some() && user.external_id.is_some() && user.external_id.as_deref() != expected
        };
        users.iter().filter(is_another).collect()
    }

    fn text(&self, email: &str, users: &[User], in_the_way: &[&User], file: Option<&Path>) -> String {
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
            text += "Is the player's login id (sub) the external id? If it is another, Messaging refuses the player with 409;\n\
                     --expect SUB says which.\n";
            return text;
        };
        if in_the_way.is_empty() {
            let _ = writeln!(text, "No conflict: no other login id than {expect} has this email.");
            return text;
        }
        // Ready to be copied.
        let config = file.map_or(String::new(), |file| format!(" --config {}", shell_word(&file.to_string_lossy())));
        for user in in_the_way {
            let resolve = format!("zendesk-token conflict resolve {}{config}", shell_word(&user.id));
            let (id, other) = (printable(&user.id), printable(user.external_id.as_deref().unwrap_or_default()));
            let _ = write!(
                text,
                "Conflict: the email is {other}'s (user {id}), so Messaging refuses {expect} with 409. One of the two mends it:\n\n  \
                 {resolve} --forget-email\n    frees the email; the conversations stay, the user's name and other personal information are lost\n  \
                 {resolve} --delete-user\n    deletes the user and all its conversations, for good\n"
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
        let told = if self.json { json(&user)? } else { user_table(&user) };
        print(told)?;
        Ok(ExitCode::SUCCESS)
    }
}
