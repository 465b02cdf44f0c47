//! Handlers that issue a token to a page, and the path of each product.

use std::sync::Arc;

use axum::extract::{MatchedPath, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::config::products::{PRODUCTS, Product};
use crate::exchange::Issued;
use crate::login::now;
use crate::login::verifier::Credentials;

use super::accept::TokenFormat;
use super::error::{ApiError, ErrorCode};
use super::json::Json;
use super::openapi::{self, EXAMPLE_TOKEN, Responses, refusals};
use super::state::AppState;

/// The path in Xsolla's reference.
const CHAT_PATH: &str = "/generate/token";
const MESSAGING_PATH: &str = "/messaging/token";
const HELP_CENTER_PATH: &str = "/help-center/token";
pub(super) const SUPPORT_SDK_PATH: &str = "/support-sdk/token";

/// The path of a product's route.
#[must_use]
pub const fn path(product: Product) -> &'static str {
    match product {
        Product::Chat => CHAT_PATH,
        Product::Messaging => MESSAGING_PATH,
        Product::HelpCenter => HELP_CENTER_PATH,
        Product::SupportSdk => SUPPORT_SDK_PATH,
    }
}

/// The product of a route, if it is a token route.
pub(super) fn product(route: &MatchedPath) -> Option<Product> {
    PRODUCTS.into_iter().find(|product| path(*product) == route.as_str())
}

/// Issue a token for Chat
///
/// The token's claims: `name`, `email`, `external_id`, `iat`, `exp`.
#[utoipa::path(
    get,
    path = CHAT_PATH,
    tag = openapi::PAGES,
    security(("loginCookie" = []), ("loginBearer" = [])),
    responses(PageToken),
)]
pub(super) async fn chat(
    state: State<Arc<AppState>>,
    credentials: Credentials,
    format: TokenFormat,
) -> Result<PageToken, ApiError> {
    issue(Product::Chat, &state, &credentials, format).await
}

/// Issue a token for Messaging
///
/// The token's header has `kid`. Its claims: `scope`, `external_id`, `jti`, `iat`, `exp`, and `name`, `email` and
/// `email_verified` if they are known and the settings include them.
#[utoipa::path(
    get,
    path = MESSAGING_PATH,
    tag = openapi::PAGES,
    security(("loginCookie" = []), ("loginBearer" = [])),
    responses(PageToken, NoEmailNeeded),
)]
pub(super) async fn messaging(
    state: State<Arc<AppState>>,
    credentials: Credentials,
    format: TokenFormat,
) -> Result<PageToken, ApiError> {
    issue(Product::Messaging, &state, &credentials, format).await
}

/// Issue a token for the Help Center
///
/// The token's claims: `name`, `email`, `jti`, `iat`.
#[utoipa::path(
    get,
    path = HELP_CENTER_PATH,
    tag = openapi::PAGES,
    operation_id = "helpCenter",
    security(("loginCookie" = []), ("loginBearer" = [])),
    responses(PageToken),
)]
pub(super) async fn help_center(
    state: State<Arc<AppState>>,
    credentials: Credentials,
    format: TokenFormat,
) -> Result<PageToken, ApiError> {
    issue(Product::HelpCenter, &state, &credentials, format).await
}

async fn issue(
    product: Product,
    state: &AppState,
    credentials: &Credentials,
    format: TokenFormat,
) -> Result<PageToken, ApiError> {
    let issued = state.exchange.run(product, credentials, now()).await?;
    Ok(PageToken { issued, format })
}

/// A token as a response to a page, with [`Issued`] in the extensions for the access log.
pub(super) struct PageToken {
    issued: Issued,
    format: TokenFormat,
}

/// The body, as in Xsolla's reference.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody<'a> {
    token: Token<'a>,
}

/// A compact JWS (RFC 7515 §7.1), signed with HS256.
#[derive(Serialize, ToSchema)]
#[schema(pattern = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$")]
pub(super) struct Token<'a>(pub(super) &'a str);

impl IntoResponses for PageToken {
    fn responses() -> Responses {
        let json = ContentBuilder::new().schema(Some(TokenBody::schema()));
        let text = ContentBuilder::new().schema(Some(Ref::from_schema_name(Token::name())));
        let token = ResponseBuilder::new()
            .description("A token, never cached; the bare token if `Accept` prefers `text/plain`.")
            .content("application/json", json.example(Some([("token", EXAMPLE_TOKEN)].into_iter().collect())))
            .content("text/plain", text.example(Some(EXAMPLE_TOKEN.into())));
        let mut responses = PageRefusals::responses();
        responses.insert("200".to_owned(), token.into());
        responses
    }
}

/// The refusals of a route for pages.
pub(super) struct PageRefusals;

impl IntoResponses for PageRefusals {
    fn responses() -> Responses {
        refusals(|code| !matches!(code, ErrorCode::MethodNotAllowed | ErrorCode::BodyTooLarge), ErrorCode::status)
    }
}

/// Replaces the 422 of `PageToken` for a product that does not require an email.
struct NoEmailNeeded;

impl IntoResponses for NoEmailNeeded {
    fn responses() -> Responses {
        refusals(|code| matches!(code, ErrorCode::SubMissing | ErrorCode::ClaimUnusable), ErrorCode::status)
    }
}

impl IntoResponse for PageToken {
    fn into_response(self) -> Response {
        let Self { issued, format } = self;
        let token = issued.token.as_str();
        let mut response = match format {
            TokenFormat::Json => Json(TokenBody { token: Token(token) }).into_response(),
            TokenFormat::PlainText => {
                ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], token.to_owned())
                    .into_response()
            }
        };
        response.extensions_mut().insert(issued);
        response
    }
}
