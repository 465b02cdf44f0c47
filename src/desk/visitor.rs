//! `visitor`: shows a visitor of Chat, and whether it is linked to a login.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::config::environment;
use crate::terminal::{block_on, date, json, print, printable};

use super::chat_api::{ChatApi, Scalar, Visitor};
use super::finding::is_same_login_id;
use super::messages::{CHAT_API, NEVER_SIGNED_IN, expected, table, warn};
use super::settings;

pub(super) const AFTER_HELP: &str = "\
For example:

  zendesk-token visitor show 9855790.xjj3ukxyIhn6j3 --expect LOGIN-ID

Settings: only [chat_api]. Exit status: 0 done, 1 no such visitor, or not linked to the expected login,
2 wrong arguments or settings, 3 the API failed or refused the token.";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show a visitor's fields, and whether it is linked to a login
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The visitor's id, with its dot or with a dash
    #[arg(value_name = "ID")]
    id: String,

    /// The player's login id (sub), which should be the visitor's external id
    #[arg(long, value_name = "SUB", allow_hyphen_values = true)]
    expect: Option<String>,

    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// The output of `visitor show --json`.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    /// The id that was asked for.
    asked: &'a str,
    /// The id that Chat answered with.
    id: String,
    external_id: Option<String>,
    name: Option<&'a str>,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    created: Option<String>,
    banned: Option<bool>,
    notes: Option<&'a str>,
    expect: Option<&'a str>,
    /// Whether the visitor is linked to the expected login; `None` without an expected one.
    linked: Option<bool>,
    #[serde(skip)]
    is_another: bool,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let Action::Show(show) = &arguments.action;
    expected(show.expect.as_deref())?;
    let settings = settings::ChatApi::load(file, &environment())?;
    warn(&settings.warnings);
    let api = ChatApi::new(&settings, CHAT_API.reporter())?;
    let result = block_on(api.visitor(&show.id))?;
    match CHAT_API.found(result, "ID: is not an id (empty, '.' or '..')", &no_visitor(&show.id))? {
        Some(visitor) => show.print(&visitor),
        None => Ok(ExitCode::FAILURE),
    }
}

pub(super) fn no_visitor(id: &str) -> String {
    format!("no visitor of Chat has the id {}", printable(id))
}

impl Show {
    fn print(&self, visitor: &Visitor) -> anyhow::Result<ExitCode> {
        let shown = Shown::new(&self.id, self.expect.as_deref(), visitor);
        print(if self.json { json(&shown)? } else { shown.text() })?;
        Ok(if shown.linked == Some(false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Formats seconds since 1970 as a date; keeps other values.
fn time(created: &Scalar) -> String {
    let seconds = if let Scalar::Number(number) = created { number.as_i64() } else { None };
    seconds.and_then(date).unwrap_or_else(|| created.to_string())
}

impl<'a> Shown<'a> {
    pub(super) fn new(asked: &'a str, expect: Option<&'a str>, visitor: &'a Visitor) -> Self {
        let external_id = visitor.external_id.as_ref().map(Scalar::to_string).filter(|id| !id.is_empty());
        let is_player = |expect| external_id.as_deref().is_some_and(|id| is_same_login_id(id, expect));
        let linked = expect.map(is_player);
        Self {
            asked,
            id: visitor.id.to_string(),
            external_id,
            name: visitor.name.as_deref(),
            email: visitor.email.as_deref(),
            phone: visitor.phone.as_deref(),
            created: visitor.created.as_ref().map(time),
            banned: visitor.banned,
            notes: visitor.notes.as_deref(),
            expect,
            linked,
            is_another: visitor.is_another(asked),
        }
    }

    /// Whether Chat answered with another visitor's id, and whether the visitor is the expected player.
    pub(super) fn sentences(&self) -> Vec<String> {
        let another = || {
            let asked = printable(self.asked);
            format!(
                "Chat answered with another id than {asked}: it makes one visitor of those that share an external id."
            )
        };
        let expect = printable(self.expect.unwrap_or_default());
        let verdict = match (self.linked, &self.external_id) {
            (None, _) => None,
            (Some(true), _) => Some(format!("Linked: the visitor is the player {expect}.")),
            (Some(false), None) => {
                Some(format!("Not linked: the visitor never signed in, as {expect} or anyone else."))
            }
            (Some(false), Some(other)) => {
                Some(format!("Not linked: the visitor is {}, not {expect}.", printable(other)))
            }
        };
        self.is_another.then(another).into_iter().chain(verdict).collect()
    }

    fn text(&self) -> String {
        let non_empty = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let fields = table(&[
            ("id", Some(self.id.clone())),
            ("external id", Some(self.external_id.clone().unwrap_or_else(|| NEVER_SIGNED_IN.to_owned()))),
            ("name", non_empty(self.name)),
            ("email", non_empty(self.email)),
            ("phone", non_empty(self.phone)),
            ("created", self.created.clone()),
            ("banned", self.banned.map(|banned| if banned { "yes" } else { "no" }.to_owned())),
            ("notes", non_empty(self.notes)),
        ]);
        self.sentences().iter().fold(fields, |text, sentence| format!("{text}\n{sentence}\n"))
    }
}
