//! Secrets: which bytes are accepted as one, and how they are kept from sight.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use regex::bytes::RegexSet;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice};
use serde::de::IgnoredAny;
use thiserror::Error;

/// Fewest bytes of an HS256 secret: as many as the hash has (RFC 7518 §3.2). A shorter one can be guessed offline from
/// a single token, and then signs tokens for every player.
pub(super) const MIN_BYTES: usize = 32;

/// Most bytes of a secret; more is a wrong file or a document.
pub(super) const MAX_BYTES: usize = 4096;

/// What is wrong with more than [`MAX_BYTES`].
pub(super) const TOO_LARGE: &str = "is larger than 4 KiB; is it a secret?";

/// Regular expressions for texts that are not secrets; the first match counts. Case is ignored unless one says
/// otherwise. Each describes the whole form, since a random secret may begin with any of the characters.
const FORMS: &[(Weakness, &str)] = &[
    // 1Password's references look like URLs.
    (Weakness::Reference, r"\Aop://"),
    (Weakness::Url, r"\A[a-z][a-z0-9+.-]+://"),
    (Weakness::Uuid, r"\A(urn:uuid:)?[{(]?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[)}]?\z"),
    // PEM, SSH keys, and a JWK or JWKS that is cut off.
    (Weakness::KeyDocument, r#"-----BEGIN |\A(ssh-|ecdsa-sha2-)|"(kty|keys)"\s*:"#),
    // Variables anywhere in a text, with names of one case and four letters: random secrets hardly contain one.
    (Weakness::Reference, r"(?-i)\$[{(]([A-Z_][A-Z0-9_]{3,}|[a-z_][a-z0-9_]{3,})[)}]"),
    (Weakness::Reference, r"\A(\$\$?(env:)?\w+|%\w+%)\z"),
    // Expressions of shells and templates; a shell's command has a space.
    (Weakness::Reference, r"\A([$#%]\{.+\}|\$\(.+\)|\{\{.+\}\}|\[\[.+\]\]|\{\s*[\w.-]+\s*\}|`[^`]* [^`]*`)\z"),
    (Weakness::Reference, r"\A(<%.*%>|<[\w .,:;'/\x80-\xff-]+>)\z"),
    // Secret managers and encrypted files.
    (Weakness::Reference, r"\A(arn:([^:]*:){4}|vault:[\w.-]+[/#][\w./#-]+\z|ref\+\w+:|projects/[\w-]+/secrets/)"),
    (Weakness::Reference, r"\A(!vault\b|\$ansible_vault;|@microsoft\.keyvault\(|enc\[)"),
    (
        Weakness::Reference,
        r"\A((env|file|ssm|aws|gcp|keyvault|doppler|infisical|secretref):|(secrets|process\.env)\.)[\w.:/-]+\z",
    ),
    // Absolute paths: in lower case, with a character that base64 does not have, or of words. Base64 may begin with a
    // slash too.
    (Weakness::FilePath, r"(?-i)\A/([a-z0-9./_~-]+|[\w./~-]*[._~-][\w./~-]*|(/?([A-Z]?[a-z]+)+)+)\z"),
    // Relative paths, those of a user, and of a file with an extension.
    (Weakness::FilePath, r"\A(\.\.?|~\w*|\$\w+)/[\w./~-]+\z|\A[a-z][\w.-]*(/[\w.-]+)*/[\w-]+\.[a-z]{2,5}\z"),
    // Paths of Windows.
    (Weakness::FilePath, r"\A([a-z]:[\\/]|\\\\|%\w+%[\\/])[\w .\\/~()$-]+\z"),
];

/// [`FORMS`], compiled.
#[expect(clippy::expect_used, reason = "the expressions are constant; the tests compile them")]
static FORM_SET: LazyLock<RegexSet> = LazyLock::new(|| {
    let expressions = FORMS.iter().map(|(_, expression)| format!("(?is-u){expression}"));
    RegexSet::new(expressions).expect("valid regular expressions")
});

type Predicate = fn(&[u8]) -> bool;

/// Weaknesses that a regular expression does not find, in the order in which they are looked for.
const WEAKNESSES: [(Weakness, Predicate); 7] = [
    (Weakness::Empty, <[u8]>::is_empty),
    (Weakness::KeyDocument, is_key_document),
    (Weakness::Modulus, is_modulus),
    (Weakness::Token, is_token),
    (Weakness::Utf16, is_utf16),
    (Weakness::Damaged, is_damaged),
    (Weakness::Placeholder, is_placeholder),
];

/// What people write in place of a secret, also repeated to its length.
const PLACEHOLDERS: &str =
    "0123456789 0123456789abcdef 1234567890 abcdefghijklmnopqrstuvwxyz changeme deadbeef password secret";

/// How the examples of documents and generators begin (jwt.io, Supabase and similar).
const PLACEHOLDER_STARTS: &str =
    "a-string-secret-at-least a-valid-string-secret change- change_ placeholder replace your- your_ yoursecret";

/// Secret bytes: wiped when the last clone is dropped, never printed.
#[derive(Clone, Default)]
pub struct Secret(Arc<SecretSlice<u8>>);

/// Why bytes are refused as a secret, or accepted with a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the texts say what each is")]
pub enum Weakness {
    #[error("is empty; give the secret, or drop the setting")]
    Empty,
    #[error("is a reference to a secret that nothing has replaced; give the secret itself")]
    Reference,
    #[error("is a URL; give the secret itself")]
    Url,
    #[error("is a UUID, as the id of a login project is; copy the secret key")]
    Uuid,
    #[error("is a key or key set (PEM, DER, JWK, SSH), which others can read; give the HS256 secret itself")]
    KeyDocument,
    /// An odd number of 2,048 bits or more, which random bytes of that length may be too.
    #[error("has the form of an RSA modulus, which is public; give the HS256 secret")]
    Modulus,
    #[error("is a token (JWT); give the secret that signs it")]
    Token,
    #[error("is a path; name it in the setting that ends in _file")]
    FilePath,
    #[error(
        "has an invisible or typographic character (such as U+00A0, U+200B or a curly quote), which copying added; \
         copy it again, as plain text"
    )]
    Damaged,
    #[error("is a known placeholder or one pattern repeated; copy the real one")]
    Placeholder,
    #[error("is UTF-16, as PowerShell writes files; save it as UTF-8")]
    Utf16,
    #[error("is {0} bytes and needs {MIN_BYTES}; copy it whole, or reset it there")]
    Short(usize),
}

