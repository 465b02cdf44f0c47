//! Checks a token that another program made against the rules of its Zendesk product.
//!
//! Tokens of this service need no such check. The rules: support.zendesk.com, articles 4408838925082 (Chat),
//! 4408843923610 (Help Center), 4411666638746 (Messaging), and developer.zendesk.com,
//! *building-a-dedicated-jwt-endpoint-for-the-support-sdk*.

use std::time::Duration;

use serde::Serialize;
use serde_json::Number;

use crate::config::products::{CHAT_MAX_LIFETIME, Product};
use crate::login::Timestamp;
use crate::login::json::{Json, Object};

use super::messaging::is_contact;

/// Most characters of an external id.
const MAX_EXTERNAL_ID: usize = 255;

/// A time of at least this many seconds is after the year 5000, so it must be in milliseconds.
const MILLISECONDS: i64 = 100_000_000_000;

/// Longest time from `iat` to the use of a token for Chat or the Help Center, in seconds (articles above).
const MAX_AGE: i64 = 120;

/// [`MAX_AGE`], for the Support SDK.
const SUPPORT_SDK_MAX_AGE: i64 = 180;

/// One problem of a token. For an issued token it quotes only numbers and types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    /// A cause and its fix.
    #[must_use]
    pub fn new(cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { cause: cause.into(), fix: fix.into() }
    }
}

/// The product's rules that a token's header and claims break at `now`. Does not check the signature. `key_id` is the id of
/// the Messaging key, if known.
#[must_use]
pub fn violations(
    product: Product,
    header: &Object,
    claims: &Object,
    key_id: Option<&str>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut check = Check { claims, now, violations: Vec::new() };
    check.header(header);
    match product {
        Product::Chat => {
            check.texts(&["name", "email", "external_id"], &[]);
            check.ascii_email();
            check.issued_within(Some(MAX_AGE));
        }
        Product::HelpCenter => {
            check.texts(&["name", "email", "jti"], &["external_id"]);
            check.issued_within(Some(MAX_AGE));
        }
        Product::Messaging => {
            check.key_id(header, key_id);
            check.texts(&["external_id"], &["name", "email", "jti"]);
            check.messaging_claims();
            check.issued_within(None);
        }
        Product::SupportSdk => {
            check.texts(&["name", "email", "jti"], &["external_id"]);
            check.issued_within(Some(SUPPORT_SDK_MAX_AGE));
        }
    }
    check.expiry((product == Product::Chat).then_some(CHAT_MAX_LIFETIME));
    check.violations
}

