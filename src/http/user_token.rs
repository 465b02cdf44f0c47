//! Issues user tokens to apps with the Support SDK, which set them instead of their login tokens.

use std::sync::Arc;

use axum::extract::{MatchedPath, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::exchange::Issued;
use crate::login::now;
use crate::login::verifier::Credentials;

use super::error::ApiError;
use super::json::Json;
use super::openapi::{self, EXAMPLE_TOKEN};
use super::state::AppState;
use super::token::{PageRefusals, Token};

pub(crate) const PATH: &str = "/support-sdk/user-token";

/// The value of the metrics' label `product`.
pub(super) const LABEL: &str = "support-sdk-user-token";

pub(super) fn is_route(route: &MatchedPath) -> bool {
    route.as_str() == PATH
}

/// Issue a user token for an app with the Support SDK
///
/// The app sets it as its user token, and `/support-sdk/token` accepts it until it expires. It outlives the login. The same
/// player with the same name and email gets the same text until half of its life is over. The body of the request is not read.
#[utoipa::path(
    post,
    path = PATH,
    tag = openapi::PAGES,
    operation_id = "userToken",
    security(("loginCookie" = []), ("loginBearer" = [])),
    responses(
        (
            status = 200,
            description = "A user token, never cached.",
            body = inline(UserTokenBody),
            example = json!({"user_token": EXAMPLE_TOKEN}),
        ),
        PageRefusals,
    ),
)]
pub(super) async fn issue(state: State<Arc<AppState>>, credentials: Credentials) -> Result<UserToken, ApiError> {
    Ok(UserToken(state.exchange.issue_user_token(&credentials, now()).await?))
}

/// A user token as a response, with [`Issued`] in the extensions for the access log.
pub(super) struct UserToken(Issued);

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserTokenBody<'a> {
    user_token: Token<'a>,
}

impl IntoResponse for UserToken {
    fn into_response(self) -> Response {
        let mut response = Json(UserTokenBody { user_token: Token(self.0.token.as_str()) }).into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}