impl Weakness {
    /// Whether `allow_weak_secrets` makes this a warning. Some secrets are chosen by the other side.
    pub(crate) const fn may_be_allowed(self) -> bool {
        matches!(self, Self::Uuid | Self::Modulus | Self::FilePath | Self::Placeholder | Self::Short(_))
    }
}

impl Secret {
    /// The bytes as they are, neither decoded nor trimmed.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes.into()))
    }

    /// 256 fresh random bits, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn generate() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut random = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(random.as_mut())?;
        Ok(Self::new(hex::encode(random.as_slice()).into_bytes()))
    }

    /// Reads a file, drops a byte order mark and one trailing newline, and keeps the other bytes as they are.
    ///
    /// # Errors
    /// Says that the file can't be read, or is larger than 4 KiB.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        // Growing would leave copies in memory that are never wiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES));
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
        read.map_err(|error| format!("can't be read: {error}; is it mounted, and may this user read it?"))?;
        if bytes.len() > MAX_BYTES {
            return Err(TOO_LARGE.to_owned());
        }
        let text = without_bom(&bytes);
        let text = text.strip_suffix(b"\n").map_or(text, |line| line.strip_suffix(b"\r").unwrap_or(line));
        Ok(Self::new(text.to_vec()))
    }

    /// The bytes, to build a key from them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The first weakness of these bytes, as they are or without quotes and white space around them.
    #[must_use]
    pub fn weakness(&self) -> Option<Weakness> {
        let (bytes, core) = (self.bytes(), core(self.bytes()));
        let by_content = || WEAKNESSES.iter().find(|(_, is_it)| is_it(bytes) || is_it(core)).map(|(found, _)| *found);
        let found = form(bytes).or_else(|| form(core)).or_else(by_content);
        found.or_else(|| (bytes.len() < MIN_BYTES).then_some(Weakness::Short(bytes.len())))
    }

    /// Whether there are white space or quotes around it, which is mostly an error of copying.
    pub(crate) fn has_wrapping(&self) -> bool {
        core(self.bytes()).len() != self.bytes().len()
    }

    /// Whether it is text with characters that no generator of secrets makes: spaces, or letters outside of ASCII.
    pub(super) fn has_odd_characters(&self) -> bool {
        let core = core(self.bytes());
        str::from_utf8(core).is_ok() && !core.iter().all(u8::is_ascii_graphic)
    }

    /// Whether two are equal without the quotes and white space around them.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        core(self.bytes()) == core(other.bytes())
    }

    /// Whether a text gives this secret away: it is equal without hyphens, quotes, white space and case. Of a long
    /// secret, the text may also contain it; a short one could be contained by chance.
    pub(super) fn is_shown_by(&self, text: &str) -> bool {
        let (Some(own), Some(text)) = (compared(self.bytes()), compared(text.as_bytes())) else { return false };
        let is_long = self.bytes().len() >= MIN_BYTES && own.len() >= MIN_BYTES / 2;
        !own.is_empty() && (own == text || is_long && text.contains(own.as_str()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.bytes().len())
    }
}

