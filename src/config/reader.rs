//! Merges defaults, file and environment, reads settings from them, and collects what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::{self, Display};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

use crate::http_client;

use super::Variables;
use super::files::{WatchedFiles, access_by_others, read_text};
use super::secret::{MIN_BYTES, Secret, Weakness};
use super::settings::{self, FILE_VARIABLE, Kind, LOGINS, PORT_VARIABLE, PREFIX, SETTINGS, Setting};

/// The key of problems with the settings file itself.
pub(crate) const FILE_KEY: &str = "config file";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The table of settings.
    Default,
    /// A file, and the line if known.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// Nowhere: it is not set.
    Missing,
}

/// One problem with the settings, without the value: it may be a secret in the wrong place. Only the names in
/// `messaging.verified_types` are quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's key.
    pub key: String,
    /// Where the value comes from.
    pub source: Source,
    /// What is wrong, and the fix.
    pub what: String,
}

/// All problems with the settings, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
    /// The files that were read; a change of one may be the fix.
    pub files: WatchedFiles,
}

/// One setting as it is in effect.
#[derive(Debug)]
pub struct Effective {
    /// Its key.
    pub key: String,
    /// Its value, or a secret's length.
    pub value: String,
    /// Where the value comes from.
    pub source: Source,
}

/// Reads typed values and collects every problem. A value that is wrong or missing is replaced by a default.
#[derive(Default, Clone)]
pub(crate) struct Reader {
    values: BTreeMap<String, Value>,
    /// The secrets that were read, in that order, each with the key that gave it.
    pub(crate) secrets: Vec<(String, Secret)>,
    file: Option<PathBuf>,
    /// Files that were read besides the settings file.
    pub(super) files: WatchedFiles,
    problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// A value as written: one text, or those of a list; no text if the file has another type there than the setting.
/// Texts are wiped on drop, since any may hold a secret; the parser's own copies are not.
#[derive(Clone)]
struct Value {
    source: Source,
    texts: Zeroizing<Vec<String>>,
}

/// Merging: the environment replaces the file; defaults fill what neither sets.
impl Reader {
    /// Merges the settings. The file is `file`, else the one that `ZENDESK_TOKEN_CONFIG` names, else none. It is read once,
    /// since it may be a pipe: a command that needs several parts of the settings reads them from clones.
    pub(crate) fn merge(file: Option<&Path>, environment: &Variables) -> Self {
        let mut merged = Self::default();
        let named = environment.get(OsStr::new(FILE_VARIABLE)).filter(|path| !path.is_empty());
        if let Some(path) = file.or(named.map(Path::new)) {
            merged.file = Some(path.to_owned());
            merged.read_settings_file(path);
        }
        for (name, value) in environment {
            if let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) {
                merged.read_variable(name, value);
            }
        }
        for (key, setting) in merged.settings() {
            if let Some(default) = setting.default.filter(|_| !merged.has(&key)) {
                merged.set(&key, default, Source::Default);
            }
        }
        if let Some(port) = environment.get(OsStr::new(PORT_VARIABLE))
            && merged.source("listen") == Source::Default
        {
            merged.read_port(port);
        }
        merged
    }

