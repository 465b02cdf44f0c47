//! Reads settings from defaults, file and environment, later ones winning, and collects what is wrong with them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Problem, Source};
use super::secret::{self, MIN_BYTES, Secret, is_damage, without_bom};
use super::settings::{self, FILE_VARIABLE, LISTEN, PORT_VARIABLE, PREFIX, SETTINGS};
use super::watched::WatchedFiles;
use super::{Effective, Variables};

/// Most bytes read from a settings file, or from a file that a setting names.
const MAX_BYTES: u64 = 1 << 20;

/// The library's own words stay out of errors: they may quote the text, which may be a secret.
const NOT_TOML: &str = "is not TOML here, or names a key twice; text goes in quotes";

/// What is wrong with a text that `is_wrapped`.
const WRAPPED: &str = "has quotes, white space or an invisible character around it, or an invisible one inside; remove \
                       them (Docker keeps the quotes of an env file)";

/// What is wrong with a secret of more than [`secret::MAX_BYTES`].
const TOO_LARGE: &str = "is larger than 4 KiB; is it a secret?";

/// Permission bits of a file's mode, by which users who are neither its owner nor of its group write or read it. The
/// group's are left alone: Kubernetes' `fsGroup` sets them.
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_READ_OR_WRITE: u32 = 0o006;

/// What a problem with the file itself goes under, in place of a setting's key.
pub(super) const PROBLEM_KEY: &str = "config file";

/// Reads typed values, and collects every problem on the way: what is wrong is reported at the end, and a
/// stand-in is read in its place.
#[derive(Default)]
pub(super) struct Reader {
    /// The value that wins, under its key.
    found: BTreeMap<&'static str, (Written, Source)>,
    /// Each secret that was read, under the key that gave it.
    secrets: BTreeMap<&'static str, Secret>,
    /// Files that were read besides the settings file.
    pub(super) files: WatchedFiles,
    /// What is wrong so far.
    pub(super) problems: Vec<Problem>,
    /// What a person should know and may leave as it is.
    pub(super) warnings: Vec<Problem>,
}

/// A value as written. Text is wiped on drop, since any may hold a secret; the parser's own copies are not.
enum Written {
    /// In the environment or the table of defaults, where the key decides the type.
    Untyped(Zeroizing<String>),
    /// In quotes, in the file.
    Text(Zeroizing<String>),
    /// A whole number in base ten, in the file.
    Number(Zeroizing<String>),
    /// `true` or `false`, in the file.
    Flag(Zeroizing<String>),
    /// A list of texts, in the file.
    List(Vec<String>),
    /// Something that no setting takes, as a person calls it.
    Other(&'static str),
}

impl Reader {
    /// Lays defaults, file and environment over each other.
    ///
    /// The file is `file`, else the one that `ZENDESK_TOKEN_CONFIG` names, else none.
    pub(super) fn new(file: Option<&Path>, environment: impl Variables) -> Self {
        let mut reader = Self::default();
        for setting in SETTINGS {
            if let Some(text) = setting.default {
                reader.assume(setting.key, text.to_owned());
            }
        }
        let mut environment: BTreeMap<OsString, OsString> = environment.into_iter().collect();
        let named = environment.get(&OsString::from(FILE_VARIABLE)).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(file) = file.map(Path::to_path_buf).or(named) {
            reader.read_file(&file);
        }
        for setting in SETTINGS {
            let name = setting.variable();
            let Some(value) = environment.remove(&OsString::from(&name)) else { continue };
            let source = Source::Variable(name);
            match value.into_string() {
                Ok(text) => drop(reader.found.insert(setting.key, (Written::Untyped(text.into()), source))),
                Err(_) => reader.blame(setting.key, source, "is not UTF-8; give it in a file instead"),
            }
        }
        if let Some(port) = environment.remove(&OsString::from(PORT_VARIABLE))
            && reader.source(LISTEN) == Source::Default
        {
            reader.follow_port(&port);
        }
        reader.warn_of_strangers(environment.keys());
        reader
    }

