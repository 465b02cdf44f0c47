//! Explains why a login token was refused, and how to fix it.

use crate::config::login::{Login, Signature};
use crate::exchange::ExchangeError;
use crate::login::claims::{ClaimsError, whole_seconds};
use crate::login::keys::NoKeyError;
use crate::login::published::FindKeyError;
use crate::login::revocation::RevocationError;
use crate::login::token::{VerifyError, Wrapping};
use crate::login::verifier::LoginError;
use crate::terminal::span;
use crate::zendesk::IssueError;
use crate::zendesk::identity::IdentityError;
use crate::zendesk::rules::Finding;

use super::decoded_token::DecodedToken;

const API_FIX: &str = "check login.api_url and the network: zendesk-token check --online";

const FOREIGN_FIX: &str = "Xsolla Login does not create tokens like this; find out which program created it";

const OTHER_KIND_FIX: &str =
    "this is a token for servers or for another purpose; use the user token that Xsolla Login gives to the page or app";

const PROJECT_CLAIM: &str = "xsolla_login_project_id";

/// In seconds. A shorter login ends during a chat.
const SHORT_LOGIN: i64 = 15 * 60;

/// The cause and the fix of a refusal.
pub(crate) fn finding(error: ExchangeError, login: &Login, decoded: &DecodedToken) -> Finding {
    let fix = match error {
        ExchangeError::Login(LoginError::Verify(error)) => return verify(error, login, decoded),
        ExchangeError::Login(LoginError::DifferentPlayers) => "send one login token at a time",
        ExchangeError::Login(LoginError::Revocation(RevocationError::Revoked(_), _)) => {
            "the player signed out, or was signed out; they must sign in again"
        }
        ExchangeError::Login(LoginError::Revocation(
            RevocationError::Unknown(_) | RevocationError::TooManyWaiting,
            _,
        )) => API_FIX,
        ExchangeError::Identify(error, _) => identify(error),
        ExchangeError::Issue(IssueError::EmailNotAscii, _) => {
            "Chat accepts only ASCII addresses; the player needs another email"
        }
        ExchangeError::Issue(IssueError::EmailUnconfirmed, _) => {
            "the player must confirm the email in Xsolla Login, and then sign in again"
        }
        ExchangeError::Issue(IssueError::ExternalIdIsContact, _) => FOREIGN_FIX,
        ExchangeError::Issue(IssueError::ContactMissing | IssueError::Sign(_), _) => {
            "this is a bug in zendesk-token; please report it"
        }
        ExchangeError::NotServed => "set the product's secret",
    };
    Finding::new(error.to_string(), fix)
}

/// A warning about a login token that is valid only for minutes.
pub(crate) fn short_login(decoded: &DecodedToken) -> Option<Finding> {
    let time = |name| whole_seconds(decoded.claim(name)?.as_number()?);
    let lifetime = time("exp")?.saturating_sub(time("iat")?);
    (1..SHORT_LOGIN).contains(&lifetime).then(|| {
        let lifetime = span(lifetime);
        Finding::new(
            format!("the login lasts only {lifetime}; Zendesk tokens expire with it, so players become anonymous"),
            "increase the token lifetime in the login project (Publisher Account › Login)",
        )
    })
}

/// The cause and the fix for a cookie that has more than the token in it.
pub(crate) fn wrapped(wrapping: Wrapping) -> Finding {
    let fix = match wrapping {
        Wrapping::PercentEncoding => "put the token into the cookie without encoding it",
        Wrapping::ExpressSignature => "set the cookie with signed: false",
        Wrapping::JsonQuotes
        | Wrapping::JsonObject
        | Wrapping::ExpressJson
        | Wrapping::SingleQuotes
        | Wrapping::Bearer
        | Wrapping::Name => "put only the token into the cookie",
    };
    Finding::new(wrapping.to_string(), fix)
}

fn verify(error: VerifyError, login: &Login, decoded: &DecodedToken) -> Finding {
    let fix = match error {
        VerifyError::TooLong(_) => "reduce the payload and the groups in the login token",
        VerifyError::Empty | VerifyError::NotThreeParts | VerifyError::Padded(_) | VerifyError::NotBase64Url(_) => {
            decoded.format_fix()
        }
        VerifyError::NotStrictJson(..) | VerifyError::HeaderRefused(_) | VerifyError::HeaderType(_) => FOREIGN_FIX,
        VerifyError::TypMismatch => OTHER_KIND_FIX,
        VerifyError::Wrapped(error) => return wrapped(error),
        VerifyError::AlgorithmMismatch => return algorithm(login, decoded),
        VerifyError::NoKey(error) => return no_key(error, login, decoded),
        VerifyError::Claims(error) => return claims(error, login, decoded),
    };
    Finding::new(error.to_string(), fix)
}

