//! Parses email addresses with a narrow grammar that allows one spelling for each address.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::config::settings::is_email_domain;

use super::name::is_visible;

/// Most bytes before the `@` (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// Most bytes of an address: the 256 of a path (RFC 5321 §4.5.3.1.3) without its angle brackets.
const MAX_ADDRESS: usize = 254;

/// An email address, unchanged: a dot-atom, `@`, and a domain name of at least two labels.
///
/// Parsers differ about the rest of RFC 5322 (quotes, comments, angle brackets, domain literals, a final dot), so that Zendesk's
/// parser could read another player's address.
pub(super) struct Email<'a>(Cow<'a, str>);

impl<'a> Email<'a> {
    /// Parses a text that is exactly one address.
    pub(super) fn parse(text: impl Into<Cow<'a, str>>) -> Option<Self> {
        let text = text.into();
        let (local_part, domain) = text.split_once('@')?;
        (text.len() <= MAX_ADDRESS && is_local_part(local_part) && is_email_domain(domain)).then_some(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the address has this domain; case does not matter (RFC 5321 §2.4).
    pub(super) fn has_domain(&self, domain: &str) -> bool {
        self.0.split_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
    }
}

/// `Dot-string` (RFC 5321 §4.1.2), with the letters and digits of RFC 6531 §3.3 if they are visible and in normal form. A
/// parser that normalizes could read an address with a full-width letter, a ligature or a filler as another player's.
fn is_local_part(text: &str) -> bool {
    let is_atext = |c: char| c.is_alphanumeric() && is_visible(c) || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.len() <= MAX_LOCAL_PART
        && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
        && (text.is_ascii() || ComposingNormalizerBorrowed::new_nfkc().is_normalized(text))
}
