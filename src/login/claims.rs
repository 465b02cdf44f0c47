//! Checks the claims of a login token.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Number;
use thiserror::Error;

use crate::config::login::{Login, LoginName, PROJECT_CLAIM, PlayerClaims, TokenType};

use super::Timestamp;
use super::json::member;
use super::keys::{Verified, VerifiedBy};
use super::strict_json::{Member, Members, StrictJsonError};

/// 9999-12-31 23:59:59 UTC, the latest accepted time. Far below the type's maximum, so that additions can't overflow.
pub(crate) const MAX_TIMESTAMP: Timestamp = 253_402_300_799;

/// Most characters that are shown of a claim that is not verified.
const MAX_SHOWN: usize = 80;

/// Claims of other kinds of token that are signed with the same key: Xsolla's server tokens have `request_type`, logout
/// tokens have `events` (openid-connect-backchannel-1_0 §2.4).
const OTHER_KINDS: [&str; 2] = ["request_type", "events"];

/// The rules for the claims of one login's tokens.
pub(crate) struct LoginRules {
    login: LoginName,
    issuer: Option<String>,
    project_id: Option<String>,
    audience: Option<String>,
    /// `None` for Xsolla.
    token_type: Option<TokenType>,
    leeway: i64,
    max_lifetime: Option<i64>,
    player: Arc<PlayerClaims>,
    /// The string claims to keep: those with id and email, `sub`, `type` and those that the settings name.
    kept: Vec<Arc<str>>,
}

/// The claims of a login token, read strictly but not verified.
pub(super) struct Payload<'a> {
    json: &'a str,
    members: Members<'a>,
    /// Read once for all logins: a stranger's token may name two thousand.
    audiences: OnceCell<Vec<String>>,
}

/// Claims of a verified login token.
pub(crate) struct LoginClaims {
    texts: Vec<(Arc<str>, String)>,
    player: Arc<PlayerClaims>,
    email_status: EmailStatus,
    expires_at: Timestamp,
    accepted_until: Timestamp,
    verified: Verified,
}

/// What the login says of the player's email.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmailStatus {
    /// The provider confirmed it.
    Confirmed,
    /// The provider did not confirm it.
    Unconfirmed,
    /// Xsolla's tokens do not say it.
    Unstated,
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
    #[error("claim iss is not the same as the login's issuer")]
    IssuerMismatch,
    /// `xsolla_login_project_id` is not the configured project.
    #[error("claim xsolla_login_project_id is not the same as the login's project_id")]
    ProjectMismatch,
    /// `aud` is not the configured audience, and does not contain it.
    #[error("claim aud is not the login's audience")]
    AudienceMismatch,
    /// `aud` has several values, and `azp` is not the configured audience.
    #[error("claim aud has several values, and claim azp is not the login's audience")]
    PartyMismatch,
    /// An ID token or an access token, where the settings want the other type.
    #[error("is an {0}, which the login's token_type does not accept")]
    TypeMismatch(&'static str),
}

impl LoginRules {
    /// Takes the rules from the settings. Keeps the string claims `sub`, `type`, those that say who the player is, and
    /// those in `names`.
    pub(super) fn new(login: &Login, names: &[&str]) -> Self {
        let PlayerClaims { external_id, email, names: own_names, .. } = &*login.player;
        let own_names = own_names.iter().flatten().map(String::as_str);
        let own = ["sub", "type", external_id, email].into_iter().chain(own_names);
        let mut kept: Vec<Arc<str>> = own.chain(names.iter().copied()).map(Arc::from).collect();
        kept.sort_unstable();
        kept.dedup();
        Self {
            login: login.name.clone(),
            issuer: login.issuer.clone(),
            project_id: login.project_id.clone(),
            audience: login.audience.clone(),
            token_type: login.token_type,
            leeway: seconds(login.leeway),
            max_lifetime: login.max_lifetime.map(seconds),
            player: Arc::clone(&login.player),
            kept,
        }
    }

    /// Whether a token is for this login, by what it says of itself, before anything is verified.
    pub(super) fn is_for(&self, payload: &Payload<'_>) -> bool {
        self.check_origin(payload).is_ok()
    }

