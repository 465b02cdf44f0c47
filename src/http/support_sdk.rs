//! Issues a token to Zendesk's servers for the player of an app.
//!
//! They post the app's user token, which is a login token or a user token of this service. A 401 makes the app delete the
//! player's history (developer.zendesk.com, *how-anonymous-identities-work*), so that only a missing token and a refused one get
//! it. Text that can't be a token gets 400. A fault of this service, a token that is not valid yet and a key that may not be
//! fetched yet get 503, so that Zendesk tries again.

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
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoResponses, ToSchema};

use crate::exchange::{ExchangeError, Issued};
use crate::login::now;
use crate::login::strict_json::{Member, Members, StrictJsonError};
use crate::login::token::{LoginToken, VerifyError};
use crate::login::verifier::{Credentials, LoginError};
use crate::zendesk::user_token::UserTokenError;

use super::access_log::Client;
use super::credentials::strip_bearer;
use super::error::{ApiError, ErrorCode, RETRY_AFTER_SECONDS, Reason};
use super::json::Json;
use super::openapi::{self, EXAMPLE_TOKEN, Responses, refusals};
use super::per_client::{ClientPermit, PerClientLimit};
use super::state::{AppState, Permit, SharedLimit};
use super::token::{SUPPORT_SDK_PATH, Token};

/// Most bytes of a body: a login token has at most 8 KiB, and no character that a form escapes.
const MAX_BYTES: usize = 16 * 1024;

/// Most bytes of a body that are read from the connection. More than [`MAX_BYTES`], since a client may not see the refusal if its
/// connection closes while it sends, and since a chunk of one byte takes six bytes or more.
pub(crate) const MAX_READ: usize = 64 * 1024;

/// Longest time for a body. It is enough for a dozen packets if one of them is lost twice.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// A body that arrives within this time needs no permit. Slow clients with the same address, such as that of a proxy which is not
/// in `proxy.trusted`, may hold all permits; Zendesk's servers must still be served.
const PERMIT_AFTER: Duration = Duration::from_millis(100);

/// A quarter of the requests in flight may be sending their body. Without this limit, clients that never send their bodies could
/// use up `limits.requests_in_flight`.
const BODIES_DIVISOR: usize = 4;

/// One client may send a sixteenth of these bodies. Zendesk's servers need a permit for milliseconds.
const CLIENT_DIVISOR: usize = 16;

const FIELD: &str = "user_token";

/// U+FEFF in UTF-8, which some tools write before each text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Issue a token for the Support SDK
///
/// The body is a form or JSON, by its content type or, without one, by its first character, of at most 16 KiB. White space
/// around the login token and `Bearer ` before it are ignored; text that is not a login token gets 400. The issued token's
/// claims: `name`, `email`, `external_id`, `jti`, `iat`. What may be a fault of this service gets 503, since a 401 makes the
/// app delete the player's history.
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
            description = "A token, never cached.",
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
) -> Result<SupportSdkToken, ApiError> {
    let parse = body_parser(&headers)?;
    let start = Instant::now();
    let mut reading = pin!(read_body(body));
    let body = if let Ok(body) = timeout_at(start + PERMIT_AFTER, reading.as_mut()).await {
        body?
    } else {
        let _permit = state.shared.bodies.try_acquire(client, state.requests_in_flight)?;
        timeout_at(start + BODY_TIMEOUT, reading).await.map_err(|_| Reason::BodyTimeout)??
    };
    let credentials = credentials(&parse(&body)?)?;
    let issued = state.exchange.run_for_app(&credentials, now()).await;
    Ok(SupportSdkToken(issued.map_err(refusal_reason)?))
}

/// Limits the requests that are sending their body, in total and per client.
#[derive(Default)]
pub(super) struct BodyLimits {
    total: Arc<SharedLimit>,
    per_client: PerClientLimit,
}

impl BodyLimits {
    fn try_acquire(&self, client: IpAddr, requests_in_flight: usize) -> Result<(Permit, ClientPermit), Reason> {
        let max = (requests_in_flight / BODIES_DIVISOR).max(1);
        let max_of_client = (max / CLIENT_DIVISOR).max(1);
        let of_client = self.per_client.try_acquire(client, max_of_client).ok_or(Reason::TooManyBodiesOfClient)?;
        Ok((self.total.try_acquire(max).ok_or(Reason::TooManyBodies)?, of_client))
    }
}

/// A token as a response to Zendesk's servers, with [`Issued`] in the extensions for the access log.
pub(super) struct SupportSdkToken(Issued);

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody<'a> {
    jwt: Token<'a>,
}

/// The refusals of this route, with the statuses of [`server_errors_as_503`].
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

/// The body that Zendesk's servers post.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct UserToken {
    /// The player's login token, or a token from `/support-sdk/user-token`, which the app sets as its user token: a JWT in
    /// compact form.
    #[schema(max_length = 8192, pattern = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")]
    user_token: String,
}

