//! HTTP client of the support desk's APIs: authentication, retries, errors.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::config::secret::Secret;
use crate::http_client::{self, CallError, ClientError};
use crate::login::json::Json;

use super::settings::Endpoint;

/// For one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// For all attempts of one call and the delays between them.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// Most attempts of one call.
pub(super) const MAX_ATTEMPTS: usize = 5;

/// Delay after the first attempt. It doubles after each, and jitter adds up to as much again.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// Most bytes of a response body: more than 100 messages of 4,096 characters, which a message has up to three times as text, HTML
/// and Markdown, of at most 4 bytes (API v2, *Post message*).
const MAX_BYTES: usize = 8 << 20;

/// Most characters that are kept of an error's code and of its title.
const MAX_ERROR_TEXT: usize = 200;

/// The unreserved characters, which a path segment contains as they are (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client of one API.
pub(super) struct ApiClient {
    client: Client,
    url: String,
    authorization: HeaderValue,
    /// Texts that an error message must not contain.
    secrets: Vec<Zeroizing<String>>,
    not_found_codes: &'static [&'static str],
    on_retry: OnRetry,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiError {
    /// No complete response.
    Call(CallError),
    /// An id that can't be a path segment: empty, `.` or `..`.
    InvalidId,
    /// The API does not have what the call asked for.
    NotFound,
    Refused(Refusal),
    /// The response does not match the API's description.
    UnexpectedResponse,
}

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// Code of the first error; untrusted text.
    pub(super) code: Option<String>,
    /// Title of that error; untrusted text.
    pub(super) title: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// A failed attempt that is followed by another one.
pub(super) struct Retry {
    pub(super) cause: ApiError,
    pub(super) delay: Duration,
    /// Number of the next attempt, of [`MAX_ATTEMPTS`].
    pub(super) attempt: usize,
}

/// Called before each retry.
pub(super) type OnRetry = Box<dyn Fn(&Retry) + Send + Sync>;

pub(super) enum Credentials<'a> {
    /// User name and password of HTTP Basic authentication (RFC 7617).
    Basic(&'a str, &'a Secret),
    /// A bearer token (RFC 6750).
    Bearer(&'a Secret),
}

