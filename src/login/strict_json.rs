//! Is this JSON an object in which no member stands twice, at any depth?
//!
//! RFC 8259 §4 leaves a repeated member to the reader, and readers disagree: an issuer that checked
//! the first `email` and a verifier that takes the last one see two players in one token.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use thiserror::Error as ThisError;

/// Room for the members of a usual login token.
const USUAL_MEMBERS: usize = 16;

/// Why a text is no such object. Never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum StrictJsonError {
    /// Not JSON, or nested deeper than 128 levels.
    #[error("is not JSON, or nested too deep")]
    Syntax,
    /// JSON, but no object.
    #[error("is not a JSON object")]
    NotAnObject,
    /// A member twice, as spelled or once unescaped.
    #[error("has a member twice")]
    Duplicate,
}

/// The members of an object, short names first.
pub struct Members<'a>(Vec<(Cow<'a, str>, Member<'a>)>);

/// The value of a member, as far as anybody reads it.
pub enum Member<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A number.
    Number(serde_json::Number),
    /// The object itself; one inside it is [`Member::Other`].
    Object(Members<'a>),
    /// An array, `true`, `false`, `null`, or an object inside another.
    Other,
}

impl<'a> Members<'a> {
    /// Reads an object from UTF-8 text.
    ///
    /// # Errors
    /// See [`StrictJsonError`].
    pub fn read(json: &'a [u8]) -> Result<Self, StrictJsonError> {
        let text = std::str::from_utf8(json).map_err(|_| StrictJsonError::Syntax)?;
        match serde_json::from_str(text) {
            Ok(Member::Object(members)) => Ok(members),
            Ok(Member::Text(_) | Member::Number(_) | Member::Other) => Err(StrictJsonError::NotAnObject),
            Err(error) if error.classify() == Category::Data => Err(StrictJsonError::Duplicate),
            Err(_) => Err(StrictJsonError::Syntax),
        }
    }

    /// The value of a member.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Member<'a>> {
        let index = self.0.binary_search_by(|(member, _)| order(member, name)).ok()?;
        self.0.get(index).map(|(_, value)| value)
    }

    /// The value of a member that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Member::Text(text) => Some(text),
            Member::Number(_) | Member::Object(_) | Member::Other => None,
        }
    }

    /// Whether a member of this name is there, whatever its value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All members that are strings.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Member::Text(text) => Some((name.as_ref(), text.as_ref())),
            Member::Number(_) | Member::Object(_) | Member::Other => None,
        })
    }
}

/// Short names before long ones: most pairs differ in length, and nobody has to look at their letters.
fn order(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

/// Takes any JSON; its one error of its own is a member that stands twice.
struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a member twice")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Member::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Member::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(serde_json::Number::from_f64(number).map_or(Member::Other, Member::Number))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<Member<'de>>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(USUAL_MEMBERS);
        while let Some(Name(name)) = map.next_key()? {
            // Nobody reads what is nested; kept, it would take a hundred times the bytes that an attacker sends.
            let value = match map.next_value()? {
                Member::Object(_) => Member::Other,
                flat @ (Member::Text(_) | Member::Number(_) | Member::Other) => flat,
            };
            members.push((name, value));
        }
        members.sort_unstable_by(|left: &(Cow<'_, str>, _), right| order(&left.0, &right.0));
        if members.windows(2).any(|pair| matches!(pair, [left, right] if left.0 == right.0)) {
            return Err(A::Error::custom("a member twice"));
        }
        Ok(Member::Object(Members(members)))
    }
}

/// A member's name: borrowed unless it is written with escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Member::deserialize(deserializer)? {
            Member::Text(name) => Ok(Self(name)),
            Member::Number(_) | Member::Object(_) | Member::Other => Err(D::Error::custom("a name that is no string")),
        }
    }
}
