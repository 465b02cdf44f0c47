//! Maps the private reason of a refusal to the error code that the client gets.

use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;
use utoipa::openapi::{Object, Type};

use crate::config::login::LoginName;
use crate::exchange::ExchangeError;
use crate::login::keys::VerifiedBy;
use crate::login::revocation::RevocationError;
use crate::login::token::VerifyError;
use crate::login::verifier::LoginError;
use crate::zendesk::IssueError;
use crate::zendesk::identity::IdentityError;

use super::json::Json;

/// Seconds after which a client may try again after a fault of this service.
pub(super) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A refusal as the client sees it. The first four are exactly those of Xsolla's `login-zendesk-jwt-generation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request has no login token.
    TokenMissing,
    /// The login token is not valid; only the log says why.
    TokenInvalid,
    /// The login token has no player id: `sub`, unless `claims.external_id` names another claim.
    SubMissing,
    /// The login token has no email and the product needs one.
    EmailMissing,
    /// A claim has a value that Zendesk does not accept.
    ClaimUnusable,
    /// The origin is not in `cors.origins`, or a page embeds the route as an image, script or frame.
    OriginForbidden,
    /// The client is over its rate limit, or sends too many bodies at once.
    TooManyRequests,
    /// The login can't be verified now: the login's keys can't be fetched, or the Login API does not respond. For Zendesk's servers,
    /// and next to a valid token of another player, also: the token may become valid.
    LoginUnavailable,
    /// No such route, or a product that is not configured.
    NotFound,
    /// The route does not support the method.
    MethodNotAllowed,
    /// Two `Origin` headers, or a malformed body.
    BadRequest,
    /// Too many concurrent requests.
    Overloaded,
    /// No response in time: the server was too slow.
    TimedOut,
    /// The request's body is too large.
    BodyTooLarge,
    /// A fault of this service.
    Internal,
}

impl ErrorCode {
    /// Every code, in order.
    pub const ALL: [Self; 15] = [
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::SubMissing,
        Self::EmailMissing,
        Self::ClaimUnusable,
        Self::OriginForbidden,
        Self::TooManyRequests,
        Self::LoginUnavailable,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BadRequest,
        Self::Overloaded,
        Self::TimedOut,
        Self::BodyTooLarge,
        Self::Internal,
    ];

    /// Status, code and description: the table of errors.
    #[must_use]
    pub const fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, "00-00", "Token not passed"),
            Self::TokenInvalid => (StatusCode::UNAUTHORIZED, "00-01", "Token is invalid"),
            Self::SubMissing => (StatusCode::UNPROCESSABLE_ENTITY, "00-02", "\"sub\" claim is missed"),
            Self::EmailMissing => (StatusCode::UNPROCESSABLE_ENTITY, "00-03", "\"email\" claim is missed"),
            Self::ClaimUnusable => (StatusCode::UNPROCESSABLE_ENTITY, "00-04", "A claim is not usable in Zendesk"),
            Self::OriginForbidden => (StatusCode::FORBIDDEN, "00-05", "Origin is not allowed"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "00-06", "Too many requests"),
            Self::LoginUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "00-07", "Login service is unavailable"),
            Self::NotFound => (StatusCode::NOT_FOUND, "00-08", "Not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "00-09", "Method is not allowed"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "00-10", "Request is malformed"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "00-11", "Service is overloaded"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "00-12", "Request timed out"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "00-13", "Request body is too large"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "00-14", "Internal error"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().0
    }

    /// The code, such as `00-01`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().1
    }
}

