//! The claims of a verified login token, and the rules that they must keep.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Number;
use thiserror::Error;

use crate::config::login::Login;

use super::Timestamp;
use super::keys::VerifiedBy;
use super::strict_json::{Member, Members};

/// 9999-12-31 23:59:59 UTC. Times beyond it are no times, and would overflow what is added to them.
pub const MAX_TIMESTAMP: Timestamp = 253_402_300_799;

/// Claims of tokens that are signed with the same key and are no player's login: Xsolla's server tokens have `request_type`, and
/// logout tokens `events` (openid-connect-backchannel-1_0 §2.4).
const OTHER_KINDS: [&str; 2] = ["request_type", "events"];

/// What must hold for the claims of every login token.
#[derive(Debug, Clone)]
pub struct LoginRules {
    issuer: Option<String>,
    project_id: Option<String>,
    leeway: i64,
    max_lifetime: Option<i64>,
    /// Names of the texts that are kept: `sub`, `email`, `type` and what the settings name.
    kept: Vec<Arc<str>>,
}

/// Claims of a verified login token.
pub struct LoginClaims {
    /// Claims that are strings and that somebody asks for.
    texts: Vec<(Arc<str>, String)>,
    says_email_is_unconfirmed: bool,
    expires_at: Timestamp,
    honoured_until: Timestamp,
    verified_by: VerifiedBy,
}

