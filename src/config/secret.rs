//! Secrets: what may serve as one, and how it is kept from sight.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice};
use thiserror::Error;

/// Fewest bytes of an HS256 secret: as many as the hash puts out (RFC 7518 §3.2). A shorter one can
/// be guessed offline from a single token, and whoever has it is any player he likes.
pub const MIN_BYTES: usize = 32;

/// Most bytes read from a secret file; a larger file is no secret but a wrong path.
const MAX_BYTES: usize = 4096;

/// What people write in place of a secret; also when repeated to length.
const PLACEHOLDERS: [&str; 8] = [
    "0123456789",
    "0123456789abcdef",
    "1234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "changeme",
    "deadbeef",
    "password",
    "secret",
];

/// How the examples of documents and generators begin (jwt.io, Supabase and their like).
const PLACEHOLDER_STARTS: [&str; 9] = [
    "a-string-secret-at-least",
    "a-valid-string-secret",
    "change-",
    "change_",
    "placeholder",
    "replace",
    "your-",
    "your_",
    "yoursecret",
];

/// How references to a secret that is kept elsewhere begin, in lower case: shells, templates, secret managers.
const REFERENCE_STARTS: [&str; 13] = [
    "${",
    "$(",
    "{{",
    "!vault",
    "$ansible_vault;",
    "@microsoft.keyvault(",
    "arn:",
    "enc[",
    "op:",
    "projects/",
    "ref+",
    "secretref:",
    "vault:",
];

/// Recognises a weakness.
type Predicate = fn(&[u8]) -> bool;

/// Every weakness but shortness, in the order in which they are looked for.
const WEAKNESSES: [(Predicate, Weakness); 11] = [
    (<[u8]>::is_empty, Weakness::Empty),
    (is_reference, Weakness::Reference),
    (is_url, Weakness::Url),
    (is_uuid, Weakness::Uuid),
    (is_key_document, Weakness::KeyDocument),
    (is_modulus, Weakness::Modulus),
    (is_token, Weakness::Token),
    (is_path, Weakness::FilePath),
    (is_damaged, Weakness::Damaged),
    (is_placeholder, Weakness::Placeholder),
    (is_utf16, Weakness::Utf16),
];

/// Secret bytes: wiped on drop, never printed.
#[derive(Default)]
pub struct Secret(SecretSlice<u8>);

/// Why bytes are not, or barely, fit to be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Weakness {
    /// No bytes at all.
    #[error("is empty; give the secret, or drop the setting")]
    Empty,
    /// The name of a secret that is kept elsewhere, such as `${VARIABLE}` or `vault:…`.
    #[error("is a reference to a secret that nothing has replaced; give the secret itself")]
    Reference,
    /// A URL.
    #[error("is a URL; give the secret itself")]
    Url,
    /// A UUID in any notation with hyphens: ids are not secret.
    #[error(
        "is a UUID, as the id of a login project is; copy the secret key, or set allow_weak_secrets = true if the other side makes such secrets"
    )]
    Uuid,
    /// A key in PEM, DER, JWK or SSH form: public keys are not secret, and any of them would verify.
    #[error("is a key or key set (PEM, DER, JWK, SSH), which others can read; give the HS256 secret itself")]
    KeyDocument,
    /// An odd number of 1,024 bits or more, which random bytes of that length may be too.
    #[error(
        "has the form of an RSA modulus, which is public; give the HS256 secret, or set allow_weak_secrets = true if it is a secret of that length"
    )]
    Modulus,
    /// A JWT, which everyone it was sent to can read.
    #[error("is a token (JWT); give the secret that signs it")]
    Token,
    /// The path of a file.
    #[error(
        "is a path; name it in the setting that ends in _file, or set allow_weak_secrets = true if it is the secret"
    )]
    FilePath,
    /// Characters that copying adds or puts in place of others.
    #[error(
        "has an invisible or typographic character (such as U+00A0, U+200B or a curly quote), which copying added; copy it again, as plain text"
    )]
    Damaged,
    /// An example from a document, or a pattern over and over.
    #[error(
        "is a known placeholder or one pattern repeated; copy the real one, or set allow_weak_secrets = true for a try"
    )]
    Placeholder,
    /// Text in UTF-16.
    #[error("is UTF-16, as PowerShell writes files; save it as UTF-8")]
    Utf16,
    /// Fewer bytes than [`MIN_BYTES`].
    #[error(
        "is {0} bytes and needs {MIN_BYTES}; copy it whole, reset it there, or set allow_weak_secrets = true if the other side makes it so short"
    )]
    Short(usize),
}

