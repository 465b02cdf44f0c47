//! Reads a JSON object strictly: UTF-8, at most 128 levels deep, no repeated member at any depth.
//!
//! Parsers differ about repeated members (RFC 8259 §4): if the issuer checks the first `email` and the verifier takes the
//! last one, one token names two players.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use thiserror::Error as ThisError;

use super::json::first_value;

/// Why a text is not accepted. Never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum StrictJsonError {
    /// Not JSON, or nested deeper than 128 levels.
    #[error("is not valid JSON or is nested too deeply")]
    Syntax,
    /// JSON, but not an object.
    #[error("is not a JSON object")]
    NotAnObject,
    /// Two members have the same name, after unescaping.
    #[error("has the same member twice")]
    Duplicate,
}

/// The members of an object, sorted by name.
pub struct Members<'a>(Vec<(Name<'a>, Member<'a>)>);

/// The value of a member, as far as it is used.
pub enum Member<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A number.
    Number(serde_json::Number),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// An array or an object. Its content is checked but not kept: in memory it would take a hundred times its JSON text.
    Other,
}

impl<'a> Members<'a> {
    /// Reads an object from UTF-8 text.
    ///
    /// # Errors
    /// See [`StrictJsonError`].
    pub fn read(json: &'a [u8]) -> Result<Self, StrictJsonError> {
        let text = std::str::from_utf8(json).map_err(|_| StrictJsonError::Syntax)?;
        serde_json::from_str(text).map_err(|error| match error.classify() {
            // Every value is accepted, so inside an object only a repeated member is a data error.
            Category::Data if text.trim_ascii_start().starts_with('{') => StrictJsonError::Duplicate,
            Category::Data => StrictJsonError::NotAnObject,
            Category::Io | Category::Syntax | Category::Eof => StrictJsonError::Syntax,
        })
    }

    /// The value of a member.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Member<'a>> {
        let index = self.0.binary_search_by(|(known, _)| known.0.as_ref().cmp(name)).ok()?;
        self.0.get(index).map(|(_, value)| value)
    }

    /// The value of a member that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Member::Text(text) => Some(text),
            Member::Number(_) | Member::Bool(_) | Member::Null | Member::Other => None,
        }
    }

    /// Whether there is a member with this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// The same JSON, but with `null` for each string that has a lone surrogate (`\ud800`), which is not valid Unicode
/// (RFC 8259 §8.2). Names of members are not changed; [`Members::read`] refuses such names.
#[must_use]
pub fn without_lone_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    let has_surrogate = |text: &&str| ["\\ud", "\\uD"].iter().any(|start| text.contains(start));
    let Some(mut rest) = std::str::from_utf8(json).ok().filter(has_surrogate) else { return json.into() };
    let mut cleaned = String::with_capacity(json.len());
    while let Some((before, quoted)) = rest.find('"').and_then(|start| rest.split_at_checked(start)) {
        let Some((IgnoredAny, string, after)) = first_value(quoted) else { return json.into() };
        let is_name = after.trim_ascii_start().starts_with(':');
        let is_kept = is_name || serde_json::from_str::<Cow<'_, str>>(string).is_ok();
        cleaned.extend([before, if is_kept { string } else { "null" }]);
        rest = after;
    }
    cleaned.push_str(rest);
    cleaned.into_bytes().into()
}

/// A member's name: borrowed unless it is written with escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without repeated members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        members.sort_unstable_by(|left: &(Name<'_>, _), right| left.0.cmp(&right.0));
        if members.iter().zip(members.iter().skip(1)).any(|(left, right)| left.0 == right.0) {
            return Err(A::Error::custom("repeated member"));
        }
        Ok(Members(members))
    }
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

/// Accepts any JSON, except objects with repeated members.
struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
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

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Member::Bool(flag))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Member::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<Member<'de>>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        MembersVisitor.visit_map(map).map(|_| Member::Other)
    }
}
