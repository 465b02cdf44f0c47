//! Builds a player's identity for Zendesk from the claims of a verified login.

use thiserror::Error;

use crate::config::products::Section;
use crate::login::claims::LoginClaims;

use super::IssueError;
use super::email::Email;
use super::name::readable;

/// Most bytes of an external id. Zendesk accepts 255 characters (developer.zendesk.com, *widget-messaging/web/authentication*).
const MAX_BYTES: usize = 255;

/// All forms of `@`: ASCII, small, full width.
const AT_SIGNS: [char; 3] = ['@', '\u{fe6b}', '\u{ff20}'];

/// Which claims of a login a product takes name and email from.
pub(crate) struct IdentityRule {
    name_from: Vec<String>,
    email: EmailRule,
    /// The fallback domains of all products. A login that claims an email of one could pass for another player.
    fallback_domains: Vec<String>,
}

/// Which email of a player is sent.
#[derive(PartialEq, Eq)]
enum EmailRule {
    /// The login's, which is required, and is the name if there is no other. A player without an email gets
    /// `<sub>@<fallback_domain>`.
    Needed { fallback_domain: Option<String> },
    /// The login's, if there is one.
    Unverified,
    /// The same, with `email_verified` if the login is of one of these types (claim `type`); of any type if unset.
    Verified { types: Option<Vec<String>> },
    /// None, also not as a name.
    Omitted,
}

/// A player's identity for Zendesk: parsed, of limited length, without control characters.
pub(crate) struct Identity<'a> {
    external_id: &'a str,
    name: Option<String>,
    email: Option<Email<'a>>,
    email_status: EmailStatus,
}

/// Whether the email of an identity is known to be the player's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmailStatus {
    /// The login says that the email was not confirmed.
    Unconfirmed,
    Unknown,
    /// Verified according to the settings.
    Verified,
}

/// Why a login gives no identity. Never quotes a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// `sub` is missing, empty or not a string.
    #[error("claim sub is missing, empty or not a string")]
    SubMissing,
    /// `email` is missing, empty or not a string.
    #[error("claim email is missing, empty or not a string")]
    EmailMissing,
    /// `sub` is longer than 255 bytes.
    #[error("claim sub has {0} bytes, more than {MAX_BYTES}")]
    TooLong(usize),
    /// `sub` has a control character.
    #[error("claim sub has a control character")]
    ControlCharacter,
    /// `sub` starts or ends with white space: Zendesk might take it for another id.
    #[error("claim sub starts or ends with white space")]
    OuterWhitespace,
    /// `sub` and the fallback email domain do not make a valid email.
    #[error("claim sub can't be used before the @ of an email, which fallback_email_domain needs")]
    SubNotLocalPart,
    /// The email has the domain of the emails that are made from `sub`: it could be another player's.
    #[error("claim email has the fallback email domain")]
    FallbackDomain,
    /// See [`Email`].
    #[error("claim email is not a valid email address")]
    EmailForm,
}

impl IdentityRule {
    /// The rule of one of the configured products.
    pub(super) fn new(section: &Section, products: &[Section]) -> Self {
        let email = match section.email.as_deref() {
            None => EmailRule::Needed { fallback_domain: section.fallback_email_domain.clone() },
            Some("verified") => EmailRule::Verified { types: section.verified_types.clone() },
            Some("unverified") => EmailRule::Unverified,
            Some(_) => EmailRule::Omitted,
        };
        let fallback_domains = products.iter().filter_map(|section| section.fallback_email_domain.clone());
        Self { name_from: section.name_from.clone(), email, fallback_domains: fallback_domains.collect() }
    }
}

impl<'a> Identity<'a> {
    /// Identifies the player of a verified login. Reports a missing claim before an unusable one, as Xsolla's reference
    /// implementation does.
    pub(crate) fn from_login(login: &'a LoginClaims, rule: &IdentityRule) -> Result<Self, IdentityError> {
        let sub = login.sub().ok_or(IdentityError::SubMissing)?;
        let email = email(login, rule, sub)?;
        check_sub(sub)?;
        Ok(Self {
            external_id: sub,
            name: name(login, rule, email.as_ref()),
            email_status: email_status(login, rule, email.as_ref()),
            email,
        })
    }