/// The bytes without the UTF-8 byte order mark that tools of Windows write first.
pub(super) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Whether a character is one that copying from a page or a document adds, or puts in place of a plain one: no-break
/// and zero-width spaces, controls, curly and wide forms, the dots of a hidden secret, what decoding could not read.
/// White space of ASCII is allowed: base64 has line breaks.
pub(super) fn is_damage(character: char) -> bool {
    let is_space = (character.is_whitespace() || character.is_control()) && !character.is_ascii_whitespace();
    let is_typographic = matches!(
        character,
        '\u{2000}'..='\u{206f}' | '\u{ff00}'..='\u{ffef}' | '«' | '»' | '´' | '\u{25cf}' | '\u{2800}' | '\u{fffd}'
    );
    is_space || is_typographic || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// The bytes without byte order mark, white space and one pair of quotes around them.
fn core(bytes: &[u8]) -> &[u8] {
    match without_bom(bytes).trim_ascii() {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [b'`', inner @ .., b'`'] => inner.trim_ascii(),
        text => text,
    }
}

/// A text as [`Secret::is_shown_by`] compares it.
fn compared(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let text = str::from_utf8(core(bytes)).ok()?;
    Some(Zeroizing::new(text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect()))
}

fn form(bytes: &[u8]) -> Option<Weakness> {
    let first = FORM_SET.matches(bytes).into_iter().next()?;
    FORMS.get(first).map(|(weakness, _)| *weakness)
}

/// A JWK or any other JSON, DER, and what base64 or hexadecimal of these or of PEM decodes to. Keys are often public:
/// with the login project's key set as the secret, everyone who reads it could sign for any player.
fn is_key_document(bytes: &[u8]) -> bool {
    let is_json = |text: &[u8]| {
        let text = without_bom(text).trim_ascii();
        matches!(text, [b'{' | b'[', ..]) && serde_json::from_slice::<IgnoredAny>(text).is_ok()
    };
    let plain = decoded(bytes);
    let is_document = |text: &[u8]| is_json(text) || is_der(text);
    is_document(bytes) || is_document(&plain) || form(&plain) == Some(Weakness::KeyDocument)
}

/// The modulus of an RSA key, which a key set publishes: an odd number of 2,048 bits or more with the highest bit set.
/// Shorter ones are out of use, and secrets have their length.
fn is_modulus(bytes: &[u8]) -> bool {
    let plain = decoded(bytes.strip_prefix(b"Modulus=").unwrap_or(bytes));
    let start = plain.iter().position(|byte| *byte != 0).unwrap_or(plain.len());
    match plain.get(start..) {
        Some(number @ [0x80..=0xff, .., last]) => {
            number.len() >= 256 && number.len().is_multiple_of(64) && last % 2 == 1
        }
        _ => false,
    }
}

/// A JWT: base64url of a JSON object, and further parts; also with the scheme of an `Authorization` header.
fn is_token(bytes: &[u8]) -> bool {
    let text = match bytes.split_at_checked(b"bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii_start(),
        _ => bytes,
    };
    let is_right = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let mut parts = text.split(|byte| *byte == b'.');
    let header = parts.next().unwrap_or_default();
    let is_object = || decoded(header).trim_ascii_start().starts_with(b"{");
    parts.next().is_some() && text.iter().all(is_right) && (header.starts_with(b"eyJ") || is_object())
}

/// Text with a character that copying added, unless all are control characters; or text in Latin-1 or Windows-1252,
/// which is not UTF-8 but at least three quarters printable ASCII. Random bytes have a third of that.
fn is_damaged(bytes: &[u8]) -> bool {
    let is_plain = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
    match str::from_utf8(bytes) {
        Ok(text) => text.contains(is_damage) && !text.chars().all(char::is_control),
        Err(_) => bytes.iter().filter(is_plain).count() * 4 >= bytes.len() * 3,
    }
}

/// UTF-16 of either order: with a byte order mark, or with every second byte NUL as ASCII text has. The last byte may
/// be missing, if it was part of a newline.
fn is_utf16(bytes: &[u8]) -> bool {
    let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let is_ascii = |first| bytes.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    has_mark && (bytes.len().is_multiple_of(2) || bytes.ends_with(b"\0"))
        || bytes.len() > 1 && is_ascii(0) != is_ascii(1)
}

/// Decodes hexadecimal or base64 of either alphabet, without line breaks, colons and padding; empty if it is neither.
fn decoded(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let is_digit = |byte: &u8| !byte.is_ascii_whitespace() && !b"=:".contains(byte);
    let text = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text);
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(text.iter().map(standard).filter(is_digit).collect());
    let plain = hex::decode(digits.as_slice()).ok().or_else(|| STANDARD_NO_PAD.decode(digits.as_slice()).ok());
    Zeroizing::new(plain.unwrap_or_default())
}

