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

/// What tired people write where a secret belongs; also when repeated to length.
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

/// Secret bytes: wiped on drop, never printed.
#[derive(Default)]
pub struct Secret(SecretSlice<u8>);

/// Why bytes are not, or barely, fit to be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Weakness {
    /// No bytes at all.
    #[error("is empty; give the secret, or drop the setting")]
    Empty,
    /// A key in PEM, DER, JWK or SSH form: public keys are not secret, and any of them would verify.
    #[error("is a key or key set (PEM, DER, JWK, SSH), which others can read; give the HS256 secret itself")]
    KeyDocument,
    /// Fewer bytes than [`MIN_BYTES`].
    #[error(
        "is {0} bytes and needs {MIN_BYTES}; copy it whole, reset it there, or set allow_weak_secrets = true if the other side makes it so short"
    )]
    Short(usize),
    /// An example from a document.
    #[error("is a known placeholder; copy the real one, or set allow_weak_secrets = true for a try")]
    Placeholder,
}

impl Weakness {
    /// Whether `allow_weak_secrets` turns this into a warning: the other side chooses some secrets.
    #[must_use]
    pub const fn may_be_allowed(self) -> bool {
        match self {
            Self::Empty | Self::KeyDocument => false,
            Self::Short(_) | Self::Placeholder => true,
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

    /// Reads a file, drops one trailing newline, and takes the other bytes as they are.
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
        let text = bytes.strip_suffix(b"\n").map_or(bytes.as_slice(), |line| line.strip_suffix(b"\r").unwrap_or(line));
        Ok(Self::new(text.to_vec()))
    }

    /// The bytes, for the one who builds a key from them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The gravest thing that speaks against these bytes, if any.
    #[must_use]
    pub fn weakness(&self) -> Option<Weakness> {
        let bytes = self.bytes();
        if bytes.is_empty() {
            Some(Weakness::Empty)
        } else if is_key_document(bytes) {
            Some(Weakness::KeyDocument)
        } else if is_placeholder(bytes) {
            Some(Weakness::Placeholder)
        } else if bytes.len() < MIN_BYTES {
            Some(Weakness::Short(bytes.len()))
        } else {
            None
        }
    }

    /// Whether white space or quotes stand around it, which is mostly a slip of the clipboard.
    #[must_use]
    pub fn has_wrapping(&self) -> bool {
        let bytes = self.bytes();
        let is_quoted = matches!(bytes, [b'"', .., b'"'] | [b'\'', .., b'\'']);
        is_quoted || bytes.trim_ascii().len() != bytes.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.bytes().len())
    }
}

/// PEM by its dashes, JWK by being JSON, DER by its form, armoured or not, and SSH keys by their start.
///
/// Whatever is published verifies nothing: with the login project's key set as the secret, anyone
/// who can read it could sign as any player.
fn is_key_document(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    let is_pem = text.windows(11).any(|window| window == b"-----BEGIN ");
    let is_json = matches!(text, [b'{', .., b'}'] | [b'[', .., b']']);
    let is_ssh = text.starts_with(b"ssh-") || text.starts_with(b"ecdsa-sha2-");
    is_pem || is_json || is_ssh || is_der(bytes) || is_der(&without_armour(text))
}

/// What base64 of either alphabet stands for, line breaks and padding aside; nothing when it is none.
fn without_armour(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let letter = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let is_counted = |byte: &u8| !byte.is_ascii_whitespace() && *byte != b'=';
    let letters: Zeroizing<Vec<u8>> = Zeroizing::new(text.iter().map(letter).filter(is_counted).collect());
    Zeroizing::new(STANDARD_NO_PAD.decode(letters.as_slice()).unwrap_or_default())
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
    lower.iter().all(|byte| Some(byte) == lower.first())
        || PLACEHOLDERS.iter().any(|known| is_made_of(known.as_bytes()))
        || PLACEHOLDER_STARTS.iter().any(|start| lower.starts_with(start.as_bytes()))
}
