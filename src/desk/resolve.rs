//! `conflict resolve`: frees a user's email, after showing the user, asking, and saving its record.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::termios::{QueueSelector, tcflush};
use serde::Serialize;

use crate::login::Timestamp;
use crate::login::now;
use crate::terminal::{UsageError, date, json, print, printable};

use super::EXIT_API;
use super::api::ApiError;
use super::conversations::{Conversations, Record, Remedy, User};
use super::messages::{ApiFailure, CONVERSATIONS, find_user, user_table};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The user's id or external id
    #[arg(value_name = "USER")]
    user: String,

    #[command(flatten)]
    remedy: Remedies,

    /// Do not ask; required without a terminal
    #[arg(long)]
    yes: bool,

    /// Print the request that would be sent, and delete nothing
    #[arg(long)]
    dry_run: bool,

    /// New file for the user's record, never overwritten [default: a file in the working directory]
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,

    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Remedies {
    /// Delete personal information: frees the email, keeps the conversations
    #[arg(long)]
    forget_email: bool,

    /// Permanently delete the user and all its conversations
    #[arg(long)]
    delete_user: bool,
}

/// The output of `conflict resolve --json`.
#[derive(Serialize)]
struct Resolved<'a> {
    remedy: &'static str,
    /// The request, in a dry run.
    would_send: Option<String>,
    /// The user before.
    user: &'a User,
    /// The file with the user's whole record.
    backup: Option<String>,
    /// The user after; `None` if it was deleted.
    now: Option<&'a User>,
    /// Whether no user has one of the user's emails any more.
    is_free: Option<bool>,
    /// Ids of the users that have one.
    still_have_it: Vec<&'a str>,
}