impl Weakness {
    /// Whether `allow_weak_secrets` turns this into a warning: the other side chooses some secrets.
    #[must_use]
    pub const fn may_be_allowed(self) -> bool {
        match self {
            Self::Empty
            | Self::Reference
            | Self::Url
            | Self::KeyDocument
            | Self::Token
            | Self::Damaged
            | Self::Utf16 => false,
            Self::Uuid | Self::Modulus | Self::FilePath | Self::Placeholder | Self::Short(_) => true,
        }
    }
}

impl Secret {
    /// Takes the bytes as they are: no decoding, no trimming.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
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

    /// Reads a file, drops a byte order mark and one trailing newline, and takes the other bytes as they are.
    ///
    /// # Errors
    /// The file can't be read or is larger than 4 KiB.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        // One allocation from the start: growing would leave copies behind that nobody wipes.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES));
        File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 KiB"));
        }
        let text = without_bom(&bytes);
        let text = text.strip_suffix(b"\n").map_or(text, |line| line.strip_suffix(b"\r").unwrap_or(line));
        Ok(Self::new(text.to_vec()))
    }

    /// The bytes, for the one who builds a key from them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The first thing that speaks against these bytes, as they are or without quotes and white space around them.
    #[must_use]
    pub fn weakness(&self) -> Option<Weakness> {
        let (bytes, core) = (self.bytes(), core(self.bytes()));
        let found = WEAKNESSES.iter().find(|(is_it, _)| is_it(bytes) || is_it(core)).map(|(_, weakness)| *weakness);
        found.or_else(|| (bytes.len() < MIN_BYTES).then_some(Weakness::Short(bytes.len())))
    }

    /// Whether white space or quotes stand around it, which is mostly a slip of the clipboard.
    #[must_use]
    pub fn has_wrapping(&self) -> bool {
        core(self.bytes()).len() != self.bytes().len()
    }

    /// Whether two are the same but for quotes and white space around them.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        core(self.bytes()) == core(other.bytes())
    }

    /// Whether a text gives this secret away: the same characters, whatever hyphens, quotes, white space and case.
    #[must_use]
    pub fn is_shown_by(&self, text: &str) -> bool {
        let letters = |bytes: &[u8]| {
            let kept = core(bytes).iter().filter(|byte| **byte != b'-').map(u8::to_ascii_lowercase);
            Zeroizing::new(kept.collect::<Vec<u8>>())
        };
        let own = letters(self.bytes());
        !own.is_empty() && own == letters(text.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.bytes().len())
    }
}

/// The bytes without the UTF-8 byte order mark that Windows' tools write first.
pub(super) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Whether a character is one that copying from a page or a document adds, or puts in place of a plain one: no-break
/// and zero-width spaces, curly quotes, long dashes, the dots of a hidden secret, what decoding could not read.
pub(super) fn is_damage(letter: char) -> bool {
    let in_punctuation = ('\u{2000}'..='\u{206f}').contains(&letter);
    in_punctuation
        || matches!(letter, '\u{a0}' | '\u{ad}' | '«' | '»' | '\u{25cf}' | '\u{3000}' | '\u{feff}' | '\u{fffd}')
}

/// The bytes without byte order mark, white space and one pair of quotes around them.
fn core(bytes: &[u8]) -> &[u8] {
    match without_bom(bytes).trim_ascii() {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner.trim_ascii(),
        text => text,
    }
}

/// Whether these are characters; random bytes are hardly ever.
fn is_text(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok()
}

/// The name of a secret in a shell, a template or a secret manager, which no tool has replaced with the secret.
fn is_reference(bytes: &[u8]) -> bool {
    let is_name =
        |name: &[u8]| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    REFERENCE_STARTS.iter().any(|start| lower.starts_with(start.as_bytes()))
        || match bytes {
            [b'$', name @ ..] | [b'%', name @ .., b'%'] => is_name(name),
            _ => is_text(bytes) && matches!(bytes, [b'<', .., b'>']),
        }
}

/// A scheme (RFC 3986 §3.1) and two slashes.
fn is_url(bytes: &[u8]) -> bool {
    let scheme = bytes.windows(3).position(|window| window == b"://").and_then(|end| bytes.get(..end));
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+.-".contains(byte);
    scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.iter().all(is_letter))
}

/// RFC 9562 §4, alone, in braces or as a URN.
fn is_uuid(bytes: &[u8]) -> bool {
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    let text = match lower.strip_prefix(b"urn:uuid:").unwrap_or(&lower) {
        [b'{', inner @ .., b'}'] => inner,
        text => text,
    };
    text.split(|byte| *byte == b'-').map(<[u8]>::len).eq([8, 4, 4, 4, 12])
        && text.iter().all(|byte| *byte == b'-' || byte.is_ascii_hexdigit())
}

