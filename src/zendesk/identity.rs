//! A player as Zendesk knows people, out of the claims of a verified login.

use std::fmt;

use thiserror::Error;

use crate::config::products::{EmailRule, IdentityRule};
use crate::login::claims::LoginClaims;

use super::email::Email;
use super::name::readable;

/// Most bytes of an external id. Zendesk takes 255 characters (developer.zendesk.com, *widget-messaging/web/authentication*).
const MAX_BYTES: usize = 255;

/// Every way to write an `@`: ASCII, small form, full width.
const ATS: [char; 3] = ['@', '\u{fe6b}', '\u{ff20}'];

/// A player as Zendesk knows people: bounded, without control characters, never partial.
pub struct Identity<'a> {
    external_id: &'a str,
    name: Option<String>,
    email: Option<Email<'a>>,
    email_standing: EmailStanding,
}

/// What is known of the email of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailStanding {
    /// The login says that it was not confirmed.
    Unconfirmed,
    /// Nothing.
    Unknown,
    /// The shop vouches for it that it is the player's own.
    VouchedFor,
}

/// Why a player can't be named to Zendesk. Never quotes a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// `sub` is absent, no string, or empty.
    #[error("claim sub is absent, no string, or empty")]
    SubMissing,
    /// `email` is absent, no string, or empty.
    #[error("claim email is absent, no string, or empty")]
    EmailMissing,
    /// A `sub` that is longer than 255 bytes.
    #[error("claim sub is {0} bytes, at most {MAX_BYTES} are allowed")]
    TooLong(usize),
    /// A `sub` with a control character.
    #[error("claim sub has a control character")]
    ControlCharacter,
    /// A `sub` that begins or ends with white space: two of them could look the same to Zendesk.
    #[error("claim sub begins or ends with white space")]
    OuterSpace,
    /// A `sub` that makes no email with the fallback email domain.
    #[error("claim sub can't stand before the @ of an email, as fallback_email_domain asks for")]
    SubNotLocalPart,
    /// An email of the domain that makes up emails for players without one: it could be another's.
    #[error("claim email is of the fallback email domain")]
    FallbackDomain,
    /// See [`Email`].
    #[error("claim email is not a valid email address")]
    EmailForm,
}

impl<'a> Identity<'a> {
    /// Names the player of a verified login. What is missing is told before what is unusable, as
    /// the reference does.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn from_login(login: &'a LoginClaims, rule: &IdentityRule) -> Result<Self, IdentityError> {
        let sub = login.sub().ok_or(IdentityError::SubMissing)?;
        let email = email(login, rule, sub)?;
        check_sub(sub)?;
        Ok(Self {
            external_id: sub,
            name: name(login, rule, email.as_ref()),
            email_standing: email_standing(login, rule, email.as_ref()),
            email,
        })
    }

    /// The player's id at the login side; what Zendesk tells people apart by.
    #[must_use]
    pub const fn external_id(&self) -> &'a str {
        self.external_id
    }

    /// What the agent sees.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The player's email, or one made of the external id.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_ref().map(Email::as_str)
    }

    /// What is known of that email.
    #[must_use]
    pub const fn email_standing(&self) -> EmailStanding {
        self.email_standing
    }

    /// Name and email, which every product but Messaging needs; nothing where the rule asked for less and there was less.
    #[must_use]
    pub fn name_and_email(&self) -> Option<(&str, &str)> {
        self.name().zip(self.email())
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(external id of {} bytes)", self.external_id.len())
    }
}

/// The email that goes to Zendesk. Where the product needs one it is taken to the letter, since Zendesk may know the player by
/// it; where it is a hint it never costs a player the token.
fn email<'a>(login: &'a LoginClaims, rule: &IdentityRule, sub: &str) -> Result<Option<Email<'a>>, IdentityError> {
    let is_made_up = |email: &Email<'_>| rule.fallback_domains.iter().any(|domain| email.is_of(domain));
    match (&rule.email, login.text("email")) {
        (EmailRule::Omitted, _) => Ok(None),
        (EmailRule::Unverified | EmailRule::Verified { .. }, claimed) => {
            Ok(claimed.and_then(|text| Email::parse(text.trim())).filter(|email| !is_made_up(email)))
        }
        (EmailRule::Needed { .. }, Some(text)) => {
            let email = Email::parse(text).ok_or(IdentityError::EmailForm)?;
            if is_made_up(&email) { Err(IdentityError::FallbackDomain) } else { Ok(Some(email)) }
        }
        (EmailRule::Needed { fallback_domain: Some(domain) }, None) => {
            Email::parse(format!("{sub}@{domain}")).map(Some).ok_or(IdentityError::SubNotLocalPart)
        }
        (EmailRule::Needed { fallback_domain: None }, None) => Err(IdentityError::EmailMissing),
    }
}

fn email_standing(login: &LoginClaims, rule: &IdentityRule, email: Option<&Email<'_>>) -> EmailStanding {
    let Some(claimed) = login.text("email") else { return EmailStanding::Unknown };
    if login.says_email_is_unconfirmed() {
        return EmailStanding::Unconfirmed;
    }
    let EmailRule::Verified { types } = &rule.email else { return EmailStanding::Unknown };
    let is_of_type = |types: &Vec<String>| login.text("type").is_some_and(|own| types.iter().any(|one| one == own));
    // What was trimmed is not what the login side confirmed.
    let is_as_claimed = email.is_some_and(|email| email.as_str() == claimed);
    if is_as_claimed && types.as_ref().is_none_or(is_of_type) {
        EmailStanding::VouchedFor
    } else {
        EmailStanding::Unknown
    }
}

/// The first claim of the rule that can be read; where the product needs a name, the email when there is none.
fn name(login: &LoginClaims, rule: &IdentityRule, email: Option<&Email<'_>>) -> Option<String> {
    let email = || email.map(|email| email.as_str().to_owned());
    let is_kept_back = |name: &String| rule.email == EmailRule::Omitted && name.contains(ATS);
    let of_claim = |claim: &String| match claim.as_str() {
        "email" => email().filter(|_| login.text("email").is_some()),
        claim => readable(login.text(claim)?).filter(|name| !is_kept_back(name)),
    };
    let needed = || email().filter(|_| matches!(rule.email, EmailRule::Needed { .. }));
    rule.name_from.iter().find_map(of_claim).or_else(needed)
}

fn check_sub(sub: &str) -> Result<(), IdentityError> {
    if sub.len() > MAX_BYTES {
        Err(IdentityError::TooLong(sub.len()))
    } else if sub.chars().any(char::is_control) {
        Err(IdentityError::ControlCharacter)
    } else if sub.trim() != sub {
        Err(IdentityError::OuterSpace)
    } else {
        Ok(())
    }
}