    /// Takes `text` as the default of `key`.
    pub(super) fn assume(&mut self, key: &'static str, text: String) {
        self.found.insert(key, (Written::Untyped(text.into()), Source::Default));
    }

    /// Sets `listen` to every address, with the port that the platform names.
    fn follow_port(&mut self, port: &OsStr) {
        let source = Source::Variable(PORT_VARIABLE.to_owned());
        match port.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).map(str::parse::<NonZeroU16>)
        {
            Some(Ok(port)) => {
                let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.get())).to_string();
                self.found.insert(LISTEN, (Written::Untyped(address.into()), source));
            }
            Some(Err(_)) | None => {
                self.blame(LISTEN, source, "is not a port number; give one from 1 to 65535, or set listen");
            }
        }
    }

    fn read_file(&mut self, path: &Path) {
        let text = match read_capped(path) {
            Ok(text) => text,
            Err(what) => return self.blame(PROBLEM_KEY, Source::File(path.to_owned(), None), what),
        };
        let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let line = error.span().map(|span| line(span.start));
            self.blame(PROBLEM_KEY, Source::File(path.to_owned(), line), NOT_TOML);
        }
        flatten("", table.get_ref(), &mut |key, value, offset| {
            let source = Source::File(path.to_owned(), Some(line(offset)));
            match settings::find(&key) {
                Some(setting) => drop(self.found.insert(setting.key, (Written::from(value), source))),
                None => self.blame_unknown(&key, source),
            }
        });
        let holds_secret =
            self.found.iter().any(|(key, (_, source))| settings::is_secret(key) && matches!(source, Source::File(..)));
        let bits = if holds_secret { OTHERS_READ_OR_WRITE } else { OTHERS_WRITE };
        if let Some(what) = access_by_others(path, bits) {
            let source = Source::File(path.to_owned(), None);
            self.warnings.push(Problem { key: PROBLEM_KEY.to_owned(), source, what });
        }
    }

    fn blame_unknown(&mut self, key: &str, source: Source) {
        // A secret that slipped into a name's place has 32 bytes or more, and is not shown.
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'"');
        let is_plain = key.split('.').all(|name| name.len() < MIN_BYTES && name.bytes().all(is_letter));
        let fix = match (key, settings::nearest(&key.to_lowercase())) {
            ("proxy.header", _) => "drop it: X-Forwarded-For is what is read".to_owned(),
            (_, Some(near)) => format!("did you mean {}?", near.key),
            (_, None) => "drop it".to_owned(),
        };
        self.blame(if is_plain { key } else { "a key" }, source, format!("is not a setting; {fix}"));
    }

    /// Warns of variables that are written as only settings are: Kubernetes puts strays under any prefix,
    /// but none with two underscores together.
    fn warn_of_strangers<'a>(&mut self, left: impl Iterator<Item = &'a OsString>) {
        for name in left.filter_map(|name| name.to_str()) {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) else { continue };
            let near = settings::nearest(&key.replace("__", ".").to_lowercase());
            let fix = near.map_or("drop it".to_owned(), |near| format!("did you mean {}?", near.variable()));
            let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && key.split("__").all(|part| part.len() < MIN_BYTES);
            let source = Source::Variable(if is_plain { name.to_owned() } else { "a variable".to_owned() });
            let what = format!("is not a setting; {fix}");
            self.warnings.push(Problem { key: "environment".to_owned(), source, what });
        }
    }

    /// What was made of it, when nothing is wrong in the file itself or in what `is_own` says is the command's.
    ///
    /// # Errors
    /// All that was wrong.
    pub(super) fn finish<T>(self, read: T, is_own: impl Fn(&Problem) -> bool) -> Result<T, ConfigError> {
        let Self { mut problems, files, .. } = self;
        let is_of_file = |problem: &Problem| problem.key == PROBLEM_KEY;
        // What was read of a broken file, and what was not, would only add problems that nobody has.
        let is_broken = problems.iter().any(is_of_file);
        let is_real = |problem: &Problem| !is_broken || matches!(problem.source, Source::Variable(_));
        problems.retain(|problem| is_of_file(problem) || is_real(problem) && is_own(problem));
        if problems.is_empty() { Ok(read) } else { Err(ConfigError { problems, files }) }
    }

    fn blame(&mut self, key: &str, source: Source, what: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), source, what: what.into() });
    }

    /// Notes a problem with the value of `key`, wherever it stands.
    pub(super) fn reject(&mut self, key: &str, what: impl Into<String>) {
        self.blame(key, self.source(key), what);
    }

    /// Notes what a person should know about the value of `key`.
    pub(super) fn warn(&mut self, key: &str, what: impl Into<String>) {
        self.warnings.push(Problem { key: key.to_owned(), source: self.source(key), what: what.into() });
    }

    /// Whether anybody set `key`, or it has a default.
    pub(super) fn has(&self, key: &str) -> bool {
        self.found.contains_key(key)
    }

    /// Where the value of `key` stands.
    pub(super) fn source(&self, key: &str) -> Source {
        self.found.get(key).map_or(Source::Missing, |(_, source)| source.clone())
    }

    fn written(&self, key: &str) -> Option<&Written> {
        self.found.get(key).map(|(written, _)| written)
    }

    /// Reads text and lets `parse` make sense of it; nothing when unset or wrong.
    pub(super) fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let result = match self.written(key)?.text() {
            Ok("") => Err("is empty; give a value, or drop the setting".to_owned()),
            Ok(text) if is_wrapped(text) => Err(WRAPPED.to_owned()),
            Ok(text) => parse(text),
            Err(kind) => {
                let default = settings::find(key).and_then(|setting| setting.default);
                let example = default.map_or(String::new(), |default| format!(", as in \"{default}\""));
                Err(format!("is {kind} and needs text in quotes{example}"))
            }
        };
        result.map_err(|what| self.reject(key, what)).ok()
    }

    /// Reads text; nothing when unset or wrong.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// Reads text that `is_right`; `needs` says what that means.
    pub(super) fn checked(
        &mut self,
        key: &'static str,
        needs: &str,
        is_right: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        self.parsed(key, |text| if is_right(text) { Ok(text.to_owned()) } else { Err(needs.to_owned()) })
    }

    /// Reads a whole number within `range`; the range's start when it is wrong.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<usize>) -> usize {
        if let Some(Written::Untyped(digits) | Written::Number(digits)) = self.written(key)
            && let Ok(number) = digits.parse()
            && range.contains(&number)
        {
            return number;
        }
        self.reject(key, format!("needs a whole number from {} to {}, without quotes", range.start(), range.end()));
        *range.start()
    }

    /// Reads `true` or `false`; false when it is wrong.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        if let Some(Written::Untyped(text) | Written::Flag(text)) = self.written(key)
            && let Ok(flag) = text.parse()
        {
            return flag;
        }
        self.reject(key, "needs true or false, without quotes");
        false
    }

    /// Reads a duration as people write it (`90s`, `5m`) within `range`; zero when it is wrong.
    pub(super) fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Duration {
        let [least, most] = [*range.start(), *range.end()].map(humantime::format_duration);
        let needs = format!("needs a time from {least} to {most}, with its unit: 90s, 5m");
        let in_range = |text: &str| humantime::parse_duration(text).ok().filter(|duration| range.contains(duration));
        self.parsed(key, |text| in_range(text).ok_or(needs)).unwrap_or_default()
    }

    /// Reads a duration without a fraction of a second: what claims are measured in.
    pub(super) fn seconds(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Duration {
        let duration = self.duration(key, range);
        if duration.subsec_nanos() != 0 {
            self.reject(key, "needs whole seconds, which is what claims are measured in");
        }
        duration
    }

    /// Reads a list of texts, comma-separated in the environment; empty when unset or wrong.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        let is_quoted = matches!(self.written(key), Some(Written::Untyped(text)) if is_wrapped(text.trim()));
        let items: Vec<String> = match self.written(key) {
            None => return Vec::new(),
            Some(Written::Untyped(text)) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            Some(Written::List(items)) => items.clone(),
            Some(Written::Text(_) | Written::Number(_) | Written::Flag(_) | Written::Other(_)) => Vec::new(),
        };
        if matches!(self.written(key), Some(Written::Untyped(text)) if text.trim_start().starts_with('[')) {
            self.reject(key, "is a list in brackets; write it without brackets and quotes: name,email");
            return Vec::new();
        }
        if items.is_empty() || items.iter().any(String::is_empty) {
            self.reject(key, "needs a list of texts, none empty: [\"a\", \"b\"], or a,b in the environment");
            return Vec::new();
        }
        if is_quoted || items.iter().any(|item| is_wrapped(item)) {
            self.reject(key, WRAPPED);
            return Vec::new();
        }
        items
    }

    /// Reads a list whose entries `parse` makes sense of; entries that are wrong are left out.
    pub(super) fn entries<T, E: Display>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let mut entries = Vec::new();
        for (index, text) in self.list(key).iter().enumerate() {
            match parse(text) {
                Ok(entry) => entries.push(entry),
                Err(what) => self.reject(key, format!("entry {} {what}", index + 1)),
            }
        }
        entries
    }

    /// Whether anybody set a secret, or names a file that holds it.
    pub(super) fn has_secret(&self, keys: [&str; 2]) -> bool {
        keys.into_iter().any(|key| self.has(key))
    }

    /// Reads a secret from `key`, or from the file that `file_key` names; both is an error.
    pub(super) fn secret(&mut self, [key, file_key]: [&'static str; 2]) -> Option<Secret> {
        if self.is_set_twice(key, file_key) {
            return None;
        }
        let (from, secret) = match self.written(key).map(Written::text) {
            Some(Ok(text)) => (key, inline_secret(text).ok_or_else(|| TOO_LARGE.to_owned())),
            Some(Err(kind)) => (key, Err(format!("is {kind} and needs text in quotes"))),
            None => {
                let told = |error: io::Error| {
                    if error.kind() == io::ErrorKind::FileTooLarge {
                        return format!("names a file that {TOO_LARGE}");
                    }
                    format!("names a file that can't be read: {error}; is it mounted, and may this user read it?")
                };
                (file_key, Secret::from_file(&self.path(file_key)?).map_err(told))
            }
        };
        let secret = secret.map_err(|what| self.reject(from, what)).ok()?;
        self.secrets.insert(from, Secret::new(secret.bytes().to_vec()));
        Some(secret)
    }

    /// Reads a secret that must be there; an empty one when it is not, or is wrong. `since` says why a missing one
    /// is needed, and `otherwise` what else a person could do.
    pub(super) fn required_secret(&mut self, keys: [&'static str; 2], since: &str, otherwise: &str) -> Secret {
        let [key, file_key] = keys;
        if !self.has_secret(keys) {
            let file = format!("in {file_key} the path of a file that holds it");
            self.reject(key, format!("is needed{since}; give it, or {file}{otherwise}"));
        }
        self.secret(keys).unwrap_or_default()
    }

    /// Which of the two keys a secret came out of.
    pub(super) fn read_from(&self, keys: [&'static str; 2]) -> Option<&'static str> {
        keys.into_iter().find(|key| self.secrets.contains_key(key))
    }

    /// Refuses every setting that is no secret and has the value of one, or contains it: it is shown, logged or
    /// published, as `messaging.key_id` is in each token. A secret that is the default of another setting is refused
    /// itself.
    pub(super) fn refuse_shown_secrets(&mut self) {
        let keys = SETTINGS.iter().map(|setting| setting.key);
        let (secret_keys, others): (Vec<_>, Vec<_>) = keys.partition(|key| settings::is_secret(key));
        for (from, secret) in secret_keys.into_iter().filter_map(|key| self.any_secret(key)).collect::<Vec<_>>() {
            let shows = |key: &&&str| self.written(key).is_some_and(|written| written.shows(&secret));
            let showing = others.iter().filter(shows);
            let (defaults, set): (Vec<&str>, Vec<&str>) = showing.partition(|key| self.source(key) == Source::Default);
            if let Some(key) = defaults.first() {
                self.reject(from, format!("is the default of {key}, which everybody knows; give the secret itself"));
            }
            for key in set {
                let source = self.source(from);
                let what = "which must stay secret; one of the two is misplaced";
                self.reject(key, format!("has the value of {from} ({source}), {what}"));
            }
        }
    }

    /// A secret that is set, whether or not it was read for use, with the setting that gives it.
    fn any_secret(&self, key: &'static str) -> Option<(&'static str, Secret)> {
        let file_key = settings::find(&format!("{key}_file"))?.key;
        if let Some(from) = self.read_from([key, file_key]) {
            return Some((from, Secret::new(self.secrets.get(from)?.bytes().to_vec())));
        }
        if let Some(text) = self.written(key) {
            return Some((key, inline_secret(text.text().ok()?)?));
        }
        let path = Path::new(self.written(file_key)?.text().ok()?);
        // Opening a pipe would wait for its writer.
        let secret = fs::metadata(path).ok()?.is_file().then(|| Secret::from_file(path))?;
        Some((file_key, secret.ok()?))
    }

    /// Warns of every file named here that others can change, or read though it holds a secret.
    pub(super) fn warn_of_open_files(&mut self) {
        for key in SETTINGS.iter().map(|setting| setting.key).filter(|key| settings::names_file(key)) {
            let Some(Ok(path)) = self.written(key).map(Written::text) else { continue };
            let is_public = key.ends_with("ca_file") || key == "tls.certificate";
            let bits = if is_public { OTHERS_WRITE } else { OTHERS_READ_OR_WRITE };
            if let Some(what) = access_by_others(Path::new(path), bits) {
                self.warn(key, format!("names a file that {what}"));
            }
        }
    }

    /// Whether both of two settings are there that exclude each other, which is then noted as a problem.
    pub(super) fn is_set_twice(&mut self, key: &str, other: &str) -> bool {
        let is_set_twice = self.has(key) && self.has(other);
        if is_set_twice {
            self.reject(key, format!("is set and so is {other} ({}); keep one of the two", self.source(other)));
        }
        is_set_twice
    }

    /// Reads the file that `key` names; nothing when unset or unreadable.
    pub(super) fn file(&mut self, key: &'static str) -> Option<Vec<u8>> {
        let text = read_capped(&self.path(key)?);
        let text = text.map_err(|what| self.reject(key, format!("names a file that {what}"))).ok()?;
        Some(text.as_bytes().to_vec())
    }

    /// Reads a path, and notes that the settings depend on what the file holds.
    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.parsed(key, |path| Ok(PathBuf::from(path)))?;
        self.files.add(path.clone());
        Some(path)
    }

    /// Every setting as it came out, for a person; secrets as their length.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let row = |key| Effective { key, value: self.shown(key), source: self.source(key) };
        SETTINGS.iter().map(|setting| row(setting.key)).collect()
    }

    fn shown(&self, key: &str) -> String {
        let Some(written) = self.written(key) else { return "not set".to_owned() };
        let bytes = self.secrets.get(key).map(|secret| secret.bytes().len());
        if !settings::is_of_service(key) {
            // Nobody has judged what may well be a secret in the wrong place.
            return "set".to_owned();
        }
        if settings::is_secret(key) {
            return bytes.map_or("not shown".to_owned(), |bytes| format!("{bytes} bytes"));
        }
        let text = match written {
            Written::Untyped(text) | Written::Text(text) | Written::Number(text) | Written::Flag(text) => {
                text.to_string()
            }
            Written::List(items) => items.join(","),
            Written::Other(kind) => (*kind).to_owned(),
        };
        bytes.map_or(text.clone(), |bytes| format!("{text} ({bytes} bytes)"))
    }
}

impl Written {
    /// The text, or what a person calls a value that is not text.
    fn text(&self) -> Result<&str, &'static str> {
        match self {
            Self::Untyped(text) | Self::Text(text) => Ok(text),
            Self::Number(_) => Err("a number"),
            Self::Flag(_) => Err("true or false"),
            Self::List(_) => Err("a list"),
            Self::Other(kind) => Err(kind),
        }
    }

    /// Whether the text, or one of a list, is a secret.
    fn shows(&self, secret: &Secret) -> bool {
        match self {
            Self::Untyped(text) => secret.is_shown_by(text) || text.split(',').any(|item| secret.is_shown_by(item)),
            Self::Text(text) | Self::Number(text) | Self::Flag(text) => secret.is_shown_by(text),
            Self::List(items) => items.iter().any(|item| secret.is_shown_by(item)),
            Self::Other(_) => false,
        }
    }
}

