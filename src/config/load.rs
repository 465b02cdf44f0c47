//! What do the settings that were found mean, and what is wrong with them?

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{self, Written};
use super::layers::{Found, Layers};
use super::problem::{ConfigError, Problem, Source};
use super::secret::Secret;
use super::settings::{self, Setting};
use super::watched::WatchedFiles;

/// Reads typed values out of what was found, and gathers every problem on the way.
pub struct Reader {
    found: BTreeMap<&'static str, Found>,
    /// Length of each secret that was read, under the key that gave it.
    secret_bytes: BTreeMap<&'static str, usize>,
    /// Files that were read besides the settings file.
    pub files: WatchedFiles,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    /// What a person should know and may leave as it is.
    pub warnings: Vec<Problem>,
}

impl Reader {
    /// Takes what file and environment say; see [`Layers::read`].
    pub fn new(file: Option<&Path>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let Layers { found, problems, warnings } = Layers::read(file, environment);
        Self { found, secret_bytes: BTreeMap::new(), files: WatchedFiles::default(), problems, warnings }
    }

    /// What was made of it.
    ///
    /// # Errors
    /// All that was wrong.
    pub fn finish<T>(self, read: T) -> Result<T, ConfigError> {
        let Self { problems, files, .. } = self;
        if problems.is_empty() { Ok(read) } else { Err(ConfigError { problems, files }) }
    }

    /// Notes a problem with the value of `key`, wherever it stands.
    pub fn reject(&mut self, key: &'static str, what: impl Into<String>) {
        let source = self.source(key);
        self.problems.push(Problem { key: key.to_owned(), source, what: what.into() });
    }

    /// Notes what a person should know about the value of `key`.
    pub fn warn(&mut self, key: &'static str, what: impl Into<String>) {
        let source = self.source(key);
        self.warnings.push(Problem { key: key.to_owned(), source, what: what.into() });
    }

    /// Which of the two keys a secret came out of.
    #[must_use]
    pub fn read_from(&self, keys: [&'static str; 2]) -> Option<&'static str> {
        keys.into_iter().find(|key| self.secret_bytes.contains_key(key))
    }

    /// Whether anybody set `key`, or it has a default.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.found.contains_key(key)
    }

    /// Whether anybody set a secret, or names a file that holds it.
    #[must_use]
    pub fn has_secret(&self, keys: [&str; 2]) -> bool {
        keys.into_iter().any(|key| self.has(key))
    }

    /// Where the value of `key` stands.
    #[must_use]
    pub fn source(&self, key: &str) -> Source {
        self.found.get(key).map_or(Source::Missing, |found| found.source.clone())
    }

    /// Reads text and lets `parse` make sense of it; nothing when unset or wrong.
    pub fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let result = match &self.found.get(key)?.written {
            Written::Untyped(text) | Written::Text(text) if text.is_empty() => {
                Err("is empty; give a value, or drop the setting".to_owned())
            }
            Written::Untyped(text) | Written::Text(text) => parse(text),
            other @ (Written::Integer(_) | Written::Flag(_) | Written::List(_) | Written::Other(_)) => {
                Err(format!("is {} and needs text in quotes{}", other.kind(), example(key)))
            }
        };
        result.map_err(|what| self.reject(key, what)).ok()
    }

