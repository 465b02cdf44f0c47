//! Secrets: which bytes are accepted as one, and how they are kept from sight.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use regex_lite::RegexBuilder;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice};
use serde::de::IgnoredAny;

use super::files::{read_file, too_large};

/// Fewest bytes of an HS256 secret: as many as the hash has (RFC 7518 §3.2). A shorter one can be guessed offline from
/// a single token, and then signs tokens for every player.
pub(super) const MIN_BYTES: usize = 32;

/// Most bytes of a secret; more is a wrong file or a document.
const MAX_BYTES: usize = 4096;

/// What is wrong with a token in place of the secret that signs it.
pub(crate) const TOKEN: &str = "is a token (JWT); give the secret that signs it";

/// What is not a secret, whether `allow_weak_secrets` may allow it, and how it is recognised; the first match counts. A
/// form describes more than a start, since a random secret may begin with any characters.
static WEAKNESSES: LazyLock<[(Weakness, Check); 12]> = LazyLock::new(|| {
    let refused = |text, is_it| (Weakness { text, may_be_allowed: false }, is_it);
    let weak = |text, is_it| (Weakness { text, may_be_allowed: true }, is_it);
    [
        refused("is empty; give the secret, or drop the setting", forms(&[r"\A\z"])),
        weak(
            "is a UUID, as the id of a login project is; copy the secret key",
            forms(&[r"\A(urn:uuid:)?[{(]?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[)}]?\z"]),
        ),
        refused(
            "is a reference to a secret that nothing has replaced; give the secret itself",
            forms(&[
                // Secret managers and encrypted files.
                r"\A(op://|arn:([^:]*:){4}|vault:[\w.-]+[/#][\w./#-]+\z|ref\+\w+:|projects/[\w-]+/secrets/)",
                r"\A(!vault\b|\$ansible_vault;|@microsoft\.keyvault\(|enc\[)",
                r"\A(env|file|ssm|aws|gcp|keyvault|doppler|infisical|secretref):[\w.:/-]+\z",
                r"\A(secrets|process\.env)\.[\w.:/-]+\z",
                // Variables anywhere, with names of one case and four letters: random secrets hardly contain one.
                r"(?-i)\$[{(]([A-Z_][A-Z0-9_]{3,}|[a-z_][a-z0-9_]{3,})[)}]",
                r"\A(\$\$?(env:)?\w+|%\w+%)\z",
                // Expressions of shells and templates; a shell's command has a space.
                r"\A([$#%]\{.+\}|\$\(.+\)|\{\{.+\}\}|\[\[.+\]\]|\{\s*[\w.-]+\s*\}|`[^`]* [^`]*`)\z",
                r"\A(<%.*%>|<[\w .,:;'/\x80-\xff-]+>)\z",
                // What documents write for a value: … or three dots.
                r"\A(\xe2\x80\xa6|\.\.\.)\z",
            ]),
        ),
        refused("is a URL; give the secret itself", forms(&[r"\A[a-z][a-z0-9+.-]+://"])),
        refused(
            "is a key or key set (PEM, DER, JWK, SSH), which others can read; give the HS256 secret itself",
            Box::new(is_key_document),
        ),
        weak(
            "is a path; name it in the setting that ends in _file",
            forms(&[
                // Absolute: in lower case, with a character that base64 lacks, or of words. Base64 may begin with a
                // slash too.
                r"(?-i)\A/([a-z0-9./_~-]+|[\w./~-]*[._~-][\w./~-]*|(/?([A-Z]?[a-z]+)+)+)\z",
                // Relative, in a user's folder, or with a file's extension.
                r"\A(\.\.?|~\w*|\$\w+)/[\w./~-]+\z|\A[a-z][\w.-]*(/[\w.-]+)*/[\w-]+\.[a-z]{2,5}\z",
                // Of Windows.
                r"\A([a-z]:[\\/]|\\\\|%\w+%[\\/])[\w .\\/~()$-]+\z",
            ]),
        ),
        // Random bytes of that length may have this form too.
        weak("has the form of an RSA modulus, which is public; give the HS256 secret", Box::new(is_modulus)),
        // A header begins with '{', and a quote or white space after or a space before, in base64url.
        refused(TOKEN, forms(&[r"\A(bearer\s+)?(?-i:ey[AJ]|ew[0ko]|IHs)[\w-]*\.[\w.-]*\z"])),
        refused(
            "is UTF-16, as PowerShell writes files; save it as UTF-8",
            // With a byte order mark, or with every second byte NUL as ASCII has. A newline's last byte may be missing.
            forms(&[r"\A((\xff\xfe|\xfe\xff)(..)*|([^\x00]\x00)+[^\x00]?|(\x00[^\x00])+)\x00?\z"]),
        ),
        refused(
            "has an invisible or typographic character (such as U+00A0, U+200B or a curly quote), which copying \
             added; copy it again, as plain text",
            Box::new(is_damaged),
        ),
        weak(
            "is a known placeholder; copy the real one",
            forms(&[
                r"\A(changeme|deadbeef|password|secret|0123456789(abcdef)?|1234567890|abcdefghijklmnopqrstuvwxyz[a-z]*)\z",
                // Examples of documents and generators (jwt.io, Supabase and similar).
                r"\A(a-(valid-)?string-secret|change[-_]|placeholder|replace|your[-_]|yoursecret)",
            ]),
        ),
        weak("is one pattern repeated; copy the real one", Box::new(is_repeated)),
    ]
});