    fn read_settings_file(&mut self, path: &Path) {
        let source = |line| Source::File(path.to_owned(), line);
        let text = match read_text(path) {
            Ok(text) => text,
            Err(what) => return self.problems.push(Problem::new(FILE_KEY, source(None), what)),
        };
        let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            // The library's messages are left out: they may quote the text, which may be a secret.
            let what = "is not TOML here, or sets a key twice; text goes in quotes";
            self.problems.push(Problem::new(FILE_KEY, source(error.span().map(|span| line(span.start))), what));
        }
        flatten("", table.get_ref(), &mut |key, value, offset| {
            let source = source(Some(line(offset)));
            let key = settings::with_login_name(key, str::to_ascii_lowercase);
            let Some(setting) = settings::find(&key) else { return self.problems.push(unknown(&key, source)) };
            if self.values.insert(key.clone(), Value::of_file(setting, value, source)).is_some() {
                self.reject(&key, "is set twice, since names of logins differ only in case; rename one of the two");
            }
        });
    }

    /// Warns of unknown variables only if they have two underscores in a row, as settings have, or if that is all that they
    /// lack: Kubernetes sets variables of its own with any prefix, but none with two.
    fn read_variable(&mut self, name: &str, value: &OsStr) {
        let source = Source::Variable(name.to_owned());
        let key = settings::key_of_variable(name);
        let is_setting = settings::find(&key).is_some() && settings::variable(&key) == name;
        match value.to_str() {
            Some(text) if is_setting => self.set(&key, text, source),
            None if is_setting => {
                self.problems.push(Problem::new(&key, source, "is not UTF-8; give it in a file instead"));
            }
            _ if name.contains("__") => self.warnings.push(unknown(&key, source)),
            _ => {
                if let Some(key) = settings::key_of_single_underscores(name) {
                    let what = format!("is not read from this variable; did you mean {}?", settings::variable(key));
                    self.warnings.push(Problem::new(key, source, what));
                }
            }
        }
    }

    fn read_port(&mut self, port: &OsStr) {
        let source = Source::Variable(PORT_VARIABLE.to_owned());
        let address = port.to_str().map(|port| format!("0.0.0.0:{port}"));
        if let Some(address) = address.filter(|text| text.parse().is_ok_and(|address: SocketAddr| address.port() != 0))
        {
            self.values.insert("listen".to_owned(), Value { source, texts: vec![address].into() });
        } else {
            let what = "is not a port number; give one from 1 to 65535, or set listen";
            self.problems.push(Problem::new("listen", source, what));
        }
    }

    /// Sets a text of the environment, or a default.
    fn set(&mut self, key: &str, text: &str, source: Source) {
        let is_list = settings::find(key).is_some_and(|setting| matches!(setting.kind, Kind::List));
        let items = || text.split(',').map(|item| item.trim().to_owned()).collect();
        let texts: Vec<String> = if is_list { items() } else { vec![text.to_owned()] };
        self.values.insert(key.to_owned(), Value { source, texts: texts.into() });
    }
}

/// Reading and reporting.
impl Reader {
    /// Calls `read`.
    ///
    /// # Errors
    /// The problems with the settings file, and those that `is_own` selects for the command.
    pub(crate) fn load<T>(
        mut self,
        read: impl FnOnce(&mut Self) -> T,
        is_own: impl Fn(&Problem) -> bool,
    ) -> Result<T, ConfigError> {
        let misspelled = self.warnings.clone();
        let settings = read(&mut self);
        self.into_result(misspelled, &is_own).map(|()| settings)
    }

    /// The problems to report, if there are any: those with the settings file, and those that `is_own` selects.
    fn into_result(self, misspelled: Vec<Problem>, is_own: &dyn Fn(&Problem) -> bool) -> Result<(), ConfigError> {
        let Self { mut problems, files, .. } = self;
        let is_of_file = |problem: &Problem| problem.key == FILE_KEY;
        // A broken file was read in part: only what is wrong in the environment is certain then.
        let is_broken = problems.iter().any(is_of_file);
        let is_certain = |problem: &Problem| !is_broken || matches!(problem.source, Source::Variable(_));
        problems.retain(|problem| is_of_file(problem) || is_certain(problem) && is_own(problem));
        if problems.is_empty() {
            return Ok(());
        }
        // A variable that is not a setting is often the reason why another one is missing.
        problems.extend(misspelled);
        Err(ConfigError { problems, files })
    }

    /// The names of further logins of which a setting is set.
    pub(super) fn logins(&self) -> BTreeSet<String> {
        self.values.keys().filter_map(|key| Some(settings::named_login(key)?.0.to_owned())).collect()
    }

    /// Every setting with its key, those of further logins last.
    fn settings(&self) -> Vec<(String, &'static Setting)> {
        let all = SETTINGS.iter().map(|setting| (setting.key.to_owned(), setting));
        all.chain(self.logins().iter().flat_map(|login| settings::of_login(login))).collect()
    }

    /// Whether `key` is set or has a default.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Whether `key` is set, and not by default.
    pub(super) fn is_set(&self, key: &str) -> bool {
        !matches!(self.source(key), Source::Default | Source::Missing)
    }

    /// Whether any of these keys is set, and not by default. `PORT` does not count: it may be meant for another program.
    #[cfg(feature = "desk")]
    pub(crate) fn has_any(&self, is_one: impl Fn(&str) -> bool) -> bool {
        let is_port = |key: &str| self.source(key) == Source::Variable(PORT_VARIABLE.to_owned());
        self.values.keys().any(|key| is_one(key) && self.is_set(key) && !is_port(key))
    }

