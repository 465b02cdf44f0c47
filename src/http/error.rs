//! What a client is told when it gets no token, and the private reason behind it.

use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;
use utoipa::openapi::{Object, Type};

use crate::exchange::ExchangeError;
use crate::login::keys::{NoKeyError, VerifiedBy};
use crate::login::published::FindKeyError;
use crate::login::revocation::RevocationError;
use crate::login::token::VerifyError;
use crate::login::verifier::LoginError;
use crate::zendesk::IssueError;
use crate::zendesk::identity::IdentityError;

use super::json::Json;

/// Seconds after which a client may try again when the trouble is ours.
pub const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A refusal as the client sees it. The first four are those of Xsolla's `login-zendesk-jwt-generation`, to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// No login token came with the request.
    TokenMissing,
    /// The login token is not valid; why is logged, and not told.
    TokenInvalid,
    /// The login token names no player.
    SubMissing,
    /// The login token has no email and the product needs one.
    EmailMissing,
    /// A claim is there but Zendesk could not take it.
    ClaimUnusable,
    /// The page's origin is not one of the shop's, or a page embeds the route as an image, a script or a frame.
    OriginForbidden,
    /// The client asks more often than it may, or sends too many bodies at once.
    TooManyRequests,
    /// The login can't be judged now: the Login API, which has to be asked, gives no answer; or, to Zendesk's
    /// servers, for some other reason that may be ours.
    LoginUnavailable,
    /// No such route.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// Two Origin headers, or a body that can't be read.
    BadRequest,
    /// More requests than the service takes at once.
    Overloaded,
    /// The answer took too long, which is the server's own slowness.
    TimedOut,
    /// The request's body is too large.
    BodyTooLarge,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of the table.
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

    /// Status, code and description: the one table of errors.
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

    /// The code: `00-01`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().1
    }
}

/// Why a request was refused, for the log. Never quotes a token, cookie, secret or email.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// No cookie has the name of the login cookie.
    #[error("no cookie of the name in login.cookie")]
    LoginCookieMissing,
    /// The same, where a header would have done as well.
    #[error("neither a cookie of the name in login.cookie nor an Authorization header")]
    LoginTokenMissing,
    /// No such cookie, but a header that nobody looks at.
    #[error("no cookie of the name in login.cookie; an Authorization header came, but login.bearer is off")]
    BearerIgnored,
    /// No such cookie, but a header of a scheme that no login token comes in.
    #[error("no cookie of the name in login.cookie; an Authorization header came, but with another scheme than Bearer")]
    SchemeIgnored,
    /// More different login cookies than this number, which is the most that are verified.
    #[error("more than {0} different login cookies")]
    TooManyLoginCookies(usize),
    /// The login cookie came in parts, and this one is missing.
    #[error("the login cookie came in parts, and part {0} is missing")]
    CookiePartMissing(usize),
    /// A part of the login cookie came with two values.
    #[error("a part of the login cookie came with two different values")]
    CookiePartTwice,
    /// `Authorization` is there twice, is empty, or is not a scheme and credentials.
    #[error("Authorization header is not a scheme and credentials, or there are two")]
    AuthorizationUnusable,
    /// The body has no `user_token`.
    #[error("the body has no user_token")]
    UserTokenMissing,
    /// The form has more than one `user_token`, or the JSON a member twice.
    #[error("the body has user_token, or another member, twice")]
    MemberTwice,
    /// `user_token` does not have the form of a login token, so nobody can have signed in with it.
    #[error("user_token is malformed: {0}")]
    UserTokenMalformed(VerifyError),
    /// The whole form is percent-encoded once more than forms are.
    #[error("the form is percent-encoded twice")]
    FormEncodedTwice,
    /// The body or `user_token` begins with U+FEFF.
    #[error("the body or user_token begins with a byte order mark")]
    ByteOrderMark,
    /// The content type says form, the body is JSON.
    #[error("the body is JSON, but its Content-Type is application/x-www-form-urlencoded")]
    BodyNotForm,
    /// `user_token` is no string.
    #[error("user_token is no string")]
    UserTokenNotText,
    /// The content type says JSON, the body does not.
    #[error("the body is not a JSON object")]
    BodyNotJson,
    /// Neither a form nor JSON.
    #[error("the body is neither application/x-www-form-urlencoded nor application/json")]
    BodyKindUnknown,
    /// The body is over 16 KiB.
    #[error("the body is larger than 16 KiB")]
    BodyTooLarge,
    /// The body is compressed, or otherwise not as it was written.
    #[error("the body has a Content-Encoding or a Transfer-Encoding other than chunked")]
    BodyEncoded,
    /// The body ended before its end.
    #[error("the body was cut off")]
    BodyCutOff,
    /// The body is not there in time.
    #[error("the body did not come within 5 s")]
    BodyLate,
    /// The exchange stopped, for a reason that may be ours or gone in a moment, where a 401 would cost too much.
    #[error("{0}; Zendesk's servers may ask again")]
    NotJudged(ExchangeError),
    /// The exchange stopped at one of its steps.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The origin matches no entry of `cors.origins`.
    #[error("origin is not in cors.origins")]
    OriginForeign,
    /// A browser asks for an image, a script or a frame of a page, or in advance.
    #[error(
        "fetched for an image, a script or a frame of a page, or in advance (Sec-Fetch-Mode, Sec-Fetch-Dest, Sec-Purpose)"
    )]
    Embedded,
    /// More than one `Origin` header.
    #[error("more than one Origin header")]
    OriginTwice,
    /// No route has this path.
    #[error("no such route")]
    RouteUnknown,
    /// The path would be a route's, were it not for its slashes.
    #[error(
        "no such route: the path has a doubled or trailing slash; is a base address configured with a slash at its end?"
    )]
    SlashesInPath,
    /// The route does not take this method.
    #[error("no such method on this route")]
    MethodUnknown,
    /// `rate_limit` is reached; after this many seconds the client may ask again.
    #[error("more requests of this client than rate_limit allows; again in {0} s")]
    TooManyRequests(u64),
    /// This client has a sixteenth of the places for bodies, the most that one may have.
    #[error("too many requests of this client that are still sending their body")]
    TooManyBodiesOfClient,
    /// A quarter of `limits.requests_in_flight` is still sending its body.
    #[error("too many requests that are still sending their body")]
    TooManyBodies,
    /// `limits.requests_in_flight` is reached.
    #[error("more requests than limits.requests_in_flight")]
    TooManyInFlight,
    /// `limits.request_timeout` is reached.
    #[error("no answer within limits.request_timeout")]
    TooSlow,
    /// The code panicked.
    #[error("the request panicked")]
    Panicked,
}

