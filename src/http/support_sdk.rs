//! How Zendesk's servers get a token for the player of an app.
//!
//! They post what the app calls its user token, which here is the login token. A 401 makes the app drop
//! the player's history (developer.zendesk.com, *how-anonymous-identities-work*), so it is said only of a
//! login that was verified and refused, or is not there at all. What can't be a login token is a 400. Trouble of ours,
//! a login that begins later and a key that we may not ask about yet are a 503, to be tried again.

use std::borrow::Cow;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::iter;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoResponses, ToSchema};

use crate::config::products::Product;
use crate::exchange::{ExchangeError, Issued};
use crate::login::claims::ClaimsError;
use crate::login::keys::NoKeyError;
use crate::login::published::FindKeyError;
use crate::login::strict_json::{Member, Members, StrictJsonError};
use crate::login::token::{LoginToken, VerifyError};
use crate::login::verifier::{Credentials, LoginError};

use super::access_log::Client;
use super::error::{ApiError, ErrorCode, RETRY_AFTER_SECONDS, Reason};
use super::json::Json;
use super::openapi::{self, EXAMPLE_TOKEN, Responses, refusals};
use super::per_client::{PerClient, Place};
use super::state::{AppState, Count, Counted};
use super::token::{SUPPORT_SDK_PATH, Token, now};

/// Most bytes of a body: a login token has 8 KiB at most, and no letter that a form has to escape.
const MAX_BYTES: usize = 16 * 1024;

/// Most bytes of a body that are read from the wire: of a larger one some are dropped before it is refused, since a client
/// that is still sending when its connection closes may never see why. Chunks of one byte take six, and more with zeros before
/// their size.
pub const MAX_READ: usize = 64 * 1024;

/// Longest time that a body may take: it fits into a dozen packets, and one of them may be lost twice.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// A body that comes within this time takes none of the places for bodies: Zendesk's servers are served also while slow
/// clients of the same address, such as a proxy's that `proxy.trusted` does not name, have them all.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The part of the requests in flight that may still be sending their body. Nothing else lets a client keep a request under
/// way at will: without a bound of their own, bodies that never come would take the places of all requests.
const PART_OF_REQUESTS: usize = 4;

/// The part of these places that one client may hold. Zendesk's servers hold one for milliseconds.
const PART_OF_CLIENT: usize = 16;

/// The field that holds the login token.
const FIELD: &str = "user_token";

/// Who is sending a body now.
#[derive(Default)]
pub(super) struct BodySlots {
    all: Arc<Count>,
    of_client: PerClient,
}

impl BodySlots {
    /// A place for the body of one more request, where so many requests are answered at once.
    ///
    /// # Errors
    /// All places are taken, or as many as one client may have.
    fn take(&self, client: IpAddr, requests_in_flight: usize) -> Result<(Counted, Place), Reason> {
        let most = (requests_in_flight / PART_OF_REQUESTS).max(1);
        let share = self.of_client.take(client, (most / PART_OF_CLIENT).max(1)).ok_or(Reason::TooManyBodiesOfClient)?;
        let place = self.all.take(most).ok_or(Reason::TooManyBodies)?;
        Ok((place, share))
    }
}

/// The login token of an app's player in, a token for the Support SDK out
///
/// The body is a form or JSON, by its content type or else by its first character, of at most 16 KiB. Blanks around the
/// login token and `Bearer ` before it are dropped; what is not a login token is a 400. The issued token's claims: `name`,
/// `email`, `external_id`, `jti`, `iat`. Whatever may be trouble of this service is a 503: a 401 would make the app drop the
/// player's history.
#[utoipa::path(
    post,
    path = SUPPORT_SDK_PATH,
    tag = openapi::SERVERS,
    operation_id = "supportSdk",
    request_body(content(
        (UserToken = "application/x-www-form-urlencoded", example = json!({"user_token": EXAMPLE_TOKEN})),
        (UserToken = "application/json", example = json!({"user_token": EXAMPLE_TOKEN})),
    )),
    responses(
        (
            status = 200,
            description = "A token that nobody keeps.",
            body = inline(TokenBody),
            example = json!({"jwt": EXAMPLE_TOKEN}),
        ),
        ServerRefusals,
    ),
)]
pub(super) async fn token(
    State(state): State<Arc<AppState>>,
    Extension(Client(client)): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Result<ServersToken, ApiError> {
    let find = finder(&headers)?;
    let begun = Instant::now();
    let mut reading = pin!(read(body));
    let body = if let Ok(body) = timeout_at(begun + AT_ONCE, reading.as_mut()).await {
        body?
    } else {
        let _slot = state.counters.body_slots.take(client, state.requests_in_flight)?;
        timeout_at(begun + BODY_TIMEOUT, reading).await.map_err(|_| Reason::BodyLate)??
    };
    let credentials = credentials(&find(&body)?)?;
    let issued = state.exchange.run(Product::SupportSdk, &credentials, now()).await;
    Ok(ServersToken(issued.map_err(reason)?))
}

/// A token as Zendesk's servers read it. What was issued travels to the access log in the response's extensions.
pub(super) struct ServersToken(Issued);

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody<'a> {
    jwt: Token<'a>,
}

/// The refusals of this route, with the statuses that `worth_another_try` gives them.
struct ServerRefusals;

impl IntoResponses for ServerRefusals {
    fn responses() -> Responses {
        let status = |code: ErrorCode| match code.status() {
            status if status.is_server_error() => StatusCode::SERVICE_UNAVAILABLE,
            status => status,
        };
        refusals(|code| code != ErrorCode::MethodNotAllowed, status)
    }
}

