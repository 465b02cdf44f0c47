//! A client of the Xsolla Login API: the keys it publishes, its word on revocation, its clock.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use reqwest::header::{AGE, CONTENT_TYPE, DATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tracing::Instrument;

use crate::config::login::Api;
use crate::http_client::{self, CallError, call};
use crate::telemetry::spans;

use super::Timestamp;
use super::key_set::{KeySet, KeySetError};

/// For a whole call, as in Xsolla's own SDK (github.com/xsolla/login-sdk-go). A request waits for it,
/// so it has to stay below `limits.request_timeout`.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes of an answer: some 200 keys.
const MAX_BYTES: usize = 100 * 1024;

/// A client of the Xsolla Login API.
pub struct LoginApi {
    client: Client,
    url: String,
    /// Places for requests that wait for the API. An attacker makes up key ids at will; while the API is slow they would
    /// otherwise fill the house, and players who need nothing of it would be turned away.
    waiting: Arc<Semaphore>,
}

/// More requests wait for the API than may.
pub(super) struct TooManyWait;

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

/// What the API's clock showed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    date: Timestamp,
    seen: Instant,
}

/// Why no client can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The file holds no certificate, or one that can't be read.
    #[error("login.ca_file: is no certificate, or one that can't be read; give the authority's certificate in PEM")]
    Authorities,
    /// No host can have this name.
    #[error("login.api_url: names no host that there can be; give the one of the Login API")]
    Url,
}

/// Why the Login API gave no answer to go by. Says nothing of what it sent but numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApiError {
    /// No answer came, or none that is whole.
    #[error("{}", in_words(*.0))]
    Call(CallError),
    /// A status that this call does not have; a redirect, too, since none is followed.
    #[error("the Login API answered with status {0}")]
    Status(u16),
    /// Keys that can't be used.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

const fn in_words(error: CallError) -> &'static str {
    match error {
        CallError::Unreachable => "the Login API can't be reached",
        CallError::Untrusted => {
            "no TLS with the Login API: its certificate is not believed, or it speaks none, or one too old"
        }
        CallError::TimedOut => "the Login API gave no answer within 5 s",
        CallError::TooLarge => "the Login API's answer is over 100 KiB",
        CallError::Broken => "the Login API's answer broke off or is no HTTP",
    }
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
        Url::parse(&api.url).map_err(|_| ClientError::Url)?;
        let client = http_client::client(api.authorities.as_deref(), CALL_LIMIT);
        let client = client.map_err(|_| ClientError::Authorities)?;
        Ok(Self { client, url: api.url.clone(), waiting: Arc::new(Semaphore::new(api.most_waiting)) })
    }

    /// Checks that a client could be made, also where nobody needs one yet.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn check(api: &Api) -> Result<(), ClientError> {
        if api.authorities.is_some() {
            return Self::new(api).map(drop);
        }
        Url::parse(&api.url).map(drop).map_err(|_| ClientError::Url)
    }

    /// Runs calls that a request waits for, if there is a place to wait. They have a task of their own: a client that hangs
    /// up must not end what others wait for.
    pub(super) async fn wait<T: Send + 'static>(
        &self,
        calls: impl Future<Output = T> + Send + 'static,
    ) -> Result<Result<T, JoinError>, TooManyWait> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| TooManyWait)?;
        let calls = async move {
            let _place = place;
            calls.await
        };
        Ok(tokio::spawn(calls.in_current_span()).await)
    }

    /// Fetches the keys that a login project publishes; the API's clock comes along, when it said.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn keys(&self, project_id: &str) -> Result<(KeySet, Option<Clock>), ApiError> {
        let url = format!("{}/api/projects/{project_id}/keys", self.url);
        let response = call(self.client.get(url)).instrument(spans::call("fetch login keys", "GET")).await?;
        match response.status() {
            StatusCode::OK => {
                let clock = Clock::read(&response);
                Ok((KeySet::read(&body(response).await?)?, clock))
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

/// The whole body, unless it is too long.
async fn body(response: Response) -> Result<Vec<u8>, CallError> {
    http_client::body(response, MAX_BYTES).await
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
