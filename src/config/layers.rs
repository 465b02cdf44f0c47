//! What do the defaults, the file and the environment say, later ones winning?

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::file::{self, Entry, Written};
use super::problem::{Problem, Source};
use super::secret::MIN_BYTES;
use super::settings::{self, FILE_VARIABLE, PREFIX, SETTINGS, Setting};

/// A written value and its place.
pub struct Found {
    /// The value.
    pub written: Written,
    /// Where it stands.
    pub source: Source,
}

/// What was found for each key, and what could not be read.
pub struct Layers {
    /// The value that wins, under its key.
    pub found: BTreeMap<&'static str, Found>,
    /// What is wrong with the file, its keys and the variables.
    pub problems: Vec<Problem>,
    /// Variables that look like settings and are none.
    pub warnings: Vec<Problem>,
}

impl Layers {
    /// Lays defaults, file and environment over each other.
    ///
    /// The file is `file`, else the one that `ZENDESK_TOKEN_CONFIG` names, else none.
    pub fn read(file: Option<&Path>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let defaults = SETTINGS.iter().filter_map(|setting| {
            let text = setting.default?.to_owned();
            Some((setting.key, Found { written: Written::Untyped(text.into()), source: Source::Default }))
        });
        let mut layers = Self { found: defaults.collect(), problems: Vec::new(), warnings: Vec::new() };
        let mut environment: BTreeMap<OsString, OsString> = environment.into_iter().collect();
        let named = environment.get(&OsString::from(FILE_VARIABLE)).filter(|path| !path.is_empty()).map(PathBuf::from);
        if let Some(file) = file.map(Path::to_path_buf).or(named) {
            layers.read_file(&file);
        }
        for setting in SETTINGS {
            if let Some(value) = environment.remove(&OsString::from(setting.variable())) {
                layers.read_variable(setting, value);
            }
        }
        layers.warn_of_strangers(environment.keys());
        layers
    }

    /// Warns of variables that are written as only settings are: Kubernetes puts strays under any prefix,
    /// but none with two underscores together.
    fn warn_of_strangers<'a>(&mut self, left: impl Iterator<Item = &'a OsString>) {
        for name in left.filter_map(|name| name.to_str()) {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) else { continue };
            let near = settings::nearest(&key.replace("__", ".").to_lowercase()).and_then(settings::find);
            let mend = near.map_or("drop it".to_owned(), |near| format!("did you mean {}?", near.variable()));
            let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && key.split("__").all(|part| part.len() < MIN_BYTES);
            let source = Source::Variable(if is_plain { name.to_owned() } else { "a variable".to_owned() });
            self.warnings.push(Problem {
                key: "environment".to_owned(),
                source,
                what: format!("is not a setting; {mend}"),
            });
        }
    }

    fn read_variable(&mut self, setting: &'static Setting, value: OsString) {
        let source = Source::Variable(setting.variable());
        match value.into_string() {
            Ok(text) => {
                self.found.insert(setting.key, Found { written: Written::Untyped(text.into()), source });
            }
            Err(_) => self.blame(setting.key, source, "is not UTF-8; give it in a file instead"),
        }
    }

    fn read_file(&mut self, path: &Path) {
        let (entries, problems) = file::read(path);
        self.problems.extend(problems);
        for Entry { key, written, source } in entries {
            match settings::find(&key) {
                Some(setting) => drop(self.found.insert(setting.key, Found { written, source })),
                None => self.blame_unknown(&key, source),
            }
        }
    }

    fn blame_unknown(&mut self, key: &str, source: Source) {
        // A secret that slipped into a name's place has 32 bytes or more, and is not shown.
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'"');
        let is_plain = key.split('.').all(|name| name.len() < MIN_BYTES && name.bytes().all(is_letter));
        let mend = match (key, settings::nearest(&key.to_lowercase())) {
            ("proxy.header", _) => "drop it: X-Forwarded-For is what is read".to_owned(),
            (_, Some(near)) => format!("did you mean {near}?"),
            (_, None) => "drop it".to_owned(),
        };
        let shown = if is_plain { key } else { "a key" };
        self.blame(shown, source, format!("is not a setting; {mend}"));
    }

    /// Notes a problem with a value whose place is known.
    fn blame(&mut self, key: &str, source: Source, what: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), source, what: what.into() });
    }
}