/// X.690 §8.1.3: tag 0x30, then the length in one byte, or the count of length bytes and those. Keys and certificates
/// begin with another SEQUENCE or an INTEGER. The length may be off by a newline: one is dropped from a file, and
/// editors add one.
fn is_der(bytes: &[u8]) -> bool {
    let (length, content) = match bytes {
        [0x30, length @ 0..=0x7f, content @ ..] | [0x30, 0x81, length, content @ ..] => (usize::from(*length), content),
        [0x30, 0x82, high, low, content @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), content),
        _ => return false,
    };
    content.len().abs_diff(length) <= 2 && matches!(content.first(), Some(0x30 | 0x02))
}

/// An example from a document, or one pattern repeated.
fn is_placeholder(bytes: &[u8]) -> bool {
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    let consists_of =
        |known: &[u8]| lower.len() >= known.len() && lower.chunks(known.len()).all(|chunk| known.starts_with(chunk));
    let repeats_after = |count: usize| lower.iter().zip(lower.iter().skip(count)).all(|(one, next)| one == next);
    (1..=lower.len() / 2).any(repeats_after)
        || PLACEHOLDERS.split(' ').any(|known| consists_of(known.as_bytes()))
        || PLACEHOLDER_STARTS.split(' ').any(|start| lower.starts_with(start.as_bytes()))
}