    /// Checks the claims of a token that `key` verified; `is_access_token` says whether the header's `typ` is that of an
    /// access token. Fails with the first wrong claim.
    pub(super) fn accept(
        &self,
        payload: &Payload<'_>,
        key: VerifiedBy,
        is_access_token: bool,
        now: Timestamp,
    ) -> Result<LoginClaims, ClaimsError> {
        let expires_at = self.check(payload, is_access_token, now)?;
        let kept = self.kept.iter().filter_map(|name| Some((Arc::clone(name), payload.text(name)?.into_owned())));
        let accepted_until = if expires_at > now { expires_at } else { expires_at + self.leeway };
        Ok(LoginClaims {
            texts: kept.collect(),
            player: Arc::clone(&self.player),
            email_status: self.email_status(&payload.members),
            expires_at,
            accepted_until,
            verified: Verified { login: self.login.clone(), key },
        })
    }

    /// Checks the claims of a token, verified or not. Returns when it expires.
    pub(super) fn check(
        &self,
        payload: &Payload<'_>,
        is_access_token: bool,
        now: Timestamp,
    ) -> Result<Timestamp, ClaimsError> {
        let claims = &payload.members;
        if let Some(name) = OTHER_KINDS.into_iter().find(|name| claims.has(name)) {
            return Err(ClaimsError::OtherKind(name));
        }
        if let Some(accepted) = self.token_type {
            payload.check_type(is_access_token, accepted)?;
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
        self.check_origin(payload)?;
        Ok(expires_at)
    }

    /// Whether a token that may not be verified claims to be of the player of `login`.
    pub(super) fn is_of_player(&self, payload: &Payload<'_>, login: &LoginClaims) -> bool {
        let text = |name: &str| payload.text(name).filter(|text| !text.is_empty());
        (&self.login, text("sub").as_deref(), text(&self.player.external_id).as_deref()) == login.player_id()
    }

    /// Checks who issued the token, and for whom.
    fn check_origin(&self, payload: &Payload<'_>) -> Result<(), ClaimsError> {
        let claims = &payload.members;
        check_text(claims, "iss", self.issuer.as_deref(), ClaimsError::IssuerMismatch)?;
        check_text(claims, PROJECT_CLAIM, self.project_id.as_deref(), ClaimsError::ProjectMismatch)?;
        self.audience.as_deref().map_or(Ok(()), |audience| payload.check_audience(audience))
    }

    /// Reads `email_verified`, which some providers write as a string or a number. Xsolla's tokens do not have it; if one
    /// does and it is not true, it counts. In other providers' tokens it is about the claim `email`, and must be true.
    fn email_status(&self, claims: &Members<'_>) -> EmailStatus {
        let stated = match claims.find("email_verified") {
            Some(Member::Bool(flag)) => Some(*flag),
            Some(Member::Text(text)) if text.is_empty() => None,
            Some(Member::Text(text)) => Some(text.eq_ignore_ascii_case("true") || text == "1"),
            Some(Member::Number(number)) => Some(number.as_f64() == Some(1.0)),
            Some(Member::Other) => Some(false),
            Some(Member::Null) | None => None,
        };
        match (self.token_type, stated) {
            (None, Some(true) | None) => EmailStatus::Unstated,
            (Some(_), Some(true)) if self.player.uses_email_claim() => EmailStatus::Confirmed,
            (None, Some(false)) | (Some(_), _) => EmailStatus::Unconfirmed,
        }
    }
}

impl<'a> Payload<'a> {
    /// Reads a token's payload.
    pub(super) fn read(json: &'a [u8]) -> Result<Self, StrictJsonError> {
        let members = Members::read(json)?;
        Ok(Self { json: str::from_utf8(json).unwrap_or_default(), members, audiences: OnceCell::new() })
    }

    /// A string claim. A name with dots is a path into objects, unless it is a URL, as custom claims have
    /// (`https://shop.example.com/id`).
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let path = name.rsplit_once('.').filter(|_| !name.contains("://"));
        let Some((objects, last)) = path else { return self.members.text(name).map(Cow::Borrowed) };
        let object = objects.split('.').try_fold(self.json, member)?;
        let object = Members::read(object.as_bytes()).ok()?;
        object.text(last).map(|text| Cow::Owned(text.to_owned()))
    }