    /// What is wrong so far.
    #[cfg(feature = "desk")]
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::Missing, |value| value.source.clone())
    }

    /// Reads the value of `key`; `None` when it is unset or wrong.
    pub(crate) fn get<T: FromStr>(&mut self, key: &str) -> Option<T> {
        self.list(key).first()?.parse().ok()
    }

    /// The same, with the default of its type when it is unset or wrong.
    pub(crate) fn value<T: FromStr + Default>(&mut self, key: &str) -> T {
        self.get(key).unwrap_or_default()
    }

    pub(super) fn get_time(&mut self, key: &str) -> Option<Duration> {
        self.get::<humantime::Duration>(key).map(Into::into)
    }

    pub(super) fn time(&mut self, key: &str) -> Duration {
        self.get_time(key).unwrap_or_default()
    }

    /// Reads an address; a free port of loopback when it is unset or wrong.
    pub(crate) fn address(&mut self, key: &str) -> SocketAddr {
        self.get(key).unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Reads a list of texts; empty when it is unset or wrong.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let texts = self.texts(key).unwrap_or(Ok(&[])).map(<[String]>::to_vec);
        texts.map_err(|what| self.reject(key, what)).unwrap_or_default()
    }

    /// Reads a list and parses its entries; entries that are wrong are left out.
    pub(super) fn entries<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, &'static str>) -> Vec<T> {
        let parsed = self.list(key).into_iter().enumerate().map(|(index, text)| {
            parse(&text).map_err(|what| self.reject(key, format!("entry {} {what}", index + 1))).ok()
        });
        parsed.flatten().collect()
    }

    /// Reads the text file that `key` names; `None` when it is unset or unreadable.
    pub(crate) fn file(&mut self, key: &str) -> Option<Vec<u8>> {
        let path: PathBuf = self.get(key)?;
        self.files.add(path.clone());
        let text = read_text(&path).map_err(|what| self.reject(key, format!("names a file that {what}"))).ok()?;
        Some(text.as_bytes().to_vec())
    }

    /// Reads the CA certificates in the file that `key` names; `None` when it is unset or wrong.
    pub(crate) fn ca_bundle(&mut self, key: &str) -> Option<Vec<u8>> {
        let pem = self.file(key)?;
        if http_client::client(Some(&pem), Duration::ZERO).is_err() {
            self.reject(key, "is not a certificate in PEM; give those of the certificate authorities");
            return None;
        }
        Some(pem)
    }

    /// Reads a secret from `key`, or from the file that the setting with `_file` after its key names; both is an error.
    pub(crate) fn secret(&mut self, key: &str) -> Option<Secret> {
        let file_key = &settings::file_key(key);
        if self.has_both(key, file_key) {
            return None;
        }
        let from = [key, file_key].into_iter().find(|key| self.has(key))?;
        let secret = self.read_secret(from).map_err(|what| self.reject(from, what)).ok()?;
        self.secrets.push((from.to_owned(), secret.clone()));
        Some(secret)
    }

    /// Reads a secret that must be set; an empty one when it is unset or wrong. `since` says why it is needed.
    pub(crate) fn required_secret(&mut self, key: &str, since: &str) -> Secret {
        let file_key = settings::file_key(key);
        if !self.has(key) && !self.has(&file_key) {
            self.reject(key, format!("is needed{since}; give it, or in {file_key} the path of a file that holds it"));
        }
        self.secret(key).unwrap_or_default()
    }

    /// The secret in `key`, or in the file that `key` names.
    fn read_secret(&mut self, key: &str) -> Result<Secret, String> {
        let [text] = self.texts(key).unwrap_or(Ok(&[]))? else { return Ok(Secret::default()) };
        if settings::find(key).is_some_and(Setting::is_secret) {
            return Secret::from_text(text);
        }
        let path = PathBuf::from(text);
        self.files.add(path.clone());
        Secret::from_file(&path).map_err(|what| format!("names a file that {what}"))
    }

    /// The texts of a value, or what is wrong with it; `None` if it is not set.
    fn texts(&self, key: &str) -> Option<Result<&[String], String>> {
        let (setting, value) = settings::find(key).zip(self.values.get(key))?;
        Some(setting.check(&value.texts).map(|()| value.texts.as_slice()))
    }

    /// Whether two settings that exclude each other are both set; adds a problem if they are.
    pub(crate) fn has_both(&mut self, key: &str, other: &str) -> bool {
        let has_both = self.has(key) && self.has(other);
        if has_both {
            self.reject(key, format!("is set and so is {other} ({}); keep one of the two", self.source(other)));
        }
        has_both
    }

    /// Adds a problem if `key` is set without the setting that it needs.
    pub(super) fn reject_alone(&mut self, key: &str, needed: &str) {
        if self.has(key) && !self.has(needed) {
            self.reject(key, format!("has no effect without {needed}; set that too, or drop this"));
        }
    }

    /// Adds a problem with the value of `key`.
    pub(crate) fn reject(&mut self, key: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(key, self.source(key), what));
    }

    /// Adds a warning about the value of `key`.
    pub(super) fn warn(&mut self, key: &str, what: impl Into<String>) {
        self.warnings.push(Problem::new(key, self.source(key), what));
    }

    /// Every setting with its value, for a report; of secrets the length. Of further logins only those that are set.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let row = |(key, setting): (String, &Setting)| {
            let mut value = match self.values.get(&key) {
                None => "not set".to_owned(),
                // Nothing has checked those of commands: one may be a secret in the wrong place.
                Some(_) if setting.is_secret() || !setting.is_of_service() => "set".to_owned(),
                Some(value) => value.texts.join(","),
            };
            if let Some((_, secret)) = self.secrets.iter().find(|(from, _)| *from == key) {
                value = format!("{value} ({} bytes)", secret.bytes().len());
            }
            Effective { source: self.source(&key), key, value }
        };
        let settings = self.settings().into_iter();
        settings.filter(|(key, _)| !key.starts_with(LOGINS) || self.is_set(key)).map(row).collect()
    }
}

