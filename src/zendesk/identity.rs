//! A player as Zendesk knows people, out of the claims of a verified login.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::config::products::{EmailRule, IdentityRule};
use crate::login::claims::LoginClaims;

/// Most bytes of an external id, name or email. Zendesk takes 255 characters of an external id
/// (developer.zendesk.com, *widget-messaging/web/authentication*); none of the three is ever longer
/// in good faith.
const MAX_BYTES: usize = 255;

/// A player as Zendesk knows people: bounded, without control characters, never partial.
#[derive(PartialEq, Eq)]
pub struct Identity<'a> {
    external_id: &'a str,
    name: Option<Cow<'a, str>>,
    email: Option<Cow<'a, str>>,
}

/// A player who can be written to: what every product but Messaging needs.
#[derive(Clone, Copy)]
pub struct Contact<'a> {
    /// What the agent sees.
    pub name: &'a str,
    /// The player's email, or one made of the external id.
    pub email: &'a str,
    /// See [`Identity::external_id`].
    pub external_id: &'a str,
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
    /// A claim is longer than 255 bytes.
    #[error("claim {0} is {1} bytes, at most {MAX_BYTES} are allowed")]
    TooLong(&'static str, usize),
    /// A claim holds a control character.
    #[error("claim {0} has a control character")]
    ControlCharacter(&'static str),
    /// A `sub` that begins or ends with white space: two of them could look the same to Zendesk.
    #[error("claim sub begins or ends with white space")]
    OuterSpace,
    /// An email of the domain that makes up emails for players without one: it could be another's.
    #[error("claim email is of the fallback email domain")]
    FallbackDomain,
    /// An email without exactly one `@` between two parts, or with white space.
    #[error("claim email is not of the form local@domain")]
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
        let is_kept_back = |name: &str| rule.email == EmailRule::Omitted && check_email(name).is_ok();
        let claimed_names = rule.name_from.iter().filter_map(|claim| login.text(claim));
        let claimed_name = claimed_names.filter(|name| !is_blank(name)).find(|name| !is_kept_back(name));
        let name = claimed_name.map(Cow::Borrowed).or_else(|| match rule.email {
            EmailRule::Needed { .. } => email.clone(),
            EmailRule::Unverified | EmailRule::Verified | EmailRule::Omitted => None,
        });

        check("sub", sub)?;
        if sub.trim() != sub {
            return Err(IdentityError::OuterSpace);
        }
        if let Some(email) = &email {
            check("email", email)?;
            check_email(email)?;
        }
        if let Some(name) = &name {
            check("name", name)?;
        }
        Ok(Self { external_id: sub, name, email })
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
        self.email.as_deref()
    }

    /// Name, email and id; nothing where the rule asked for less and there was less.
    #[must_use]
    pub fn contact(&self) -> Option<Contact<'_>> {
        Some(Contact { name: self.name()?, email: self.email()?, external_id: self.external_id })
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(external id of {} bytes)", self.external_id.len())
    }
}

/// The email that goes to Zendesk.
fn email<'a>(login: &'a LoginClaims, rule: &IdentityRule, sub: &str) -> Result<Option<Cow<'a, str>>, IdentityError> {
    let claimed = login.text("email");
    let is_made_up = claimed.is_some_and(|email| is_made_up(email, &rule.fallback_domains));
    match (&rule.email, claimed) {
        (EmailRule::Omitted, _) | (EmailRule::Unverified | EmailRule::Verified, None) => Ok(None),
        (_, Some(_)) if is_made_up => Err(IdentityError::FallbackDomain),
        (_, Some(email)) => Ok(Some(Cow::Borrowed(email))),
        (EmailRule::Needed { fallback_domain: Some(domain) }, None) => Ok(Some(Cow::Owned(format!("{sub}@{domain}")))),
        (EmailRule::Needed { fallback_domain: None }, None) => Err(IdentityError::EmailMissing),
    }
}

/// Whether an email could be one that was made up for another player.
fn is_made_up(email: &str, fallback_domains: &[String]) -> bool {
    let domain = email.rsplit_once('@').map(|(_, domain)| domain);
    domain.is_some_and(|domain| fallback_domains.iter().any(|known| known.eq_ignore_ascii_case(domain)))
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn check(claim: &'static str, text: &str) -> Result<(), IdentityError> {
    if text.len() > MAX_BYTES {
        Err(IdentityError::TooLong(claim, text.len()))
    } else if text.chars().any(char::is_control) {
        Err(IdentityError::ControlCharacter(claim))
    } else {
        Ok(())
    }
}

fn check_email(email: &str) -> Result<(), IdentityError> {
    let has_two_parts = email
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if has_two_parts && !email.contains(char::is_whitespace) { Ok(()) } else { Err(IdentityError::EmailForm) }
}