    /// The claims that select a login, for a person: cut and escaped, since nothing is verified, and without emails, as some
    /// issuers are.
    pub(super) fn origin(&self) -> String {
        let shown = |name| {
            let escaped = |c: char| if matches!(c, ' '..='~') { c.to_string() } else { c.escape_unicode().to_string() };
            match member(self.json, name) {
                None => "missing".to_owned(),
                Some(value) if value.contains('@') || value.contains("\\u0040") => {
                    "not shown, since it has an @".to_owned()
                }
                Some(value) => value.trim_matches('"').chars().take(MAX_SHOWN).map(escaped).collect(),
            }
        };
        let party = if self.members.has("azp") { format!(", azp is {}", shown("azp")) } else { String::new() };
        format!("iss is {}, {PROJECT_CLAIM} is {}, aud is {}{party}", shown("iss"), shown(PROJECT_CLAIM), shown("aud"))
    }

    /// Checks `aud` (RFC 7519 §4.1.3) and, if that has several values, `azp` (OpenID Connect Core 1.0 §3.1.3.7).
    fn check_audience(&self, audience: &str) -> Result<(), ClaimsError> {
        let audiences = self.audiences.get_or_init(|| self.audiences());
        if !audiences.iter().any(|own| own == audience) {
            return Err(ClaimsError::AudienceMismatch);
        }
        let has_party = audiences.len() == 1 || self.members.text("azp") == Some(audience);
        if has_party { Ok(()) } else { Err(ClaimsError::PartyMismatch) }
    }

    fn audiences(&self) -> Vec<String> {
        match self.members.find("aud") {
            Some(Member::Text(own)) => vec![own.to_string()],
            Some(Member::Other) => {
                member(self.json, "aud").and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Checks that a provider's token is of the accepted type. Access tokens have a `typ` of their own in the header
    /// (RFC 9068 §2.1), or a claim `scope` or `scp`; those of Cognito have `token_use`, those of Keycloak a claim `typ`, those
    /// of Entra `azpacr` or `appidacr`. Tokens of servers have `idtyp: app` (Entra) or `gty: client-credentials` (Auth0).
    fn check_type(&self, has_access_header: bool, accepted: TokenType) -> Result<(), ClaimsError> {
        let claims = &self.members;
        for (name, known) in [("token_use", &["access", "id"][..]), ("typ", &["Bearer", "ID", "JWT"])] {
            if claims.has(name) && !claims.text(name).is_some_and(|kind| known.contains(&kind)) {
                return Err(ClaimsError::OtherKind(name));
            }
        }
        for (name, server) in [("idtyp", "app"), ("gty", "client-credentials")] {
            if claims.text(name) == Some(server) {
                return Err(ClaimsError::OtherKind(name));
            }
        }
        let is_access_token = has_access_header
            || claims.text("token_use") == Some("access")
            || claims.text("typ") == Some("Bearer")
            || ["scope", "scp", "azpacr", "appidacr"].into_iter().any(|name| claims.has(name));
        match (is_access_token, accepted) {
            (true, TokenType::Id) => Err(ClaimsError::TypeMismatch("access token")),
            (false, TokenType::Access) => Err(ClaimsError::TypeMismatch("ID token")),
            _ => Ok(()),
        }
    }
}

impl LoginClaims {
    /// A kept string claim, if it is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, text) = self.texts.iter().find(|(known, _)| **known == *name)?;
        Some(text.as_str()).filter(|text| !text.is_empty())
    }

    /// Which claims say who the player is.
    pub(crate) fn player(&self) -> &PlayerClaims {
        &self.player
    }

    /// The claim with the player's id.
    pub(crate) fn external_id(&self) -> Option<&str> {
        self.text(&self.player.external_id)
    }

    /// The claim with the player's email.
    pub(crate) fn email(&self) -> Option<&str> {
        self.text(&self.player.email)
    }

    /// Whether two logins are of one player.
    pub(super) fn is_same_player(&self, other: &Self) -> bool {
        self.player_id() == other.player_id()
    }

    /// What makes two logins those of one player.
    fn player_id(&self) -> (&LoginName, Option<&str>, Option<&str>) {
        (&self.verified.login, self.text("sub"), self.external_id())
    }

    /// What the login says of the email.
    pub(crate) const fn email_status(&self) -> EmailStatus {
        self.email_status
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

    /// The login and the key that verified the token.
    pub(crate) const fn verified(&self) -> &Verified {
        &self.verified
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