/// Shows a user, asks, saves its record, deletes, and shows the result.
pub(super) async fn run(arguments: &Arguments, conversations: &Conversations) -> anyhow::Result<ExitCode> {
    let asks = !arguments.yes && !arguments.dry_run;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(
            UsageError("can't ask without a terminal; check the user with conflict show, then add --yes").into()
        );
    }
    let Some(record) = find_user(conversations, &arguments.user).await? else { return Ok(ExitCode::FAILURE) };
    let url = conversations.remedy_url(&record.user, arguments.remedy());
    let would_send = format!("DELETE {}", url.map_err(|error| CONVERSATIONS.failure(&error))?);
    let _ = writeln!(io::stderr(), "{}", user_table(&record.user));
    if arguments.dry_run {
        return arguments.print_dry_run(&record.user, would_send);
    }
    if asks && !is_confirmed(arguments.loss())? {
        let _ = writeln!(io::stderr(), "declined; nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    // The person may have taken an hour to answer.
    let refreshed = conversations.refresh(&record.user).await;
    let now = refreshed.map_err(|error| CONVERSATIONS.failure(&error))?;
    let Some(record) = now.filter(|now| now.user == record.user) else {
        let _ = writeln!(io::stderr(), "the user has changed in the meantime, so nothing was deleted; check it again");
        return Ok(ExitCode::FAILURE);
    };
    arguments.delete(conversations, &record).await
}

fn is_confirmed(loss: &str) -> io::Result<bool> {
    // Input from before the question is not an answer to it.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    write!(io::stderr(), "This will {loss}. Type yes to continue: ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

impl Arguments {
    const fn remedy(&self) -> Remedy {
        if self.remedy.delete_user { Remedy::DeleteUser } else { Remedy::ForgetEmail }
    }

    /// The argument that selected the remedy.
    const fn remedy_name(&self) -> &'static str {
        match self.remedy() {
            Remedy::DeleteUser => "delete-user",
            Remedy::ForgetEmail => "forget-email",
        }
    }

    /// What the remedy deletes.
    const fn loss(&self) -> &'static str {
        match self.remedy() {
            Remedy::DeleteUser => "permanently delete the user and ALL ITS CONVERSATIONS",
            Remedy::ForgetEmail => {
                "permanently delete the user's email, name and other personal information; the conversations stay"
            }
        }
    }

    fn print_dry_run(&self, user: &User, would_send: String) -> anyhow::Result<ExitCode> {
        print(if self.json {
            json(&Resolved {
                remedy: self.remedy_name(),
                would_send: Some(would_send),
                user,
                backup: None,
                now: None,
                is_free: None,
                still_have_it: Vec::new(),
            })?
        } else {
            format!("Would send: {would_send}\nThis would {}.\n", self.loss())
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn delete(&self, conversations: &Conversations, record: &Record) -> anyhow::Result<ExitCode> {
        let user = &record.user;
        let path = self.backup.clone().unwrap_or_else(|| default_path(&user.id, now()));
        save(&path, &record.json).map_err(|error| BackupError(path.display().to_string(), error))?;
        let _ = writeln!(io::stderr(), "saved the user's record to {}", path.display());
        conversations.apply(self.remedy(), user).await.map_err(|error| {
            let message = CONVERSATIONS.failure(&error).0;
            ApiFailure(message + "; conflict show says whether anything was deleted")
        })?;
        self.report(conversations, user, path.display().to_string()).await
    }

    /// Reports the API's state after the deletion.
    async fn report(&self, conversations: &Conversations, user: &User, backup: String) -> anyhow::Result<ExitCode> {
        let after = After::load(conversations, user).await.map_err(|error| {
            let message = CONVERSATIONS.failure(&error).0;
            ApiFailure(format!("the API accepted the request; checking the result failed: {message}"))
        })?;
        let report = if self.json {
            json(&Resolved {
                remedy: self.remedy_name(),
                would_send: None,
                user,
                backup: Some(backup),
                now: after.user.as_ref(),
                is_free: Some(after.holders.is_empty()),
                still_have_it: after.holders.iter().map(|user| user.id.as_str()).collect(),
            })?
        } else {
            after.text(user, self.remedy())
        };
        print(report)
            .map_err(|error| ApiFailure(format!("the deletion was sent; standard output is closed ({error})")))?;
        Ok(if after.is_done(self.remedy()) { ExitCode::SUCCESS } else { ExitCode::from(EXIT_API) })
    }
}

/// The record was not saved, so nothing was deleted.
#[derive(Debug, thiserror::Error)]
#[error("--backup: can't write {0} ({1}), so nothing was deleted; name a new file in a folder that you can write to")]
pub(super) struct BackupError(String, io::Error);

/// A file in the working directory, named after the user and the time.
fn default_path(user_id: &str, now: Timestamp) -> PathBuf {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let user: String = user_id.chars().filter(is_plain).take(64).collect();
    let time: String = date(now).unwrap_or_default().chars().filter(is_plain).collect();
    PathBuf::from(format!("zendesk-user-{user}-{time}.json"))
}

/// Writes a record to a new file that only its owner can read, and waits until it is on disk.
fn save(path: &Path, record: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let saved = file.write_all(record.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    let saved = saved.and_then(|()| {
        // Only a sync of the folder makes the new entry durable.
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    });
    // An incomplete record could be taken for a complete one.
    saved.inspect_err(|_| drop(fs::remove_file(path)))
}

/// The API's state after a deletion.
struct After {
    /// `None` if the user was deleted.
    user: Option<User>,
    /// The users that have an email which the user had.
    holders: Vec<User>,
}

impl After {
    async fn load(conversations: &Conversations, before: &User) -> Result<Self, ApiError> {
        let user = conversations.refresh(before).await?.map(|record| record.user);
        // The user's own record counts, since a list may lag behind.
        let mut holders: Vec<User> = user.iter().filter(|user| user.emails().next().is_some()).cloned().collect();
        for email in before.emails() {
            let found = conversations.find(&email.value).await?;
            holders.extend(found.into_iter().filter(|user| user.id != before.id));
        }
        Ok(Self { user, holders })
    }

    fn is_done(&self, remedy: Remedy) -> bool {
        self.user.as_ref().is_none_or(|user| remedy == Remedy::ForgetEmail && user.emails().next().is_none())
    }

    fn text(&self, before: &User, remedy: Remedy) -> String {
        let id = printable(&before.id);
        let mut text = match (self.is_done(remedy), &self.user) {
            (true, None) if remedy == Remedy::DeleteUser => {
                format!("Done: user {id} and its conversations are deleted.\n")
            }
            (true, None) => format!("Done: user {id} is deleted.\n"),
            (true, Some(_)) => format!("Done: user {id} has no email any more, and keeps its conversations.\n"),
            (false, _) => format!(
                "The API accepted the request, but has not finished: check user {id} again in a minute, with conflict show.\n"
            ),
        };
        for holder in self.holders.iter().filter(|holder| holder.id != before.id) {
            let _ = writeln!(text, "User {} has the email too: conflict find shows that user.", printable(&holder.id));
        }
        text
    }
}
