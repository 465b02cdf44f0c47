//! Reads settings from defaults, file and environment, later ones winning, and collects what is wrong with them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Problem, Source};
use super::secret::{self, MIN_BYTES, Secret, TOO_LARGE, is_damage, without_bom};
use super::settings::{self, FILE_VARIABLE, Kind, PORT_VARIABLE, PREFIX, SETTINGS, Setting};
use super::watched::WatchedFiles;
use super::{Effective, Variables};

/// Most bytes read from a settings file, or from a file that a setting names.
const MAX_BYTES: u64 = 1 << 20;

const WRAPPED: &str = "has quotes, white space or an invisible character around it, or an invisible one inside; remove \
                       them (Docker keeps the quotes of an env file)";

/// Permission bits of a file's mode for users other than owner and group. The group may have access: Kubernetes'
/// `fsGroup` gives it.
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_READ_OR_WRITE: u32 = 0o006;

/// The key of problems with the settings file itself.
pub(crate) const FILE_KEY: &str = "config file";

/// Reads typed values and collects every problem: a value that is wrong or missing is replaced by a stand-in, and
/// [`Reader::finish`] reports the problems.
#[derive(Default)]
pub(crate) struct Reader {
    values: BTreeMap<&'static str, Value>,
    /// Each secret that was read, under the key that gave it.
    secrets: BTreeMap<&'static str, Secret>,
    /// Files that were read besides the settings file.
    pub(super) files: WatchedFiles,
    problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// A value as written. Texts are wiped on drop, since any may hold a secret; the parser's own copies are not.
struct Value {
    /// Its type in the file; nothing for the environment and defaults, where the setting decides the type.
    form: Option<&'static str>,
    /// One text, or those of a list.
    texts: Zeroizing<Vec<String>>,
    source: Source,
}

const TEXT: &str = "text";
const NUMBER: &str = "a number";
const FLAG: &str = "true or false";
const LIST: &str = "a list";

impl Reader {
    /// Merges defaults, file and environment.
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
        let named = environment.get(OsStr::new(FILE_VARIABLE)).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(file) = file.map(Path::to_path_buf).or(named) {
            reader.read_file(&file);
        }
        for setting in SETTINGS {
            let name = setting.variable();
            let Some(value) = environment.remove(OsStr::new(&name)) else { continue };
            match value.into_string() {
                Ok(text) => reader.set(setting.key, text, Source::Variable(name)),
                Err(_) => reader.add(setting.key, Source::Variable(name), "is not UTF-8; give it in a file instead"),
            }
        }
        if let Some(port) = environment.remove(OsStr::new(PORT_VARIABLE))
            && reader.source("listen") == Source::Default
        {
            reader.set_port(&port);
        }
        reader.warn_of_unknown_variables(environment.keys());
        reader
    }

    /// Sets a default.
    pub(super) fn assume(&mut self, key: &'static str, text: String) {
        self.set(key, text, Source::Default);
    }

    fn set(&mut self, key: &'static str, text: String, source: Source) {
        self.values.insert(key, Value { form: None, texts: vec![text].into(), source });
    }

