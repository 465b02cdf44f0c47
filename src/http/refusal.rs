//! What is a client told when it gets no token?
//!
//! All that it is told: the cause is private, and goes to the log.

use axum::http::StatusCode;

/// What a client is told. The first four are those of Xsolla's `login-zendesk-jwt-generation`, to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No login token came with the request.
    TokenMissing,
    /// The login token is not valid, for a reason that is ours to know.
    TokenInvalid,
    /// The login token names no player.
    SubMissing,
    /// The login token has no email and the product needs one.
    EmailMissing,
    /// A claim is there but Zendesk could not take it.
    ClaimUnusable,
    /// The page's origin is not one of the shop's.
    OriginForbidden,
    /// The client asks more often than it may, or holds its share of the places for bodies.
    TooManyRequests,
    /// The login can't be judged now: the Login API, which has to be asked, gives no answer, or to Zendesk's
    /// servers for some other reason that may be ours.
    LoginUnavailable,
    /// No such route.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// Two Origin headers, or a body that can't be read.
    BadRequest,
    /// More requests than the service will hold.
    Overloaded,
    /// The answer took too long.
    TimedOut,
    /// The request's body is larger than any that is meant.
    BodyTooLarge,
    /// A fault of ours.
    Internal,
}

/// Every refusal, for documents and tests.
pub const REFUSALS: [Refusal; 15] = [
    Refusal::TokenMissing,
    Refusal::TokenInvalid,
    Refusal::SubMissing,
    Refusal::EmailMissing,
    Refusal::ClaimUnusable,
    Refusal::OriginForbidden,
    Refusal::TooManyRequests,
    Refusal::LoginUnavailable,
    Refusal::NotFound,
    Refusal::MethodNotAllowed,
    Refusal::BadRequest,
    Refusal::Overloaded,
    Refusal::TimedOut,
    Refusal::BodyTooLarge,
    Refusal::Internal,
];

impl Refusal {
    /// Status, code and description, as they go over the wire.
    #[must_use]
    pub const fn wire(self) -> (StatusCode, &'static str, &'static str) {
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
            Self::TimedOut => (StatusCode::REQUEST_TIMEOUT, "00-12", "Request timed out"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "00-13", "Request body is too large"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "00-14", "Internal error"),
        }
    }
}
