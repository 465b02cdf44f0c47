//! What does the settings file say, and on which line?

use std::fs::File;
use std::io::Read;
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Source};

/// Most bytes read from a settings file.
const MAX_BYTES: u64 = 1 << 20;

/// The library's own words stay out of errors: they may quote the text, which may be a secret.
const NOT_TOML: &str = "is not TOML here, or names a key twice; text goes in quotes";

/// What a problem with the file itself goes under, in place of a setting's key.
pub const PROBLEM_KEY: &str = "config file";

/// One value of the file.
pub struct Entry {
    /// Sections and name, joined by dots.
    pub key: String,
    /// The value.
    pub written: Written,
    /// The file and the line of the name.
    pub source: Source,
}

/// A value as written. Text is wiped on drop, since any may hold a secret; the parser's own copies are not.
pub enum Written {
    /// In the environment or the table of defaults, where the key decides the type.
    Untyped(Zeroizing<String>),
    /// In quotes, in the file.
    Text(Zeroizing<String>),
    /// A whole number in base ten, as its digits.
    Integer(String),
    /// `true` or `false`.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
    /// Something that no setting takes, as a person calls it.
    Other(&'static str),
}

impl Written {
    /// What a person calls such a value.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Untyped(_) | Self::Text(_) => "text",
            Self::Integer(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

impl From<&DeValue<'_>> for Written {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string().into()),
            DeValue::Integer(digits) if digits.radix() == 10 => Self::Integer(digits.as_str().to_owned()),
            DeValue::Integer(_) => Self::Other("a number in another base"),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map_or(Self::Other("a list of other things than text"), Self::List)
            }
            DeValue::Float(_) => Self::Other("a number with a fraction"),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Table(_) => Self::Other("a table"),
        }
    }
}

/// Reads every value of the file, and all that keeps it from being read.
#[must_use]
pub fn read(path: &Path) -> (Vec<Entry>, Vec<Problem>) {
    let blame = |line: Option<usize>, what: String| {
        let source = Source::File(path.to_owned(), line);
        Problem { key: PROBLEM_KEY.to_owned(), source, what }
    };
    let text = match read_capped(path) {
        Ok(text) => text,
        Err(what) => return (Vec::new(), vec![blame(None, what)]),
    };
    let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let (table, errors) = DeTable::parse_recoverable(&text);
    let problems = errors.iter().map(|error| blame(error.span().map(|span| line(span.start)), NOT_TOML.to_owned()));
    let mut entries = Vec::new();
    flatten("", table.get_ref(), &mut |key, written, offset| {
        entries.push(Entry { key, written, source: Source::File(path.to_owned(), Some(line(offset))) });
    });
    (entries, problems.collect())
}

/// Hands each value that is no table to `keep`, with its full key and its offset in bytes.
fn flatten(section: &str, table: &DeTable<'_>, keep: &mut dyn FnMut(String, Written, usize)) {
    for (name, value) in table {
        let dot = if section.is_empty() { "" } else { "." };
        // A dot inside a quoted name is not one between names: it must not pass for another setting.
        let name_text = name.get_ref();
        let key = if name_text.contains('.') {
            format!("{section}{dot}\"{name_text}\"")
        } else {
            format!("{section}{dot}{name_text}")
        };
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&key, inner, keep);
        } else {
            keep(key, Written::from(value.get_ref()), name.span().start);
        }
    }
}

/// Reads a text file of at most 1 MiB.
pub(super) fn read_capped(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(path).and_then(|file| {
        // Growing would leave copies behind that nobody wipes.
        text.reserve(usize::try_from(file.metadata()?.len().min(MAX_BYTES)).unwrap_or_default() + 1);
        file.take(MAX_BYTES + 1).read_to_string(&mut text)
    });
    match read {
        Ok(bytes) if bytes as u64 > MAX_BYTES => Err("is larger than 1 MiB; is the path right?".to_owned()),
        Ok(_) => Ok(text),
        Err(error) => Err(format!("can't be read: {error}; is the path right?")),
    }
}