impl IntoResponse for SupportSdkToken {
    fn into_response(self) -> Response {
        let mut response = Json(TokenBody { jwt: Token(self.0.token.as_str()) }).into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Separates a refused login from one that may become valid when this service's clock or keys are right.
fn refusal_reason(error: ExchangeError) -> Reason {
    match error {
        ExchangeError::Login(LoginError::Verify(ref cause, _)) if cause.is_temporary() => Reason::Retryable(error),
        ExchangeError::UserToken(UserTokenError::InFuture(_), _) => Reason::Retryable(error),
        ExchangeError::NotServed
        | ExchangeError::UserTokensOff
        | ExchangeError::Login(_)
        | ExchangeError::UserToken(..)
        | ExchangeError::Identify(..)
        | ExchangeError::Issue(..) => Reason::Exchange(error),
    }
}

/// Sets the status of server errors to 503, so that Zendesk tries again. Code and description stay.
pub(super) fn server_errors_as_503(mut response: Response) -> Response {
    if response.status().is_server_error() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// Reads a body. Continues after [`MAX_BYTES`], unlike `axum::body::to_bytes`: otherwise the connection would close before the
/// client sees the refusal (`tests/in_process/support_sdk.rs`: a body over 16 KiB).
async fn read_body(body: Body) -> Result<Vec<u8>, Reason> {
    let (mut kept, mut read) = (Vec::new(), 0);
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // The client has disconnected, or the limit of the middleware or of the connection is reached.
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

/// Whether the connection has read [`MAX_READ`] bytes (see `server/connection`).
fn is_too_large(error: &axum::Error) -> bool {
    iter::successors(Some(error as &dyn Error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref())
        .any(|error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge)
}

/// The login token in a user token, without white space and `Bearer ` that apps add by mistake.
///
/// # Errors
/// The text does not have the form of a login token. An empty one passes, since the verification refuses it.
pub(crate) fn credentials(user_token: &str) -> Result<Credentials, Reason> {
    let trimmed = user_token.as_bytes().trim_ascii();
    let token = strip_bearer(trimmed).unwrap_or(trimmed);
    let login = LoginToken::new(token);
    match login.check_form() {
        Ok(()) | Err(VerifyError::Empty) => Ok(Credentials { bearer: Some(login), cookies: Vec::new() }),
        Err(_) if token.starts_with(BYTE_ORDER_MARK) => Err(Reason::ByteOrderMark),
        Err(error) => Err(Reason::UserTokenMalformed(error)),
    }
}

/// Gets the user token of a body.
type BodyParser = fn(&[u8]) -> Result<Cow<'_, str>, Reason>;

/// Selects the parser by the content type or, without one, by the first character of the body.
fn body_parser(headers: &HeaderMap) -> Result<BodyParser, Reason> {
    let has_only = |name, expected: &[u8]| {
        headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(expected))
    };
    if !has_only(CONTENT_ENCODING, b"identity") || !has_only(TRANSFER_ENCODING, b"chunked") {
        return Err(Reason::BodyEncoded);
    }
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match media_type.to_ascii_lowercase().as_slice() {
        b"" => Ok(|body| match body.trim_ascii_start() {
            [b'{' | b'[' | b'"', ..] => parse_json(body),
            _ => parse_form(body),
        }),
        b"application/x-www-form-urlencoded" => Ok(parse_form),
        b"application/json" => Ok(parse_json),
        _ => Err(Reason::ContentTypeUnsupported),
    }
}

fn parse_form(body: &[u8]) -> Result<Cow<'_, str>, Reason> {
    let mut values = user_tokens(body);
    match (values.next(), values.next()) {
        (None, _) => Err(why_missing(body)),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(Reason::MemberTwice),
    }
}

fn user_tokens(form: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    form_urlencoded::parse(form).filter(|(name, _)| name == FIELD).map(|(_, value)| value)
}

/// Why a form has no user token: it may be encoded in another way.
fn why_missing(body: &[u8]) -> Reason {
    if body.starts_with(BYTE_ORDER_MARK) {
        Reason::ByteOrderMark
    } else if Members::read(body).is_ok_and(|members| members.has(FIELD)) {
        Reason::BodyNotForm
    } else if user_tokens(&Cow::from(percent_decode(body))).next().is_some() {
        Reason::FormEncodedTwice
    } else {
        Reason::UserTokenMissing
    }
}

fn parse_json(body: &[u8]) -> Result<Cow<'_, str>, Reason> {
    if body.starts_with(BYTE_ORDER_MARK) {
        return Err(Reason::ByteOrderMark);
    }
    let members = Members::read(body).map_err(|error| match error {
        StrictJsonError::Duplicate => Reason::MemberTwice,
        StrictJsonError::Syntax | StrictJsonError::NotAnObject => Reason::BodyNotJson,
    })?;
    match members.find(FIELD) {
        None => Err(Reason::UserTokenMissing),
        Some(Member::Text(text)) => Ok(text.clone()),
        Some(Member::Number(_) | Member::Bool(_) | Member::Null | Member::Other) => Err(Reason::UserTokenNotString),
    }
}
