//! `conflict resolve`: frees a user's email, after showing the user, asking, and saving its record.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(unix)]
use rustix::termios::{QueueSelector, tcflush};
use serde::Serialize;

use crate::login::now;
use crate::terminal::{UsageError, json, print, printable};

use super::api::ApiError;
use super::conversations::{Conversations, User};
use super::messages::{ApiFailure, CONVERSATIONS, INVALID_ID, no_user, user_table};
use super::remedy::{After, Plan, PlanError, Remedy, Target};
use super::{EXIT_API, record};

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

    /// Print the request that would be sent, and change nothing
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
    /// Merge the user into the player's present one, which gets its conversations; it is created if the login id has no user
    #[arg(long, value_name = "SUB", allow_hyphen_values = true)]
    merge_into: Option<String>,

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
    /// The requests, in a dry run.
    would_send: Option<String>,
    /// The user before.
    user: &'a User,
    /// The file with the user's whole record.
    backup: Option<String>,
    /// The user after; `None` if it was deleted or merged.
    now: Option<&'a User>,
    /// Whether no user has one of the user's emails any more, except the one that it was merged into.
    is_free: Option<bool>,
    /// Ids of the users that have one.
    still_have_it: Vec<&'a str>,
    #[serde(flatten)]
    merge: Option<Merge<'a>>,
}

/// What the output has in addition for a merge.
#[derive(Serialize)]
struct Merge<'a> {
    /// The user that the other is merged into: after the merge, or before it in a dry run. `None` if it is not there.
    merged_into: Option<&'a User>,
    /// Whether that user was created, or would be.
    created: bool,
    warnings: Vec<String>,
}

/// Shows the users, asks, saves the record, sends the request, and shows the result.
pub(super) async fn run(arguments: &Arguments, conversations: &Conversations) -> anyhow::Result<ExitCode> {
    let asks = !arguments.yes && !arguments.dry_run;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(
            UsageError("can't ask without a terminal; check the user with conflict show, then add --yes").into()
        );
    }
    let into = arguments.remedy.merge_into.as_deref();
    let plan = match Plan::prepare(conversations, arguments.remedy(), &arguments.user, into).await {
        Ok(plan) => plan,
        Err(PlanError::Api(ApiError::NotFound)) => {
            let _ = writeln!(io::stderr(), "{}", no_user(&arguments.user));
            return Ok(ExitCode::FAILURE);
        }
        Err(PlanError::NotALoginId(why) | PlanError::Impossible(why)) => return Err(ImpossibleMerge(why).into()),
        Err(PlanError::Api(ApiError::InvalidId)) => return Err(UsageError(INVALID_ID).into()),
        Err(PlanError::Api(error)) => return Err(CONVERSATIONS.failure(&error).into()),
    };
    show(&plan);
    if arguments.dry_run {
        return arguments.print_dry_run(&plan, conversations);
    }
    if asks && !is_confirmed(&plan)? {
        let _ = writeln!(io::stderr(), "declined; nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let path = arguments.backup.clone().unwrap_or_else(|| record::file_name(&plan.old.id, now()).into());
    plan.save_records(conversations, &path)
        .await
        .map_err(|error| if error.is::<record::BackupError>() { error.context("--backup") } else { error })?;
    let _ = writeln!(io::stderr(), "saved the user's record to {}", path.display());
    let after = plan.carry_out(conversations, |step| drop(writeln!(io::stderr(), "{step}"))).await?;
    arguments.report(&plan, &after, path.display().to_string())
}

/// `--merge-into` names a user that the other can't be merged into.
#[derive(Debug, thiserror::Error)]
#[error("--merge-into: {0}")]
pub(super) struct ImpossibleMerge(&'static str);

/// Shows the users of a plan, and what to consider.
fn show(plan: &Plan) {
    let _ = writeln!(io::stderr(), "{}", user_table(&plan.old, None));
    match plan.target() {
        Some(Target::Existing(user)) => {
            let _ = writeln!(io::stderr(), "is merged into\n\n{}", user_table(user, None));
        }
        Some(Target::New(new)) => {
            let id = printable(&new.login_id);
            let _ = writeln!(io::stderr(), "is merged into a new user with the login id {id}\n");
        }
        None => {}
    }
    for warning in plan.warnings() {
        let _ = writeln!(io::stderr(), "Warning: {warning}");
    }
}

fn is_confirmed(plan: &Plan) -> io::Result<bool> {
    // Input from before the question is not an answer to it. On Windows it is taken for one.
    #[cfg(unix)]
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    write!(io::stderr(), "{} Type yes to continue: ", plan.effect("will"))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

impl Arguments {
    const fn remedy(&self) -> Remedy {
        match (&self.remedy.merge_into, self.remedy.delete_user) {
            (Some(_), _) => Remedy::Merge,
            (None, true) => Remedy::DeleteUser,
            (None, false) => Remedy::ForgetEmail,
        }
    }

    fn print_dry_run(&self, plan: &Plan, conversations: &Conversations) -> anyhow::Result<ExitCode> {
        let requests = plan.requests(conversations).map_err(|error| CONVERSATIONS.failure(&error))?;
        let would_send = requests.join(", then ");
        print(if self.json {
            let (merged_into, created) = match plan.target() {
                Some(Target::Existing(user)) => (Some(user), false),
                Some(Target::New(_)) => (None, true),
                None => (None, false),
            };
            json(&Resolved {
                remedy: plan.remedy().name(),
                would_send: Some(would_send),
                user: &plan.old,
                backup: None,
                now: None,
                is_free: None,
                still_have_it: Vec::new(),
                merge: plan.target().map(|_| Merge { merged_into, created, warnings: plan.warnings() }),
            })?
        } else {
            format!("Would send: {would_send}\n{}\n", plan.effect("would"))
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self, plan: &Plan, after: &After, backup: String) -> anyhow::Result<ExitCode> {
        let (remedy, user) = (plan.remedy(), &plan.old);
        let After { merged_into, created, .. } = after;
        let report = if self.json {
            json(&Resolved {
                remedy: remedy.name(),
                would_send: None,
                user,
                backup: Some(backup),
                now: after.old.as_ref(),
                is_free: Some(after.holders.is_empty()),
                still_have_it: after.holders.iter().map(|user| user.id.as_str()).collect(),
                merge: plan.target().map(|_| Merge {
                    merged_into: merged_into.as_ref(),
                    created: *created,
                    warnings: plan.warnings(),
                }),
            })?
        } else {
            after.text(plan)
        };
        print(report)
            .map_err(|error| ApiFailure(format!("the request was sent; standard output is closed ({error})")))?;
        Ok(if after.is_resolved(plan) { ExitCode::SUCCESS } else { ExitCode::from(EXIT_API) })
    }
}
