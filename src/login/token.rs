//! Verifies a login token: its header, its signature and its claims.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use thiserror::Error;

use super::Timestamp;
use super::claims::{ClaimsError, LoginClaims, LoginRules};
use super::keys::{LoginKeys, NoKeyError};
use super::published::FindKeyError;
use super::strict_json::{Member, Members, StrictJsonError, without_lone_surrogates};

/// Most bytes of a login token. Xsolla's run to 1,200 and more with `payload` and `groups`; without a bound an attacker has a
/// header as large as `limits.header_bytes` decoded and parsed before a signature stops him.
const MAX_BYTES: usize = 8192;

/// Header members that change what a signature covers or how the payload reads. A verifier that
/// ignores `crit` accepts what its issuer said it must not (RFC 7515 §4.1.11); `b64` is RFC 7797,
/// `zip` and `enc` are RFC 7516.
const REFUSED_HEADERS: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// A login token as received: nobody has verified it.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginToken(Vec<u8>);

/// Why a login token does not verify. Says nothing of what the token holds but times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Longer than 8 KiB.
    #[error("login token is {0} bytes, at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// No bytes at all.
    #[error("login token is empty")]
    Empty,
    /// Not three parts between dots.
    #[error("login token is not three parts between dots")]
    NotThreeParts,
    /// See [`Wrapping`].
    #[error(transparent)]
    Wrapped(#[from] Wrapping),
    /// A part that has padding, which RFC 7515 §2 leaves out.
    #[error("{0} has base64 padding (=) at its end, which no token has")]
    Padded(&'static str),
    /// A part that is not base64url.
    #[error("{0} is not base64url")]
    NotBase64Url(&'static str),
    /// A part that is no strict JSON object.
    #[error("{0} {1}")]
    NotStrictJson(&'static str, StrictJsonError),
    /// `alg` is missing or names another algorithm.
    #[error("header names no algorithm or another one than login.algorithm")]
    AlgorithmMismatch,
    /// A header member that changes the meaning of the token.
    #[error("header has the member {0}, which is never accepted")]
    HeaderRefused(&'static str),
    /// A header member of the wrong type.
    #[error("header has a {0} that is no string")]
    HeaderType(&'static str),
    /// `typ` names another kind of token.
    #[error("header has another typ than JWT, as tokens of other kinds have")]
    TypMismatch,
    /// See [`NoKeyError`].
    #[error(transparent)]
    NoKey(#[from] NoKeyError),
    /// Signed with one of our keys, but the claims don't hold.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// How a login token was changed on its way into a cookie, by what stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrapping {
    /// By `JSON.stringify`, once or twice, and percent-encoded or not.
    #[error("login token is encoded as JSON: it has quotes around it (\" or %22)")]
    JsonQuotes,
    /// A whole answer or session instead of its token.
    #[error("login token is inside a JSON object ({{ or %7B)")]
    JsonObject,
    /// By Express, for a value that is not text.
    #[error("login token is in JSON as Express writes it: it has j: or j%3A before it")]
    ExpressJson,
    /// By a configuration file or a shell, whose quotes they were.
    #[error("login token has single quotes around it (' or %27)")]
    SingleQuotes,
    /// The whole value of an `Authorization` header.
    #[error("login token has the word Bearer before it")]
    Bearer,
    /// By Express, for a cookie that it signs with a secret of its own.
    #[error("login token is in a cookie signed by Express: it has s: or s%3A before it")]
    ExpressSignature,
    /// By `encodeURIComponent` or the like.
    #[error("login token is percent-encoded")]
    PercentEncoding,
    /// A whole pair, as of a cookie or a form.
    #[error("login token has a name and = before it")]
    Name,
}

impl Wrapping {
    /// Names what was done to a token. Nothing where the text may be a token as it is: no token has any of this in it.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let begins = |prefixes: &[&str]| {
            prefixes
                .iter()
                .any(|prefix| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
        };
        let is_encoded =
            |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if begins(&["\"", "%22", "\\\"", "%5C%22"]) {
            Some(Self::JsonQuotes)
        } else if begins(&["{", "%7B"]) {
            Some(Self::JsonObject)
        } else if begins(&["j:", "j%3A"]) {
            Some(Self::ExpressJson)
        } else if begins(&["s:", "s%3A"]) {
            Some(Self::ExpressSignature)
        } else if begins(&["'", "%27"]) {
            Some(Self::SingleQuotes)
        } else if begins(&["Bearer ", "Bearer%20", "Bearer+", "Bearer:", "Bearer%3A"]) {
            Some(Self::Bearer)
        } else if text.split('%').skip(1).any(is_encoded) {
            Some(Self::PercentEncoding)
        } else {
            value_of_pair(text).map(|_| Self::Name)
        }
    }
}

/// The value behind a name and `=`, which is not padding behind a part of a token.
#[must_use]
pub fn value_of_pair(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    (!name.contains('.') && !value.is_empty() && !value.starts_with(['.', '='])).then_some(value)
}

impl VerifyError {
    /// Whether this says nothing of the token, but that it can't be judged now.
    #[must_use]
    pub fn is_ours(self) -> bool {
        self == Self::NoKey(NoKeyError::Find(FindKeyError::Unavailable))
    }
}

impl LoginToken {
    /// Takes the bytes of a cookie, whatever they are.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The token as text; empty when it is not text, which no token that was verified is.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Checks that this has the form of a login token, whoever signed it: a compact JWS (RFC 7515 §7.1) of at most 8 KiB.
    ///
    /// # Errors
    /// The first thing that is wrong with the form.
    pub fn check_form(&self) -> Result<(), VerifyError> {
        let parts = self.split()?;
        read("header", &decode("header", parts.header)?)?;
        decode("payload", parts.payload)?;
        decode("signature", parts.signature).map(drop)
    }

    /// Verifies header, signature, payload, times, lifetime, issuer and project, in this order
    /// (RFC 7515 §5.2, RFC 7519 §7.2).
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub async fn verify(
        &self,
        keys: &LoginKeys,
        rules: &LoginRules,
        now: Timestamp,
    ) -> Result<LoginClaims, VerifyError> {
        let parts = self.split()?;
        let header = Header::read(&decode("header", parts.header)?)?;
        if header.alg != Some(keys.algorithm()) {
            return Err(VerifyError::AlgorithmMismatch);
        }
        // The library decodes it again. A token that is misspelt must not get as far as asking for an unknown key.
        decode("signature", parts.signature)?;
        let verified_by = keys.verify(parts.message, parts.signature, header.kid.as_deref()).await?;
        let payload = decode("payload", parts.payload)?;
        // A name that was cut in the middle of an emoji must not cost the player the login.
        let payload = without_lone_surrogates(&payload);
        Ok(rules.check(&read("payload", &payload)?, verified_by, now)?)
    }

    fn split(&self) -> Result<Parts<'_>, VerifyError> {
        match self.0.len() {
            0 => return Err(VerifyError::Empty),
            bytes if bytes > MAX_BYTES => return Err(VerifyError::TooLong(bytes)),
            _ => {}
        }
        let text = std::str::from_utf8(&self.0).map_err(|_| VerifyError::NotBase64Url("login token"))?;
        if let Some(wrapping) = Wrapping::of(text) {
            return Err(wrapping.into());
        }
        let (message, signature) = text.rsplit_once('.').ok_or(VerifyError::NotThreeParts)?;
        let (header, payload) = message.split_once('.').ok_or(VerifyError::NotThreeParts)?;
        if payload.contains('.') {
            return Err(VerifyError::NotThreeParts);
        }
        Ok(Parts { message, header, payload, signature })
    }
}

impl fmt::Debug for LoginToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginToken({} bytes)", self.0.len())
    }
}

/// A compact JWS (RFC 7515 §7.1), still encoded.
struct Parts<'a> {
    /// What is signed: header and payload as they came.
    message: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// A header that has no member of [`REFUSED_HEADERS`], and none of a wrong type.
struct Header {
    /// Nothing where it is absent, or an algorithm that nobody knows.
    alg: Option<Algorithm>,
    kid: Option<String>,
}

impl Header {
    fn read(json: &[u8]) -> Result<Self, VerifyError> {
        let members = read("header", json)?;
        if let Some(name) = REFUSED_HEADERS.into_iter().find(|name| members.has(name)) {
            return Err(VerifyError::HeaderRefused(name));
        }
        for name in ["typ", "cty", "kid"] {
            if !matches!(members.find(name), None | Some(Member::Text(_))) {
                return Err(VerifyError::HeaderType(name));
            }
        }
        // RFC 8725 §3.11: logout tokens and access tokens are signed with the same keys.
        if members.text("typ").is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(VerifyError::TypMismatch);
        }
        Ok(Self {
            alg: members.text("alg").and_then(|name| name.parse().ok()),
            kid: members.text("kid").map(str::to_owned),
        })
    }
}

fn read<'a>(part: &'static str, json: &'a [u8]) -> Result<Members<'a>, VerifyError> {
    Members::read(json).map_err(|error| VerifyError::NotStrictJson(part, error))
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, VerifyError> {
    let error = if text.ends_with('=') { VerifyError::Padded } else { VerifyError::NotBase64Url };
    decode_part(text).ok_or(error(part))
}

/// The bytes of one part of a token: base64url without padding and without bits to spare (RFC 7515 §2), so that
/// one token can be written in one way only. Nothing where the text is anything else.
#[must_use]
pub fn decode_part(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