    /// Reads a whole number within `range`; the range's start when it is wrong.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<usize>) -> usize {
        let digits = match self.found.get(key).map(|found| &found.written) {
            Some(Written::Untyped(text)) => Some(text.as_str()),
            Some(Written::Integer(text)) => Some(text.as_str()),
            Some(Written::Text(_) | Written::Flag(_) | Written::List(_) | Written::Other(_)) | None => None,
        };
        let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            self.reject(key, format!("needs a whole number from {} to {}, without quotes", range.start(), range.end()));
            *range.start()
        })
    }

    /// Reads `true` or `false`; false when it is wrong.
    pub fn flag(&mut self, key: &'static str) -> bool {
        let flag = match self.found.get(key).map(|found| &found.written) {
            Some(Written::Flag(flag)) => Some(*flag),
            Some(Written::Untyped(text)) => text.parse().ok(),
            Some(Written::Text(_) | Written::Integer(_) | Written::List(_) | Written::Other(_)) | None => None,
        };
        flag.unwrap_or_else(|| {
            self.reject(key, "needs true or false, without quotes");
            false
        })
    }

    /// Reads a duration as people write it (`90s`, `5m`) within `range`; nothing when unset or wrong.
    pub fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let show = humantime::format_duration;
        let needs =
            format!("needs a time from {} to {}, with its unit: 90s, 5m", show(*range.start()), show(*range.end()));
        self.parsed(key, |text| {
            humantime::parse_duration(text).ok().filter(|duration| range.contains(duration)).ok_or(needs)
        })
    }

    /// Reads a duration without a fraction of a second: what claims are measured in.
    pub fn seconds(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.duration(key, range)?;
        if duration.subsec_nanos() != 0 {
            self.reject(key, "needs whole seconds, which is what claims are measured in");
        }
        Some(duration)
    }

    /// Reads a list of texts, comma-separated in the environment; empty when unset or wrong.
    pub fn list(&mut self, key: &'static str) -> Vec<String> {
        let items = match self.found.get(key).map(|found| &found.written) {
            None => return Vec::new(),
            Some(Written::Untyped(text)) => Some(text.split(',').map(|item| item.trim().to_owned()).collect()),
            Some(Written::List(items)) => Some(items.clone()),
            Some(Written::Text(_) | Written::Integer(_) | Written::Flag(_) | Written::Other(_)) => None,
        };
        let items = items.filter(|items: &Vec<String>| !items.is_empty() && items.iter().all(|item| !item.is_empty()));
        items.unwrap_or_else(|| {
            self.reject(key, "needs a list of texts, none empty: [\"a\", \"b\"], or a,b in the environment");
            Vec::new()
        })
    }

    /// Reads a secret from `key`, or from the file that `file_key` names; both is an error.
    pub fn secret(&mut self, [key, file_key]: [&'static str; 2]) -> Option<Secret> {
        if self.has(key) && self.has(file_key) {
            let other = self.source(file_key);
            self.reject(key, format!("is set and so is {file_key} ({other}); keep one of the two"));
            return None;
        }
        let secret = match self.found.get(key).map(|found| &found.written) {
            Some(Written::Untyped(text) | Written::Text(text)) => Some(Secret::new(text.as_bytes().to_vec())),
            Some(other @ (Written::Integer(_) | Written::Flag(_) | Written::List(_) | Written::Other(_))) => {
                let what = format!("is {} and needs text in quotes", other.kind());
                self.reject(key, what);
                None
            }
            None => {
                let path = self.path(file_key)?;
                let secret = Secret::from_file(&path);
                let told = |error| {
                    format!("names a file that can't be read: {error}; is it mounted, and may this user read it?")
                };
                secret.map_err(|error| self.reject(file_key, told(error))).ok()
            }
        }?;
        self.secret_bytes.insert(if self.has(key) { key } else { file_key }, secret.bytes().len());
        Some(secret)
    }

    /// Reads a secret that must be there; an empty one when it is not, or is wrong. `otherwise` says what
    /// else a person could do about a missing one.
    pub fn required_secret(&mut self, [key, file_key]: [&'static str; 2], otherwise: &str) -> Secret {
        if !self.has_secret([key, file_key]) {
            let what = format!("is needed; give it, or in {file_key} the path of a file that holds it{otherwise}");
            self.reject(key, what);
        }
        self.secret([key, file_key]).unwrap_or_else(|| Secret::new(Vec::new()))
    }

    /// Reads the file that `key` names; nothing when unset or unreadable.
    pub fn file(&mut self, key: &'static str) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        let text = file::read_capped(&path);
        text.map(|text| text.as_bytes().to_vec())
            .map_err(|what| self.reject(key, format!("names a file that {what}")))
            .ok()
    }

    /// Reads a path, and notes that the settings hang on what the file holds.
    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.parsed(key, |path| Ok(PathBuf::from(path)))?;
        self.files.add(path.clone());
        Some(path)
    }

    /// The value of `key` as a person may see it: a secret as its length.
    #[must_use]
    pub fn shown(&self, setting: &Setting) -> String {
        let bytes = self.secret_bytes.get(setting.key);
        match self.found.get(setting.key).map(|found| &found.written) {
            None => "not set".to_owned(),
            // Nobody has judged what may well be a secret in the wrong place.
            Some(_) if !setting.is_of_service() => "set".to_owned(),
            Some(_) if setting.is_secret() => bytes.map_or("not shown".to_owned(), |bytes| format!("{bytes} bytes")),
            Some(Written::Untyped(text) | Written::Text(text)) => {
                bytes.map_or_else(|| text.to_string(), |bytes| format!("{} ({bytes} bytes)", text.as_str()))
            }
            Some(Written::Integer(text)) => text.clone(),
            Some(Written::Flag(flag)) => flag.to_string(),
            Some(Written::List(items)) => items.join(","),
            Some(Written::Other(kind)) => (*kind).to_owned(),
        }
    }
}

/// How the value of `key` looks when it is right, where there is a default to show.
fn example(key: &str) -> String {
    let default = settings::find(key).and_then(|setting| setting.default);
    default.map_or(String::new(), |default| format!(", as in \"{default}\""))
}