/// Why a request was refused, for the log. Never quotes a token, cookie, secret or email.
#[expect(missing_docs, reason = "the error text of a variant is its documentation")]
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    #[error("no cookie with the name in login.cookie")]
    LoginCookieMissing,
    #[error("neither a cookie with the name in login.cookie nor an Authorization header")]
    LoginTokenMissing,
    #[error("no cookie with the name in login.cookie; there is an Authorization header, but login.bearer is off")]
    BearerIgnored,
    #[error("no cookie with the name in login.cookie; there is an Authorization header, but its scheme is not Bearer")]
    SchemeIgnored,
    #[error("more than {0} different login cookies")]
    TooManyLoginCookies(usize),
    #[error("the login cookie is split into parts, and part {0} is missing")]
    CookiePartMissing(usize),
    #[error("the login cookie is split into parts, and one part has two different values")]
    CookiePartTwice,
    #[error("the Authorization header is not a scheme and credentials, or there are two")]
    AuthorizationMalformed,
    #[error("the body has no user_token")]
    UserTokenMissing,
    #[error("the body has user_token, or another member, twice")]
    MemberTwice,
    #[error("user_token is malformed: {0}")]
    UserTokenMalformed(VerifyError),
    #[error("the form is percent-encoded twice")]
    FormEncodedTwice,
    #[error("the body or user_token begins with a byte order mark")]
    ByteOrderMark,
    #[error("the body is JSON, but its Content-Type is application/x-www-form-urlencoded")]
    BodyNotForm,
    #[error("user_token is not a string")]
    UserTokenNotString,
    #[error("the body is not a JSON object")]
    BodyNotJson,
    #[error("the body is neither application/x-www-form-urlencoded nor application/json")]
    ContentTypeUnsupported,
    #[error("the body is larger than 16 KiB")]
    BodyTooLarge,
    #[error("the body has a Content-Encoding or a Transfer-Encoding other than chunked")]
    BodyEncoded,
    #[error("the body was cut off")]
    BodyCutOff,
    #[error("the body did not arrive within 5 s")]
    BodyTimeout,
    /// A 401 would be wrong: the cause may be temporary or a fault of this service.
    #[error("{0}; Zendesk's servers may try again")]
    Retryable(ExchangeError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("origin is not in cors.origins")]
    OriginNotAllowed,
    #[error(
        "requested for an image, a script or a frame of a page, or prefetched (Sec-Fetch-Mode, Sec-Fetch-Dest, Sec-Purpose)"
    )]
    Embedded,
    #[error("more than one Origin header")]
    OriginTwice,
    #[error("no such route")]
    RouteNotFound,
    #[error("no such route: the path has a doubled or trailing slash; look for a base URL that ends in a slash")]
    SlashesInPath,
    #[error("the route does not support this method")]
    MethodNotSupported,
    #[error("the client sends more requests than rate_limit allows; it may try again in {0} s")]
    TooManyRequests(u64),
    #[error("too many requests of this client are still sending their body")]
    TooManyBodiesOfClient,
    #[error("too many requests are still sending their body")]
    TooManyBodies,
    #[error("more requests than limits.requests_in_flight")]
    TooManyInFlight,
    #[error("no response within limits.request_timeout")]
    RequestTimeout,
    #[error("the request panicked")]
    Panicked,
}

impl Reason {
    /// The login that the token is for, and the key that verified it, as far as they are known.
    pub(super) fn login_and_key(&self) -> (Option<&LoginName>, Option<VerifiedBy>) {
        if let Self::Exchange(error) | Self::Retryable(error) = self { error.login_and_key() } else { (None, None) }
    }

