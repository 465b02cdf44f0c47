//! A client of the Xsolla Login API or of an OpenID Connect provider: fetches keys, asks for revocation, reads the clock.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use reqwest::header::{AGE, CONTENT_TYPE, DATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::Instrument;

use crate::config::login::{Api, KeyLocation};
use crate::config::origin::is_safe_to_call;
use crate::http_client::{self, CallError, ClientError, call};
use crate::telemetry::spans;

use super::Timestamp;
use super::key_set::{KeySet, KeySetError};

/// Timeout of a whole call, as in Xsolla's own SDK (github.com/xsolla/login-sdk-go). A request waits for the call,
/// so this must stay below `limits.request_timeout`.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes of an answer: about 200 keys.
const MAX_BYTES: usize = 100 * 1024;

/// A client of the Xsolla Login API or of an OpenID Connect provider.
pub(crate) struct LoginApi {
    client: Client,
    url: String,
    /// Limits how many requests wait for the API. An attacker can invent any number of key ids; while the API is slow,
    /// such requests would use up the service's capacity, although the players' keys are cached.
    wait_slots: Arc<Semaphore>,
}

/// All wait slots are taken.
pub(super) struct TooManyWaiting;

/// The Login API's answer about a token with a valid signature.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    /// The token was not revoked.
    Valid,
    /// The token was revoked, with the API's error code if that has the usual form.
    Revoked(Option<ApiCode>),
}

/// An error code of the Login API, such as `003-061`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiCode(u16, u16);

/// The time on the API's clock, and when it was read.
pub(crate) struct Clock {
    date: Timestamp,
    read_at: Instant,
}

/// Why the Login API or the provider gave no usable answer. Quotes nothing that the API sent, except numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LoginApiError {
    /// No complete answer came.
    #[error("{}", call_error_text(*.0))]
    Call(CallError),
    /// An unexpected status. Includes redirects, which are not followed.
    #[error("the login service answered with status {0}")]
    Status(u16),
    /// See [`DiscoveryError`].
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The answer has no usable keys.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// What is wrong with a provider's discovery document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DiscoveryError {
    /// Not a JSON object with the two members that are used.
    #[error("the discovery document is not a JSON object with issuer and jwks_uri")]
    Shape,
    /// Another provider's document (OpenID Connect Discovery 1.0 §4.3).
    #[error("the discovery document is of another issuer than the one in the settings; both must be the same text")]
    Issuer,
    /// Whoever can change the answer on its way could give keys of their own.
    #[error("jwks_uri in the discovery document is not https")]
    KeysNotSafe,
}

