//! Explains why a login token was refused, and how to fix it.

use crate::config::login::{Login, PROJECT_CLAIM, Signature};
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
use crate::zendesk::user_token::UserTokenError;

use super::decoded_token::DecodedToken;

const FOREIGN_FIX: &str = "login tokens do not look like this; find out which program created it";

const OTHER_KIND_FIX: &str =
    "this is a token for servers or for another purpose; use the user token that the login gives to the page or app";

/// In seconds. A shorter login ends during a chat.
const SHORT_LOGIN: i64 = 15 * 60;

/// The cause and the fix of a refusal.
pub(crate) fn finding(error: &ExchangeError, logins: &[Login], decoded: &DecodedToken) -> Finding {
    let (name, _) = error.login_and_key();
    // A refusal before a login is selected has the same fix for each login.
    let login = logins.iter().find(|login| Some(&login.name) == name).or(logins.first());
    let Some(login) = login else { return Finding::new(error.to_string(), "set a login") };
    let fix = match error {
        ExchangeError::Login(LoginError::Verify(error, _) | LoginError::Undecided(error, _)) => {
            return verify(error, login, decoded);
        }
        ExchangeError::Login(LoginError::DifferentPlayers) => "send one login token at a time".to_owned(),
        ExchangeError::Login(LoginError::Revocation(RevocationError::Revoked(_), _)) => {
            "the player signed out, or was signed out; they must sign in again".to_owned()
        }
        ExchangeError::Login(LoginError::Revocation(..)) => api_fix(login),
        ExchangeError::Identify(error, _) => identify(error, login),
        ExchangeError::Issue(error, _) => issue(*error, login),
        ExchangeError::NotServed => "set the product's secret".to_owned(),
        ExchangeError::UserTokensOff => "set support_sdk.user_token_lifetime".to_owned(),
        ExchangeError::UserToken(error, _) => user_token(error).to_owned(),
    };
    Finding::new(error.to_string(), fix)
}

fn api_fix(login: &Login) -> String {
    format!("check {} and the network: zendesk-token check --online", login.api.url_key)
}

