//! What does the Login API say?

use std::fmt;
use std::time::{Instant, UNIX_EPOCH};

use reqwest::header::{AGE, CONTENT_TYPE, DATE};
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use crate::config::login::Api;
use crate::telemetry::spans;

use super::Timestamp;
use super::connection::{self, ApiError, ClientError, body, call};
use super::key_set::KeySet;

/// A client of the Xsolla Login API.
pub struct LoginApi {
    client: Client,
    url: String,
}

/// What the Login API says of a token that verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It stands.
    Valid,
    /// It was revoked; the API's own code for why, when it has the usual form.
    Revoked(Option<ApiCode>),
}

/// A code of the Login API: `003-061`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiCode(u16, u16);

/// An answer with the API's clock.
pub struct Dated<T> {
    /// The answer.
    pub answer: T,
    /// The API's clock, when it said.
    pub clock: Option<Clock>,
}

/// What the API's clock showed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    date: Timestamp,
    seen: Instant,
}

#[derive(Serialize)]
struct Question<'a> {
    token: &'a str,
}

/// How the API refuses; both members are always there.
#[derive(Deserialize)]
struct Envelope {
    error: EnvelopeError,
}

#[derive(Deserialize)]
struct EnvelopeError {
    code: String,
    #[serde(rename = "description")]
    _description: String,
}

impl LoginApi {
    /// Makes a client that believes the given authorities, or else the public ones that the binary
    /// brings: the image has none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(api: &Api) -> Result<Self, ClientError> {
        Ok(Self { client: connection::client(api)?, url: api.url.clone() })
    }

    /// Fetches the keys that a login project publishes.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn keys(&self, project_id: &str) -> Result<Dated<KeySet>, ApiError> {
        let url = format!("{}/api/projects/{project_id}/keys", self.url);
        let response = call(self.client.get(url)).instrument(spans::call("fetch login keys", "GET")).await?;
        match response.status() {
            StatusCode::OK => {
                let clock = Clock::read(&response);
                Ok(Dated { answer: KeySet::read(&body(response).await?)?, clock })
            }
            status => Err(ApiError::Status(status.as_u16())),
        }
    }

    /// Asks whether a token that verifies still stands.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn validate(&self, token: &str) -> Result<Validity, ApiError> {
        let question = serde_json::to_vec(&Question { token });
        let request = self.client.post(format!("{}/api/token/validate", self.url));
        let request = request.header(CONTENT_TYPE, "application/json").body(question.unwrap_or_default());
        let response = call(request).instrument(spans::call("ask for revocation", "POST")).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(Validity::Valid),
            // Neither says anything of the token.
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                Err(ApiError::Status(status.as_u16()))
            }
            status if status.is_client_error() => {
                let envelope = serde_json::from_slice::<Envelope>(&body(response).await?);
                let envelope = envelope.map_err(|_| ApiError::Status(status.as_u16()))?;
                Ok(Validity::Revoked(ApiCode::read(&envelope.error.code)))
            }
            status => Err(ApiError::Status(status.as_u16())),
        }
    }

    /// Asks for the API's clock alone; any answer has it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn clock(&self) -> Result<Option<Clock>, ApiError> {
        Ok(Clock::read(&call(self.client.get(&self.url)).await?))
    }
}

impl Clock {
    /// The `Date` header (RFC 9110 §6.6.1), unless a cache has kept the answer (`Age`, RFC 9111 §5.1).
    fn read(response: &Response) -> Option<Self> {
        let headers = response.headers();
        let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE))?;
        let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
        let since_1970 = date.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { date: Timestamp::try_from(since_1970.as_secs()).ok()?, seen: Instant::now() })
    }

    /// How many seconds a clock that shows `now` is ahead of it.
    #[must_use]
    pub fn behind(&self, now: Timestamp) -> i64 {
        now - i64::try_from(self.seen.elapsed().as_secs()).unwrap_or_default() - self.date
    }
}

impl ApiCode {
    /// Digits, a hyphen, digits: nothing that could be a text of somebody's choosing gets into the log.
    fn read(text: &str) -> Option<Self> {
        let (area, number) = text.split_once('-')?;
        let digits = |part: &str| (part.len() == 3).then(|| part.parse().ok()).flatten();
        Some(Self(digits(area)?, digits(number)?))
    }
}

impl fmt::Display for ApiCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}-{:03}", self.0, self.1)
    }
}
