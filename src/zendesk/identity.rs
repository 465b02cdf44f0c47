//! Builds a player's identity for Zendesk from the claims of a verified login.

use std::borrow::Cow;
use std::sync::Arc;

use thiserror::Error;

use crate::config::login::PlayerClaims;
use crate::config::products::Section;
use crate::login::claims::{EmailStatus, LoginClaims};

use super::IssueError;
use super::email::Email;
use super::name::{is_visible, readable};

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
    /// `<external id>@<fallback_domain>`.
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
    external_id: Cow<'a, str>,
    name: Option<String>,
    email: Option<Email<'a>>,
    is_email_unconfirmed: bool,
    /// Verified according to the settings.
    is_email_verified: bool,
}

/// Why a login gives no identity. Never quotes a claim.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The claim with the player's id is missing, empty or not a string.
    #[error("claim {0} is missing, empty or not a string")]
    IdMissing(Arc<str>),
    /// The claim with the email is missing, empty or not a string.
    #[error("claim {0} is missing, empty or not a string")]
    EmailMissing(Arc<str>),
    /// The id, with its prefix, is longer than 255 bytes.
    #[error("claim {0} has {1} bytes, more than {MAX_BYTES}")]
    TooLong(Arc<str>, usize),
    /// The id has a control character or an invisible one: Zendesk might take it for another id.
    #[error("claim {0} has a control character or an invisible character")]
    ControlCharacter(Arc<str>),
    /// The id starts or ends with white space: Zendesk might take it for another id.
    #[error("claim {0} starts or ends with white space")]
    OuterWhitespace(Arc<str>),
    /// The id and the fallback email domain do not make a valid email.
    #[error("claim {0} can't be used before the @ of an email, which fallback_email_domain needs")]
    IdNotLocalPart(Arc<str>),
    /// The email has the domain of the emails that are made from ids: it could be another player's.
    #[error("claim {0} has the fallback email domain")]
    FallbackDomain(Arc<str>),
    /// See [`Email`].
    #[error("claim {0} is not a valid email address")]
    EmailForm(Arc<str>),
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

    /// Whether an email has the domain of the emails that are made from ids.
    fn is_fallback(&self, email: &Email<'_>) -> bool {
        self.fallback_domains.iter().any(|domain| email.has_domain(domain))
    }
}

impl<'a> Identity<'a> {
    /// Identifies the player of a verified login: the id with the login's prefix, name and email. Reports a missing claim
    /// before an unusable one, as Xsolla's reference implementation does.
    pub(crate) fn from_login(login: &'a LoginClaims, rule: &IdentityRule) -> Result<Self, IdentityError> {
        let PlayerClaims { external_id: id_claim, external_id_prefix: prefix, .. } = login.player();
        let id = login.external_id().ok_or_else(|| IdentityError::IdMissing(Arc::clone(id_claim)))?;
        let external_id = if prefix.is_empty() { Cow::Borrowed(id) } else { Cow::Owned(format!("{prefix}{id}")) };
        let email = email(login, rule, &external_id)?;
        check_id(id, external_id.len(), id_claim)?;
        Ok(Self {
            external_id,
            name: name(login, rule, email.as_ref()),
            is_email_unconfirmed: login.email().is_some() && login.email_status() == EmailStatus::Unconfirmed,
            is_email_verified: is_email_verified(login, rule, email.as_ref()),
            email,
        })
    }

    /// The player of a user token, which has what an identity had when the token was issued. A fallback domain may have been set
    /// since then; only the email that is made from the player's own id may have it.
    pub(super) fn from_user_token(
        external_id: String,
        name: String,
        email: Email<'a>,
        rule: &IdentityRule,
    ) -> Result<Self, IdentityError> {
        let is_own = email.as_str().split_once('@').is_some_and(|(local_part, _)| local_part == external_id);
        if rule.is_fallback(&email) && !is_own {
            return Err(IdentityError::FallbackDomain(Arc::from("email")));
        }
        Ok(Self {
            external_id: Cow::Owned(external_id),
            name: Some(name),
            email: Some(email),
            is_email_unconfirmed: false,
            is_email_verified: false,
        })
    }

