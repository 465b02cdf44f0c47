//! How do Zendesk's servers get a token for the player of an app?
//!
//! They post what the app calls its user token, which here is the login token. A 401 makes the app drop
//! the player's history (developer.zendesk.com, *how-anonymous-identities-work*), so it is said only of a
//! login that was judged and found wanting, or is not there at all. Trouble of ours, a login that begins
//! later and a key that we may not ask about yet are a 503, to be tried again.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::products::Product;
use crate::exchange::{Exchange, ExchangeError};
use crate::login::claims::ClaimsError;
use crate::login::keys::NoKeyError;
use crate::login::published::FindKeyError;
use crate::login::strict_json::{Member, Members, StrictJsonError};
use crate::login::token::{LoginToken, VerifyError};
use crate::login::verifier::{Candidates, LoginError};

use super::answer::{Answer, RETRY_AFTER_SECONDS};
use super::cause::Cause;
use super::shares::Shares;
use super::token::now;

/// Most bytes of a body: a login token has 8 KiB at most, and no letter that a form has to escape.
const MAX_BYTES: usize = 16 * 1024;

/// Most bytes of a larger body that are read and dropped before it is refused: a client that is still
/// sending when its connection closes never sees the answer. As much as nginx lets through by default.
const MAX_DROPPED: usize = 1 << 20;

/// Longest time that a body may take: it fits into a dozen packets, and one of them may be lost twice.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The part of the places for bodies that one client may hold. Zendesk's servers hold one for milliseconds.
const SHARE: usize = 16;

/// The field that holds the login token.
const FIELD: &str = "user_token";

/// Where bodies are waited for.
pub(super) struct Endpoint {
    /// Places for bodies that are still to come. Nothing else lets a client keep a request under way at
    /// will: without a bound of their own, bodies that never come would fill the house.
    reading: Semaphore,
    /// A sixteenth of them at most are one client's.
    shares: Shares,
}

impl Endpoint {
    /// Takes as many bodies at once as a quarter of the requests that are answered at once.
    pub(super) fn new(requests_in_flight: usize) -> Self {
        let places = (requests_in_flight / 4).max(1);
        Self { reading: Semaphore::new(places), shares: Shares::new((places / SHARE).max(1)) }
    }

    /// `POST /support-sdk/token`: the login token in a form's `user_token`, or a JSON object's, in; a Support
    /// SDK token out. `client` is who asks, as the trusted proxies say.
    ///
    /// # Errors
    /// Whatever keeps the player from getting one.
    pub(super) async fn token(
        &self,
        exchange: &Exchange,
        headers: &HeaderMap,
        body: Body,
        client: IpAddr,
    ) -> Result<Answer, Cause> {
        let find = finder(headers)?;
        let body = {
            let _share = self.shares.take(client).ok_or(Cause::TooManyBodiesOfClient)?;
            let _place = self.reading.try_acquire().map_err(|_| Cause::TooManyBodies)?;
            timeout(BODY_TIMEOUT, read(body)).await.map_err(|_| Cause::BodyLate)??
        };
        let user_token = find(&body)?;
        let candidates = Candidates { bearer: Some(LoginToken::new(user_token.as_bytes())), cookies: Vec::new() };
        let issued = exchange.run(Product::SupportSdk, &candidates, now()).await;
        Ok(Answer::token(issued.map_err(cause)?, Product::SupportSdk, false))
    }
}

/// Tells a login that is not good from one that may be, were our clock or our keys another.
fn cause(error: ExchangeError) -> Cause {
    match error {
        ExchangeError::Login(LoginError::Verify(
            VerifyError::Claims(ClaimsError::InFuture(..))
            | VerifyError::NoKey(NoKeyError::Find(FindKeyError::NotAsked)),
        )) => Cause::NotJudged(error),
        ExchangeError::NotServed | ExchangeError::Login(_) | ExchangeError::Identify(..) | ExchangeError::Issue(..) => {
            Cause::Exchange(error)
        }
    }
}

/// Says 503 of what is our trouble and has another status elsewhere; code and description stay.
pub(super) fn worth_another_try(response: &mut Response) {
    let status = response.status();
    if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
}

/// Takes the body, if it is of a size that is meant.
async fn read(body: Body) -> Result<Vec<u8>, Cause> {
    let (mut kept, mut read) = (Vec::new(), 0);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Cause::BodyCutOff)?;
        read += chunk.len();
        if read <= MAX_BYTES {
            kept.extend_from_slice(&chunk);
        } else if read > MAX_DROPPED {
            break;
        }
    }
    if read <= MAX_BYTES { Ok(kept) } else { Err(Cause::BodyTooLarge) }
}

/// Finds the one user token of a body.
type Finder = fn(&[u8]) -> Result<Cow<'_, str>, Cause>;

/// How to find it, by the content type: a form unless it says otherwise.
fn finder(headers: &HeaderMap) -> Result<Finder, Cause> {
    let is_plain =
        |name, plain: &[u8]| headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(plain));
    if !is_plain(CONTENT_ENCODING, b"identity") || !is_plain(TRANSFER_ENCODING, b"chunked") {
        return Err(Cause::BodyEncoded);
    }
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match media_type.to_ascii_lowercase().as_slice() {
        b"" | b"application/x-www-form-urlencoded" => Ok(of_form),
        b"application/json" => Ok(of_json),
        _ => Err(Cause::BodyKindUnknown),
    }
}

fn of_form(body: &[u8]) -> Result<Cow<'_, str>, Cause> {
    let mut values = form_urlencoded::parse(body).filter(|(name, _)| name == FIELD).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Err(Cause::UserTokenMissing),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(Cause::MemberTwice),
    }
}

fn of_json(body: &[u8]) -> Result<Cow<'_, str>, Cause> {
    let members = Members::read(body).map_err(|error| match error {
        StrictJsonError::Duplicate => Cause::MemberTwice,
        StrictJsonError::Syntax | StrictJsonError::NotAnObject => Cause::BodyNotJson,
    })?;
    match members.find(FIELD) {
        None => Err(Cause::UserTokenMissing),
        Some(Member::Text(text)) => Ok(text.clone()),
        Some(Member::Number(_) | Member::Other) => Err(Cause::UserTokenNotText),
    }
}