/// A warning about a login token that is valid only for minutes.
pub(crate) fn short_login(decoded: &DecodedToken) -> Option<Finding> {
    let time = |name| whole_seconds(decoded.claim(name)?.as_number()?);
    let lifetime = time("exp")?.saturating_sub(time("iat")?);
    (1..SHORT_LOGIN).contains(&lifetime).then(|| {
        let lifetime = span(lifetime);
        Finding::new(
            format!("the login lasts only {lifetime}; Zendesk tokens expire with it, so players become anonymous"),
            "increase the token lifetime in the login project (Publisher Account › Login › your project) or at the provider; for \
             Messaging, messaging.outlives_login = true helps too",
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

fn verify(error: &VerifyError, login: &Login, decoded: &DecodedToken) -> Finding {
    let fix = match error {
        VerifyError::TooLong(_) => "reduce the payload and the groups in the login token",
        VerifyError::Empty | VerifyError::NotThreeParts | VerifyError::Padded(_) | VerifyError::NotBase64Url(_) => {
            decoded.format_fix()
        }
        VerifyError::NotStrictJson(..) | VerifyError::HeaderRefused(_) | VerifyError::HeaderType(_) => FOREIGN_FIX,
        VerifyError::TypMismatch => OTHER_KIND_FIX,
        VerifyError::UserToken => {
            "a login needs the player's login token; to check a user token, set support_sdk.secret and \
             support_sdk.user_token_lifetime"
        }
        VerifyError::NoLogin { .. } => {
            "if the token is right, set issuer, project_id and audience of its login to what the token says"
        }
        VerifyError::Wrapped(error) => return wrapped(*error),
        VerifyError::AlgorithmMismatch => return algorithm(login, decoded),
        VerifyError::NoKey(error) => return no_key(*error, login, decoded),
        VerifyError::Claims(error) => return claims(*error, login, decoded),
    };
    Finding::new(error.to_string(), fix)
}

fn algorithm(login: &Login, decoded: &DecodedToken) -> Finding {
    let alg = decoded.header_text("alg").unwrap_or("missing");
    if !login.is_xsolla() {
        let cause = format!("header alg is {alg}, but a provider signs with RS256, PS256, ES256, ES384 or EdDSA");
        return Finding::new(cause, "set the signature algorithm of the client at the provider to one of these");
    }
    let key = |own: &str| login.name.key(own);
    let configured = match login.signature {
        Signature::Secret { .. } => "HS256",
        Signature::Published { .. } => "RS256",
    };
    let (algorithm, fix) = (key("algorithm"), |needs: &str| {
        format!("if the login project signs with {alg}, set {} = \"{alg}\" and {}", key("algorithm"), key(needs))
    });
    let fix = match alg {
        "RS256" => fix("project_id"),
        "HS256" => fix("secret"),
        _ => FOREIGN_FIX.to_owned(),
    };
    Finding::new(format!("header alg is {alg}, but {algorithm} is {configured}"), fix)
}

fn no_key(error: NoKeyError, login: &Login, decoded: &DecodedToken) -> Finding {
    let fix = match error {
        NoKeyError::SecretUnknown => {
            let (secret, previous) = (login.name.key("secret"), login.name.key("previous_secret"));
            let cause = match &login.signature {
                Signature::Secret { previous: None, .. } => format!("not signed with {secret}"),
                Signature::Secret { .. } | Signature::Published { .. } => {
                    format!("signed with neither {secret} nor {previous}")
                }
            };
            return Finding::new(cause, secret_fix(login, decoded));
        }
        NoKeyError::Find(FindKeyError::Unknown) => match decoded.claim_text(PROJECT_CLAIM) {
            Some(project) if login.is_xsolla() && login.project_id.as_deref() != Some(project) => {
                format!("the token belongs to login project {project}; check {}", login.name.key("project_id"))
            }
            _ => "the key was withdrawn, or another program made the token; the player must sign in again".to_owned(),
        },
        NoKeyError::KidMissing => FOREIGN_FIX.to_owned(),
        NoKeyError::SignatureWrong => {
            "the token was changed after it was issued, or another program made it".to_owned()
        }
        NoKeyError::Find(FindKeyError::CoolingDown) => "try again in a moment".to_owned(),
        NoKeyError::Find(FindKeyError::Unavailable) => api_fix(login),
    };
    Finding::new(error.to_string(), fix)
}

fn secret_fix(login: &Login, decoded: &DecodedToken) -> String {
    if decoded.has_white_space {
        decoded.format_fix().to_owned()
    } else if decoded.claim("external_id").is_some() {
        "this looks like a Zendesk token, not a login token; try --zendesk chat".to_owned()
    } else if let Some(project) = decoded.claim_text(PROJECT_CLAIM) {
        let secret = login.name.key("secret");
        format!(
            "check that {secret} is the secret of login project {project} (Publisher Account › Login › your project › Security)"
        )
    } else {
        "check that Xsolla Login issued this token: it names no login project".to_owned()
    }
}

fn claims(error: ClaimsError, login: &Login, decoded: &DecodedToken) -> Finding {
    let key = |own: &str| login.name.key(own);
    let differs = |issued: &str, claim: &str, own: &str, setting: &Option<String>| {
        let (key, setting) = (key(own), setting.as_deref().unwrap_or_default());
        match decoded.claim_text(claim) {
            Some(claimed) => format!("issued {issued} {claimed}, but {key} is {setting}"),
            None => format!("has no {claim} as text, but {key} is {setting}"),
        }
    };
    let (cause, fix) = match error {
        ClaimsError::OtherKind(_) => (error.to_string(), OTHER_KIND_FIX.to_owned()),
        ClaimsError::ClaimMissing(_) | ClaimsError::NotATime(_) => (error.to_string(), FOREIGN_FIX.to_owned()),
        ClaimsError::Expired(seconds) => (
            format!("expired {} ago", span(seconds)),
            "the player must sign in again; the page's cookie should expire with the login".to_owned(),
        ),
        ClaimsError::InFuture(claim, seconds) => (
            format!("claim {claim} is {} in the future", span(seconds)),
            "synchronize this machine's clock; zendesk-token check --online shows the difference".to_owned(),
        ),
        ClaimsError::LifetimeTooLong(seconds) => (
            format!("valid for {}, longer than login.max_lifetime", span(seconds)),
            "raise login.max_lifetime, or shorten the token lifetime where players sign in".to_owned(),
        ),
        ClaimsError::IssuerMismatch => (
            differs("by", "iss", "issuer", &login.issuer),
            format!("if the token is right, set {} to its iss", key("issuer")),
        ),
        ClaimsError::ProjectMismatch => (
            differs("for login project", PROJECT_CLAIM, "project_id", &login.project_id),
            format!("make the page use the login project in {0}, or change {0}", key("project_id")),
        ),
        ClaimsError::AudienceMismatch => (
            differs("for audience", "aud", "audience", &login.audience),
            format!("make the page use the client in {0}, or change {0}", key("audience")),
        ),
        ClaimsError::PartyMismatch => {
            (error.to_string(), format!("send a token that is made for {} alone: an ID token", key("audience")))
        }
        ClaimsError::TypeMismatch(_) => {
            (error.to_string(), format!("send the other token of the login, or change {}", key("token_type")))
        }
    };
    Finding::new(cause, fix)
}

fn user_token(error: &UserTokenError) -> &'static str {
    match error {
        UserTokenError::Form(_) | UserTokenError::NotStrictJson(_) | UserTokenError::Claim(_) => {
            "user tokens do not look like this; find out which program created it"
        }
        UserTokenError::SignatureWrong => {
            "if support_sdk.secret was changed, the app must request a new user token; otherwise the token was changed, or another \
             program made it"
        }
        UserTokenError::LoginUnknown => {
            "if the login was renamed, give it its old name; otherwise the player must sign in again"
        }
        UserTokenError::Revoked | UserTokenError::Expired(_) => {
            "the app must request a new user token at each sign-in and start"
        }
        UserTokenError::InFuture(_) => "synchronize the clocks (NTP) of all instances of the service",
    }
}

fn identify(error: &IdentityError, login: &Login) -> String {
    match error {
        IdentityError::IdMissing(claim) if **claim == *"sub" => FOREIGN_FIX.to_owned(),
        IdentityError::IdMissing(_) => {
            format!("put the claim into the token as text, or change {}", login.name.key("claims.external_id"))
        }
        IdentityError::EmailMissing(_) if login.is_xsolla() => {
            "make Xsolla Login collect emails (fields=email, scope=email, or Always collect user's email at registration), or set fallback_email_domain in the product's section".to_owned()
        }
        IdentityError::EmailMissing(_) => {
            "ask the provider for the email (scope email), or set fallback_email_domain in the product's section".to_owned()
        }
        IdentityError::FallbackDomain(_) => {
            "nothing receives mail at this domain; the player needs their own email".to_owned()
        }
        IdentityError::IdNotLocalPart(_) => {
            "such an id can't be part of an email; the player needs their own email".to_owned()
        }
        IdentityError::TooLong(..)
        | IdentityError::ControlCharacter(_)
        | IdentityError::OuterWhitespace(_)
        | IdentityError::EmailForm(_) => {
            "Zendesk does not accept this value; correct it in the player's account".to_owned()
        }
    }
}

fn issue(error: IssueError, login: &Login) -> String {
    match error {
        IssueError::EmailNotAscii => "Chat accepts only ASCII addresses; the player needs another email".to_owned(),
        IssueError::EmailUnconfirmed if !login.is_xsolla() && !login.player.uses_email_claim() => {
            format!("email_verified says nothing about this email; set {} = \"email\"", login.name.key("claims.email"))
        }
        IssueError::EmailUnconfirmed => {
            "the player must confirm the email where they sign in, and then sign in again".to_owned()
        }
        IssueError::ExternalIdIsContact => {
            format!("set {} to a claim with an id that never changes", login.name.key("claims.external_id"))
        }
        IssueError::ContactMissing | IssueError::Sign(_) => {
            "this is a bug in zendesk-token; please report it".to_owned()
        }
    }
}
