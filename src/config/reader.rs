//! Merges defaults, file and environment, reads settings from them, and collects what is wrong.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Problem, Source};
use super::secret::{self, MIN_BYTES, Secret, TOO_LARGE, without_bom};
use super::settings::{self, FILE_VARIABLE, PORT_VARIABLE, PREFIX, SETTINGS, Setting};
use super::value::Value;
use super::watched::WatchedFiles;
use super::{Effective, Variables};

/// Most bytes read from a settings file, or from a file that a setting names.
const MAX_BYTES: u64 = 1 << 20;

/// The key of problems with the settings file itself.
pub(crate) const FILE_KEY: &str = "config file";

/// Reads typed values and collects every problem. A value that is wrong or missing is replaced by a default, and
/// [`Reader::finish`] reports the problems.
#[derive(Default)]
pub(crate) struct Reader {
    pub(super) values: BTreeMap<&'static str, Value>,
    /// The secrets that were read, in that order, each with the key that gave it.
    pub(crate) secrets: Vec<(&'static str, Secret)>,
    /// Files that were read besides the settings file.
    pub(super) files: WatchedFiles,
    problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// Merging.
impl Reader {
    /// Merges defaults, file and environment, later ones winning.
    ///
    /// The file is `file`, else the one that `ZENDESK_TOKEN_CONFIG` names, else none.
    pub(super) fn new(file: Option<&Path>, environment: impl Variables) -> Self {
        let mut reader = Self::default();
        let default = |setting: &Setting| Some((setting.key, Value::new(setting.default?, Source::Default)));
        reader.values.extend(SETTINGS.iter().filter_map(default));
        let environment: BTreeMap<OsString, OsString> = environment.into_iter().collect();
        let named = environment.get(OsStr::new(FILE_VARIABLE)).filter(|path| !path.is_empty());
        if let Some(file) = file.or(named.map(Path::new)) {
            reader.read_file(file);
        }
        for (name, value) in &environment {
            if let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) {
                reader.read_variable(name, value);
            }
        }
        if let Some(port) = environment.get(OsStr::new(PORT_VARIABLE))
            && reader.source("listen") == Source::Default
        {
            reader.read_port(port);
        }
        reader
    }

    fn read_file(&mut self, path: &Path) {
        let source = |line| Source::File(path.to_owned(), line);
        let text = match read_capped(path) {
            Ok(text) => text,
            Err(what) => return self.add(FILE_KEY, source(None), what),
        };
        let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            // The library's messages are left out: they may quote the text, which may be a secret.
            let what = "is not TOML here, or sets a key twice; text goes in quotes";
            self.add(FILE_KEY, source(error.span().map(|span| line(span.start))), what);
        }
        flatten("", table.get_ref(), &mut |key, value, offset| {
            let source = source(Some(line(offset)));
            match settings::find(&key) {
                Some(setting) => self.set(setting.key, Value::of_file(value, source)),
                None => self.add_unknown(&key, source),
            }
        });
        self.warn_of_open_settings(path);
    }

    fn add_unknown(&mut self, key: &str, source: Source) {
        let fix = match settings::nearest(&key.to_lowercase()) {
            _ if key == "proxy.header" => "drop it: X-Forwarded-For is what is read".to_owned(),
            Some(near) => format!("did you mean {}?", near.key),
            None => "drop it".to_owned(),
        };
        let key = if key.split('.').all(may_be_shown) { key } else { "a key" };
        self.add(key, source, format!("is not a setting; {fix}"));
    }

    /// Warns of unknown variables only if they have two underscores in a row, as settings have: Kubernetes sets variables
    /// of its own with any prefix, but none with two.
    fn read_variable(&mut self, name: &str, value: &OsStr) {
        let source = Source::Variable(name.to_owned());
        let setting = SETTINGS.iter().find(|setting| setting.variable() == name);
        match (setting, value.to_str()) {
            (Some(setting), Some(text)) => self.set(setting.key, Value::new(text, source)),
            (Some(setting), None) => self.add(setting.key, source, "is not UTF-8; give it in a file instead"),
            (None, _) if name.contains("__") => {
                let key = name.strip_prefix(PREFIX).unwrap_or(name);
                let name = if key.split("__").all(may_be_shown) { name } else { "a variable" };
                let near = settings::nearest(&key.replace("__", ".").to_lowercase());
                let fix = near.map_or("drop it".to_owned(), |near| format!("did you mean {}?", near.variable()));
                let source = Source::Variable(name.to_owned());
                self.warnings.push(problem("environment", source, format!("is not a setting; {fix}")));
            }
            (None, _) => {}
        }
    }

    fn set(&mut self, key: &'static str, value: Value) {
        self.values.insert(key, value);
    }

