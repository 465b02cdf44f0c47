//! Calls to the support desk's APIs, and when they are tried again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::config::desk::Endpoint;
use crate::config::secret::Secret;
use crate::http_client::{self, CallError};
use crate::login::json::Json;

/// For one try.
const TRY_LIMIT: Duration = Duration::from_secs(10);

/// For all tries of one call and the pauses between them.
const CALL_LIMIT: Duration = Duration::from_mins(1);

/// Most tries of one call.
pub const TRIES: usize = 5;

/// The shortest pause after the first try; it doubles after each, and up to as much again is added by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Most bytes of an answer.
const MAX_BYTES: usize = 1 << 20;

/// Most letters that are kept of each of the API's own words.
const MAX_WORDS: usize = 200;

/// What goes into a path as it is: the unreserved characters (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client of one API.
pub struct DeskApi {
    client: Client,
    url: String,
    authorization: HeaderValue,
    /// What no word of an answer may repeat.
    unspeakable: Vec<String>,
    /// The API's codes for what is not there.
    missing: &'static [&'static str],
    pausing: fn(&Pause),
}

/// No client can be made, which settings that were checked give no reason for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("base_url and ca_file make no client; is there such a host, and such an authority?")]
pub struct DeskClientError;

/// Why there is no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskApiError {
    /// None came, or none that is whole.
    Call(CallError),
    /// An id that can't be asked for: nothing, or what every client and server takes for a folder.
    Id,
    /// The API knows nothing of what it was asked for.
    Missing,
    /// The API says no otherwise.
    Refused(Refused),
    /// An answer that is not what the API's description says.
    NotAsDescribed,
}

/// How the API says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The code of its first error, in its own words, which nobody vouches for.
    pub code: Option<String>,
    /// The title of that error, likewise.
    pub title: Option<String>,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// A pause before another try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Why there has to be one.
    pub cause: DeskApiError,
    /// How long it is.
    pub length: Duration,
    /// Which try comes next, of [`TRIES`].
    pub next: usize,
}

/// What opens an API.
pub enum Credentials<'a> {
    /// HTTP's Basic scheme (RFC 7617).
    Basic(&'a str, &'a Secret),
    /// A bearer token (RFC 6750).
    Bearer(&'a Secret),
}

