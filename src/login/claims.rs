//! Checks the claims of a login token, after its signature.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Number;
use thiserror::Error;

use crate::config::login::Login;

use super::Timestamp;
use super::keys::VerifiedBy;
use super::strict_json::{Member, Members};

/// 9999-12-31 23:59:59 UTC, the latest accepted time. Far below the type's maximum, so that additions can't overflow.
pub(crate) const MAX_TIMESTAMP: Timestamp = 253_402_300_799;

/// Claims of other kinds of token that are signed with the same key: Xsolla's server tokens have `request_type`, logout
/// tokens have `events` (openid-connect-backchannel-1_0 §2.4).
const OTHER_KINDS: [&str; 2] = ["request_type", "events"];

/// The rules for the claims of login tokens.
pub(crate) struct LoginRules {
    issuer: Option<String>,
    project_id: Option<String>,
    leeway: i64,
    max_lifetime: Option<i64>,
    /// Names of the string claims to keep: `sub`, `email`, `type` and those that the settings name.
    kept: Vec<Arc<str>>,
}

/// Claims of a verified login token.
pub(crate) struct LoginClaims {
    texts: Vec<(Arc<str>, String)>,
    is_email_unconfirmed: bool,
    expires_at: Timestamp,
    accepted_until: Timestamp,
    verified_by: VerifiedBy,
}

/// Why the claims of a login token are not accepted. Quotes only names of claims, and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// The claim is one of another kind of token.
    #[error("has the claim {0}, so it is not a player's login token")]
    OtherKind(&'static str),
    /// A required claim is missing.
    #[error("claim {0} is missing")]
    ClaimMissing(&'static str),
    /// Not a number, or not a time from 1970 to 9999.
    #[error("claim {0} is not a time in seconds between 1970 and 9999")]
    NotATime(&'static str),
    /// `exp` has passed, this many seconds ago.
    #[error("expired {0} s ago")]
    Expired(i64),
    /// `nbf` or `iat` is this many seconds in the future.
    #[error("claim {0} is {1} s in the future; check that the clocks are right")]
    InFuture(&'static str, i64),
    /// `exp - iat`, in seconds, is more than allowed.
    #[error("is valid for {0} s, longer than login.max_lifetime allows")]
    LifetimeTooLong(i64),
    /// `iss` is not the configured issuer.
    #[error("claim iss is not the same as login.issuer")]
    IssuerMismatch,
    /// `xsolla_login_project_id` is not the configured project.
    #[error("claim xsolla_login_project_id is not the same as login.project_id")]
    ProjectMismatch,
}

impl LoginRules {
    /// Takes the rules from the settings. Keeps the string claims `sub`, `email`, `type` and those in `names`.
    pub(super) fn new<'a>(login: &Login, names: impl IntoIterator<Item = &'a str>) -> Self {
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

    /// Checks the claims; `verified_by` is the key that verified the signature. Fails with the first wrong claim.
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
                return Err(ClaimsError::LifetimeTooLong(lifetime));
            }
        }
        check_text(claims, "iss", self.issuer.as_deref(), ClaimsError::IssuerMismatch)?;
        check_text(claims, "xsolla_login_project_id", self.project_id.as_deref(), ClaimsError::ProjectMismatch)?;
        let kept = self.kept.iter().filter_map(|name| Some((Arc::clone(name), claims.text(name)?.to_owned())));
        let accepted_until = if expires_at > now { expires_at } else { expires_at + self.leeway };
        Ok(LoginClaims {
            texts: kept.collect(),
            // Some identity providers write it as a string or a number. Any other value does not confirm the email.
            is_email_unconfirmed: match claims.find("email_verified") {
                Some(Member::Bool(flag)) => !flag,
                Some(Member::Text(text)) => !(text.is_empty() || text.eq_ignore_ascii_case("true") || text == "1"),
                Some(Member::Number(number)) => number.as_f64() != Some(1.0),
                Some(Member::Other) => true,
                Some(Member::Null) | None => false,
            },
            expires_at,
            accepted_until,
            verified_by,
        })
    }
}

impl LoginClaims {
    /// A kept string claim, if it is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, text) = self.texts.iter().find(|(known, _)| **known == *name)?;
        Some(text.as_str()).filter(|text| !text.is_empty())
    }

    /// The player's id in Xsolla Login.
    pub(crate) fn sub(&self) -> Option<&str> {
        self.text("sub")
    }

    /// Whether the claim `email_verified` is present and is neither true nor empty.
    pub(crate) const fn is_email_unconfirmed(&self) -> bool {
        self.is_email_unconfirmed
    }

    /// The claim `exp`, without leeway.
    pub(crate) const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The latest `exp` of a token that is issued for this login: the login's own `exp` or, if that has passed, the end of
    /// the leeway. Always after the `now` of the verification.
    pub(crate) const fn accepted_until(&self) -> Timestamp {
        self.accepted_until
    }

    /// The key that verified the token.
    pub(crate) const fn verified_by(&self) -> VerifiedBy {
        self.verified_by
    }
}

fn check_text(claims: &Members<'_>, name: &str, expected: Option<&str>, error: ClaimsError) -> Result<(), ClaimsError> {
    if expected.is_some_and(|expected| claims.text(name) != Some(expected)) { Err(error) } else { Ok(()) }
}

/// A `NumericDate` (RFC 7519 §2), rounded down; `None` when the claim is absent.
fn time(claims: &Members<'_>, name: &'static str) -> Result<Option<Timestamp>, ClaimsError> {
    let Some(value) = claims.find(name) else { return Ok(None) };
    let Member::Number(number) = value else { return Err(ClaimsError::NotATime(name)) };
    whole_seconds(number).filter(|time| (0..=MAX_TIMESTAMP).contains(time)).map(Some).ok_or(ClaimsError::NotATime(name))
}

/// A number as a time in whole seconds, rounded down; `None` when it is beyond ±1e15.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(crate) fn whole_seconds(number: &Number) -> Option<Timestamp> {
    let is_in_range = |number: &f64| (-1e15..=1e15).contains(number);
    number.as_i64().or_else(|| number.as_f64().filter(is_in_range).map(|number| number.floor() as Timestamp))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(MAX_TIMESTAMP)
}
