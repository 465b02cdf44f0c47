//! Why a login token was refused, in words for a person, and what to do about it.

use crate::config::login::{Login, Signature};
use crate::exchange::ExchangeError;
use crate::login::claims::{ClaimsError, whole_seconds};
use crate::login::keys::NoKeyError;
use crate::login::published::FindKeyError;
use crate::login::revocation::RevocationError;
use crate::login::token::{VerifyError, Wrapping};
use crate::login::verifier::LoginError;
use crate::zendesk::IssueError;
use crate::zendesk::identity::IdentityError;
use crate::zendesk::rules::Finding;

use super::opened::Opened;
use crate::terminal::span;

/// The cause and the mend of a refusal.
#[must_use]
pub fn finding(error: ExchangeError, login: &Login, opened: &Opened) -> Finding {
    match error {
        ExchangeError::Login(LoginError::Verify(error)) => verify(error, login, opened),
        ExchangeError::Login(LoginError::Settle) => told(&error, "give one token at a time"),
        ExchangeError::Login(LoginError::Revocation(RevocationError::Revoked(_), _)) => {
            told(&error, "the player signed out, or was signed out; they have to sign in again")
        }
        ExchangeError::Login(LoginError::Revocation(RevocationError::Unknown(_) | RevocationError::TooManyAsk, _)) => {
            told(&error, API_MEND)
        }
        ExchangeError::Identify(error, _) => identify(error),
        ExchangeError::Issue(IssueError::EmailNotAscii, _) => {
            told(&error, "Chat refuses such an address; the player needs another one")
        }
        ExchangeError::Issue(IssueError::EmailUnconfirmed, _) => {
            told(&error, "the player has to confirm the email at the login side, and then to sign in again")
        }
        ExchangeError::Issue(IssueError::ExternalIdIsContact, _) => {
            told(&error, "it is not one of Xsolla Login's user tokens; see who made it")
        }
        ExchangeError::Issue(IssueError::ContactMissing | IssueError::Sign(_), _) => {
            told(&error, "this is a fault of zendesk-token; please report it")
        }
        ExchangeError::NotServed => told(&error, "set the product's secret"),
    }
}

/// A login that lives shorter than that is over before a chat is.
const SHORT_LOGIN: i64 = 15 * 60;

/// A warning of a login token that lives only for minutes.
#[must_use]
pub fn short_login(opened: &Opened) -> Option<Finding> {
    let time = |name| whole_seconds(opened.claim(name)?.as_number()?);
    let lifetime = time("exp")?.saturating_sub(time("iat")?);
    (1..SHORT_LOGIN).contains(&lifetime).then(|| {
        let cause = format!("the login lives {}; Zendesk tokens end with it, so chats turn anonymous", span(lifetime));
        Finding::new(cause, "raise the token's lifetime in the login project (Publisher Account › Login)")
    })
}

const OTHER_KIND_MEND: &str =
    "it is a token for servers or for another purpose; give the user token that Xsolla Login gave to the page or app";

const API_MEND: &str = "see that login.api_url is right and can be reached from here: zendesk-token check --online";

fn told(error: &dyn std::fmt::Display, mend: impl Into<String>) -> Finding {
    Finding::new(error.to_string(), mend)
}

fn verify(error: VerifyError, login: &Login, opened: &Opened) -> Finding {
    match error {
        VerifyError::TooLong(_) => told(&error, "keep payload and groups of the login token small"),
        VerifyError::Empty | VerifyError::NotThreeParts | VerifyError::Padded(_) | VerifyError::NotBase64Url(_) => {
            told(&error, opened.spelling_mend())
        }
        VerifyError::Wrapped(error) => wrapped(error),
        VerifyError::NotStrictJson(..) => told(&error, "Xsolla Login makes no such token; see who made it"),
        VerifyError::AlgorithmMismatch => algorithm(login, opened),
        VerifyError::HeaderRefused(_) | VerifyError::HeaderType(_) => {
            told(&error, "Xsolla Login makes no such header; see who made the token")
        }
        VerifyError::TypMismatch => told(&error, OTHER_KIND_MEND),
        VerifyError::NoKey(error) => no_key(error, login, opened),
        VerifyError::Claims(error) => claims(error, login, opened),
    }
}

/// The cause and the mend where something stands around the token.
#[must_use]
pub fn wrapped(wrapping: Wrapping) -> Finding {
    let mend = match wrapping {
        Wrapping::PercentEncoding => "send it as it is: a token needs no encoding",
        Wrapping::ExpressSignature => "set the cookie with signed: false",
        Wrapping::JsonQuotes
        | Wrapping::JsonObject
        | Wrapping::ExpressJson
        | Wrapping::SingleQuotes
        | Wrapping::Bearer
        | Wrapping::Name => "set the token alone as the cookie's value",
    };
    told(&wrapping, mend)
}