impl DeskApi {
    /// Makes a client of the API at an endpoint, whose codes for what is not there are `missing`: any server says 404 to a
    /// path that it does not have. `pausing` hears of each pause.
    ///
    /// # Errors
    /// See [`DeskClientError`].
    pub fn new(
        endpoint: &Endpoint,
        credentials: &Credentials<'_>,
        missing: &'static [&'static str],
        pausing: fn(&Pause),
    ) -> Result<Self, DeskClientError> {
        Url::parse(&endpoint.url).map_err(|_| DeskClientError)?;
        let client = http_client::client(endpoint.ca_bundle.as_deref(), TRY_LIMIT).map_err(|_| DeskClientError)?;
        let text = |secret: &Secret| String::from_utf8_lossy(secret.bytes()).into_owned();
        let (header, mut unspeakable) = match credentials {
            Credentials::Basic(id, secret) => {
                let both = STANDARD.encode(format!("{id}:{}", text(secret)));
                (format!("Basic {both}"), vec![both, text(secret), (*id).to_owned()])
            }
            Credentials::Bearer(token) => (format!("Bearer {}", text(token)), vec![text(token)]),
        };
        unspeakable.retain(|text| !text.is_empty());
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| DeskClientError)?;
        authorization.set_sensitive(true);
        Ok(Self { client, url: endpoint.url.clone(), authorization, unspeakable, missing, pausing })
    }

    /// The address below the base URL that these segments make, each encoded as a whole.
    ///
    /// # Errors
    /// [`DeskApiError::Id`]: a segment can't be one.
    pub fn address(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, DeskApiError> {
        let mut address = self.url.clone();
        for segment in segments {
            if matches!(*segment, "" | "." | "..") {
                return Err(DeskApiError::Id);
            }
            address.push('/');
            address.extend(utf8_percent_encode(segment, UNRESERVED));
        }
        let mut url = Url::parse(&address).map_err(|_| DeskApiError::Id)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Asks for what is at an address.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn fetch<T: DeserializeOwned>(&self, url: &Url) -> Result<T, DeskApiError> {
        let body = self.call(&Method::GET, url).await.map_err(|failed| failed.error)?;
        serde_json::from_slice(&body).map_err(|_| DeskApiError::NotAsDescribed)
    }

    /// As [`Self::fetch`], for the answer to the letter.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn fetch_text(&self, url: &Url) -> Result<String, DeskApiError> {
        let body = self.call(&Method::GET, url).await.map_err(|failed| failed.error)?;
        String::from_utf8(body).map_err(|_| DeskApiError::NotAsDescribed)
    }

    /// Deletes what is at an address. It has to name one thing for ever, since the API is asked again where it
    /// may have heard the first time; then finding nothing means that it has.
    ///
    /// # Errors
    /// See [`DeskApiError`].
    pub async fn delete(&self, url: &Url) -> Result<(), DeskApiError> {
        match self.call(&Method::DELETE, url).await {
            Err(Failed { error: DeskApiError::Missing, tries: 2.. }) => Ok(()),
            done => done.map(drop).map_err(|failed| failed.error),
        }
    }

    async fn call(&self, method: &Method, url: &Url) -> Result<Vec<u8>, Failed> {
        let end = Instant::now() + CALL_LIMIT;
        let pauses = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_times(TRIES - 1).with_jitter();
        let mut pauses = pauses.build();
        let mut tries = 1;
        loop {
            let error = match self.try_once(method, url).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let length = pauses.next().filter(|_| error.is_worth_another_try());
            let length = length.map(|length| length.max(error.retry_after().unwrap_or_default()));
            // A try that could not run its time says nothing.
            let left = end.saturating_duration_since(Instant::now());
            let Some(length) = length.filter(|length| length.saturating_add(TRY_LIMIT) <= left) else {
                return Err(Failed { error, tries });
            };
            tries += 1;
            (self.pausing)(&Pause { cause: error, length, next: tries });
            sleep(length).await;
        }
    }

    async fn try_once(&self, method: &Method, url: &Url) -> Result<Vec<u8>, DeskApiError> {
        let request = self.client.request(method.clone(), url.clone());
        let request = request.header(AUTHORIZATION, self.authorization.clone()).header(ACCEPT, "application/json");
        let response = http_client::call(request).await.map_err(DeskApiError::Call)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = http_client::body(response, MAX_BYTES).await;
        if !status.is_success() {
            let refused = self.refused(status, &body.unwrap_or_default(), retry_after);
            let is_missing = status == StatusCode::NOT_FOUND
                && refused.code.as_deref().is_some_and(|code| self.missing.contains(&code));
            return Err(if is_missing { DeskApiError::Missing } else { DeskApiError::Refused(refused) });
        }
        // Of a deletion the status says all.
        if *method == Method::DELETE { Ok(Vec::new()) } else { body.map_err(DeskApiError::Call) }
    }

    fn refused(&self, status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Refused {
        let speakable = |words: &str| {
            let is_speakable = !self.unspeakable.iter().any(|secret| words.contains(secret.as_str()));
            is_speakable.then(|| words.chars().take(MAX_WORDS).collect())
        };
        let body = serde_json::from_slice(body).unwrap_or(Json::Null);
        // The Sunshine Conversations API has a list of errors, and names `code` and `title`; the Chat API and OAuth 2.0 have
        // one, and name `error` and `message`.
        let first = if let Some(Json::List(errors)) = body.get("errors") { errors.first() } else { None };
        let error = first.unwrap_or(&body);
        let text = |names: [&str; 2]| names.iter().find_map(|name| error.get(name)?.as_str()).and_then(speakable);
        Refused {
            status: status.as_u16(),
            code: text(["code", "error"]),
            title: text(["title", "message"]),
            retry_after,
        }
    }
}

impl DeskApiError {
    /// Whether it may be otherwise in a moment.
    const fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Call(CallError::Unreachable | CallError::TimedOut | CallError::Broken) => true,
            Self::Call(CallError::Untrusted | CallError::TooLarge)
            | Self::Id
            | Self::Missing
            | Self::NotAsDescribed => false,
            Self::Refused(refused) => matches!(refused.status, 408 | 429 | 500..),
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(refused) = self { refused.retry_after } else { None }
    }
}

/// A call that failed, after so many tries.
struct Failed {
    error: DeskApiError,
    tries: usize,
}

/// Either form of `Retry-After` (RFC 9110 §10.2.3); a date counts from the server's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?;
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| date(value)?.duration_since(date(text(DATE)?)?).ok())
}
