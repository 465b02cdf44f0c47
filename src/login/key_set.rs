//! Reads a published key set, and selects the keys that may verify login tokens.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    EllipticCurve, EllipticCurveKeyParameters, KeyAlgorithm, OctetKeyPairParameters, PublicKeyUse, RSAKeyParameters,
};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

/// Bits of a modulus: at least 2048 by RFC 7518 §3.3; at most 8192 in the signature library.
const BITS: RangeInclusive<usize> = 2048..=8192;

/// Most bytes of a public exponent: enough for 65537, and below the signature library's limit of 33 bits.
const MAX_EXPONENT_BYTES: usize = 4;

/// Public keys by id (`kid`).
pub struct KeySet {
    keys: HashMap<String, PublicKey>,
    /// The key of a set that has only one.
    only: Option<PublicKey>,
    ignored: usize,
}

/// A public key, and the algorithms that it may verify: they follow from its kind and its `alg`.
#[derive(Clone)]
pub struct PublicKey {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

/// Why an answer is not a usable key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// Not an array of keys and not a JWKS.
    #[error("the answer is not a key set")]
    Shape,
    /// Two keys have the same id, so that it is unclear which one is meant.
    #[error("the key set has two keys with the same kid")]
    KidTwice,
    /// No key can verify login tokens; the number of keys.
    #[error("none of the {0} keys is an RS256 key of 2048 bits or more with a kid")]
    NoUsableKey(usize),
    /// No key of a provider can verify login tokens; the number of keys.
    #[error("none of the {0} keys is a public key for RS256, PS256, ES256, ES384 or EdDSA with a kid")]
    NoUsableJwk(usize),
}

/// The encoding of an RSA key's numbers.
#[derive(Clone, Copy)]
enum Encoding {
    /// As in the JWKS of every provider (RFC 7518 §6.3.1).
    Base64Url,
    /// Hexadecimal, as `xsolla/login-sdk-go` reads Xsolla's keys, or base64url, as Xsolla's integration kit says. The modulus
    /// decides, for the exponent too, since "10001" is valid in both: 342 characters of base64url are never all hexadecimal.
    OfXsolla,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Entry>,
}

/// An entry of a key set. An invalid entry does not affect the others, but its `kid` counts as used.
///
/// Not `jsonwebtoken::jwk::Jwk`, which reads some entries into a `serde_json::Value`; that is unsafe (see `json`).
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Key(Jwk),
    WithId { kid: String },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Jwk {
    kid: Option<String>,
    r#use: Option<PublicKeyUse>,
    key_ops: Option<Vec<String>>,
    alg: Option<KeyAlgorithm>,
    #[serde(flatten)]
    parameters: Parameters,
    /// The private part. A key published with it is refused: any reader of the set could sign with it.
    d: Option<IgnoredAny>,
}

/// The kinds of public key that can verify a signature (RFC 7518 §6, RFC 8037 §2). Symmetric keys are not among them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Parameters {
    Rsa(RSAKeyParameters),
    EllipticCurve(EllipticCurveKeyParameters),
    Edwards(OctetKeyPairParameters),
}

impl KeySet {
    /// Reads the Login API's answer: an array of keys, or a JWKS (RFC 7517 §5).
    ///
    /// Skips keys that are not for RS256 signatures, or have no `kid`.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn read(json: &[u8]) -> Result<Self, KeySetError> {
        let is_array = json.trim_ascii_start().starts_with(b"[");
        let entries = if is_array {
            serde_json::from_slice(json).map_err(|_| KeySetError::Shape)?
        } else {
            serde_json::from_slice::<Jwks>(json).map_err(|_| KeySetError::Shape)?.keys
        };
        let is_rs256 = |kid: Option<&str>, key: &PublicKey| kid.is_some() && key.algorithms.contains(&Algorithm::RS256);
        Self::new(&entries, Encoding::OfXsolla, is_rs256)?.ok_or(KeySetError::NoUsableKey(entries.len()))
    }

    /// Reads the JWKS of an OpenID Connect provider.
    ///
    /// Skips keys that are not for signatures, symmetric and short ones, and those with a private part. A key without `kid`
    /// is usable only if it is the only one.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn read_jwks(json: &[u8]) -> Result<Self, KeySetError> {
        let entries = serde_json::from_slice::<Jwks>(json).map_err(|_| KeySetError::Shape)?.keys;
        Self::new(&entries, Encoding::Base64Url, |_, _| true)?.ok_or(KeySetError::NoUsableJwk(entries.len()))
    }

    /// The keys for signatures that `is_right`; `None` if there are none.
    fn new(
        entries: &[Entry],
        encoding: Encoding,
        is_right: impl Fn(Option<&str>, &PublicKey) -> bool,
    ) -> Result<Option<Self>, KeySetError> {
        let mut ids = HashSet::new();
        if !entries.iter().filter_map(Entry::id).all(|id| ids.insert(id)) {
            return Err(KeySetError::KidTwice);
        }
        // Only the invalid entry is skipped (RFC 7517 §5).
        let usable = entries.iter().filter_map(|entry| Some((entry.id(), entry.key(encoding)?)));
        let usable: Vec<_> = usable.filter(|(kid, key)| is_right(*kid, key)).collect();
        let only = if let [(_, key)] = usable.as_slice() { Some(key.clone()) } else { None };
        let keys: HashMap<_, _> = usable.into_iter().filter_map(|(kid, key)| Some((kid?.to_owned(), key))).collect();
        let count = keys.len().max(usize::from(only.is_some()));
        Ok((count > 0).then_some(Self { keys, only, ignored: entries.len() - count }))
    }

    /// The key with exactly this id; without an id, the only key.
    #[must_use]
    pub fn find(&self, id: Option<&str>) -> Option<&PublicKey> {
        id.map_or(self.only.as_ref(), |id| self.keys.get(id))
    }

    /// The ids of all keys, in any order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// How many keys there are, and how many were skipped.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.keys.len().max(usize::from(self.only.is_some())), self.ignored)
    }
}

