//! One value of a setting, as written in the file or the environment, and its check against the table.

use secrecy::zeroize::Zeroizing;
use toml::de::DeValue;

use super::kind::Kind;
use super::problem::Source;
use super::secret::{Secret, is_damage};
use super::settings::Setting;

const TEXT: &str = "text";
const NUMBER: &str = "a number";
const FLAG: &str = "true or false";
const LIST: &str = "a list";

const WRAPPED: &str = "has quotes, white space or an invisible character around it, or an invisible one inside; remove \
                       them (Docker keeps the quotes of an env file)";

/// A value as written. Texts are wiped on drop, since any may hold a secret; the parser's own copies are not.
pub(super) struct Value {
    pub(super) source: Source,
    /// Its type in the file; `None` for the environment and defaults, where the setting decides the type.
    form: Option<&'static str>,
    /// One text, or those of a list.
    texts: Zeroizing<Vec<String>>,
}

impl Value {
    /// A default, or a value of the environment.
    pub(super) fn new(text: &str, source: Source) -> Self {
        Self { source, form: None, texts: vec![text.to_owned()].into() }
    }

    /// A value of the file.
    pub(super) fn of_file(value: &DeValue<'_>, source: Source) -> Self {
        let (form, texts) = match value {
            DeValue::String(text) => (TEXT, vec![text.to_string()]),
            DeValue::Integer(digits) if digits.radix() == 10 => (NUMBER, vec![digits.as_str().to_owned()]),
            DeValue::Boolean(flag) => (FLAG, vec![flag.to_string()]),
            DeValue::Array(items) => {
                match items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect() {
                    Some(texts) => (LIST, texts),
                    None => ("a list with other things than text", Vec::new()),
                }
            }
            DeValue::Integer(_) => ("a number in another base", Vec::new()),
            DeValue::Float(_) => ("a number with a fraction", Vec::new()),
            DeValue::Datetime(_) => ("a date", Vec::new()),
            DeValue::Table(_) => ("a table", Vec::new()),
        };
        Self { source, form: Some(form), texts: texts.into() }
    }

    /// The text of a setting that is text, unchecked.
    pub(super) fn text(&self, setting: &Setting) -> Result<&str, String> {
        if let Some(form) = self.form.filter(|form| *form != TEXT) {
            let example = setting.default.map_or(String::new(), |default| format!(", as in \"{default}\""));
            return Err(format!("is {form} and needs text in quotes{example}"));
        }
        Ok(self.texts.first().map_or("", String::as_str))
    }

    /// The text, or those of a list, if the setting accepts them.
    pub(super) fn checked(&self, setting: &Setting) -> Result<Vec<&str>, String> {
        let texts = match setting.kind {
            Kind::Flag => self.texts_of(FLAG),
            Kind::Number(..) => self.texts_of(NUMBER),
            Kind::List => match self.texts.as_slice() {
                [text] if self.form.is_none() && text.trim_start().starts_with('[') => {
                    return Err("is a list in brackets; write it without brackets and quotes: name,email".to_owned());
                }
                [text] if self.form.is_none() => text.split(',').map(str::trim).collect(),
                _ => self.texts_of(LIST),
            },
            Kind::Text
            | Kind::Checked(..)
            | Kind::Choice(_)
            | Kind::Time(..)
            | Kind::Seconds(..)
            | Kind::Secret
            | Kind::SecretFile
            | Kind::PublicFile => vec![self.text(setting)?],
        };
        if !matches!(setting.kind, Kind::Flag | Kind::Number(..)) && texts.iter().any(|text| is_wrapped(text)) {
            return Err(WRAPPED.to_owned());
        }
        setting.kind.check(&texts).map(|()| texts)
    }

    /// The texts of a value of this type; no texts, which every check refuses, if it has another type.
    fn texts_of(&self, form: &str) -> Vec<&str> {
        let is_right = self.form.is_none_or(|own| own == form);
        self.texts.iter().map(String::as_str).filter(|_| is_right).collect()
    }

    /// Whether the text, or one of a list, gives a secret away.
    pub(super) fn shows(&self, secret: &Secret) -> bool {
        let shows_item = |text: &str| self.form.is_none() && text.split(',').any(|item| secret.is_shown_by(item));
        self.texts.iter().any(|text| secret.is_shown_by(text) || shows_item(text))
    }

    /// The value as the environment would have it.
    pub(super) fn joined(&self) -> String {
        self.texts.join(",")
    }
}

/// Whether there are quotes or white space at an end of a text, or a character that copying added anywhere.
fn is_wrapped(text: &str) -> bool {
    let is_around = |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '`');
    text.starts_with(is_around) || text.ends_with(is_around) || text.contains(is_damage)
}
