//! What does the Login API say?

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, DATE};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, redirect};
use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::config::login::Api;

use super::Timestamp;
use super::key_set::{KeySet, KeySetError};

/// For a whole call, as in Xsolla's own SDK (github.com/xsolla/login-sdk-go). A request waits for it,
/// so it has to stay below `limits.request_timeout`.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Most bytes of an answer: some 200 keys. Whoever answers in the API's place must not fill the memory.
const MAX_BYTES: usize = 100 * 1024;

/// How long an idle connection is kept: less than servers do, so that none is closed under a call.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// A client of the Xsolla Login API.
pub struct LoginApi {
    client: Client,
    url: String,
}

/// The client can't be made; of the settings, only the authorities can be the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[error("login.ca_file: holds a certificate that can't be read; give the authority's certificate in PEM")]
pub struct ClientError;

/// Why the Login API gave no answer to go by. Says nothing of what it sent but numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum ApiError {
    /// No connection, or it broke.
    #[error("the Login API can't be reached")]
    Unreachable,
    /// No agreement on TLS, mostly over the certificate.
    #[error("the Login API's certificate is of no authority that is believed, or its TLS is too old")]
    Untrusted,
    /// No whole answer in 5 s.
    #[error("the Login API gave no answer within 5 s")]
    TimedOut,
    /// An answer of more than 100 KiB.
    #[error("the Login API's answer is over 100 KiB")]
    TooLarge,
    /// A status that this call does not have; a redirect, too, since none is followed.
    #[error("the Login API answered with status {0}")]
    Status(u16),
    /// An answer that is no HTTP, or not whole.
    #[error("the Login API's answer broke off or is no HTTP")]
    Broken,
    /// Keys that can't be used.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
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
    /// Its `Date` header (RFC 9110 §6.6.1), when there is one.
    pub date: Option<Timestamp>,
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
        let authorities = match &api.authorities {
            Some(pem) => Certificate::from_pem_bundle(pem),
            None => webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect(),
        };
        let client = Client::builder()
            .tls_certs_only(authorities.map_err(|_| ClientError)?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(CALL_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { client: client.map_err(|_| ClientError)?, url: api.url.clone() })
    }

    /// Fetches the keys that a login project publishes.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn keys(&self, project_id: &str) -> Result<Dated<KeySet>, ApiError> {
        let url = format!("{}/api/projects/{project_id}/keys", self.url);
        let response = call(self.client.get(url)).await?;
        match response.status() {
            StatusCode::OK => {
                let date = date(&response);
                Ok(Dated { answer: KeySet::read(&body(response).await?)?, date })
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
        let response = call(request).await?;
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
    pub async fn date(&self) -> Result<Option<Timestamp>, ApiError> {
        Ok(date(&call(self.client.get(&self.url)).await?))
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

async fn call(request: RequestBuilder) -> Result<Response, ApiError> {
    request.send().await.map_err(|error| broken(&error))
}

/// The whole body, unless it is too long.
async fn body(mut response: Response) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(ApiError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: &reqwest::Error) -> ApiError {
    match error {
        error if error.is_timeout() => ApiError::TimedOut,
        error if error.is_connect() && is_over_tls(error) => ApiError::Untrusted,
        error if error.is_connect() => ApiError::Unreachable,
        _ => ApiError::Broken,
    }
}

/// Whether TLS is what failed: it tells so as invalid data, wrapped in an error of another kind.
fn is_over_tls(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref());
        if wrapped.is_some_and(|inner: &io::Error| inner.kind() == ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn date(response: &Response) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(response.headers().get(DATE)?.to_str().ok()?).ok()?;
    let since_1970 = date.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::try_from(since_1970.as_secs()).ok()
}