    fn read_port(&mut self, port: &OsStr) {
        let source = Source::Variable(PORT_VARIABLE.to_owned());
        let address = port.to_str().map(|port| format!("0.0.0.0:{port}"));
        match address.filter(|text| text.parse().is_ok_and(|address: SocketAddr| address.port() != 0)) {
            Some(address) => self.set("listen", Value::new(&address, source)),
            None => self.add("listen", source, "is not a port number; give one from 1 to 65535, or set listen"),
        }
    }
}

/// Reading and reporting.
impl Reader {
    /// Whether `key` is set or has a default.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Where the value of `key` comes from.
    pub(super) fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::Missing, |value| value.source.clone())
    }

    /// Reads the value of `key`, which its row of the table checks; `None` when it is unset or wrong.
    pub(crate) fn get<T: FromStr>(&mut self, key: &str) -> Option<T> {
        self.list(key).first()?.parse().ok()
    }

    /// The same, with the default of its type when it is unset or wrong.
    pub(crate) fn value<T: FromStr + Default>(&mut self, key: &str) -> T {
        self.get(key).unwrap_or_default()
    }

    /// Reads a duration; `None` when it is unset or wrong.
    pub(super) fn get_time(&mut self, key: &str) -> Option<Duration> {
        self.get::<humantime::Duration>(key).map(Into::into)
    }

    /// The same, with zero when it is unset or wrong.
    pub(super) fn time(&mut self, key: &str) -> Duration {
        self.get_time(key).unwrap_or_default()
    }

    /// Reads a list of texts, comma-separated in the environment; empty when it is unset or wrong.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let Some((setting, value)) = settings::find(key).zip(self.values.get(key)) else { return Vec::new() };
        let texts = value.checked(setting).map(|texts| texts.into_iter().map(str::to_owned).collect());
        texts.map_err(|what| self.reject(key, what)).unwrap_or_default()
    }

    /// Reads a list and parses its entries; entries that are wrong are left out.
    pub(super) fn entries<T, E: Display>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let parsed = self.list(key).into_iter().enumerate().map(|(index, text)| {
            parse(&text).map_err(|what| self.reject(key, format!("entry {} {what}", index + 1))).ok()
        });
        parsed.flatten().collect()
    }

    /// Reads the file that `key` names; `None` when it is unset or unreadable.
    pub(crate) fn file(&mut self, key: &str) -> Option<Vec<u8>> {
        let path: PathBuf = self.get(key)?;
        self.files.add(path.clone());
        let text = read_capped(&path).map_err(|what| self.reject(key, format!("names a file that {what}"))).ok()?;
        Some(text.as_bytes().to_vec())
    }

    /// Reads a secret from `key`, or from the file that the setting with `_file` after its key names; both is an error.
    pub(crate) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let file_key = settings::file_key(key);
        if self.has_both(key, file_key) {
            return None;
        }
        if let Some(Ok(path)) = self.path(file_key) {
            self.files.add(path.to_owned());
        }
        let (from, secret) = self.read_secret(key)?;
        let secret = secret.map_err(|what| self.reject(from, what)).ok()?;
        self.secrets.push((from, secret.clone()));
        Some(secret)
    }

    /// Reads a secret that must be set; an empty one when it is unset or wrong. `since` says why it is needed, and
    /// `otherwise` what else can be done.
    pub(crate) fn required_secret(&mut self, key: &'static str, since: &str, otherwise: &str) -> Secret {
        let file_key = settings::file_key(key);
        if !self.has(key) && !self.has(file_key) {
            let file = format!("in {file_key} the path of a file that holds it");
            self.reject(key, format!("is needed{since}; give it, or {file}{otherwise}"));
        }
        self.secret(key).unwrap_or_default()
    }

    /// Which of the two keys gives a secret, and the secret or what is wrong with it.
    pub(super) fn read_secret(&self, key: &'static str) -> Option<(&'static str, Result<Secret, String>)> {
        if let Some((setting, value)) = settings::find(key).zip(self.values.get(key)) {
            return Some((key, value.text(setting).and_then(inline_secret)));
        }
        let file_key = settings::file_key(key);
        let read = |path: &Path| Secret::from_file(path).map_err(|what| format!("names a file that {what}"));
        Some((file_key, self.path(file_key)?.and_then(read)))
    }

    /// The file that `key` names, or what is wrong with its path.
    pub(super) fn path(&self, key: &str) -> Option<Result<&Path, String>> {
        let (setting, value) = settings::find(key).zip(self.values.get(key))?;
        Some(value.checked(setting).map(|texts| Path::new(texts.first().copied().unwrap_or_default())))
    }

    /// Whether two settings that exclude each other are both set; adds a problem if they are.
    pub(crate) fn has_both(&mut self, key: &str, other: &str) -> bool {
        let has_both = self.has(key) && self.has(other);
        if has_both {
            self.reject(key, format!("is set and so is {other} ({}); keep one of the two", self.source(other)));
        }
        has_both
    }

    /// Adds a problem with the value of `key`.
    pub(crate) fn reject(&mut self, key: &str, what: impl Into<String>) {
        self.add(key, self.source(key), what);
    }

    fn add(&mut self, key: &str, source: Source, what: impl Into<String>) {
        self.problems.push(problem(key, source, what));
    }

    /// Adds a warning about the value of `key`.
    pub(super) fn warn(&mut self, key: &str, what: impl Into<String>) {
        self.warnings.push(problem(key, self.source(key), what));
    }

    /// Returns `read` if there is no problem with the settings file nor one that `is_own` selects for the command.
    ///
    /// # Errors
    /// Those problems.
    pub(super) fn finish<T>(self, read: T, is_own: impl Fn(&Problem) -> bool) -> Result<T, ConfigError> {
        let Self { mut problems, files, .. } = self;
        let is_of_file = |problem: &Problem| problem.key == FILE_KEY;
        // A broken file was read in part: only what is wrong in the environment is certain then.
        let is_broken = problems.iter().any(is_of_file);
        let is_certain = |problem: &Problem| !is_broken || matches!(problem.source, Source::Variable(_));
        problems.retain(|problem| is_of_file(problem) || is_certain(problem) && is_own(problem));
        if problems.is_empty() { Ok(read) } else { Err(ConfigError { problems, files }) }
    }

    /// Every setting with its value, for a report; of secrets the length.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let row = |setting: &Setting| {
            let value = self.values.get(setting.key).map_or("not set".to_owned(), |value| self.shown(setting, value));
            Effective { key: setting.key, value, source: self.source(setting.key) }
        };
        SETTINGS.iter().map(row).collect()
    }

    fn shown(&self, setting: &Setting, value: &Value) -> String {
        let secret = self.secrets.iter().find(|(from, _)| *from == setting.key);
        let bytes = secret.map(|(_, secret)| format!("{} bytes", secret.bytes().len()));
        match bytes {
            // Nothing has checked these values: one may be a secret in the wrong place.
            _ if !setting.is_of_service() => "set".to_owned(),
            _ if setting.is_secret() => bytes.unwrap_or("not shown".to_owned()),
            Some(bytes) => format!("{} ({bytes})", value.joined()),
            None => value.joined(),
        }
    }
}

