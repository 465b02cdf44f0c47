//! The visitors of Chat, as its API tells of them.
//!
//! Show Visitor of the Chat API (developer.zendesk.com, *Visitors*). Its descriptions disagree on two fields, so both forms
//! are read.

use std::fmt;

use serde::Deserialize;
use serde_json::Number;

use crate::config::desk::ChatApi as Settings;

use super::desk_api::{Credentials, DeskApi, DeskApiError, DeskClientError, Pause};

/// How Zendesk's APIs say that there is no such thing.
const MISSING: [&str; 3] = ["NotFound", "RecordNotFound", "not_found"];

/// The visitors of one account.
pub struct Visitors(DeskApi);

/// A visitor as the API tells of one.
#[derive(Debug, Clone, Deserialize)]
pub struct Visitor {
    /// Its id, with a dot: `9855790.xjj3ukxyIhn6j3`.
    pub id: Scalar,
    /// Its name.
    pub name: Option<String>,
    /// Its email.
    pub email: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// What agents noted.
    pub notes: Option<String>,
    /// Whether it was shut out.
    pub banned: Option<bool>,
    /// When it was first seen: seconds since 1970, or a date.
    pub created: Option<Scalar>,
    /// The external id of the Zendesk token that signed it in.
    pub external_id: Option<Scalar>,
}

/// A number or a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl Visitors {
    /// The visitors of the account that is set. `pausing` hears of each pause between the tries of a call.
    ///
    /// # Errors
    /// See [`DeskClientError`].
    pub fn new(settings: &Settings, pausing: fn(&Pause)) -> Result<Self, DeskClientError> {
        Ok(Self(DeskApi::new(&settings.endpoint, &Credentials::Bearer(&settings.token), &MISSING, pausing)?))
    }

    /// A visitor, by the id with a dot, as an answer or the dashboard has it, or with a dash, as the API asks for.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn show(&self, id: &str) -> Result<Visitor, DeskApiError> {
        let asked = id.replacen('.', "-", 1);
        let visitor: Visitor = self.0.fetch(&self.0.address(&["visitors", &asked], &[])?).await?;
        // As a number it is the part before the dash, the account's.
        let is_own = match &visitor.id {
            Scalar::Text(id) => id.replacen('.', "-", 1) == asked,
            Scalar::Number(account) => asked.split('-').next() == Some(account.to_string().as_str()),
        };
        if is_own { Ok(visitor) } else { Err(DeskApiError::NotAsDescribed) }
    }
}