fn algorithm(login: &Login, opened: &Opened) -> Finding {
    let configured = match login.signature {
        Signature::Secret { .. } => "HS256",
        Signature::Published { .. } => "RS256",
    };
    let named = opened.header_text("alg").map_or("no algorithm".to_owned(), str::to_owned);
    let mend = match (named.as_str(), configured) {
        ("RS256", _) => "if the login project signs with RS256, set login.algorithm = \"RS256\" and login.project_id",
        ("HS256", _) => "if the login project signs with HS256, set login.algorithm = \"HS256\" and login.secret",
        _ => "Xsolla Login signs with HS256 or RS256; see who made the token",
    };
    Finding::new(format!("{named}, but login.algorithm is {configured}"), mend)
}

fn no_key(error: NoKeyError, login: &Login, opened: &Opened) -> Finding {
    let project = opened.claim_text("xsolla_login_project_id");
    match error {
        NoKeyError::SecretUnknown => {
            let cause = match &login.signature {
                Signature::Secret { previous: None, .. } => "signed with another secret than login.secret",
                Signature::Secret { .. } | Signature::Published { .. } => "signed with neither secret",
            };
            Finding::new(cause, secret_mend(project, opened))
        }
        NoKeyError::KidMissing => told(&error, "Xsolla's RS256 tokens have one; see who made the token"),
        NoKeyError::SignatureWrong => told(&error, "the token was changed on its way, or Xsolla did not make it"),
        NoKeyError::Find(FindKeyError::Unknown) => {
            let is_other = project.is_some() && project != login.project_id.as_deref();
            let mend = match project.filter(|_| is_other) {
                Some(project) => format!("the token is of login project {project}; is login.project_id right?"),
                None => "the key was withdrawn, or Xsolla did not make the token; the player has to sign in again"
                    .to_owned(),
            };
            told(&error, mend)
        }
        NoKeyError::Find(FindKeyError::NotAsked) => told(&error, "try again in a moment"),
        NoKeyError::Find(FindKeyError::Unavailable) => told(&error, API_MEND),
    }
}

fn secret_mend(project: Option<&str>, opened: &Opened) -> String {
    match project {
        _ if opened.has_blank => opened.spelling_mend().to_owned(),
        _ if opened.claim("external_id").is_some() => {
            "this looks like a token for Zendesk and not like a login token; try --zendesk chat".to_owned()
        }
        Some(project) => {
            format!("is this the secret of login project {project}? (Publisher Account › Login › Security)")
        }
        None => "is it Xsolla Login's token at all? It names no login project".to_owned(),
    }
}

fn claims(error: ClaimsError, login: &Login, opened: &Opened) -> Finding {
    let configured = |name: &Option<String>| name.clone().unwrap_or_default();
    let claimed = |name: &str| opened.claim_text(name).unwrap_or("no text").to_owned();
    match error {
        ClaimsError::OtherKind(_) => told(&error, OTHER_KIND_MEND),
        ClaimsError::ClaimMissing(_) | ClaimsError::NotATime(_) => {
            told(&error, "Xsolla Login makes no such token; see who made it")
        }
        ClaimsError::Expired(seconds) => Finding::new(
            format!("expired {} ago", span(seconds)),
            "the player has to sign in again; is the page's cookie kept longer than the login lasts?",
        ),
        ClaimsError::InFuture(claim, seconds) => Finding::new(
            format!("claim {claim} lies {} in the future", span(seconds)),
            "set this machine's clock (zendesk-token check --online shows how far it is off)",
        ),
        ClaimsError::LivesTooLong(seconds) => Finding::new(
            format!("lives {}, longer than login.max_lifetime", span(seconds)),
            "raise login.max_lifetime, or shorten the token's life in the login project",
        ),
        ClaimsError::IssuerMismatch => Finding::new(
            format!("issued by {}, but login.issuer is {}", claimed("iss"), configured(&login.issuer)),
            "if Xsolla Login is the issuer, set login.issuer to what the token says, or drop it",
        ),
        ClaimsError::ProjectMismatch => Finding::new(
            format!(
                "of login project {}, but login.project_id is {}",
                claimed("xsolla_login_project_id"),
                configured(&login.project_id)
            ),
            "have the page sign players in to the right project, or set login.project_id",
        ),
    }
}

fn identify(error: IdentityError) -> Finding {
    let mend = match error {
        IdentityError::SubMissing => "it is not one of Xsolla Login's user tokens; see who made it",
        IdentityError::EmailMissing => {
            "have Xsolla Login collect emails (fields=email, scope=email, or Always collect user's email at registration), or set fallback_email_domain in the product's section"
        }
        IdentityError::FallbackDomain => "nobody has mail there; the player needs an email of their own",
        IdentityError::SubNotLocalPart => {
            "it is not one of Xsolla Login's user ids; the player needs an email of their own"
        }
        IdentityError::TooLong(_)
        | IdentityError::ControlCharacter
        | IdentityError::OuterSpace
        | IdentityError::EmailForm => "Zendesk could not take it; have the player's account mended at the login side",
    };
    told(&error, mend)
}
