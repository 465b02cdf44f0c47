//! Which of the keys that a login project publishes may verify a login token?

use std::collections::HashMap;
use std::ops::RangeInclusive;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use thiserror::Error;

use crate::base64url;

/// Bits of a modulus. RFC 7518 §3.3 asks for 2048 at least; the signature library takes no more than 8192.
const BITS: RangeInclusive<usize> = 2048..=8192;

/// Most bytes of a public exponent: far more than 65537 needs, and less than the 33 bits that the signature library takes.
const MAX_EXPONENT_BYTES: usize = 4;

/// Keys by their id (`kid`).
pub struct KeySet {
    keys: HashMap<String, ParsedPublicKey>,
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

/// A key as published. Members of other kinds of key are not looked at.
#[derive(Deserialize)]
struct Published {
    kty: Option<String>,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// A private exponent: whoever reads the set could sign with such a key.
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads the Login API's array, whose numbers are hexadecimal, or a JWKS (RFC 7517 §5).
    ///
    /// Keys that are not for RS256 signatures are left out.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn read(json: &[u8]) -> Result<Self, KeySetError> {
        let (published, encoding) = match json.trim_ascii_start().first() {
            Some(b'[') => (serde_json::from_slice(json).map_err(|_| KeySetError::Shape)?, Encoding::Hexadecimal),
            _ => (serde_json::from_slice::<Jwks>(json).map_err(|_| KeySetError::Shape)?.keys, Encoding::Base64Url),
        };
        let published: Vec<Value> = published;
        let mut ids: Vec<&str> = published.iter().filter_map(|key| key.get("kid")?.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| matches!(pair, [left, right] if left == right)) {
            return Err(KeySetError::KidTwice);
        }
        let all = published.len();
        // A key that makes no sense is left out alone (RFC 7517 §5).
        let read = published.into_iter().filter_map(|key| serde_json::from_value::<Published>(key).ok());
        let keys: HashMap<_, _> = read.filter_map(|key| key.fit(encoding)).collect();
        if keys.is_empty() { Err(KeySetError::NoneFit(all)) } else { Ok(Self { ignored: all - keys.len(), keys }) }
    }

    /// The key of exactly this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&ParsedPublicKey> {
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
    /// The id and the key, if it is one for RS256 signatures.
    fn fit(self, encoding: Encoding) -> Option<(String, ParsedPublicKey)> {
        let is_meant = self.kty.is_some_and(|kind| kind == "RSA")
            && self.r#use.is_none_or(|r#use| r#use == "sig")
            && self.alg.is_none_or(|algorithm| algorithm == "RS256")
            && self.d.is_none();
        let modulus = number(&self.n.filter(|_| is_meant)?, encoding)?;
        let exponent = number(&self.e?, encoding)?;
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let is_exponent = is_odd(&exponent) && exponent.len() <= MAX_EXPONENT_BYTES && exponent != [1];
        let is_key = BITS.contains(&bits(&modulus)) && is_odd(&modulus) && is_exponent;
        let key = is_key.then_some(RsaPublicKeyComponents { n: modulus, e: exponent })?;
        Some((self.kid?, key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?))
    }
}

/// The bytes of a number, without zeros before it.
fn number(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    let bytes = match encoding {
        // An odd number of digits lacks the zero before the first.
        Encoding::Hexadecimal if text.len() % 2 == 1 => hex::decode(format!("0{text}")).ok()?,
        Encoding::Hexadecimal => hex::decode(text).ok()?,
        Encoding::Base64Url => base64url::decode(text)?,
    };
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or_default())
}