fn algorithm(login: &Login, decoded: &DecodedToken) -> Finding {
    let configured = match login.signature {
        Signature::Secret { .. } => "HS256",
        Signature::Published { .. } => "RS256",
    };
    let alg = decoded.header_text("alg").unwrap_or("missing");
    let fix = match alg {
        "RS256" => "if the login project signs with RS256, set login.algorithm = \"RS256\" and login.project_id",
        "HS256" => "if the login project signs with HS256, set login.algorithm = \"HS256\" and login.secret",
        _ => FOREIGN_FIX,
    };
    Finding::new(format!("header alg is {alg}, but login.algorithm is {configured}"), fix)
}

fn no_key(error: NoKeyError, login: &Login, decoded: &DecodedToken) -> Finding {
    let fix = match error {
        NoKeyError::SecretUnknown => {
            let cause = match &login.signature {
                Signature::Secret { previous: None, .. } => "not signed with login.secret",
                Signature::Secret { .. } | Signature::Published { .. } => {
                    "signed with neither login.secret nor login.previous_secret"
                }
            };
            return Finding::new(cause, secret_fix(decoded));
        }
        NoKeyError::Find(FindKeyError::Unknown) => match decoded.claim_text(PROJECT_CLAIM) {
            Some(project) if login.project_id.as_deref() != Some(project) => {
                let fix = format!("the token belongs to login project {project}; check login.project_id");
                return Finding::new(error.to_string(), fix);
            }
            _ => "the key was withdrawn, or Xsolla did not issue the token; the player must sign in again",
        },
        NoKeyError::KidMissing => FOREIGN_FIX,
        NoKeyError::SignatureWrong => "the token was changed after it was issued, or Xsolla did not issue it",
        NoKeyError::Find(FindKeyError::CoolingDown) => "try again in a moment",
        NoKeyError::Find(FindKeyError::Unavailable) => API_FIX,
    };
    Finding::new(error.to_string(), fix)
}

fn secret_fix(decoded: &DecodedToken) -> String {
    if decoded.has_white_space {
        decoded.format_fix().to_owned()
    } else if decoded.claim("external_id").is_some() {
        "this looks like a Zendesk token, not a login token; try --zendesk chat".to_owned()
    } else if let Some(project) = decoded.claim_text(PROJECT_CLAIM) {
        format!(
            "check that login.secret is the secret of login project {project} (Publisher Account › Login › Security)"
        )
    } else {
        "check that Xsolla Login issued this token: it names no login project".to_owned()
    }
}

fn claims(error: ClaimsError, login: &Login, decoded: &DecodedToken) -> Finding {
    let configured = |setting: &Option<String>| setting.clone().unwrap_or_default();
    let claimed = |name| decoded.claim_text(name).unwrap_or("(unknown)");
    let (cause, fix) = match error {
        ClaimsError::OtherKind(_) => (error.to_string(), OTHER_KIND_FIX),
        ClaimsError::ClaimMissing(_) | ClaimsError::NotATime(_) => (error.to_string(), FOREIGN_FIX),
        ClaimsError::Expired(seconds) => (
            format!("expired {} ago", span(seconds)),
            "the player must sign in again; the page's cookie should expire with the login",
        ),
        ClaimsError::InFuture(claim, seconds) => (
            format!("claim {claim} is {} in the future", span(seconds)),
            "synchronize this machine's clock; zendesk-token check --online shows the difference",
        ),
        ClaimsError::LifetimeTooLong(seconds) => (
            format!("valid for {}, longer than login.max_lifetime", span(seconds)),
            "raise login.max_lifetime, or shorten the token lifetime in the login project",
        ),
        ClaimsError::IssuerMismatch => (
            format!("issued by {}, but login.issuer is {}", claimed("iss"), configured(&login.issuer)),
            "if Xsolla Login issued the token, set login.issuer to the token's issuer, or remove login.issuer",
        ),
        ClaimsError::ProjectMismatch => (
            format!(
                "issued for login project {}, but login.project_id is {}",
                claimed(PROJECT_CLAIM),
                configured(&login.project_id)
            ),
            "make the page use the login project in login.project_id, or change login.project_id",
        ),
    };
    Finding::new(cause, fix)
}

const fn identify(error: IdentityError) -> &'static str {
    match error {
        IdentityError::SubMissing => FOREIGN_FIX,
        IdentityError::EmailMissing => {
            "make Xsolla Login collect emails (fields=email, scope=email, or Always collect user's email at registration), or set fallback_email_domain in the product's section"
        }
        IdentityError::FallbackDomain => "nothing receives mail at this domain; the player needs their own email",
        IdentityError::SubNotLocalPart => {
            "Xsolla Login's user ids do not look like this; the player needs their own email"
        }
        IdentityError::TooLong(_)
        | IdentityError::ControlCharacter
        | IdentityError::OuterWhitespace
        | IdentityError::EmailForm => "Zendesk does not accept this value; correct it in the player's account",
    }
}