type Check = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Secret bytes: wiped when the last clone is dropped, never printed.
#[derive(Clone, Default)]
pub struct Secret(Arc<SecretSlice<u8>>);

/// Why bytes are refused as a secret, or accepted with a warning.
#[derive(Debug)]
pub struct Weakness {
    /// What is wrong, and the fix.
    pub text: &'static str,
    /// Whether `allow_weak_secrets` makes this a warning: some secrets are chosen by the other side.
    pub(crate) may_be_allowed: bool,
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
        let bytes = read_file(path, MAX_BYTES)?;
        let line = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n"));
        Ok(Self::new(line.unwrap_or(&bytes).to_vec()))
    }

    /// Takes the value of a setting, and drops a byte order mark.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let bytes = without_bom(text.as_bytes());
        if bytes.len() > MAX_BYTES { Err(too_large(MAX_BYTES)) } else { Ok(Self::new(bytes.to_vec())) }
    }

    /// The bytes, to build a key from them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The first weakness of these bytes, as they are or without quotes and white space around them.
    #[must_use]
    pub fn weakness(&self) -> Option<&'static Weakness> {
        static TOO_SHORT: Weakness = Weakness {
            text: "is shorter than 32 bytes; copy it whole, or reset it where it was made",
            may_be_allowed: true,
        };
        let (bytes, core) = (self.bytes(), core(self.bytes()));
        let found = WEAKNESSES.iter().find(|(_, is_it)| is_it(bytes) || is_it(core)).map(|(weakness, _)| weakness);
        found.or((bytes.len() < MIN_BYTES).then_some(&TOO_SHORT))
    }

    /// Whether it has white space or quotes around it, or is text with spaces or letters outside of ASCII: no generator of
    /// secrets makes these.
    pub(crate) fn is_odd(&self) -> bool {
        let (bytes, core) = (self.bytes(), core(self.bytes()));
        core.len() != bytes.len() || str::from_utf8(core).is_ok() && !core.iter().all(u8::is_ascii_graphic)
    }

    /// Whether two are equal without the quotes and white space around them.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        core(self.bytes()) == core(other.bytes())
    }

    /// Whether a text gives this secret away: it is equal without hyphens, quotes, white space and case. Of a long
    /// secret, the text may also contain it; a short one could be contained by chance.
    pub(super) fn is_shown_by(&self, text: &str) -> bool {
        let compared = |bytes| -> Zeroizing<Vec<u8>> {
            let bytes = core(bytes).iter().filter(|byte| **byte != b'-');
            Zeroizing::new(bytes.map(u8::to_ascii_lowercase).collect())
        };
        let (own, text) = (compared(self.bytes()), compared(text.as_bytes()));
        let is_long = self.bytes().len() >= MIN_BYTES && own.len() >= MIN_BYTES / 2;
        !own.is_empty() && (own == text || is_long && text.windows(own.len()).any(|part| part == own.as_slice()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.bytes().len())
    }
}

