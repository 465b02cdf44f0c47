//! Client of the Chat API: shows a visitor.
//!
//! *Show Visitor* (developer.zendesk.com, *Visitors*). Its examples disagree about two fields, so [`Scalar`] reads both
//! forms.

use std::fmt;

use serde::Deserialize;
use serde_json::Number;

use crate::http_client::ClientError;

use super::api::{ApiClient, ApiError, Credentials, OnRetry};
use super::settings::ChatApi as Settings;

const NOT_FOUND_CODES: [&str; 3] = ["NotFound", "RecordNotFound", "not_found"];

/// The API of one account.
pub(super) struct ChatApi(ApiClient);

/// A visitor in the API.
#[derive(Debug, Clone, Deserialize)]
pub struct Visitor {
    /// The id, with a dot: `9855790.xjj3ukxyIhn6j3`.
    pub id: Scalar,
    /// The visitor's name.
    pub name: Option<String>,
    /// The visitor's email.
    pub email: Option<String>,
    /// The visitor's telephone number.
    pub phone: Option<String>,
    /// Notes of the agents.
    pub notes: Option<String>,
    /// Whether an agent banned the visitor.
    pub banned: Option<bool>,
    /// First visit: seconds since 1970, or a date.
    pub created: Option<Scalar>,
    /// The external id of the Zendesk token that signed the visitor in.
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

impl ChatApi {
    pub(super) fn new(settings: &Settings, on_retry: OnRetry) -> Result<Self, ClientError> {
        Ok(Self(ApiClient::new(&settings.endpoint, &Credentials::Bearer(&settings.token), &NOT_FOUND_CODES, on_retry)?))
    }

    /// The visitor with an id: with a dot, as responses and the dashboard have it, or with a dash, as the URL has it. Chat may
    /// answer with another visitor of the account, since it makes one visitor of those that share an external id.
    pub(super) async fn visitor(&self, id: &str) -> Result<Visitor, ApiError> {
        let requested = id.replacen('.', "-", 1);
        let visitor: Visitor = self.0.get(&self.0.url(&["visitors", &requested], &[])?).await?;
        if account(&visitor.id.to_string()) == account(id) { Ok(visitor) } else { Err(ApiError::UnexpectedResponse) }
    }
}

impl Visitor {
    /// Whether Chat answered with another id than the requested one. A numeric id is the account's alone.
    pub(super) fn is_another(&self, requested: &str) -> bool {
        let Scalar::Text(id) = &self.id else { return false };
        id.replacen('.', "-", 1) != requested.replacen('.', "-", 1)
    }
}

/// The account's id, which a visitor's id begins with.
fn account(visitor_id: &str) -> Option<&str> {
    visitor_id.split(['.', '-']).next()
}
