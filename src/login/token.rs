//! Verifies a login token: its header, its signature and its claims.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use thiserror::Error;

use super::Timestamp;
use super::claims::{ClaimsError, LoginClaims, Payload};
use super::keys::NoKeyError;
use super::published::FindKeyError;
use super::strict_json::{Member, Members, StrictJsonError, without_lone_surrogates};
use super::verifier::Login;

/// Most bytes of a login token. Xsolla's tokens with `payload` and `groups` have 1,200 bytes and more. Without this limit,
/// a token as large as `limits.header_bytes` would be decoded before its signature is checked.
const MAX_BYTES: usize = 8192;

/// Header members that change what the signature covers or how the payload is read: `crit` (RFC 7515 §4.1.11; a verifier
/// must not ignore it), `b64` (RFC 7797), `zip` and `enc` (RFC 7516).
const REFUSED_HEADERS: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// The `typ` of this service's user tokens (`zendesk/user_token.rs`): no login accepts such a token, and what has another `typ`
/// is never a user token (RFC 8725 §3.11).
pub(crate) const USER_TOKEN_TYP: &str = "zendesk-user-token+jwt";

/// A login token as received, not verified.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginToken(Vec<u8>);

/// Why a login token is not valid. Quotes only names and times from the token, and in `NoLogin` the claims that select a
/// login, cut and escaped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Longer than 8 KiB; the length in bytes.
    #[error("login token has {0} bytes, more than {MAX_BYTES}")]
    TooLong(usize),
    /// No bytes.
    #[error("login token is empty")]
    Empty,
    /// Not a header, a payload and a signature.
    #[error("login token is not three parts separated by dots")]
    NotThreeParts,
    /// See [`Wrapping`].
    #[error(transparent)]
    Wrapped(#[from] Wrapping),
    /// A part has padding, which RFC 7515 §2 does not allow.
    #[error("{0} ends with base64 padding (=), which a token never has")]
    Padded(&'static str),
    /// A part is not base64url.
    #[error("{0} is not base64url")]
    NotBase64Url(&'static str),
    /// A part is not a strict JSON object.
    #[error("{0} {1}")]
    NotStrictJson(&'static str, StrictJsonError),
    /// `alg` is missing or is a different algorithm.
    #[error("header alg is missing or is not one of the login")]
    AlgorithmMismatch,
    /// The token says that it is for none of the logins. With what it says, and what selects each login.
    #[error("is for none of the logins: {origin}; known are {known}")]
    NoLogin {
        /// Cut and escaped.
        origin: String,
        /// From the settings.
        known: Arc<str>,
    },
    /// A header member that changes the meaning of the token.
    #[error("header has the member {0}, which is never accepted")]
    HeaderRefused(&'static str),
    /// A header member has the wrong type.
    #[error("header {0} is not a string")]
    HeaderType(&'static str),
    /// `typ` names another kind of token.
    #[error("header typ is not JWT, so this is another kind of token")]
    TypMismatch,
    /// A user token of this service.
    #[error(
        "is a user token of the Support SDK, which only POST /support-sdk/token accepts, if support_sdk.user_token_lifetime is set"
    )]
    UserToken,
    /// There is no key to verify the signature with.
    #[error(transparent)]
    NoKey(#[from] NoKeyError),
    /// The signature is valid, but a claim is not.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// How a login token was changed before it was sent, by the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrapping {
    /// By `JSON.stringify`, once or twice, and percent-encoded or not.
    #[error("login token is encoded as JSON: it has quotes around it (\" or %22)")]
    JsonQuotes,
    /// A whole response or session instead of its token.
    #[error("login token is inside a JSON object ({{ or %7B)")]
    JsonObject,
    /// By Express, for a value that is not a string.
    #[error("login token is in a JSON cookie of Express: it starts with j: or j%3A")]
    ExpressJson,
    /// Quotes from a configuration file or a shell.
    #[error("login token has single quotes around it (' or %27)")]
    SingleQuotes,
    /// The whole value of an `Authorization` header.
    #[error("login token starts with the word Bearer")]
    Bearer,
    /// By Express, for a cookie that it signs with its own secret.
    #[error("login token is in a cookie signed by Express: it starts with s: or s%3A")]
    ExpressSignature,
    /// By `encodeURIComponent` or similar.
    #[error("login token is percent-encoded")]
    PercentEncoding,
    /// A whole `name=value` pair, as in a cookie or a form.
    #[error("login token starts with a name and =")]
    Name,
}

impl Wrapping {
    const PREFIXES: [(Self, &[&str]); 6] = [
        (Self::JsonQuotes, &["\"", "%22", "\\\"", "%5C%22"]),
        (Self::JsonObject, &["{", "%7B"]),
        (Self::ExpressJson, &["j:", "j%3A"]),
        (Self::ExpressSignature, &["s:", "s%3A"]),
        (Self::SingleQuotes, &["'", "%27"]),
        (Self::Bearer, &["Bearer ", "Bearer%20", "Bearer+", "Bearer:", "Bearer%3A"]),
    ];

    /// Detects how a token was changed; `None` if the text may be an unchanged token.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let starts_with =
            |prefix: &&str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let is_encoded =
            |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let by_prefix = Self::PREFIXES.into_iter().find(|(_, prefixes)| prefixes.iter().any(starts_with));
        if let Some((wrapping, _)) = by_prefix {
            Some(wrapping)
        } else if text.split('%').skip(1).any(is_encoded) {
            Some(Self::PercentEncoding)
        } else {
            value_of_pair(text).map(|_| Self::Name)
        }
    }
}

/// The value of a `name=value` pair; `None` if the `=` is padding in a token.
pub(crate) fn value_of_pair(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    (!name.contains('.') && !value.is_empty() && !value.starts_with(['.', '='])).then_some(value)
}

impl VerifyError {
    /// Whether the token may become valid, when this service has its key or the right time.
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::NoKey(NoKeyError::Find(FindKeyError::Unavailable | FindKeyError::CoolingDown))
                | Self::Claims(ClaimsError::InFuture(..))
        )
    }

    /// Whether the login's keys could not be fetched.
    pub(crate) const fn is_unavailable(&self) -> bool {
        matches!(self, Self::NoKey(NoKeyError::Find(FindKeyError::Unavailable)))
    }
}

impl LoginToken {
    /// Takes any bytes, such as a cookie's.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The token as text; empty if it is not UTF-8. A verified token always is.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Checks only the form: a compact JWS (RFC 7515 §7.1) of at most 8 KiB.
    pub(crate) fn check_form(&self) -> Result<(), VerifyError> {
        let parts = self.split()?;
        read("header", &decode("header", parts.header)?)?;
        decode("payload", parts.payload)?;
        decode("signature", parts.signature).map(drop)
    }

    /// Whether the header says that this is a user token of this service.
    pub(crate) fn is_user_token(&self) -> bool {
        matches!(self.header(), Err(VerifyError::UserToken))
    }

    fn header(&self) -> Result<(Parts<'_>, Header), VerifyError> {
        let parts = self.split()?;
        let header = Header::read(&decode("header", parts.header)?)?;
        Ok((parts, header))
    }

    /// Reads the header and decodes payload and signature, without verifying anything.
    pub(super) fn read(&self) -> Result<Unverified<'_>, VerifyError> {
        let (parts, header) = self.header()?;
        // Before the keys are needed, so that a malformed token can't cause a fetch. The library decodes it again.
        decode("signature", parts.signature)?;
        let payload = decode("payload", parts.payload)?;
        // A player with a name that was cut in the middle of an emoji must still get a token.
        let payload = without_lone_surrogates(&payload).into_owned();
        Ok(Unverified { parts, header, payload })
    }

    pub(crate) fn split(&self) -> Result<Parts<'_>, VerifyError> {
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

/// A login token that was read, but not verified.
pub(super) struct Unverified<'a> {
    parts: Parts<'a>,
    header: Header,
    payload: Vec<u8>,
}