fn without_bom(bytes: &[u8]) -> &[u8] {
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

/// Whether one of the regular expressions matches, ignoring case. They read each byte as the character of that number, since
/// the library reads text only.
#[expect(clippy::expect_used, reason = "the expressions are constant; the tests compile them")]
fn forms(expressions: &[&str]) -> Check {
    let compile =
        |expression: &&str| RegexBuilder::new(expression).case_insensitive(true).dot_matches_new_line(true).build();
    let forms: Vec<_> = expressions.iter().map(|expression| compile(expression).expect("valid expressions")).collect();
    Box::new(move |bytes| {
        // With all its space from the start, so that no part of the secret is left behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
        text.extend(bytes.iter().map(|byte| char::from(*byte)));
        forms.iter().any(|form| form.is_match(&text))
    })
}

/// PEM and JWKs (also cut off), SSH keys, .NET's XML, any other JSON and DER; also in base64 or hexadecimal. Keys are often
/// public: with the login project's key set as the secret, everyone who reads it could sign for any player.
fn is_key_document(bytes: &[u8]) -> bool {
    static TEXTS: LazyLock<Check> = LazyLock::new(|| {
        forms(&[r#"-----(BEGIN|END)( |%20)|\A(\x00\x00\x00.)?(ssh-|ecdsa-sha2-)|<Modulus>|"(kty|keys)"\s*:"#])
    });
    let is_bracketed = |text: &[u8]| matches!(text.trim_ascii_start(), [b'{' | b'[', ..]);
    let is_json = |text: &[u8]| is_bracketed(text) && serde_json::from_slice::<IgnoredAny>(text).is_ok();
    let is_document = |text: &[u8]| TEXTS(text) || is_json(text) || is_der(text);
    is_document(bytes) || is_document(&decoded(bytes))
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

/// The modulus of an RSA key, which a key set publishes: an odd number of 2,048 bits or more with the highest bit set.
/// Shorter ones are out of use, and secrets have their length.
fn is_modulus(bytes: &[u8]) -> bool {
    let plain = decoded(bytes.strip_prefix(b"Modulus=").unwrap_or(bytes));
    let zeros = plain.iter().take_while(|byte| **byte == 0).count();
    let number = plain.get(zeros..).unwrap_or_default();
    let is_odd = matches!(number, [0x80..=0xff, .., last] if last % 2 == 1);
    is_odd && number.len() >= 256 && number.len().is_multiple_of(64)
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

fn is_repeated(bytes: &[u8]) -> bool {
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    (1..=lower.len() / 2).any(|period| lower.iter().zip(lower.iter().skip(period)).all(|(one, next)| one == next))
}

/// Decodes hexadecimal or base64 of either alphabet, without line breaks, colons and padding; empty if it is neither.
fn decoded(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let is_digit = |byte: &&u8| !byte.is_ascii_whitespace() && !b"=:".contains(byte);
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(text.iter().filter(is_digit).copied().collect());
    let base64 = [STANDARD_NO_PAD, URL_SAFE_NO_PAD];
    let number = digits.strip_prefix(b"0x").or_else(|| digits.strip_prefix(b"0X")).unwrap_or(&digits);
    let plain = hex::decode(number).ok().or_else(|| base64.iter().find_map(|base64| base64.decode(&digits).ok()));
    Zeroizing::new(plain.unwrap_or_default())
}