struct Check<'a> {
    claims: &'a Object,
    now: Timestamp,
    violations: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, cause: impl Into<String>, fix: &'static str) {
        self.violations.push(Finding::new(cause, fix));
    }

    fn header(&mut self, header: &Object) {
        if header.get("alg").and_then(Json::as_str) != Some("HS256") {
            self.add("header alg is not HS256", "sign with HS256; Zendesk accepts no other algorithm");
        }
        if header.get("typ").and_then(Json::as_str) != Some("JWT") {
            self.add("header typ is not JWT", "put \"typ\": \"JWT\" into the header");
        }
    }

    fn key_id(&mut self, header: &Object, expected: Option<&str>) {
        match (header.get("kid").and_then(Json::as_str), expected) {
            (None, _) => {
                self.add(
                    "header kid is missing",
                    "put the id of the Messaging key into the header; Zendesk finds the secret by it",
                );
            }
            (Some(kid), Some(expected)) if kid != expected => {
                self.add("header kid is not messaging.key_id", "use the id that belongs to the secret");
            }
            (Some(_), _) => {}
        }
    }

    /// Checks string claims, required and optional ones.
    fn texts(&mut self, required: &[&str], optional: &[&str]) {
        for name in required.iter().chain(optional).copied() {
            let fix = match name {
                "external_id" => "send the player's id as text; it must never change",
                "jti" => "send a new random text with each token",
                _ => "send text that is not empty",
            };
            match self.claims.get(name) {
                None if required.contains(&name) => self.add(format!("claim {name} is missing"), fix),
                Some(Json::Text(text)) if text.is_empty() => self.add(format!("claim {name} is empty"), fix),
                Some(Json::Text(text)) if name == "external_id" && text.chars().count() > MAX_EXTERNAL_ID => {
                    self.add("claim external_id is over 255 characters", "send a shorter id that never changes");
                }
                Some(Json::Text(_)) | None => {}
                Some(other) => self.add(format!("claim {name} is {} and has to be text", other.kind()), fix),
            }
        }
    }

    fn ascii_email(&mut self) {
        if self.claims.get("email").and_then(Json::as_str).is_some_and(|email| !email.is_ascii()) {
            self.add("claim email has characters that are not ASCII", "Chat refuses them; send another address");
        }
    }

    fn messaging_claims(&mut self) {
        if self.claims.get("scope").and_then(Json::as_str) != Some("user") {
            self.add("claim scope is not \"user\"", "send \"scope\": \"user\"");
        }
        if self.claims.get("external_id").and_then(Json::as_str).is_some_and(is_contact) {
            self.add(
                "claim external_id is an email or a phone number",
                "send an id that never changes; emails and phone numbers can",
            );
        }
        if self.claims.get("email_verified").is_some_and(|verified| !matches!(verified, Json::Bool(_))) {
            self.add("claim email_verified is neither true nor false", "send true without quotes, or leave it out");
        }
    }

    /// Checks `iat`; with a `limit` in seconds it is required.
    fn issued_within(&mut self, limit: Option<i64>) {
        let Some(issued_at) = self.time("iat", limit.is_some()) else { return };
        let age = self.now - issued_at;
        match limit {
            Some(limit) if age > limit => self.add(
                format!("claim iat is {age} s old; Zendesk accepts at most {limit} s"),
                "inspect a fresh token; if this one is fresh, correct this machine's clock",
            ),
            Some(limit) if -age > limit => {
                self.add(
                    format!("claim iat is {} s in the future", -age),
                    "correct the clock of the machine that signs",
                );
            }
            _ => {}
        }
    }

    /// Checks `exp`, which is optional.
    fn expiry(&mut self, max_lifetime: Option<Duration>) {
        let Some(expires_at) = self.time("exp", false) else { return };
        if expires_at <= self.now {
            self.add(
                format!("claim exp passed {} s ago", self.now - expires_at),
                "fetch a new token each time Zendesk asks for one",
            );
        }
        let issued_at = self.claims.get("iat").and_then(Json::as_number).and_then(Number::as_i64);
        let (Some(max), Some(issued_at)) = (max_lifetime, issued_at) else { return };
        let (max, lifetime) = (max.as_secs().cast_signed(), expires_at.saturating_sub(issued_at));
        if lifetime > max {
            let cause = format!("claim exp is {lifetime} s after iat; Zendesk accepts at most {max} s");
            self.add(cause, "set an earlier exp, or leave it out");
        }
    }

    /// A claim as a time in seconds.
    fn time(&mut self, name: &str, is_required: bool) -> Option<Timestamp> {
        match self.claims.get(name) {
            None if is_required => self.add(format!("claim {name} is missing"), "send the time in seconds since 1970"),
            None => {}
            Some(value) => match value.as_number().and_then(Number::as_i64) {
                Some(time) if (0..MILLISECONDS).contains(&time) => return Some(time),
                Some(time) if time > 0 => {
                    self.add(format!("claim {name} is in milliseconds"), "divide by 1000: seconds since 1970");
                }
                _ if value.as_number().is_some() => {
                    self.add(format!("claim {name} is not a whole number of seconds"), "send whole seconds since 1970");
                }
                _ => self.add(
                    format!("claim {name} is {} and has to be a number", value.kind()),
                    "send seconds since 1970, without quotes",
                ),
            },
        }
        None
    }
}