/// What Zendesk's servers post.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct UserToken {
    /// The player's login token, which the app sets as its user token: a JWT in compact form.
    #[schema(max_length = 8192, pattern = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")]
    user_token: String,
}

impl IntoResponse for ServersToken {
    fn into_response(self) -> Response {
        let mut response = Json(TokenBody { jwt: Token(self.0.token.as_str()) }).into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Tells a login that is not good from one that may be, were our clock or our keys another.
fn reason(error: ExchangeError) -> Reason {
    match error {
        ExchangeError::Login(LoginError::Verify(
            VerifyError::Claims(ClaimsError::InFuture(..))
            | VerifyError::NoKey(NoKeyError::Find(FindKeyError::NotAsked)),
        )) => Reason::NotJudged(error),
        ExchangeError::NotServed | ExchangeError::Login(_) | ExchangeError::Identify(..) | ExchangeError::Issue(..) => {
            Reason::Exchange(error)
        }
    }
}

/// Answers 503 for all trouble of ours; code and description stay.
pub(super) fn worth_another_try(mut response: Response) -> Response {
    if response.status().is_server_error() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// Takes the body, if it is not too large. `axum::body::to_bytes` stops reading one that is, and its client is then cut off
/// before it sees why (`tests/support_sdk.rs`: a body over 16 KiB).
async fn read(body: Body) -> Result<Vec<u8>, Reason> {
    let (mut kept, mut read) = (Vec::new(), 0);
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Either the client went away, or the limit of the layer before or that of the connection is reached.
        let frame = frame.map_err(|error| {
            if read > MAX_BYTES || is_too_large(&error) { Reason::BodyTooLarge } else { Reason::BodyCutOff }
        })?;
        let chunk = frame.into_data().unwrap_or_default();
        read += chunk.len();
        if read <= MAX_BYTES {
            kept.extend_from_slice(&chunk);
        }
    }
    if read <= MAX_BYTES { Ok(kept) } else { Err(Reason::BodyTooLarge) }
}

/// Whether the connection has read [`MAX_READ`] (see `server/connection`).
fn is_too_large(error: &axum::Error) -> bool {
    iter::successors(Some(error as &dyn Error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref())
        .any(|error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge)
}

/// The login token that an app handed over as its user token, as apps get it wrong: with blanks or line breaks around it, or
/// `Bearer ` before it.
///
/// # Errors
/// It is not a login token. An empty one is judged like any other.
pub fn credentials(user_token: &str) -> Result<Credentials, Reason> {
    let trimmed = user_token.trim_ascii();
    let token = match trimmed.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer ") => token.trim_ascii_start(),
        _ => trimmed,
    };
    let login = LoginToken::new(token);
    match login.check_form() {
        Ok(()) | Err(VerifyError::Empty) => Ok(Credentials { bearer: Some(login), cookies: Vec::new() }),
        Err(_) if token.starts_with(BYTE_ORDER_MARK) => Err(Reason::ByteOrderMark),
        Err(error) => Err(Reason::UserTokenMalformed(error)),
    }
}

/// Some tools put it before each text that they write.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Finds the one user token of a body.
type Finder = fn(&[u8]) -> Result<Cow<'_, str>, Reason>;

/// How to find it, by the content type; where there is none, by the body's first character.
fn finder(headers: &HeaderMap) -> Result<Finder, Reason> {
    let is_plain =
        |name, plain: &[u8]| headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(plain));
    if !is_plain(CONTENT_ENCODING, b"identity") || !is_plain(TRANSFER_ENCODING, b"chunked") {
        return Err(Reason::BodyEncoded);
    }
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match media_type.to_ascii_lowercase().as_slice() {
        b"" => Ok(|body| match body.trim_ascii_start() {
            [b'{' | b'[' | b'"', ..] => of_json(body),
            _ => of_form(body),
        }),
        b"application/x-www-form-urlencoded" => Ok(of_form),
        b"application/json" => Ok(of_json),
        _ => Err(Reason::BodyKindUnknown),
    }
}

fn of_form(body: &[u8]) -> Result<Cow<'_, str>, Reason> {
    let mut values = fields(body);
    match (values.next(), values.next()) {
        (None, _) => Err(not_in_form(body)),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(Reason::MemberTwice),
    }
}

fn fields(form: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    form_urlencoded::parse(form).filter(|(name, _)| name == FIELD).map(|(_, value)| value)
}

/// Why a form has no user token: there may be one that is written in another way.
fn not_in_form(body: &[u8]) -> Reason {
    if body.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        Reason::ByteOrderMark
    } else if Members::read(body).is_ok_and(|members| members.has(FIELD)) {
        Reason::BodyNotForm
    } else if fields(&Cow::from(percent_decode(body))).next().is_some() {
        Reason::FormEncodedTwice
    } else {
        Reason::UserTokenMissing
    }
}

fn of_json(body: &[u8]) -> Result<Cow<'_, str>, Reason> {
    if body.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        return Err(Reason::ByteOrderMark);
    }
    let members = Members::read(body).map_err(|error| match error {
        StrictJsonError::Duplicate => Reason::MemberTwice,
        StrictJsonError::Syntax | StrictJsonError::NotAnObject => Reason::BodyNotJson,
    })?;
    match members.find(FIELD) {
        None => Err(Reason::UserTokenMissing),
        Some(Member::Text(text)) => Ok(text.clone()),
        Some(Member::Number(_) | Member::Bool(_) | Member::Null | Member::Other) => Err(Reason::UserTokenNotText),
    }
}