impl PublicKey {
    /// Whether the key may verify `algorithm`, and does verify `signature` (base64url) of `message`.
    pub(super) fn verifies(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
            && crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }
}

impl Entry {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Key(Jwk { kid, .. }) => kid.as_deref(),
            Self::WithId { kid } => Some(kid),
            Self::Other(_) => None,
        }
    }

    /// The key, if it is public and for signatures.
    fn key(&self, encoding: Encoding) -> Option<PublicKey> {
        let Self::Key(key) = self else { return None };
        let is_for_signatures = matches!(key.r#use, None | Some(PublicKeyUse::Signature))
            && key.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|one| one == "verify"))
            && key.d.is_none();
        let (decoding_key, of_kind) = key.parameters.decoding_key(encoding).filter(|_| is_for_signatures)?;
        let is_of_key = |algorithm: &Algorithm| key.alg.is_none_or(|alg| alg == KeyAlgorithm::from(*algorithm));
        let algorithms: Vec<Algorithm> = of_kind.iter().copied().filter(is_of_key).collect();
        (!algorithms.is_empty()).then_some(PublicKey { key: decoding_key, algorithms })
    }
}

impl Parameters {
    /// The key and the algorithms of its kind; `None` if it is weak or malformed.
    fn decoding_key(&self, encoding: Encoding) -> Option<(DecodingKey, &'static [Algorithm])> {
        match self {
            Self::Rsa(key) => Some((rsa(key, encoding)?, &[Algorithm::RS256, Algorithm::PS256])),
            Self::EllipticCurve(key) => {
                let (length, algorithms): (_, &[Algorithm]) = match key.curve {
                    EllipticCurve::P256 => (32, &[Algorithm::ES256]),
                    EllipticCurve::P384 => (48, &[Algorithm::ES384]),
                    EllipticCurve::P521 | EllipticCurve::Ed25519 | _ => return None,
                };
                let is_whole = |text: &str| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == length);
                let key = DecodingKey::from_ec_components(&key.x, &key.y)
                    .ok()
                    .filter(|_| is_whole(&key.x) && is_whole(&key.y));
                Some((key?, algorithms))
            }
            Self::Edwards(key) => {
                let is_whole = URL_SAFE_NO_PAD.decode(&key.x).is_ok_and(|bytes| bytes.len() == 32);
                let is_right = is_whole && key.curve == EllipticCurve::Ed25519;
                Some((DecodingKey::from_ed_components(&key.x).ok().filter(|_| is_right)?, &[Algorithm::EdDSA]))
            }
        }
    }
}

fn rsa(key: &RSAKeyParameters, encoding: Encoding) -> Option<DecodingKey> {
    let is_hexadecimal = match encoding {
        Encoding::Base64Url => false,
        Encoding::OfXsolla => key.n.bytes().all(|digit| digit.is_ascii_hexdigit()),
    };
    let (modulus, exponent) = (number(&key.n, is_hexadecimal)?, number(&key.e, is_hexadecimal)?);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let is_exponent = is_odd(&exponent) && exponent.len() <= MAX_EXPONENT_BYTES && exponent != [1];
    let is_valid = BITS.contains(&bits(&modulus)) && is_odd(&modulus) && is_exponent;
    is_valid.then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

/// The bytes of a number, without leading zeros.
fn number(text: &str, is_hexadecimal: bool) -> Option<Vec<u8>> {
    let bytes = if is_hexadecimal {
        // The leading zero may be missing.
        let zero = if text.len() % 2 == 1 { "0" } else { "" };
        hex::decode(format!("{zero}{text}")).ok()?
    } else {
        URL_SAFE_NO_PAD.decode(text).ok()?
    };
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or_default())
}
