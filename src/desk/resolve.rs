//! `conflict resolve`: makes a user let go of its email, after a look, a question and a copy of its record.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::termios::{QueueSelector, tcflush};
use serde::Serialize;

use crate::http::token::now;
use crate::login::Timestamp;
use crate::zendesk::conversations::{Conversations, Record, Remedy, User};
use crate::zendesk::desk_api::DeskApiError;

use super::desk::{ApiFailure, CONVERSATIONS, find_user, user_table};
use super::words::{date, json, printable};
use super::{EXIT_API, UsageError, print};

/// Arguments of `conflict resolve`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The user's id or external id
    #[arg(value_name = "USER")]
    user: String,

    #[command(flatten)]
    remedy: Remedies,

    /// Do not ask; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,

    /// Say what would be sent, and delete nothing
    #[arg(long)]
    dry_run: bool,

    /// File for the user's record as it was; in the working directory unless named, never overwritten
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

    /// Delete the user and all its conversations, for good
    #[arg(long)]
    delete_user: bool,
}

/// What `conflict resolve --json` prints.
#[derive(Serialize)]
struct Resolved<'a> {
    remedy: &'static str,
    /// The request, when it would be sent.
    would_send: Option<String>,
    /// The user as it was.
    user: &'a User,
    /// The file that holds its whole record.
    backup: Option<String>,
    /// The user as it is now; nothing when it is gone.
    now: Option<&'a User>,
    /// Whether nobody has an email of the user's any more.
    is_free: Option<bool>,
    /// Ids of the users that do.
    still_have_it: Vec<&'a str>,
}

impl Arguments {
    const fn remedy(&self) -> Remedy {
        if self.remedy.delete_user { Remedy::DeleteUser } else { Remedy::ForgetEmail }
    }

    /// The argument's own word.
    const fn word(&self) -> &'static str {
        match self.remedy() {
            Remedy::DeleteUser => "delete-user",
            Remedy::ForgetEmail => "forget-email",
        }
    }

    /// What is lost, in words.
    const fn loss(&self) -> &'static str {
        match self.remedy() {
            Remedy::DeleteUser => "This deletes the user and ALL ITS CONVERSATIONS, for good",
            Remedy::ForgetEmail => {
                "This deletes the user's email, name and other personal information, for good; the conversations stay"
            }
        }
    }
}