    /// The player's id, by which Zendesk identifies people.
    pub(crate) fn external_id(&self) -> &str {
        &self.external_id
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
    pub(super) const fn is_email_verified(&self) -> bool {
        self.is_email_verified
    }

    /// Name and email, for products that need both.
    pub(super) fn name_and_email(&self) -> Result<(&str, &str), IssueError> {
        self.name().zip(self.email()).ok_or(IssueError::ContactMissing)
    }

    /// Name and email, for products that identify players by email: they refuse an unconfirmed one.
    pub(super) fn name_and_confirmed_email(&self) -> Result<(&str, &str), IssueError> {
        if self.is_email_unconfirmed {
            return Err(IssueError::EmailUnconfirmed);
        }
        self.name_and_email()
    }
}

/// The email for Zendesk. If the product needs one, the claim must be a valid email as it is, since Zendesk may identify the
/// player by it. Otherwise an invalid one is left out.
fn email<'a>(login: &'a LoginClaims, rule: &IdentityRule, id: &str) -> Result<Option<Email<'a>>, IdentityError> {
    let PlayerClaims { external_id: id_claim, email: claim, .. } = login.player();
    match (&rule.email, login.email()) {
        (EmailRule::Omitted, _) => Ok(None),
        (EmailRule::Unverified | EmailRule::Verified { .. }, claimed) => {
            Ok(claimed.and_then(|text| Email::parse(text.trim())).filter(|email| !rule.is_fallback(email)))
        }
        (EmailRule::Needed { .. }, Some(text)) => {
            let email = Email::parse(text).ok_or_else(|| IdentityError::EmailForm(Arc::clone(claim)))?;
            if rule.is_fallback(&email) {
                Err(IdentityError::FallbackDomain(Arc::clone(claim)))
            } else {
                Ok(Some(email))
            }
        }
        (EmailRule::Needed { fallback_domain: Some(domain) }, None) => {
            let email = Email::parse(format!("{id}@{domain}"));
            email.map(Some).ok_or_else(|| IdentityError::IdNotLocalPart(Arc::clone(id_claim)))
        }
        (EmailRule::Needed { fallback_domain: None }, None) => Err(IdentityError::EmailMissing(Arc::clone(claim))),
    }
}

/// Whether the email is known to be the player's, by the settings and by what the login says.
fn is_email_verified(login: &LoginClaims, rule: &IdentityRule, email: Option<&Email<'_>>) -> bool {
    let EmailRule::Verified { types } = &rule.email else { return false };
    let is_of_type = |types: &Vec<String>| login.text("type").is_some_and(|own| types.iter().any(|one| one == own));
    let is_confirmed = match login.email_status() {
        EmailStatus::Confirmed => true,
        EmailStatus::Unconfirmed => false,
        EmailStatus::Unstated => {
            types.as_ref().is_none_or(|types| login.player().uses_email_claim() && is_of_type(types))
        }
    };
    // A trimmed email is not the text that the login side confirmed.
    is_confirmed && email.is_some_and(|email| login.email() == Some(email.as_str()))
}

/// The first readable claim of the rule, or else the email if the product needs a name.
fn name(login: &LoginClaims, rule: &IdentityRule, email: Option<&Email<'_>>) -> Option<String> {
    let email = || email.map(|email| email.as_str().to_owned());
    let is_hidden_email = |name: &String| rule.email == EmailRule::Omitted && name.contains(AT_SIGNS);
    let of_claim = |claim: &String| match claim.as_str() {
        "email" => email().filter(|_| login.email().is_some()),
        claim => readable(login.text(claim)?).filter(|name| !is_hidden_email(name)),
    };
    let needed = || email().filter(|_| matches!(rule.email, EmailRule::Needed { .. }));
    login.player().names.as_ref().unwrap_or(&rule.name_from).iter().find_map(of_claim).or_else(needed)
}

/// Checks a player's id from `claim`; `length` is its length with the prefix.
fn check_id(id: &str, length: usize, claim: &Arc<str>) -> Result<(), IdentityError> {
    if length > MAX_BYTES {
        Err(IdentityError::TooLong(Arc::clone(claim), length))
    } else if id.trim().chars().any(|c| c != ' ' && !is_visible(c)) {
        Err(IdentityError::ControlCharacter(Arc::clone(claim)))
    } else if id.trim() != id {
        Err(IdentityError::OuterWhitespace(Arc::clone(claim)))
    } else {
        Ok(())
    }
}
