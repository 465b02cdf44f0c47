//! `visitor`: shows a visitor of Chat, and whether it is linked to a login.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::config::{Config, environment};
use crate::zendesk::visitors::{Scalar, Visitor, Visitors};

use super::desk::{self, CHAT_API, table};
use super::words::{date, json, printable};
use super::{block_on, print};

/// What `visitor --help` says last.
pub const AFTER_HELP: &str = "\
  zendesk-token visitor show 9855790.xjj3ukxyIhn6j3 --expect LOGIN-ID

Settings: [chat_api] alone. Exit status: 0 done, 1 no such visitor, or not linked to the expected login,
2 wrong arguments or settings, 3 the API failed or does not let us in.";

/// Arguments of `visitor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// A visitor's fields, and whether it is linked to a login
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The visitor's id, with its dot or with a dash
    #[arg(value_name = "ID")]
    id: String,

    /// The player's login id (sub), which the visitor should have as its external id
    #[arg(long, value_name = "SUB")]
    expect: Option<String>,

    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// What `visitor show --json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    id: String,
    external_id: Option<String>,
    name: Option<&'a str>,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    created: Option<String>,
    banned: Option<bool>,
    notes: Option<&'a str>,
    expect: Option<&'a str>,
    /// Whether it is linked to the expected login; nothing when none is expected.
    linked: Option<bool>,
}

/// Shows the visitor.
///
/// # Errors
/// Wrong arguments or settings, the API, or a closed standard output.
pub fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let Action::Show(show) = &arguments.action;
    let settings = Config::load_chat_api(file, environment())?;
    desk::warn(&settings.warnings);
    let visitors = Visitors::new(&settings, |pause| CHAT_API.tell(pause))?;
    let shown = block_on(visitors.show(&show.id))?;
    let missing = format!("no visitor of Chat has the id {}", printable(&show.id));
    match CHAT_API.found(shown, "ID: is no id: empty, '.' or '..'", &missing)? {
        Some(visitor) => show.tell(&visitor),
        None => Ok(ExitCode::FAILURE),
    }
}

impl Show {
    fn tell(&self, visitor: &Visitor) -> anyhow::Result<ExitCode> {
        let external_id = visitor.external_id.as_ref().map(Scalar::to_string).filter(|id| !id.is_empty());
        let linked = self.expect.as_ref().map(|expect| external_id.as_ref() == Some(expect));
        let shown = Shown {
            id: visitor.id.to_string(),
            external_id,
            name: visitor.name.as_deref(),
            email: visitor.email.as_deref(),
            phone: visitor.phone.as_deref(),
            created: visitor.created.as_ref().map(time),
            banned: visitor.banned,
            notes: visitor.notes.as_deref(),
            expect: self.expect.as_deref(),
            linked,
        };
        let told = if self.json { json(&shown)? } else { shown.text() };
        print(told)?;
        Ok(if linked == Some(false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Seconds since 1970 as a date; a text as it is.
fn time(created: &Scalar) -> String {
    let seconds = if let Scalar::Number(number) = created { number.as_i64() } else { None };
    seconds.and_then(date).unwrap_or_else(|| created.to_string())
}

impl Shown<'_> {
    fn text(&self) -> String {
        let own = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let fields = table(&[
            ("id", Some(self.id.clone())),
            ("external id", Some(self.external_id.clone().unwrap_or_else(|| "none: it never signed in".to_owned()))),
            ("name", own(self.name)),
            ("email", own(self.email)),
            ("phone", own(self.phone)),
            ("created", self.created.clone()),
            ("banned", self.banned.map(|banned| if banned { "yes" } else { "no" }.to_owned())),
            ("notes", own(self.notes)),
        ]);
        let expect = printable(self.expect.unwrap_or_default());
        let verdict = match (self.linked, &self.external_id) {
            (None, _) => String::new(),
            (Some(true), _) => format!("\nLinked: it is the player {expect}.\n"),
            (Some(false), None) => format!("\nNot linked: it never signed in, as {expect} or anybody.\n"),
            (Some(false), Some(other)) => format!("\nNot linked: it is {}, and not {expect}.\n", printable(other)),
        };
        fields + &verdict
    }
}