/// Shows a user, asks, keeps its record, deletes, and looks again.
///
/// # Errors
/// Nobody to ask, a record that can't be kept, or the API.
pub async fn run(arguments: &Arguments, conversations: &Conversations) -> anyhow::Result<ExitCode> {
    let asks = !arguments.yes && !arguments.dry_run;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(
            UsageError("there is no terminal to ask on; look at the user with conflict show, then add --yes").into()
        );
    }
    let Some(record) = find_user(conversations, &arguments.user).await? else { return Ok(ExitCode::FAILURE) };
    let url = conversations.remedy_address(&record.user, arguments.remedy());
    let would_send = format!("DELETE {}", url.map_err(|error| CONVERSATIONS.failure(&error))?);
    let _ = writeln!(io::stderr(), "{}", user_table(&record.user));
    if arguments.dry_run {
        return arguments.tell_dry_run(&record.user, would_send);
    }
    if asks && !is_confirmed(arguments.loss())? {
        let _ = writeln!(io::stderr(), "declined; nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    // A person may take an hour over the answer.
    let looked = conversations.look_again(&record.user).await;
    let now = looked.map_err(|error| CONVERSATIONS.failure(&error))?;
    let Some(record) = now.filter(|now| now.user == record.user) else {
        let _ = writeln!(io::stderr(), "the user has changed meanwhile, so nothing was deleted; look at it again");
        return Ok(ExitCode::FAILURE);
    };
    arguments.delete(conversations, &record).await
}

/// Whether the person types `yes`.
fn is_confirmed(loss: &str) -> io::Result<bool> {
    // What was typed before the question is no answer to it.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    write!(io::stderr(), "{loss}. Type yes to go on: ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

impl Arguments {
    fn tell_dry_run(&self, user: &User, would_send: String) -> anyhow::Result<ExitCode> {
        let told = if self.json {
            json(&Resolved {
                remedy: self.word(),
                would_send: Some(would_send),
                user,
                backup: None,
                now: None,
                is_free: None,
                still_have_it: Vec::new(),
            })?
        } else {
            format!("Would send: {would_send}\n{}.\n", self.loss().replacen("This deletes", "It would delete", 1))
        };
        print(told)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn delete(&self, conversations: &Conversations, record: &Record) -> anyhow::Result<ExitCode> {
        let user = &record.user;
        let path = self.backup.clone().unwrap_or_else(|| default_path(&user.id, now()));
        keep(&path, &record.json).map_err(|error| BackupError(path.display().to_string(), error))?;
        let _ = writeln!(io::stderr(), "the user's record is in {}", path.display());
        let deleted = conversations.delete(user, self.remedy()).await;
        deleted.map_err(|error| {
            let told = CONVERSATIONS.failure(&error).0;
            ApiFailure(told + "; conflict show says whether anything was deleted")
        })?;
        self.look_again(conversations, user, path.display().to_string()).await
    }

    /// Says what became of it, by the API's own word.
    async fn look_again(&self, conversations: &Conversations, user: &User, backup: String) -> anyhow::Result<ExitCode> {
        let seen = Seen::look(conversations, user).await.map_err(|error| {
            let told = CONVERSATIONS.failure(&error).0;
            ApiFailure(format!("the API took the request; looking again failed: {told}"))
        })?;
        let told = if self.json {
            json(&Resolved {
                remedy: self.word(),
                would_send: None,
                user,
                backup: Some(backup),
                now: seen.user.as_ref(),
                is_free: Some(seen.holders.is_empty()),
                still_have_it: seen.holders.iter().map(|user| user.id.as_str()).collect(),
            })?
        } else {
            seen.text(user, self.remedy())
        };
        let written = io::stdout().write_all(told.as_bytes());
        written.map_err(|error| ApiFailure(format!("the deletion was sent; standard output is closed ({error})")))?;
        Ok(if seen.is_done(self.remedy()) { ExitCode::SUCCESS } else { ExitCode::from(EXIT_API) })
    }
}

/// A record that could not be kept, so that nothing was deleted.
#[derive(Debug, thiserror::Error)]
#[error(
    "--backup: can't write {0} ({1}), so nothing was deleted; name a file that is not there yet, in a folder of yours"
)]
pub struct BackupError(String, io::Error);

/// The file of a user's record when none is named: in the working directory, with the user and the time.
fn default_path(user_id: &str, now: Timestamp) -> PathBuf {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let user: String = user_id.chars().filter(is_plain).take(64).collect();
    let time: String = date(now).unwrap_or_default().chars().filter(is_plain).collect();
    PathBuf::from(format!("zendesk-user-{user}-{time}.json"))
}

/// Writes a record into a file that was not there before and that nobody else may read, and sees it on the disk.
fn keep(path: &Path, record: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let kept = file.write_all(record.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    let kept = kept.and_then(|()| {
        // That the folder has it is on the disk with the folder.
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    });
    // Half a record would look like one.
    kept.inspect_err(|_| drop(fs::remove_file(path)))
}

/// What is there after a deletion.
struct Seen {
    /// The user; nothing when it is gone.
    user: Option<User>,
    /// Whoever has an email that was the user's.
    holders: Vec<User>,
}

impl Seen {
    /// Looks at a user, and at each email that it had.
    async fn look(conversations: &Conversations, before: &User) -> Result<Self, DeskApiError> {
        let user = conversations.look_again(before).await?.map(|record| record.user);
        // The user's own record counts for the user: a list may lag behind.
        let mut holders: Vec<User> = user.iter().filter(|user| user.emails().next().is_some()).cloned().collect();
        for email in before.emails() {
            let found = conversations.find(&email.value).await?;
            holders.extend(found.into_iter().filter(|user| user.id != before.id));
        }
        Ok(Self { user, holders })
    }

    /// Whether a remedy has done what it is for.
    fn is_done(&self, remedy: Remedy) -> bool {
        self.user.as_ref().is_none_or(|user| remedy == Remedy::ForgetEmail && user.emails().next().is_none())
    }

    /// For a person.
    fn text(&self, before: &User, remedy: Remedy) -> String {
        let id = printable(&before.id);
        let mut text = match (self.is_done(remedy), &self.user) {
            (true, None) if remedy == Remedy::DeleteUser => {
                format!("Done: user {id} is gone, and its conversations.\n")
            }
            (true, None) => format!("Done: user {id} is gone.\n"),
            (true, Some(_)) => format!("Done: user {id} has no email any more, and keeps its conversations.\n"),
            (false, _) => format!(
                "The API took the request, but is not done: user {id} is still there. Look again in a minute, with conflict show.\n"
            ),
        };
        for holder in self.holders.iter().filter(|holder| holder.id != before.id) {
            let other = printable(&holder.id);
            let _ = writeln!(text, "The email is user {other}'s too: conflict find says more.");
        }
        text
    }
}