impl ApiClient {
    /// Only a 404 with one of `not_found_codes` means that something does not exist: any server answers 404 to a path
    /// that it does not serve. Each retry calls `on_retry` first.
    pub(super) fn new(
        endpoint: &Endpoint,
        credentials: &Credentials<'_>,
        not_found_codes: &'static [&'static str],
        on_retry: OnRetry,
    ) -> Result<Self, ClientError> {
        let client = http_client::client(endpoint.ca_bundle.as_deref(), ATTEMPT_TIMEOUT)?;
        let text = |secret: &Secret| Zeroizing::new(String::from_utf8_lossy(secret.bytes()).into_owned());
        let (header, mut secrets) = match credentials {
            Credentials::Basic(id, secret) => {
                let pair = Zeroizing::new(format!("{id}:{}", *text(secret)));
                let pair = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
                let header = Zeroizing::new(format!("Basic {}", *pair));
                (header, vec![pair, text(secret), Zeroizing::new((*id).to_owned())])
            }
            Credentials::Bearer(token) => (Zeroizing::new(format!("Bearer {}", *text(token))), vec![text(token)]),
        };
        secrets.retain(|text| !text.is_empty());
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| ClientError)?;
        authorization.set_sensitive(true);
        Ok(Self { client, url: endpoint.url.clone(), authorization, secrets, not_found_codes, on_retry })
    }

    pub(super) fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, ApiError> {
        url(&self.url, segments, query)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, ApiError> {
        parsed(&self.call(&Method::GET, url, None).await.map_err(|failed| failed.error)?)
    }

    /// Like [`Self::get`], but returns the response body unchanged.
    pub(super) async fn get_text(&self, url: &Url) -> Result<String, ApiError> {
        let body = self.call(&Method::GET, url, None).await.map_err(|failed| failed.error)?;
        String::from_utf8(body).map_err(|_| ApiError::UnexpectedResponse)
    }

    /// Only for URLs that never name something else later: a deletion is repeated if the response to the first attempt
    /// was lost. If the repeated attempt finds nothing, the first one succeeded.
    pub(super) async fn delete(&self, url: &Url) -> Result<(), ApiError> {
        done(self.call(&Method::DELETE, url, None).await)
    }

    /// Creates something. A repeated attempt is refused with 409 if the response to the first one was lost.
    pub(super) async fn create<T: DeserializeOwned>(&self, url: &Url, body: &impl Serialize) -> Result<T, ApiError> {
        let body = serde_json::to_vec(body).map_err(|_| ApiError::InvalidId)?;
        parsed(&self.call(&Method::POST, url, Some(&body)).await.map_err(|failed| failed.error)?)
    }

    /// Sends a POST that removes something. It is repeated as in [`Self::delete`].
    pub(super) async fn remove_by_post(&self, url: &Url, body: &impl Serialize) -> Result<(), ApiError> {
        let body = serde_json::to_vec(body).map_err(|_| ApiError::InvalidId)?;
        done(self.call(&Method::POST, url, Some(&body)).await)
    }

    async fn call(&self, method: &Method, url: &Url, body: Option<&[u8]>) -> Result<Vec<u8>, Failed> {
        let end = Instant::now() + CALL_TIMEOUT;
        let delays =
            ExponentialBuilder::new().with_min_delay(FIRST_DELAY).with_max_times(MAX_ATTEMPTS - 1).with_jitter();
        let mut delays = delays.build();
        let mut attempts = 1;
        loop {
            let error = match self.attempt(method, url, body).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let delay = delays.next().filter(|_| error.is_temporary());
            let delay = delay.map(|delay| delay.max(error.retry_after().unwrap_or_default()));
            // Each attempt gets its full timeout; the failure of a shorter one would prove nothing.
            let left = end.saturating_duration_since(Instant::now());
            let Some(delay) = delay.filter(|delay| delay.saturating_add(ATTEMPT_TIMEOUT) <= left) else {
                return Err(Failed { error, attempts });
            };
            attempts += 1;
            (self.on_retry)(&Retry { cause: error, delay, attempt: attempts });
            sleep(delay).await;
        }
    }

    async fn attempt(&self, method: &Method, url: &Url, body: Option<&[u8]>) -> Result<Vec<u8>, ApiError> {
        let mut request = self.client.request(method.clone(), url.clone());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        let request = request.header(AUTHORIZATION, self.authorization.clone()).header(ACCEPT, "application/json");
        let response = http_client::call(request).await.map_err(ApiError::Call)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = http_client::body(response, MAX_BYTES).await;
        if !status.is_success() {
            let refusal = self.refusal(status, &body.unwrap_or_default(), retry_after);
            let is_not_found = status == StatusCode::NOT_FOUND
                && refusal.code.as_deref().is_some_and(|code| self.not_found_codes.contains(&code));
            return Err(if is_not_found { ApiError::NotFound } else { ApiError::Refused(refusal) });
        }
        // The status alone says whether a deletion succeeded.
        if *method == Method::DELETE { Ok(Vec::new()) } else { body.map_err(ApiError::Call) }
    }

    fn refusal(&self, status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Refusal {
        let printed = |text: &str| {
            let is_secret = self.secrets.iter().any(|secret| text.contains(secret.as_str()));
            (!is_secret).then(|| text.chars().take(MAX_ERROR_TEXT).collect())
        };
        let body = serde_json::from_slice(body).unwrap_or(Json::Null);
        // The Sunshine Conversations API sends a list of errors with `code` and `title`, its version 1.1 one `error` with `code`
        // and `description`; the Chat API and OAuth 2.0 send `error` and `message`.
        let first = match (member(&body, "errors"), member(&body, "error")) {
            (Some(Json::List(errors)), _) => errors.first(),
            (_, error) => error.filter(|error| matches!(error, Json::Object(_))),
        };
        let error = first.unwrap_or(&body);
        let text = |names: &[&str]| names.iter().find_map(|name| member(error, name)?.as_str()).and_then(printed);
        Refusal {
            status: status.as_u16(),
            code: text(&["code", "error"]),
            title: text(&["title", "description", "message"]),
            retry_after,
        }
    }
}

impl ApiError {
    pub(super) const fn is_temporary(&self) -> bool {
        match self {
            Self::Call(CallError::Unreachable | CallError::TimedOut | CallError::Broken) => true,
            Self::Call(CallError::Untrusted | CallError::TooLarge)
            | Self::InvalidId
            | Self::NotFound
            | Self::UnexpectedResponse => false,
            Self::Refused(refusal) => matches!(refusal.status, 408 | 429 | 500..),
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        if let Self::Refused(refusal) = self { refusal.retry_after } else { None }
    }
}

struct Failed {
    error: ApiError,
    attempts: usize,
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|_| ApiError::UnexpectedResponse)
}

/// The result of a removal: if a repeated attempt finds nothing, an earlier one succeeded.
fn done(result: Result<Vec<u8>, Failed>) -> Result<(), ApiError> {
    match result {
        Err(Failed { error: ApiError::NotFound, attempts: 2.. }) => Ok(()),
        done => done.map(drop).map_err(|failed| failed.error),
    }
}

/// The URL of these path segments below a base URL, each percent-encoded.
fn url(base: &str, segments: &[&str], query: &[(&str, &str)]) -> Result<Url, ApiError> {
    let mut url = base.to_owned();
    for segment in segments {
        if matches!(*segment, "" | "." | "..") {
            return Err(ApiError::InvalidId);
        }
        url.push('/');
        url.extend(utf8_percent_encode(segment, UNRESERVED));
    }
    let mut url = Url::parse(&url).map_err(|_| ApiError::InvalidId)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn member<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    if let Json::Object(members) = json { members.get(name) } else { None }
}

/// Reads both forms of `Retry-After` (RFC 9110 §10.2.3). A date is relative to the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?;
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| date(value)?.duration_since(date(text(DATE)?)?).ok())
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn encoded(id: &str) -> Option<String> {
        let url = url("https://acme.zendesk.com/sc", &["v2", "users", id], &[]).ok()?;
        assert_eq!((url.host_str(), url.query(), url.fragment()), (Some("acme.zendesk.com"), None, None), "{id:?}");
        Some(url.path().strip_prefix("/sc/v2/users/")?.to_owned())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_id_is_exactly_one_path_segment(id: String) {
            let segment = encoded(&id);
            if ["", ".", ".."].contains(&id.as_str()) {
                prop_assert_eq!(segment, None);
            } else {
                let segment = segment.unwrap();
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
                prop_assert!(segment.bytes().all(is_plain), "{segment}");
                prop_assert_eq!(percent_decode_str(&segment).decode_utf8().unwrap(), id);
            }
        }
    }

    #[test]
    fn an_id_is_percent_encoded() {
        for (id, segment) in [
            ("a/b", "a%2Fb"),
            ("a?b", "a%3Fb"),
            ("100%", "100%25"),
            ("%2F", "%252F"),
            ("a b", "a%20b"),
            ("é", "%C3%A9"),
            ("...", "..."),
            ("a\nb\tc", "a%0Ab%09c"),
            ("\\..\\", "%5C..%5C"),
            ("a;b", "a%3Bb"),
            ("+", "%2B"),
        ] {
            assert_eq!(encoded(id).as_deref(), Some(segment));
        }
        assert_eq!([encoded(""), encoded("."), encoded("..")], [None, None, None]);
    }
}