    /// The player's id in Xsolla Login, by which Zendesk identifies people.
    pub(crate) const fn external_id(&self) -> &'a str {
        self.external_id
    }

    /// The name that agents see.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The player's email, or one made from the external id.
    pub(crate) fn email(&self) -> Option<&str> {
        self.email.as_ref().map(Email::as_str)
    }

    /// Whether the settings say that this email is verified, and the login does not deny it.
    pub(super) fn is_email_verified(&self) -> bool {
        self.email_status == EmailStatus::Verified
    }

    /// Name and email, for products that need both.
    pub(super) fn name_and_email(&self) -> Result<(&str, &str), IssueError> {
        self.name().zip(self.email()).ok_or(IssueError::ContactMissing)
    }

    /// Name and email, for products that identify players by email: they refuse an unconfirmed one.
    pub(super) fn name_and_confirmed_email(&self) -> Result<(&str, &str), IssueError> {
        if self.email_status == EmailStatus::Unconfirmed {
            return Err(IssueError::EmailUnconfirmed);
        }
        self.name_and_email()
    }
}

/// The email for Zendesk. If the product needs one, the claim must be a valid email as it is, since Zendesk may identify the
/// player by it. Otherwise an invalid one is left out.
fn email<'a>(login: &'a LoginClaims, rule: &IdentityRule, sub: &str) -> Result<Option<Email<'a>>, IdentityError> {
    let is_fallback = |email: &Email<'_>| rule.fallback_domains.iter().any(|domain| email.has_domain(domain));
    match (&rule.email, login.text("email")) {
        (EmailRule::Omitted, _) => Ok(None),
        (EmailRule::Unverified | EmailRule::Verified { .. }, claimed) => {
            Ok(claimed.and_then(|text| Email::parse(text.trim())).filter(|email| !is_fallback(email)))
        }
        (EmailRule::Needed { .. }, Some(text)) => {
            let email = Email::parse(text).ok_or(IdentityError::EmailForm)?;
            if is_fallback(&email) { Err(IdentityError::FallbackDomain) } else { Ok(Some(email)) }
        }
        (EmailRule::Needed { fallback_domain: Some(domain) }, None) => {
            Email::parse(format!("{sub}@{domain}")).map(Some).ok_or(IdentityError::SubNotLocalPart)
        }
        (EmailRule::Needed { fallback_domain: None }, None) => Err(IdentityError::EmailMissing),
    }
}

fn email_status(login: &LoginClaims, rule: &IdentityRule, email: Option<&Email<'_>>) -> EmailStatus {
    let Some(claimed) = login.text("email") else { return EmailStatus::Unknown };
    if login.is_email_unconfirmed() {
        return EmailStatus::Unconfirmed;
    }
    let EmailRule::Verified { types } = &rule.email else { return EmailStatus::Unknown };
    let is_of_type = |types: &Vec<String>| login.text("type").is_some_and(|own| types.iter().any(|one| one == own));
    // A trimmed email is not the text that the login side confirmed.
    let is_as_claimed = email.is_some_and(|email| email.as_str() == claimed);
    if is_as_claimed && types.as_ref().is_none_or(is_of_type) { EmailStatus::Verified } else { EmailStatus::Unknown }
}

/// The first readable claim of the rule, or else the email if the product needs a name.
fn name(login: &LoginClaims, rule: &IdentityRule, email: Option<&Email<'_>>) -> Option<String> {
    let email = || email.map(|email| email.as_str().to_owned());
    let is_hidden_email = |name: &String| rule.email == EmailRule::Omitted && name.contains(AT_SIGNS);
    let of_claim = |claim: &String| match claim.as_str() {
        "email" => email().filter(|_| login.text("email").is_some()),
        claim => readable(login.text(claim)?).filter(|name| !is_hidden_email(name)),
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
        Err(IdentityError::OuterWhitespace)
    } else {
        Ok(())
    }
}