/// PEM by its dashes, JWK by being JSON, DER by its form, armoured or not, and SSH keys by their start.
///
/// Whatever is published verifies nothing: with the login project's key set as the secret, anyone
/// who can read it could sign as any player.
fn is_key_document(bytes: &[u8]) -> bool {
    let is_pem = |text: &[u8]| text.windows(11).any(|window| window == b"-----BEGIN ");
    let is_json = is_text(bytes) && matches!(bytes, [b'{', .., b'}'] | [b'[', .., b']']);
    let is_ssh = bytes.starts_with(b"ssh-") || bytes.starts_with(b"ecdsa-sha2-");
    let plain = without_armour(bytes);
    is_pem(bytes) || is_json || is_ssh || is_der(bytes) || is_pem(&plain) || is_der(&plain)
}

/// The modulus of an RSA key, which a key set publishes: a whole number of 1,024 bits or more that uses the highest bit
/// and is odd.
fn is_modulus(bytes: &[u8]) -> bool {
    let plain = without_armour(bytes.strip_prefix(b"Modulus=").unwrap_or(bytes));
    let start = plain.iter().position(|byte| *byte != 0).unwrap_or(plain.len());
    match plain.get(start..) {
        Some(number @ [0x80..=0xff, .., last]) => {
            number.len() >= 128 && number.len().is_multiple_of(64) && last % 2 == 1
        }
        _ => false,
    }
}

/// A JWT: base64url of `{"`, and further parts.
fn is_token(bytes: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    bytes.starts_with(b"eyJ") && bytes.contains(&b'.') && bytes.iter().all(is_letter)
}

/// An absolute path, or a relative one that begins with dots. Base64 and random bytes may begin with a slash too: the
/// one always has capitals, the others are no text.
fn is_path(bytes: &[u8]) -> bool {
    let is_base64 = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
    match bytes {
        _ if !is_text(bytes) => false,
        [b'/', ..] => !is_base64(bytes) || !bytes.iter().any(u8::is_ascii_uppercase),
        [b'.' | b'~', b'/', ..] | [b'.', b'.', b'/', ..] | [b'\\', b'\\', ..] => true,
        [drive, b':', b'/' | b'\\', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Text with a character that no generator of secrets uses.
fn is_damaged(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| text.contains(is_damage))
}

/// Every second byte is NUL, as in ASCII text that is written as UTF-16 of either order.
fn is_utf16(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xff\xfe").or_else(|| bytes.strip_prefix(b"\xfe\xff")).unwrap_or(bytes);
    text.len() > 1 && (0..2).any(|first| text.iter().skip(first).step_by(2).all(|byte| *byte == 0))
}

/// What hexadecimal or base64 of either alphabet stands for, line breaks, colons and padding aside; nothing when it is
/// neither.
fn without_armour(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let letter = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let is_counted = |byte: &u8| !byte.is_ascii_whitespace() && !b"=:".contains(byte);
    let letters: Zeroizing<Vec<u8>> = Zeroizing::new(text.iter().map(letter).filter(is_counted).collect());
    let plain = hex::decode(letters.as_slice()).ok().or_else(|| STANDARD_NO_PAD.decode(letters.as_slice()).ok());
    Zeroizing::new(plain.unwrap_or_default())
}

/// X.690 §8.1.3: tag 0x30, then the length in one byte, or the count of length bytes and those; keys
/// and certificates begin with another SEQUENCE or an INTEGER. A newline may be missing at the end,
/// or be there: one is dropped from a file, and editors add one.
fn is_der(bytes: &[u8]) -> bool {
    let (length, content) = match bytes {
        [0x30, length @ 0..=0x7f, content @ ..] | [0x30, 0x81, length, content @ ..] => (usize::from(*length), content),
        [0x30, 0x82, high, low, content @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), content),
        _ => return false,
    };
    content.len().abs_diff(length) <= 2 && matches!(content.first(), Some(0x30 | 0x02))
}

/// An example from a document, or a few letters over and over.
fn is_placeholder(bytes: &[u8]) -> bool {
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    let is_made_of =
        |known: &[u8]| lower.len() >= known.len() && lower.chunks(known.len()).all(|chunk| known.starts_with(chunk));
    let repeats_after = |count: usize| lower.iter().zip(lower.iter().skip(count)).all(|(one, next)| one == next);
    (1..=lower.len() / 2).any(repeats_after)
        || PLACEHOLDERS.iter().any(|known| is_made_of(known.as_bytes()))
        || PLACEHOLDER_STARTS.iter().any(|start| lower.starts_with(start.as_bytes()))
}
