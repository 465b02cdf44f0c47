//! Reads the key set that a login project publishes, and picks the keys that may verify login tokens.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{KeyAlgorithm, PublicKeyUse, RSAKeyParameters};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

/// Bits of a modulus. RFC 7518 §3.3 asks for 2048 at least; the signature library takes no more than 8192.
const BITS: RangeInclusive<usize> = 2048..=8192;

/// Most bytes of a public exponent: far more than 65537 needs, and less than the 33 bits that the signature library takes.
const MAX_EXPONENT_BYTES: usize = 4;

/// Keys by their id (`kid`).
pub struct KeySet {
    keys: HashMap<String, DecodingKey>,
    ignored: usize,
}

/// Why an answer holds no keys to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// Neither an array of keys nor an object with one.
    #[error("the answer is no key set")]
    Shape,
    /// Two keys of one id: which of them signs would be the reader's guess.
    #[error("the key set has two keys of one kid")]
    KidTwice,
    /// Nothing that could verify.
    #[error("none of the {0} keys is an RS256 key of 2048 bits or more with a kid")]
    NoneFit(usize),
}

/// How the numbers of a key are written. The shape of the answer says which, never a number's looks:
/// "10001" is a number in both.
#[derive(Clone, Copy)]
enum Encoding {
    /// The Login API's array of keys.
    Hexadecimal,
    /// `{"keys": […]}` (RFC 7517 §5).
    Base64Url,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Published>,
}

/// An entry of a set. One that makes no sense spoils no other, but takes its `kid`.
///
/// `jsonwebtoken::jwk::Jwk` itself is not used: it reads entries of other kinds into a `serde_json::Value`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Published {
    Rsa(RsaKey),
    Named { kid: String },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct RsaKey {
    kid: String,
    r#use: Option<PublicKeyUse>,
    alg: Option<KeyAlgorithm>,
    #[serde(flatten)]
    parameters: RSAKeyParameters,
    /// The private exponent. Whoever reads a set that has it could sign with the key.
    d: Option<IgnoredAny>,
}

impl KeySet {
    /// Reads the Login API's array, whose numbers are hexadecimal, or a JWKS (RFC 7517 §5).
    ///
    /// Keys that are not for RS256 signatures are left out.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn read(json: &[u8]) -> Result<Self, KeySetError> {
        let is_array = json.trim_ascii_start().starts_with(b"[");
        let (published, encoding) = if is_array {
            (serde_json::from_slice(json).map_err(|_| KeySetError::Shape)?, Encoding::Hexadecimal)
        } else {
            (serde_json::from_slice::<Jwks>(json).map_err(|_| KeySetError::Shape)?.keys, Encoding::Base64Url)
        };
        let mut ids = HashSet::new();
        if !published.iter().filter_map(Published::id).all(|id| ids.insert(id)) {
            return Err(KeySetError::KidTwice);
        }
        // A key that makes no sense is left out alone (RFC 7517 §5).
        let keys: HashMap<_, _> = published.iter().filter_map(|key| key.fit(encoding)).collect();
        let all = published.len();
        if keys.is_empty() { Err(KeySetError::NoneFit(all)) } else { Ok(Self { ignored: all - keys.len(), keys }) }
    }

    /// The key of exactly this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&DecodingKey> {
        self.keys.get(id)
    }

    /// The ids of all keys, in no order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// How many keys there are, and how many were left out.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.keys.len(), self.ignored)
    }
}

impl Published {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Rsa(RsaKey { kid, .. }) | Self::Named { kid } => Some(kid),
            Self::Other(_) => None,
        }
    }

    /// The id and the key, if it is one for RS256 signatures.
    fn fit(&self, encoding: Encoding) -> Option<(String, DecodingKey)> {
        let Self::Rsa(key) = self else { return None };
        let is_meant = matches!(key.r#use, None | Some(PublicKeyUse::Signature))
            && matches!(key.alg, None | Some(KeyAlgorithm::RS256))
            && key.d.is_none();
        let modulus = number(&key.parameters.n, encoding)?;
        let exponent = number(&key.parameters.e, encoding)?;
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let is_exponent = is_odd(&exponent) && exponent.len() <= MAX_EXPONENT_BYTES && exponent != [1];
        let is_key = is_meant && BITS.contains(&bits(&modulus)) && is_odd(&modulus) && is_exponent;
        is_key.then(|| (key.kid.clone(), DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
    }
}

/// The bytes of a number, without zeros before it.
fn number(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    let bytes = match encoding {
        // An odd number of digits lacks the zero before the first.
        Encoding::Hexadecimal if text.len() % 2 == 1 => hex::decode(format!("0{text}")).ok()?,
        Encoding::Hexadecimal => hex::decode(text).ok()?,
        Encoding::Base64Url => URL_SAFE_NO_PAD.decode(text).ok()?,
    };
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or_default())
}