impl From<&DeValue<'_>> for Written {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string().into()),
            DeValue::Integer(digits) if digits.radix() == 10 => Self::Number(digits.as_str().to_owned().into()),
            DeValue::Integer(_) => Self::Other("a number in another base"),
            DeValue::Boolean(flag) => Self::Flag(flag.to_string().into()),
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

/// Hands each value that is no table to `keep`, with its full key and its offset in bytes.
fn flatten(section: &str, table: &DeTable<'_>, keep: &mut dyn FnMut(String, &DeValue<'_>, usize)) {
    for (name, value) in table {
        let dot = if section.is_empty() { "" } else { "." };
        // A dot inside a quoted name is not one between names: it must not pass for another setting.
        let quote = if name.get_ref().contains('.') { "\"" } else { "" };
        let key = format!("{section}{dot}{quote}{}{quote}", name.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&key, inner, keep);
        } else {
            keep(key, value.get_ref(), name.span().start);
        }
    }
}

/// Whether quotes or white space stand at an end of a text, or a character that copying added is in it.
fn is_wrapped(text: &str) -> bool {
    let is_around = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '`');
    text.starts_with(is_around) || text.ends_with(is_around) || text.contains(is_damage)
}

/// A secret that stands in the settings themselves, unless it is too long for one.
fn inline_secret(text: &str) -> Option<Secret> {
    let bytes = without_bom(text.as_bytes());
    (bytes.len() <= secret::MAX_BYTES).then(|| Secret::new(bytes.to_vec()))
}