/// Checks of secrets and files.
impl Reader {
    /// Checks each secret that was read, alone and against the others.
    ///
    /// If two places have the same secret, one of them is misplaced, and one side could sign for the other.
    pub(super) fn check_secrets(&mut self) {
        let allow_weak = self.value("allow_weak_secrets");
        let secrets = mem::take(&mut self.secrets);
        for (index, (key, secret)) in secrets.iter().enumerate() {
            let length = secret.bytes().len();
            match secret.weakness() {
                Some(Weakness { text, may_be_allowed: true }) if allow_weak => {
                    self.warn(key, format!("WEAK SECRET: it has {length} bytes and {text}"));
                }
                Some(Weakness { text, may_be_allowed: true }) => {
                    let otherwise = "or set allow_weak_secrets = true if the other side chose it";
                    self.reject(key, format!("has {length} bytes and {text}, {otherwise}"));
                }
                Some(Weakness { text, .. }) => self.reject(key, *text),
                None => {}
            }
            if secret.is_odd() {
                let what = "has white space, quotes or characters that no generator of secrets makes, and they count as \
                            part of it; copy it again, unless that is intended";
                self.warn(key, what);
            }
            if let Some((other, _)) = secrets.iter().take(index).find(|(_, other)| other.is_same(secret)) {
                let what = format!("is the same secret as {other}; each has its own, so one of the two is misplaced");
                self.reject(key, what);
            }
        }
        self.secrets = secrets;
    }

    /// Refuses every other setting that has the value of a secret or contains it: such values are logged or published,
    /// as `messaging.key_id` is in each token. A secret that is the default of a setting is refused itself. Secrets that
    /// the command does not use count too.
    pub(crate) fn refuse_shown_secrets(&mut self) {
        let settings = self.settings();
        for (from, _) in settings.iter().filter(|(_, row)| matches!(row.kind, Kind::Secret | Kind::SecretFile)) {
            let Some(secret) = self.any_secret(from) else { continue };
            for (key, _) in settings.iter().filter(|(_, row)| !row.is_secret()) {
                let Some(Value { source, texts }) = self.values.get(key) else { continue };
                let whole = Zeroizing::new(texts.join(","));
                if !secret.is_shown_by(&whole) && !texts.iter().any(|text| secret.is_shown_by(text)) {
                    continue;
                }
                if *source == Source::Default {
                    let what = "which everybody knows; give the secret itself";
                    self.reject(from, format!("is the default of {key}, {what}"));
                    break;
                }
                let source = self.source(from);
                let what = "which must stay secret; one of the two is misplaced";
                self.reject(key, format!("has the value of {from} ({source}), {what}"));
            }
        }
    }

