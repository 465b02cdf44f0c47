//! How do Zendesk's servers get a token for the player of an app?
//!
//! They post what the app calls its user token, which here is the login token. A 401 makes the app drop
//! the player's history (developer.zendesk.com, *how-anonymous-identities-work*), so it is said only of a
//! login that was judged and found wanting; whatever is our own trouble is a 503, to be tried again.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;

use crate::config::products::Product;
use crate::exchange::Exchange;
use crate::login::strict_json::{Member, Members, StrictJsonError};
use crate::login::token::LoginToken;
use crate::login::verifier::Candidates;

use super::refusal::{Cause, RETRY_AFTER_SECONDS};
use super::token::{answer, now};

/// Most bytes of a body: a login token has 8 KiB at most, and percent-encoding can double it.
const MAX_BYTES: usize = 16 * 1024;

/// Most bytes of a larger body that are read and dropped before it is refused: a client that is still
/// sending when its connection closes never sees the answer. As much as nginx lets through by default.
const MAX_DROPPED: usize = 1 << 20;

/// The field that holds the login token.
const FIELD: &str = "user_token";

/// `POST /support-sdk/token`: the login token in a form's `user_token`, or a JSON object's, in; a Support
/// SDK token out.
///
/// # Errors
/// Whatever keeps the player from getting one.
pub async fn support_sdk(
    State(exchange): State<Arc<Exchange>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Cause> {
    let body = read(body).await?;
    let user_token = user_token(&headers, &body)?;
    let candidates = Candidates { bearer: Some(LoginToken::new(user_token.as_bytes())), cookies: Vec::new() };
    Ok(answer(exchange.run(Product::SupportSdk, &candidates, now()).await?, Product::SupportSdk, false))
}

/// Says 503 of what is our trouble and has another status elsewhere; code and description stay.
#[must_use]
pub fn worth_another_try(mut response: Response) -> Response {
    let status = response.status();
    if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
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

/// The one user token of a body, by its content type: a form unless it says otherwise.
fn user_token<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Cow<'a, str>, Cause> {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match media_type.to_ascii_lowercase().as_slice() {
        b"" | b"application/x-www-form-urlencoded" => of_form(body),
        b"application/json" => of_json(body),
        _ => Err(Cause::BodyKindUnknown),
    }
}

fn of_form(body: &[u8]) -> Result<Cow<'_, str>, Cause> {
    let mut values = form_urlencoded::parse(body).filter(|(name, _)| name == FIELD).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Err(Cause::UserTokenMissing),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(Cause::UserTokenTwice),
    }
}

fn of_json(body: &[u8]) -> Result<Cow<'_, str>, Cause> {
    let members = Members::read(body).map_err(|error| match error {
        StrictJsonError::Duplicate => Cause::UserTokenTwice,
        StrictJsonError::Syntax | StrictJsonError::NotAnObject => Cause::BodyNotJson,
    })?;
    match members.find(FIELD) {
        None => Err(Cause::UserTokenMissing),
        Some(Member::Text(text)) => Ok(text.clone()),
        Some(Member::Number(_) | Member::Object(_) | Member::Other) => Err(Cause::UserTokenNotText),
    }
}