/// What users other than owner and group may do with a file, where its mode has any of `bits`, and the fix.
fn access_by_others(path: &Path, bits: u32) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & bits;
    let does = if mode & OTHERS_WRITE != 0 { "changed" } else { "read" };
    let fix = if bits == OTHERS_WRITE { "chmod o-w it" } else { "make its mode 0400, or 0440 for a group" };
    (mode != 0).then(|| format!("can be {does} by every user of this machine; {fix}"))
}

/// Reads a text file of at most 1 MiB.
fn read_capped(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| {
        // Growing would leave copies behind that nobody wipes.
        bytes.reserve(usize::try_from(file.metadata()?.len().min(MAX_BYTES)).unwrap_or_default() + 1);
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)
    });
    match read {
        Ok(count) if count as u64 > MAX_BYTES => return Err("is larger than 1 MiB; is the path right?".to_owned()),
        Ok(_) => {}
        Err(error) => return Err(format!("can't be read: {error}; is the path right?")),
    }
    match str::from_utf8(without_bom(&bytes)) {
        Ok(text) if !text.contains('\0') => Ok(Zeroizing::new(text.to_owned())),
        _ => Err("is not UTF-8 text; if it is UTF-16, as PowerShell writes files, save it as UTF-8".to_owned()),
    }
}