/// Why the claims of a login token don't hold. Says nothing of them but times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// A claim of another kind of token.
    #[error("has the claim {0}, which a player's login never has")]
    OtherKind(&'static str),
    /// A claim that must be there is not.
    #[error("claim {0} is missing")]
    ClaimMissing(&'static str),
    /// A time that is no number from 1970 to 9999.
    #[error("claim {0} is no time between 1970 and 9999 in seconds")]
    NotATime(&'static str),
    /// `exp` has passed.
    #[error("expired {0} s ago")]
    Expired(i64),
    /// `nbf` or `iat` is still to come.
    #[error("claim {0} is {1} s in the future; does a clock differ?")]
    InFuture(&'static str, i64),
    /// `exp - iat` is more than allowed.
    #[error("lives {0} s, longer than login.max_lifetime")]
    LivesTooLong(i64),
    /// `iss` is not what the settings say.
    #[error("claim iss is not login.issuer")]
    IssuerMismatch,
    /// `xsolla_login_project_id` is not what the settings say.
    #[error("claim xsolla_login_project_id is not login.project_id")]
    ProjectMismatch,
}

impl LoginRules {
    /// Takes the rules from the settings. Of the claims that are strings `sub`, `email`, `type` and those of these names are kept.
    #[must_use]
    pub fn new<'a>(login: &Login, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut kept: Vec<Arc<str>> = ["sub", "email", "type"].into_iter().chain(names).map(Arc::from).collect();
        kept.sort_unstable();
        kept.dedup();
        Self {
            kept,
            issuer: login.issuer.clone(),
            project_id: login.project_id.clone(),
            leeway: seconds(login.leeway),
            max_lifetime: login.max_lifetime.map(seconds),
        }
    }

    /// Checks the claims of a token whose signature holds.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub(super) fn check(
        &self,
        claims: &Members<'_>,
        verified_by: VerifiedBy,
        now: Timestamp,
    ) -> Result<LoginClaims, ClaimsError> {
        if let Some(name) = OTHER_KINDS.into_iter().find(|name| claims.has(name)) {
            return Err(ClaimsError::OtherKind(name));
        }
        let expires_at = time(claims, "exp")?.ok_or(ClaimsError::ClaimMissing("exp"))?;
        let (issued_at, not_before) = (time(claims, "iat")?, time(claims, "nbf")?);
        if now >= expires_at + self.leeway {
            return Err(ClaimsError::Expired(now - expires_at));
        }
        for (name, starts_at) in [("nbf", not_before), ("iat", issued_at)] {
            if let Some(starts_at) = starts_at.filter(|starts_at| *starts_at > now + self.leeway) {
                return Err(ClaimsError::InFuture(name, starts_at - now));
            }
        }
        if let Some(max_lifetime) = self.max_lifetime {
            let lifetime = expires_at - issued_at.ok_or(ClaimsError::ClaimMissing("iat"))?;
            if lifetime > max_lifetime {
                return Err(ClaimsError::LivesTooLong(lifetime));
            }
        }
        check_text(claims, "iss", self.issuer.as_deref(), ClaimsError::IssuerMismatch)?;
        check_text(claims, "xsolla_login_project_id", self.project_id.as_deref(), ClaimsError::ProjectMismatch)?;
        let kept = self.kept.iter().filter_map(|name| Some((Arc::clone(name), claims.text(name)?.to_owned())));
        let honoured_until = if expires_at > now { expires_at } else { expires_at + self.leeway };
        Ok(LoginClaims {
            texts: kept.collect(),
            // Some identity providers write it as text or as a number. Whatever else is there does not confirm the email.
            says_email_is_unconfirmed: match claims.find("email_verified") {
                Some(Member::Bool(flag)) => !flag,
                Some(Member::Text(text)) => !(text.is_empty() || text.eq_ignore_ascii_case("true") || text == "1"),
                Some(Member::Number(number)) => number.as_f64() != Some(1.0),
                Some(Member::Other) => true,
                Some(Member::Null) | None => false,
            },
            expires_at,
            honoured_until,
            verified_by,
        })
    }
}

fn check_text(claims: &Members<'_>, name: &str, expected: Option<&str>, error: ClaimsError) -> Result<(), ClaimsError> {
    match expected {
        Some(expected) if claims.text(name) != Some(expected) => Err(error),
        Some(_) | None => Ok(()),
    }
}

/// A `NumericDate` (RFC 7519 §2), a fraction rounded down; nothing when the claim is not there.
fn time(claims: &Members<'_>, name: &'static str) -> Result<Option<Timestamp>, ClaimsError> {
    let number = match claims.find(name) {
        None => return Ok(None),
        Some(Member::Number(number)) => number,
        Some(Member::Text(_) | Member::Bool(_) | Member::Null | Member::Other) => {
            return Err(ClaimsError::NotATime(name));
        }
    };
    whole_seconds(number).filter(|time| (0..=MAX_TIMESTAMP).contains(time)).map(Some).ok_or(ClaimsError::NotATime(name))
}

/// A time in whole seconds, a fraction rounded down; nothing when it is out of all reason.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub fn whole_seconds(number: &Number) -> Option<Timestamp> {
    let in_reason = |number: &f64| (-1e15..=1e15).contains(number);
    number.as_i64().or_else(|| number.as_f64().filter(in_reason).map(|number| number.floor() as Timestamp))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(MAX_TIMESTAMP)
}

impl LoginClaims {
    /// A claim that is a string and not empty, if the rules keep it.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, text) = self.texts.iter().find(|(known, _)| **known == *name)?;
        Some(text.as_str()).filter(|text| !text.is_empty())
    }

    /// The player's id at the login side.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.text("sub")
    }

    /// Whether it says that the email was not confirmed: `email_verified` is there and is neither true nor empty.
    #[must_use]
    pub const fn says_email_is_unconfirmed(&self) -> bool {
        self.says_email_is_unconfirmed
    }

    /// When the login ends, leeway aside.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Until when a token issued for this login may live: its end, or the end of the leeway that it
    /// is in already. Always after the `now` it was verified at.
    #[must_use]
    pub const fn honoured_until(&self) -> Timestamp {
        self.honoured_until
    }

    /// Which key verified the token.
    #[must_use]
    pub const fn verified_by(&self) -> VerifiedBy {
        self.verified_by
    }
}

impl fmt::Debug for LoginClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginClaims({} texts)", self.texts.len())
    }
}