impl Reason {
    /// The key that verified the login token, when one did.
    #[must_use]
    pub const fn verified_by(self) -> Option<VerifiedBy> {
        if let Self::Exchange(error) | Self::NotJudged(error) = self { error.verified_by() } else { None }
    }

    /// What the client is told.
    #[must_use]
    pub const fn error_code(self) -> ErrorCode {
        match self {
            Self::LoginCookieMissing
            | Self::LoginTokenMissing
            | Self::BearerIgnored
            | Self::SchemeIgnored
            | Self::UserTokenMissing => ErrorCode::TokenMissing,
            Self::NotJudged(_)
            | Self::Exchange(ExchangeError::Login(
                LoginError::Verify(VerifyError::NoKey(NoKeyError::Find(FindKeyError::Unavailable)))
                | LoginError::Revocation(RevocationError::Unknown(_) | RevocationError::TooManyWaiting, _),
            )) => ErrorCode::LoginUnavailable,
            Self::TooManyLoginCookies(_)
            | Self::CookiePartMissing(_)
            | Self::CookiePartTwice
            | Self::AuthorizationUnusable
            | Self::Exchange(ExchangeError::Login(
                LoginError::Verify(_)
                | LoginError::DifferentPlayers
                | LoginError::Revocation(RevocationError::Revoked(_), _),
            )) => ErrorCode::TokenInvalid,
            Self::Exchange(ExchangeError::Identify(IdentityError::SubMissing, _)) => ErrorCode::SubMissing,
            Self::Exchange(ExchangeError::Identify(IdentityError::EmailMissing, _)) => ErrorCode::EmailMissing,
            Self::Exchange(
                ExchangeError::Identify(
                    IdentityError::TooLong(..)
                    | IdentityError::ControlCharacter
                    | IdentityError::OuterSpace
                    | IdentityError::SubNotLocalPart
                    | IdentityError::FallbackDomain
                    | IdentityError::EmailForm,
                    _,
                )
                | ExchangeError::Issue(
                    IssueError::EmailNotAscii | IssueError::EmailUnconfirmed | IssueError::ExternalIdIsContact,
                    _,
                ),
            ) => ErrorCode::ClaimUnusable,
            Self::OriginForeign | Self::Embedded => ErrorCode::OriginForbidden,
            Self::OriginTwice
            | Self::MemberTwice
            | Self::UserTokenMalformed(_)
            | Self::FormEncodedTwice
            | Self::ByteOrderMark
            | Self::BodyNotForm
            | Self::UserTokenNotText
            | Self::BodyNotJson
            | Self::BodyKindUnknown
            | Self::BodyEncoded
            | Self::BodyCutOff
            | Self::BodyLate => ErrorCode::BadRequest,
            Self::BodyTooLarge => ErrorCode::BodyTooLarge,
            Self::RouteUnknown | Self::SlashesInPath | Self::Exchange(ExchangeError::NotServed) => ErrorCode::NotFound,
            Self::MethodUnknown => ErrorCode::MethodNotAllowed,
            Self::TooManyRequests(_) | Self::TooManyBodiesOfClient => ErrorCode::TooManyRequests,
            Self::TooManyInFlight | Self::TooManyBodies => ErrorCode::Overloaded,
            Self::TooSlow => ErrorCode::TimedOut,
            Self::Exchange(ExchangeError::Issue(IssueError::ContactMissing | IssueError::Sign(_), _))
            | Self::Panicked => ErrorCode::Internal,
        }
    }

    /// What the body says: the description of the code, unless only slashes of the path are wrong.
    const fn description(self) -> &'static str {
        if let Self::SlashesInPath = self {
            "Not found: the path has a doubled or trailing slash"
        } else {
            self.error_code().row().2
        }
    }

    /// `Retry-After` in seconds, where trying again helps.
    fn retry_after(self) -> Option<HeaderValue> {
        match (self, self.error_code()) {
            (Self::TooManyRequests(seconds), _) => Some(HeaderValue::from(seconds)),
            (_, ErrorCode::TooManyRequests) => Some(RETRY_AFTER_SECONDS),
            (_, code) if code.status() == StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER_SECONDS),
            _ => None,
        }
    }
}

/// A refused request. The client gets status, code and description; the reason goes to the access log, in the
/// response's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiError(pub Reason);

impl<R: Into<Reason>> From<R> for ApiError {
    fn from(reason: R) -> Self {
        Self(reason.into())
    }
}

/// The body of a refusal: these two members and no more.
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
