//! Email addresses: a narrow grammar, in which an address can be written in one way only.

use std::borrow::Cow;
use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::config::products::is_email_domain;

/// Most bytes before the `@` (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// Most bytes of all: the 256 of a path (RFC 5321 §4.5.3.1.3) without its angle brackets.
const MAX_ADDRESS: usize = 254;

/// An email address: a dot-atom before the `@` and a domain name of two labels or more behind it, spelled as it came.
///
/// Readers disagree about everything else that RFC 5322 allows (quotes, comments, angle brackets, domain literals, a dot at
/// the end), so that one of them could find another player's domain in it.
#[derive(Clone)]
pub struct Email<'a>(Cow<'a, str>);

impl<'a> Email<'a> {
    /// Reads an address; nothing where the text is anything else, or has more than the address in it.
    #[must_use]
    pub fn parse(text: impl Into<Cow<'a, str>>) -> Option<Self> {
        let text = text.into();
        let (local_part, domain) = text.split_once('@')?;
        (text.len() <= MAX_ADDRESS && is_local_part(local_part) && is_email_domain(domain)).then_some(Self(text))
    }

    /// The address as it was spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of this domain, in any case (RFC 5321 §2.4).
    #[must_use]
    pub fn is_of(&self, domain: &str) -> bool {
        self.0.split_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
    }
}

impl fmt::Debug for Email<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({} bytes)", self.0.len())
    }
}

/// `Dot-string` (RFC 5321 §4.1.2). Of what RFC 6531 §3.3 adds to it, letters and digits in normal form: a full-width letter or
/// a ligature is another address to us, and the same one to a reader that normalizes.
fn is_local_part(text: &str) -> bool {
    let is_atext = |letter: char| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter);
    text.len() <= MAX_LOCAL_PART
        && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
        && (text.is_ascii() || ComposingNormalizerBorrowed::new_nfkc().is_normalized(text))
}