    /// What the client gets.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        match self {
            Self::LoginCookieMissing
            | Self::LoginTokenMissing
            | Self::BearerIgnored
            | Self::SchemeIgnored
            | Self::UserTokenMissing => ErrorCode::TokenMissing,
            Self::Retryable(_) => ErrorCode::LoginUnavailable,
            Self::TooManyLoginCookies(_)
            | Self::CookiePartMissing(_)
            | Self::CookiePartTwice
            | Self::AuthorizationMalformed => ErrorCode::TokenInvalid,
            Self::Exchange(error) => code_of_exchange(error),
            Self::OriginNotAllowed | Self::Embedded => ErrorCode::OriginForbidden,
            Self::OriginTwice
            | Self::MemberTwice
            | Self::UserTokenMalformed(_)
            | Self::FormEncodedTwice
            | Self::ByteOrderMark
            | Self::BodyNotForm
            | Self::UserTokenNotString
            | Self::BodyNotJson
            | Self::ContentTypeUnsupported
            | Self::BodyEncoded
            | Self::BodyCutOff
            | Self::BodyTimeout => ErrorCode::BadRequest,
            Self::BodyTooLarge => ErrorCode::BodyTooLarge,
            Self::RouteNotFound | Self::SlashesInPath => ErrorCode::NotFound,
            Self::MethodNotSupported => ErrorCode::MethodNotAllowed,
            Self::TooManyRequests(_) | Self::TooManyBodiesOfClient => ErrorCode::TooManyRequests,
            Self::TooManyInFlight | Self::TooManyBodies => ErrorCode::Overloaded,
            Self::RequestTimeout => ErrorCode::TimedOut,
            Self::Panicked => ErrorCode::Internal,
        }
    }

    /// The code's description, or a more helpful one if the path has wrong slashes.
    const fn description(&self) -> &'static str {
        if let Self::SlashesInPath = self {
            "Not found: the path has a doubled or trailing slash"
        } else {
            self.error_code().row().2
        }
    }

    /// `Retry-After`, if another try can succeed.
    fn retry_after(&self) -> Option<HeaderValue> {
        match (self, self.error_code()) {
            (Self::TooManyRequests(seconds), _) => Some(HeaderValue::from(*seconds)),
            (_, ErrorCode::TooManyRequests) => Some(RETRY_AFTER_SECONDS),
            (_, code) if code.status() == StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER_SECONDS),
            _ => None,
        }
    }
}

const fn code_of_exchange(error: &ExchangeError) -> ErrorCode {
    match error {
        ExchangeError::NotServed | ExchangeError::UserTokensOff => ErrorCode::NotFound,
        ExchangeError::Login(LoginError::Verify(error, _)) if error.is_unavailable() => ErrorCode::LoginUnavailable,
        ExchangeError::Login(
            LoginError::Undecided(..)
            | LoginError::Revocation(RevocationError::Unknown(_) | RevocationError::TooManyWaiting, _),
        ) => ErrorCode::LoginUnavailable,
        ExchangeError::Login(
            LoginError::Verify(..)
            | LoginError::DifferentPlayers
            | LoginError::Revocation(RevocationError::Revoked(_), _),
        )
        | ExchangeError::UserToken(..) => ErrorCode::TokenInvalid,
        ExchangeError::Identify(IdentityError::IdMissing(_), _) => ErrorCode::SubMissing,
        ExchangeError::Identify(IdentityError::EmailMissing(_), _) => ErrorCode::EmailMissing,
        ExchangeError::Identify(
            IdentityError::TooLong(..)
            | IdentityError::ControlCharacter(_)
            | IdentityError::OuterWhitespace(_)
            | IdentityError::IdNotLocalPart(_)
            | IdentityError::FallbackDomain(_)
            | IdentityError::EmailForm(_),
            _,
        )
        | ExchangeError::Issue(
            IssueError::EmailNotAscii | IssueError::EmailUnconfirmed | IssueError::ExternalIdIsContact,
            _,
        ) => ErrorCode::ClaimUnusable,
        ExchangeError::Issue(IssueError::ContactMissing | IssueError::Sign(_), _) => ErrorCode::Internal,
    }
}

/// A refusal as a response: status, code and description for the client, the reason in the extensions for the access log.
#[derive(Clone)]
pub struct ApiError(pub(crate) Reason);

impl<R: Into<Reason>> From<R> for ApiError {
    fn from(reason: R) -> Self {
        Self(reason.into())
    }
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    #[schema(schema_with = code_schema)]
    code: &'static str,
    description: &'static str,
}

fn code_schema() -> Object {
    Object::builder().schema_type(Type::String).enum_values(Some(ErrorCode::ALL.map(ErrorCode::code))).build()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, _) = self.0.error_code().row();
        let description = self.0.description();
        let mut response = (status, Json(ErrorBody { code, description })).into_response();
        if let Some(seconds) = self.0.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(self.0);
        response
    }
}