    fn set_port(&mut self, port: &OsStr) {
        let source = Source::Variable(PORT_VARIABLE.to_owned());
        let address = port.to_str().map(|port| format!("0.0.0.0:{port}"));
        match address.filter(|text| text.parse().is_ok_and(|address: SocketAddr| address.port() != 0)) {
            Some(address) => self.set("listen", address, source),
            None => self.add("listen", source, "is not a port number; give one from 1 to 65535, or set listen"),
        }
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
                Some(setting) => drop(self.values.insert(setting.key, Value::new(value, source))),
                None => self.add_unknown(&key, source),
            }
        });
        let is_in_file = |setting: &Setting| matches!(self.source(setting.key), Source::File(..));
        let holds_secret = SETTINGS.iter().any(|setting| setting.is_secret() && is_in_file(setting));
        if let Some(what) = access_by_others(path, if holds_secret { OTHERS_READ_OR_WRITE } else { OTHERS_WRITE }) {
            self.warnings.push(Problem { key: FILE_KEY.to_owned(), source: source(None), what });
        }
    }

    fn add_unknown(&mut self, key: &str, source: Source) {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'"');
        let fix = match settings::nearest(&key.to_lowercase()) {
            _ if key == "proxy.header" => "drop it: X-Forwarded-For is what is read".to_owned(),
            Some(near) => format!("did you mean {}?", near.key),
            None => "drop it".to_owned(),
        };
        let key = if may_be_shown(key.split('.'), is_right) { key } else { "a key" };
        self.add(key, source, format!("is not a setting; {fix}"));
    }

    /// Warns of unknown variables with our prefix and two underscores in a row, as only settings have: Kubernetes sets
    /// variables of its own under any prefix, but none with two.
    fn warn_of_unknown_variables<'a>(&mut self, names: impl Iterator<Item = &'a OsString>) {
        for name in names.filter_map(|name| name.to_str()) {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) else { continue };
            let near = settings::nearest(&key.replace("__", ".").to_lowercase());
            let fix = near.map_or("drop it".to_owned(), |near| format!("did you mean {}?", near.variable()));
            let is_right = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let name = if may_be_shown(key.split("__"), is_right) { name } else { "a variable" };
            let (key, source) = ("environment".to_owned(), Source::Variable(name.to_owned()));
            self.warnings.push(Problem { key, source, what: format!("is not a setting; {fix}") });
        }
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

    fn add(&mut self, key: &str, source: Source, what: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), source, what: what.into() });
    }

    /// Notes a problem with the value of `key`.
    pub(crate) fn reject(&mut self, key: &str, what: impl Into<String>) {
        self.add(key, self.source(key), what);
    }

    /// Notes a warning about the value of `key`.
    pub(super) fn warn(&mut self, key: &str, what: impl Into<String>) {
        self.warnings.push(Problem { key: key.to_owned(), source: self.source(key), what: what.into() });
    }

    /// Whether `key` is set or has a default.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Where the value of `key` comes from.
    pub(super) fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::Missing, |value| value.source.clone())
    }

    /// Reads the value of `key`, which its row of the table checks; nothing when it is unset or wrong.
    pub(crate) fn get<T: FromStr>(&mut self, key: &str) -> Option<T> {
        let setting = settings::find(key)?;
        let text = self.values.get(key)?.checked(setting).map(str::parse);
        text.map_err(|what| self.reject(key, what)).ok()?.ok()
    }

    /// The same, with the default of its type when it is unset or wrong.
    pub(crate) fn value<T: FromStr + Default>(&mut self, key: &str) -> T {
        self.get(key).unwrap_or_default()
    }

    /// Reads a duration; zero when it is unset or wrong.
    pub(super) fn time(&mut self, key: &str) -> Duration {
        humantime::parse_duration(&self.value::<String>(key)).unwrap_or_default()
    }

    /// Reads a list of texts, comma-separated in the environment; empty when it is unset or wrong.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let Some(list) = self.values.get(key).map(Value::list) else { return Vec::new() };
        list.map_err(|what| self.reject(key, what)).unwrap_or_default()
    }

    /// Reads a list and parses its entries; entries that are wrong are left out.
    pub(super) fn entries<T, E: Display>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let mut entries = Vec::new();
        for (index, text) in self.list(key).iter().enumerate() {
            match parse(text) {
                Ok(entry) => entries.push(entry),
                Err(what) => self.reject(key, format!("entry {} {what}", index + 1)),
            }
        }
        entries
    }

    /// Reads a secret from `key`, or from the file that `file_key` names; both is an error.
    pub(crate) fn secret(&mut self, [key, file_key]: [&'static str; 2]) -> Option<Secret> {
        if self.has_both(key, file_key) {
            return None;
        }
        let (from, secret) = if let Some(value) = self.values.get(key) {
            (key, value.text().and_then(|text| inline_secret(text).ok_or_else(|| TOO_LARGE.to_owned())))
        } else {
            let secret = Secret::from_file(&self.path(file_key)?);
            (file_key, secret.map_err(|what| format!("names a file that {what}")))
        };
        let secret = secret.map_err(|what| self.reject(from, what)).ok()?;
        self.secrets.insert(from, secret.clone());
        Some(secret)
    }

    /// Reads a secret that must be set; an empty one when it is unset or wrong. `since` says why it is needed, and
    /// `otherwise` what else can be done.
    pub(crate) fn required_secret(&mut self, keys: [&'static str; 2], since: &str, otherwise: &str) -> Secret {
        let [key, file_key] = keys;
        if !self.has(key) && !self.has(file_key) {
            let file = format!("in {file_key} the path of a file that holds it");
            self.reject(key, format!("is needed{since}; give it, or {file}{otherwise}"));
        }
        self.secret(keys).unwrap_or_default()
    }

    /// Which of the two keys a secret was read from.
    pub(crate) fn read_from(&self, keys: [&'static str; 2]) -> Option<&'static str> {
        keys.into_iter().find(|key| self.secrets.contains_key(key))
    }

    /// Refuses every other setting that has the value of a secret or contains it: such values are logged or published,
    /// as `messaging.key_id` is in each token. A secret that is the default of a setting is refused itself.
    pub(crate) fn refuse_shown_secrets(&mut self) {
        let (secrets, others): (Vec<&Setting>, Vec<_>) = SETTINGS.iter().partition(|setting| setting.is_secret());
        let secrets: Vec<_> = secrets.into_iter().filter_map(|setting| self.any_secret(setting.key)).collect();
        for (from, secret) in secrets {
            let shows = |key: &&str| self.values.get(key).is_some_and(|value| value.shows(&secret));
            let showing = others.iter().map(|setting| setting.key).filter(shows);
            let (defaults, set): (Vec<&str>, Vec<&str>) = showing.partition(|key| self.source(key) == Source::Default);
            if let Some(key) = defaults.first() {
                self.reject(from, format!("is the default of {key}, which everybody knows; give the secret itself"));
            }
            for key in set {
                let what = "which must stay secret; one of the two is misplaced";
                self.reject(key, format!("has the value of {from} ({}), {what}", self.source(from)));
            }
        }
    }

    /// A secret that is set, even if no command has read it, and the key that gives it.
    fn any_secret(&self, key: &'static str) -> Option<(&'static str, Secret)> {
        let file_key = settings::find(&format!("{key}_file"))?.key;
        if let Some(from) = self.read_from([key, file_key]) {
            return Some((from, self.secrets.get(from)?.clone()));
        }
        if let Some(value) = self.values.get(key) {
            return Some((key, inline_secret(value.text().ok()?)?));
        }
        let path = Path::new(self.values.get(file_key)?.text().ok()?);
        // Opening a pipe would wait for its writer.
        let secret = fs::metadata(path).ok()?.is_file().then(|| Secret::from_file(path))?;
        Some((file_key, secret.ok()?))
    }

    /// Warns of every named file that all users can change, or read though it holds a secret.
    pub(crate) fn warn_of_open_files(&mut self) {
        for setting in SETTINGS.iter().filter(|setting| matches!(setting.kind, Kind::SecretFile | Kind::PublicFile)) {
            let bits = if matches!(setting.kind, Kind::SecretFile) { OTHERS_READ_OR_WRITE } else { OTHERS_WRITE };
            let Some(Ok(path)) = self.values.get(setting.key).map(Value::text) else { continue };
            if let Some(what) = access_by_others(Path::new(path), bits) {
                self.warn(setting.key, format!("names a file that {what}"));
            }
        }
    }

    /// Whether two settings that exclude each other are both set, which is noted as a problem.
    pub(crate) fn has_both(&mut self, key: &str, other: &str) -> bool {
        let has_both = self.has(key) && self.has(other);
        if has_both {
            self.reject(key, format!("is set and so is {other} ({}); keep one of the two", self.source(other)));
        }
        has_both
    }

    /// Reads the file that `key` names; nothing when it is unset or unreadable.
    pub(crate) fn file(&mut self, key: &str) -> Option<Vec<u8>> {
        let text = read_capped(&self.path(key)?);
        let text = text.map_err(|what| self.reject(key, format!("names a file that {what}"))).ok()?;
        Some(text.as_bytes().to_vec())
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        let path: PathBuf = self.get(key)?;
        self.files.add(path.clone());
        Some(path)
    }

    /// Every setting with its value, for a report; of secrets the length.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let row = |setting: &Setting| Effective {
            key: setting.key,
            value: self.values.get(setting.key).map_or("not set".to_owned(), |value| self.shown(setting, value)),
            source: self.source(setting.key),
        };
        SETTINGS.iter().map(row).collect()
    }

    fn shown(&self, setting: &Setting, value: &Value) -> String {
        let bytes = self.secrets.get(setting.key).map(|secret| secret.bytes().len());
        match bytes {
            // Nothing has checked these values: one may be a secret in the wrong place.
            _ if !setting.is_of_service() => "set".to_owned(),
            Some(bytes) if setting.is_secret() => format!("{bytes} bytes"),
            None if setting.is_secret() => "not shown".to_owned(),
            Some(bytes) => format!("{} ({bytes} bytes)", value.texts.join(",")),
            None => value.texts.join(","),
        }
    }
}

impl Value {
    fn new(value: &DeValue<'_>, source: Source) -> Self {
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
        Self { form: Some(form), texts: texts.into(), source }
    }

    /// The text of a value that may have this type, or else its type.
    fn as_form(&self, form: &str) -> Result<&str, &'static str> {
        let own = self.form.filter(|own| *own != form);
        own.map_or_else(|| Ok(self.texts.first().map_or("", String::as_str)), Err)
    }

    fn text(&self) -> Result<&str, String> {
        self.as_form(TEXT).map_err(|form| format!("is {form} and needs text in quotes"))
    }

    /// The value as text, as the setting wants it.
    fn checked(&self, setting: &Setting) -> Result<&str, String> {
        let text = if matches!(setting.kind, Kind::Number(..) | Kind::Flag) {
            let form = if matches!(setting.kind, Kind::Flag) { FLAG } else { NUMBER };
            // The check refuses the empty text that a value of another type becomes.
            self.as_form(form).unwrap_or_default()
        } else {
            let example = setting.default.map_or(String::new(), |default| format!(", as in \"{default}\""));
            match self.text().map_err(|what| what + &example)? {
                "" => return Err("is empty; give a value, or drop the setting".to_owned()),
                text if is_wrapped(text) => return Err(WRAPPED.to_owned()),
                text => text,
            }
        };
        setting.kind.check(text).map(|()| text)
    }

    fn list(&self) -> Result<Vec<String>, String> {
        let items = match (self.form, self.texts.first()) {
            (None, Some(text)) if text.trim_start().starts_with('[') => {
                return Err("is a list in brackets; write it without brackets and quotes: name,email".to_owned());
            }
            (None, Some(text)) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            (Some(LIST), _) => self.texts.to_vec(),
            _ => Vec::new(),
        };
        if items.is_empty() || items.iter().any(String::is_empty) {
            return Err("needs a list of texts, none empty: [\"a\", \"b\"], or a,b in the environment".to_owned());
        }
        if items.iter().any(|item| is_wrapped(item)) { Err(WRAPPED.to_owned()) } else { Ok(items) }
    }

    /// Whether the text, or one of a list, gives a secret away.
    fn shows(&self, secret: &Secret) -> bool {
        let shows_item = |text: &str| self.form.is_none() && text.split(',').any(|item| secret.is_shown_by(item));
        self.texts.iter().any(|text| secret.is_shown_by(text) || shows_item(text))
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

/// Whether an unknown name may be shown. A secret in a name's place may not; it has [`MIN_BYTES`] or more.
fn may_be_shown<'a>(mut parts: impl Iterator<Item = &'a str>, is_right: impl Fn(u8) -> bool) -> bool {
    parts.all(|part| part.len() < MIN_BYTES && part.bytes().all(&is_right))
}

/// Whether there are quotes or white space at an end of a text, or a character that copying added anywhere.
fn is_wrapped(text: &str) -> bool {
    let is_around = |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '`');
    text.starts_with(is_around) || text.ends_with(is_around) || text.contains(is_damage)
}

/// A secret from the settings themselves, unless it is too long.
fn inline_secret(text: &str) -> Option<Secret> {
    let bytes = without_bom(text.as_bytes());
    (bytes.len() <= secret::MAX_BYTES).then(|| Secret::new(bytes.to_vec()))
}

/// What every user may do with a file whose mode has one of `bits`, and the fix.
fn access_by_others(path: &Path, bits: u32) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & bits;
    let access = if mode & OTHERS_WRITE != 0 { "changed" } else { "read" };
    let fix = if bits == OTHERS_WRITE { "chmod o-w it" } else { "make its mode 0400, or 0440 for a group" };
    (mode != 0).then(|| format!("can be {access} by every user of this machine; {fix}"))
}

/// Reads a text file of at most 1 MiB.
fn read_capped(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| {
        // Growing would leave copies in memory that are never wiped.
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