    /// The secret in a setting or its file, even if the command has not read it.
    fn any_secret(&mut self, key: &str) -> Option<Secret> {
        if let Some((_, secret)) = self.secrets.iter().find(|(from, _)| from == key) {
            return Some(secret.clone());
        }
        let [text] = self.texts(key)?.ok()? else { return None };
        // Opening a pipe would wait for its writer.
        let may_be_read = settings::find(key).is_some_and(Setting::is_secret) || Path::new(text).is_file();
        may_be_read.then(|| self.read_secret(key).ok())?
    }

    /// Warns of each file that all users can change, or read though it holds a secret: the settings file and those that
    /// settings name.
    pub(crate) fn warn_of_open_files(&mut self) {
        let settings = self.settings();
        let is_in_file = |key: &str| matches!(self.source(key), Source::File(..));
        let holds_secret = settings.iter().any(|(key, setting)| setting.is_secret() && is_in_file(key));
        let settings_file = self.file.iter().map(|path| {
            let source = Source::File(path.clone(), None);
            (FILE_KEY, source, path.as_path(), holds_secret)
        });
        let named = settings.iter().filter_map(|(key, setting)| {
            let holds_secret = matches!(setting.kind, Kind::SecretFile);
            let is_file = holds_secret || matches!(setting.kind, Kind::PublicFile);
            let path = self.texts(key).filter(|_| is_file)?.ok()?.first()?;
            Some((key.as_str(), self.source(key), Path::new(path), holds_secret))
        });
        let open = settings_file.chain(named).filter_map(|(key, source, path, holds_secret)| {
            access_by_others(path, holds_secret).map(|what| Problem::new(key, source, what))
        });
        let open: Vec<Problem> = open.collect();
        self.warnings.extend(open);
    }
}

impl Value {
    fn of_file(setting: &Setting, value: &DeValue<'_>, source: Source) -> Self {
        let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
        let texts = match (setting.kind, value) {
            (Kind::Flag, DeValue::Boolean(flag)) => Some(vec![flag.to_string()]),
            (Kind::Number(..), DeValue::Integer(digits)) => {
                (digits.radix() == 10).then(|| vec![digits.as_str().to_owned()])
            }
            (Kind::List, DeValue::Array(items)) => items.iter().map(|item| text(item.get_ref())).collect(),
            (Kind::Date, DeValue::Datetime(date)) => Some(vec![date.to_string()]),
            (Kind::Flag | Kind::Number(..) | Kind::List, _) => None,
            _ => text(value).map(|text| vec![text]),
        };
        Self { source, texts: texts.unwrap_or_default().into() }
    }
}

impl Problem {
    fn new(key: &str, source: Source, what: impl Into<String>) -> Self {
        Self { key: key.to_owned(), source, what: what.into() }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "{name}"),
            Self::Missing => write!(f, "not set"),
        }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, source, what } = self;
        match settings::find(key).filter(|_| *source == Source::Missing) {
            Some(_) => write!(f, "{key} ({}, {source}): {what}", settings::variable(key)),
            None => write!(f, "{key} ({source}): {what}"),
        }
    }
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

/// The problem that a key of the file, or that of a variable, is not a setting. The name is not shown if it may be a
/// secret in a name's place, which has [`MIN_BYTES`] or more.
fn unknown(key: &str, source: Source) -> Problem {
    let fix = match settings::nearest(key) {
        _ if key == "proxy.header" => "drop it: X-Forwarded-For is what is read".to_owned(),
        _ if settings::named_login(key).is_some_and(|(name, _)| !settings::is_login_name(name)) => {
            "the name of a login has letters, digits and '-', at most 32, and is not default, which is [login]"
                .to_owned()
        }
        _ if settings::is_shared_by_logins(key) => "set it in [login], for all logins".to_owned(),
        Some(near) if matches!(source, Source::Variable(_)) => format!("did you mean {}?", settings::variable(&near)),
        Some(near) => format!("did you mean {near}?"),
        None => "drop it".to_owned(),
    };
    let what = format!("is not a setting; {fix}");
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'"');
    let may_be_shown = |part: &str| part.len() < MIN_BYTES && part.bytes().all(is_right);
    if key.split('.').all(may_be_shown) {
        return Problem::new(key, source, what);
    }
    let is_variable = matches!(source, Source::Variable(_));
    let source = if is_variable { Source::Variable("a variable".to_owned()) } else { source };
    Problem::new("a key", source, what)
}
