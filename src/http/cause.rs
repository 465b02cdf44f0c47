//! Why was a request refused, and which refusal is that?

use thiserror::Error;

use crate::exchange::ExchangeError;
use crate::login::keys::{NoKeyError, VerifiedBy};
use crate::login::published::FindKeyError;
use crate::login::revocation::RevocationError;
use crate::login::token::VerifyError;
use crate::login::verifier::LoginError;
use crate::zendesk::IssueError;
use crate::zendesk::identity::IdentityError;

use super::refusal::Refusal;

/// Why a request was refused, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Cause {
    /// No cookie has the name of the login cookie.
    #[error("no cookie of the name in login.cookie")]
    LoginCookieMissing,
    /// The same, where a header would have done as well.
    #[error("neither a cookie of the name in login.cookie nor an Authorization header")]
    LoginTokenMissing,
    /// No such cookie, but a header that nobody looks at.
    #[error("no cookie of the name in login.cookie; an Authorization header came, but login.bearer is off")]
    BearerIgnored,
    /// More login cookies than are looked at, which is so many.
    #[error("more than {0} different login cookies")]
    TooManyLoginCookies(usize),
    /// `Authorization` is there twice, is empty, or has another scheme than Bearer.
    #[error("Authorization header is not one Bearer token")]
    AuthorizationUnusable,
    /// The body has no `user_token`.
    #[error("the body has no user_token")]
    UserTokenMissing,
    /// The form has more than one `user_token`, or the JSON a member twice.
    #[error("the body has user_token, or another member, twice")]
    MemberTwice,
    /// `user_token` is no string.
    #[error("user_token is no string")]
    UserTokenNotText,
    /// The content type says JSON, the body does not.
    #[error("the body is no JSON object")]
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
    /// More than one `Origin` header.
    #[error("more than one Origin header")]
    OriginTwice,
    /// No route has this path.
    #[error("no such route")]
    RouteUnknown,
    /// The route does not take this method, but those that are named.
    #[error("no such method on this route")]
    MethodUnknown(&'static str),
    /// `rate_limit` is reached; after so many seconds it is not.
    #[error("more requests of this client than rate_limit allows; again in {0} s")]
    TooManyRequests(u64),
    /// A sixteenth of those that may send their body at once are this client's.
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

impl Cause {
    /// The key that verified the login token, when one did.
    #[must_use]
    pub const fn verified_by(self) -> Option<VerifiedBy> {
        if let Self::Exchange(error) | Self::NotJudged(error) = self { error.verified_by() } else { None }
    }

    /// What the client is told.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::LoginCookieMissing | Self::LoginTokenMissing | Self::BearerIgnored | Self::UserTokenMissing => {
                Refusal::TokenMissing
            }
            Self::NotJudged(_)
            | Self::Exchange(ExchangeError::Login(
                LoginError::Verify(VerifyError::NoKey(NoKeyError::Find(FindKeyError::Unavailable)))
                | LoginError::Revocation(RevocationError::Unknown(_) | RevocationError::TooManyAsk, _),
            )) => Refusal::LoginUnavailable,
            Self::TooManyLoginCookies(_)
            | Self::AuthorizationUnusable
            | Self::Exchange(ExchangeError::Login(
                LoginError::Verify(_) | LoginError::Settle | LoginError::Revocation(RevocationError::Revoked(_), _),
            )) => Refusal::TokenInvalid,
            Self::Exchange(ExchangeError::Identify(IdentityError::SubMissing, _)) => Refusal::SubMissing,
            Self::Exchange(ExchangeError::Identify(IdentityError::EmailMissing, _)) => Refusal::EmailMissing,
            Self::Exchange(
                ExchangeError::Identify(
                    IdentityError::TooLong(..)
                    | IdentityError::ControlCharacter(_)
                    | IdentityError::OuterSpace
                    | IdentityError::FallbackDomain
                    | IdentityError::EmailForm,
                    _,
                )
                | ExchangeError::Issue(IssueError::EmailNotAscii | IssueError::ExternalIdIsContact, _),
            ) => Refusal::ClaimUnusable,
            Self::OriginForeign => Refusal::OriginForbidden,
            Self::OriginTwice
            | Self::MemberTwice
            | Self::UserTokenNotText
            | Self::BodyNotJson
            | Self::BodyKindUnknown
            | Self::BodyEncoded
            | Self::BodyCutOff
            | Self::BodyLate => Refusal::BadRequest,
            Self::BodyTooLarge => Refusal::BodyTooLarge,
            Self::RouteUnknown | Self::Exchange(ExchangeError::NotServed) => Refusal::NotFound,
            Self::MethodUnknown(_) => Refusal::MethodNotAllowed,
            Self::TooManyRequests(_) | Self::TooManyBodiesOfClient => Refusal::TooManyRequests,
            Self::TooManyInFlight | Self::TooManyBodies => Refusal::Overloaded,
            Self::TooSlow => Refusal::TimedOut,
            Self::Exchange(ExchangeError::Issue(IssueError::ContactMissing | IssueError::Sign(_), _))
            | Self::Panicked => Refusal::Internal,
        }
    }
}