/// The members of a discovery document that are used (OpenID Connect Discovery 1.0 §3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl LoginApi {
    /// Builds a client. It trusts the CA bundle of the settings, or else the public CAs.
    pub(crate) fn new(api: &Api) -> Result<Self, ClientError> {
        let client = http_client::client(api.ca_bundle.as_deref(), CALL_LIMIT)?;
        Ok(Self { client, url: api.url.clone(), wait_slots: Arc::new(Semaphore::new(api.most_waiting)) })
    }

    /// Runs `calls` if a wait slot is free, and waits for their result. They run in their own task, since other requests
    /// may wait for the same result when this one's client disconnects.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        calls: impl Future<Output = T> + Send + 'static,
    ) -> Result<Result<T, JoinError>, TooManyWaiting> {
        let slot = Arc::clone(&self.wait_slots).try_acquire_owned().map_err(|_| TooManyWaiting)?;
        let calls = async move {
            let _slot = slot;
            calls.await
        };
        Ok(tokio::spawn(calls.in_current_span()).await)
    }

    /// Fetches the published keys, and the API's clock if the answer has it.
    pub(crate) async fn keys(&self, keys: &KeyLocation) -> Result<(KeySet, Option<Clock>), LoginApiError> {
        match keys {
            KeyLocation::Project(id) => {
                let (body, clock) = self.get(&format!("{}/api/projects/{id}/keys", self.url)).await?;
                Ok((KeySet::read(&body)?, clock))
            }
            KeyLocation::Discovery => {
                let found = timeout(CALL_LIMIT, async {
                    let (body, clock) = self.get(&self.keys_url().await?).await?;
                    Ok((KeySet::read_jwks(&body)?, clock))
                });
                found.await.unwrap_or(Err(CallError::TimedOut.into()))
            }
        }
    }

    /// Finds the URL of a provider's keys (OpenID Connect Discovery 1.0 §4).
    async fn keys_url(&self) -> Result<String, LoginApiError> {
        let issuer = self.url.strip_suffix('/').unwrap_or(&self.url);
        let (body, _) = self.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        let Discovery { issuer, jwks_uri } = serde_json::from_slice(&body).map_err(|_| DiscoveryError::Shape)?;
        if issuer != self.url {
            return Err(DiscoveryError::Issuer.into());
        }
        let url = Url::parse(&jwks_uri).map_err(|_| DiscoveryError::Shape)?;
        let is_as_safe = (url.scheme() == "https" || self.url.starts_with("http:"))
            && url.username().is_empty()
            && url.password().is_none();
        if is_as_safe && is_safe_to_call(&url.origin().ascii_serialization()) {
            Ok(jwks_uri)
        } else {
            Err(DiscoveryError::KeysNotSafe.into())
        }
    }

    async fn get(&self, url: &str) -> Result<(Vec<u8>, Option<Clock>), LoginApiError> {
        let response = call(self.client.get(url)).instrument(spans::call("fetch login keys", "GET")).await?;
        match response.status() {
            StatusCode::OK => {
                let clock = Clock::read(&response);
                Ok((read_body(response).await?, clock))
            }
            status => Err(LoginApiError::Status(status.as_u16())),
        }
    }

    /// Asks whether a token with a valid signature was revoked.
    pub(crate) async fn validate(&self, token: &str) -> Result<Validity, LoginApiError> {
        let body = serde_json::to_vec(&ValidateRequest { token });
        let request = self.client.post(format!("{}/api/token/validate", self.url));
        let request = request.header(CONTENT_TYPE, "application/json").body(body.unwrap_or_default());
        let response = call(request).instrument(spans::call("ask for revocation", "POST")).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(Validity::Valid),
            // These client errors say nothing about the token.
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                Err(LoginApiError::Status(status.as_u16()))
            }
            status if status.is_client_error() => {
                let refusal = serde_json::from_slice::<Refusal>(&read_body(response).await?);
                let refusal = refusal.map_err(|_| LoginApiError::Status(status.as_u16()))?;
                Ok(Validity::Revoked(ApiCode::parse(&refusal.error.code)))
            }
            status => Err(LoginApiError::Status(status.as_u16())),
        }
    }

    /// Reads only the API's clock, which every answer has.
    pub(crate) async fn clock(&self) -> Result<Option<Clock>, LoginApiError> {
        Ok(Clock::read(&call(self.client.get(&self.url)).await?))
    }
}

impl Clock {
    /// The `Date` header (RFC 9110 §6.6.1), unless the answer comes from a cache (`Age`, RFC 9111 §5.1).
    fn read(response: &Response) -> Option<Self> {
        let headers = response.headers();
        let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE))?;
        let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
        let since_1970 = date.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { date: Timestamp::try_from(since_1970.as_secs()).ok()?, read_at: Instant::now() })
    }

    /// How many seconds a clock that shows `now` is ahead of the API's clock.
    pub(crate) fn skew(&self, now: Timestamp) -> i64 {
        now - i64::try_from(self.read_at.elapsed().as_secs()).unwrap_or_default() - self.date
    }
}

impl ApiCode {
    /// Takes only three digits, a hyphen and three digits: the code goes into the log, so it must not be free text.
    fn parse(text: &str) -> Option<Self> {
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

impl From<CallError> for LoginApiError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

const fn call_error_text(error: CallError) -> &'static str {
    match error {
        CallError::Unreachable => "the login service can't be reached",
        CallError::Untrusted => {
            "TLS with the login service failed: its certificate is not trusted, or it does not support TLS 1.2 or newer"
        }
        CallError::TimedOut => "the login service did not answer within 5 s",
        CallError::TooLarge => "the login service's answer is over 100 KiB",
        CallError::Broken => "the login service's answer is incomplete or is not HTTP",
    }
}

#[derive(Serialize)]
struct ValidateRequest<'a> {
    token: &'a str,
}

/// A refusal of the API. It always has both members; any other body does not come from the API.
#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    code: String,
    #[serde(rename = "description")]
    _description: String,
}

async fn read_body(response: Response) -> Result<Vec<u8>, CallError> {
    http_client::body(response, MAX_BYTES).await
}