impl Unverified<'_> {
    /// What the token claims.
    pub(super) fn payload(&self) -> Result<Payload<'_>, VerifyError> {
        Payload::read(&self.payload).map_err(|error| VerifyError::NotStrictJson("payload", error))
    }

    /// Verifies algorithm, signature, type, times, lifetime, issuer, project and audience with the keys and rules of
    /// `login`, in this order (RFC 7515 §5.2, RFC 7519 §7.2). Fails with the first error.
    pub(super) async fn verify(&self, login: &Login, now: Timestamp) -> Result<LoginClaims, VerifyError> {
        let Self { parts, header, .. } = self;
        let algorithm = header.alg.filter(|algorithm| login.keys.accepts(*algorithm));
        let algorithm = algorithm.ok_or(VerifyError::AlgorithmMismatch)?;
        if header.is_access_token && !login.is_oidc {
            return Err(VerifyError::TypMismatch);
        }
        let key = login.keys.verify(parts.message, parts.signature, algorithm, header.kid.as_deref()).await?;
        Ok(login.rules.accept(&self.payload()?, key, header.is_access_token, now)?)
    }

    /// Whether the token, which can't be verified yet, claims to be of another player than `verified`. Fails if its other
    /// claims would be refused.
    pub(super) fn claims_another_player(
        &self,
        login: &Login,
        verified: &LoginClaims,
        now: Timestamp,
    ) -> Result<bool, VerifyError> {
        let payload = self.payload()?;
        match login.rules.check(&payload, self.header.is_access_token, now) {
            Err(ClaimsError::InFuture(..)) if login.rules.is_for(&payload) => {}
            checked => drop(checked?),
        }
        Ok(!login.rules.is_of_player(&payload, verified))
    }
}

