//! What goes back to the client, and what does the log hear of it?

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use serde::Serialize;

use crate::config::products::Product;
use crate::exchange::Issued;
use crate::login::keys::VerifiedBy;

use super::cause::Cause;
use super::refusal::Refusal;

/// Room for the headers of an answer: ten at most.
const HEADERS: usize = 10;

/// Seconds after which a client may try again when the trouble is ours.
pub(super) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Headers of tokens and refusals. A copy is quicker than to put them in one by one.
static HEADERS_OF_JSON: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    complete(&mut headers);
    headers
});

/// Says what every answer says: it is of the type that it names, nobody keeps it, and another page may get another. A document
/// that caches keep says so itself, and is the same for all.
fn complete(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

/// An answer, and how it came about.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) outcome: Outcome,
}

/// How an answer came about.
pub(super) enum Outcome {
    /// By an exchange that gave a token.
    Issued(Issued),
    /// By a refusal.
    Refused(Cause),
    /// By no question about anybody.
    Plain,
}

impl Outcome {
    /// What was issued, where something was.
    pub(super) const fn issued(&self) -> Option<&Issued> {
        if let Self::Issued(issued) = self { Some(issued) } else { None }
    }

    /// Why there was a refusal, where there was one.
    pub(super) const fn cause(&self) -> Option<Cause> {
        if let Self::Refused(cause) = self { Some(*cause) } else { None }
    }

    /// The refusal's code, where there was one.
    pub(super) fn refused_with(&self) -> Option<&'static str> {
        self.cause().map(|cause| cause.refusal().wire().1)
    }

    /// The key that verified the login, where one did.
    pub(super) fn verified_by(&self) -> Option<VerifiedBy> {
        match self {
            Self::Issued(issued) => Some(issued.verified_by),
            Self::Refused(cause) => cause.verified_by(),
            Self::Plain => None,
        }
    }
}

impl Answer {
    /// Hands a token out: as JSON, to pages in the words of the reference and to Zendesk's servers in those that they read,
    /// or as it is.
    pub(super) fn token(issued: Issued, product: Product, is_plain: bool) -> Self {
        let token = issued.token.as_str();
        // No letter of a token has to be escaped.
        let body = match (is_plain, product.is_for_pages()) {
            (true, _) => token.to_owned(),
            (false, true) => [r#"{"token":""#, token, r#""}"#].concat(),
            (false, false) => [r#"{"jwt":""#, token, r#""}"#].concat(),
        };
        let mut answer = Self::json(body, Outcome::Issued(issued));
        if is_plain {
            answer.response.headers_mut().insert(CONTENT_TYPE, PLAIN_TEXT);
        }
        answer
    }

    /// Whether it is a document: caches keep it, and it is no answer to one request.
    pub(super) fn is_for_all(&self) -> bool {
        matches!(self.outcome, Outcome::Plain) && self.response.headers().contains_key(ETAG)
    }

    fn json(body: impl Into<Body>, outcome: Outcome) -> Self {
        let mut response = Response::new(body.into());
        *response.headers_mut() = HEADERS_OF_JSON.clone();
        Self { response, outcome }
    }
}

impl From<Response> for Answer {
    fn from(mut response: Response) -> Self {
        complete(response.headers_mut());
        Self { response, outcome: Outcome::Plain }
    }
}

/// The body of a refusal: these two members and no more.
#[derive(Serialize)]
struct RefusalBody {
    code: &'static str,
    description: &'static str,
}

impl From<Cause> for Answer {
    fn from(cause: Cause) -> Self {
        let refusal = cause.refusal();
        let (status, code, description) = refusal.wire();
        let body = serde_json::to_vec(&RefusalBody { code, description }).unwrap_or_default();
        let mut answer = Self::json(body, Outcome::Refused(cause));
        *answer.response.status_mut() = status;
        let headers = answer.response.headers_mut();
        if let Cause::MethodUnknown(known) = cause {
            headers.insert(ALLOW, HeaderValue::from_static(known));
        }
        if let Cause::TooManyRequests(seconds) = cause {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        } else if matches!(refusal, Refusal::TooManyRequests | Refusal::Overloaded | Refusal::LoginUnavailable) {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        answer
    }
}
