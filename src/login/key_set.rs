//! Reads the key set that a login project publishes, and selects the keys that may verify login tokens.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{KeyAlgorithm, PublicKeyUse, RSAKeyParameters};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

/// Bits of a modulus: at least 2048 by RFC 7518 §3.3; at most 8192 in the signature library.
const BITS: RangeInclusive<usize> = 2048..=8192;

/// Most bytes of a public exponent: enough for 65537, and below the signature library's limit of 33 bits.
const MAX_EXPONENT_BYTES: usize = 4;

/// Public keys by id (`kid`).
pub struct KeySet {
    keys: HashMap<String, DecodingKey>,
    ignored: usize,
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
}

/// The encoding of a key's numbers. The form of the answer decides, never the number itself: "10001" is valid in both.
#[derive(Clone, Copy)]
enum Encoding {
    /// In the Login API's array of keys.
    Hexadecimal,
    /// In a JWKS, `{"keys": […]}` (RFC 7517 §5).
    Base64Url,
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
    Rsa(RsaKey),
    WithId { kid: String },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct RsaKey {
    kid: String,
    r#use: Option<PublicKeyUse>,
    alg: Option<KeyAlgorithm>,
    #[serde(flatten)]
    parameters: RSAKeyParameters,
    /// The private exponent. A key published with it is refused: any reader of the set could sign with it.
    d: Option<IgnoredAny>,
}

impl KeySet {
    /// Reads the Login API's array, with hexadecimal numbers, or a JWKS (RFC 7517 §5).
    ///
    /// Skips keys that are not for RS256 signatures.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn read(json: &[u8]) -> Result<Self, KeySetError> {
        let is_array = json.trim_ascii_start().starts_with(b"[");
        let (entries, encoding) = if is_array {
            (serde_json::from_slice(json).map_err(|_| KeySetError::Shape)?, Encoding::Hexadecimal)
        } else {
            (serde_json::from_slice::<Jwks>(json).map_err(|_| KeySetError::Shape)?.keys, Encoding::Base64Url)
        };
        let mut ids = HashSet::new();
        if !entries.iter().filter_map(Entry::id).all(|id| ids.insert(id)) {
            return Err(KeySetError::KidTwice);
        }
        // Only the invalid entry is skipped (RFC 7517 §5).
        let keys: HashMap<_, _> = entries.iter().filter_map(|entry| entry.key(encoding)).collect();
        let all = entries.len();
        if keys.is_empty() { Err(KeySetError::NoUsableKey(all)) } else { Ok(Self { ignored: all - keys.len(), keys }) }
    }

    /// The key with exactly this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&DecodingKey> {
        self.keys.get(id)
    }

    /// The ids of all keys, in any order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// How many keys there are, and how many were skipped.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.keys.len(), self.ignored)
    }
}

impl Entry {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Rsa(RsaKey { kid, .. }) | Self::WithId { kid } => Some(kid),
            Self::Other(_) => None,
        }
    }

    /// The id and the key, if it is for RS256 signatures.
    fn key(&self, encoding: Encoding) -> Option<(String, DecodingKey)> {
        let Self::Rsa(key) = self else { return None };
        let is_for_rs256 = matches!(key.r#use, None | Some(PublicKeyUse::Signature))
            && matches!(key.alg, None | Some(KeyAlgorithm::RS256))
            && key.d.is_none();
        let modulus = number(&key.parameters.n, encoding)?;
        let exponent = number(&key.parameters.e, encoding)?;
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let is_exponent = is_odd(&exponent) && exponent.len() <= MAX_EXPONENT_BYTES && exponent != [1];
        let is_valid = is_for_rs256 && BITS.contains(&bits(&modulus)) && is_odd(&modulus) && is_exponent;
        is_valid.then(|| (key.kid.clone(), DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
    }
}

/// The bytes of a number, without leading zeros.
fn number(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    let bytes = match encoding {
        // The leading zero may be missing.
        Encoding::Hexadecimal if text.len() % 2 == 1 => hex::decode(format!("0{text}")).ok()?,
        Encoding::Hexadecimal => hex::decode(text).ok()?,
        Encoding::Base64Url => URL_SAFE_NO_PAD.decode(text).ok()?,
    };
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or_default())
}