pub(super) fn problem(key: &str, source: Source, what: impl Into<String>) -> Problem {
    Problem { key: key.to_owned(), source, what: what.into() }
}

/// Calls `keep` with each value that is not a table, its full key and its offset in bytes.
fn flatten(section: &str, table: &DeTable<'_>, keep: &mut dyn FnMut(String, &DeValue<'_>, usize)) {
    for (name, value) in table {
        let dot = if section.is_empty() { "" } else { "." };
        // A dot inside a quoted name does not separate names: it must not pass for another setting.
        let quote = if name.get_ref().contains('.') { "\"" } else { "" };
        let key = format!("{section}{dot}{quote}{}{quote}", name.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&key, inner, keep);
        } else {
            keep(key, value.get_ref(), name.span().start);
        }
    }
}

/// Whether a part of an unknown name may be shown. A secret in a name's place may not; it has [`MIN_BYTES`] or more.
fn may_be_shown(part: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'"');
    part.len() < MIN_BYTES && part.bytes().all(is_right)
}

fn inline_secret(text: &str) -> Result<Secret, String> {
    let bytes = without_bom(text.as_bytes());
    if bytes.len() > secret::MAX_BYTES { Err(TOO_LARGE.to_owned()) } else { Ok(Secret::new(bytes.to_vec())) }
}

/// Reads a text file of at most 1 MiB, without its byte order mark.
fn read_capped(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(path).and_then(|file| {
        // Growing would leave copies in memory that are never wiped.
        text.reserve(usize::try_from(file.metadata()?.len().min(MAX_BYTES)).unwrap_or_default() + 1);
        file.take(MAX_BYTES + 1).read_to_string(&mut text)
    });
    match read {
        Ok(count) if count as u64 > MAX_BYTES => Err("is larger than 1 MiB; is the path right?".to_owned()),
        Err(error) if error.kind() != ErrorKind::InvalidData => {
            Err(format!("can't be read: {error}; is the path right?"))
        }
        Ok(_) if !text.contains('\0') => {
            if text.starts_with('\u{feff}') {
                text.remove(0);
            }
            Ok(text)
        }
        _ => Err("is not UTF-8 text; if it is UTF-16, as PowerShell writes files, save it as UTF-8".to_owned()),
    }
}