/// A compact JWS (RFC 7515 §7.1), still encoded.
pub(crate) struct Parts<'a> {
    /// The signed text: header and payload, encoded.
    pub(crate) message: &'a str,
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: &'a str,
}

/// A header without members of [`REFUSED_HEADERS`] and without members of a wrong type.
struct Header {
    /// `None` if absent or an unknown algorithm.
    alg: Option<Algorithm>,
    kid: Option<String>,
    /// Whether `typ` is that of an access token (RFC 9068 §2.1).
    is_access_token: bool,
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
        // Logout tokens and others are signed with the same keys (RFC 8725 §3.11).
        let typ = members.text("typ").unwrap_or("JWT").to_ascii_lowercase();
        if typ == USER_TOKEN_TYP {
            return Err(VerifyError::UserToken);
        }
        let is_access_token = matches!(typ.as_str(), "at+jwt" | "application/at+jwt");
        if !is_access_token && typ != "jwt" {
            return Err(VerifyError::TypMismatch);
        }
        Ok(Self {
            is_access_token,
            alg: members.text("alg").and_then(|name| name.parse().ok()),
            kid: members.text("kid").map(str::to_owned),
        })
    }
}

/// The members of one part of a token.
pub(crate) fn read<'a>(part: &'static str, json: &'a [u8]) -> Result<Members<'a>, VerifyError> {
    Members::read(json).map_err(|error| VerifyError::NotStrictJson(part, error))
}

/// Decodes one part of a token, as [`decode_part`].
pub(crate) fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, VerifyError> {
    let error = if text.ends_with('=') { VerifyError::Padded } else { VerifyError::NotBase64Url };
    decode_part(text).ok_or(error(part))
}

/// The bytes of one part of a token: base64url without padding and with zero trailing bits (RFC 7515 §2), so that each
/// token can be written in only one way.
pub(crate) fn decode_part(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
