//! Checks over all settings: weak, shared and shown secrets, and files that other users can open.

use std::fs;
use std::mem;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::kind::Kind;
use super::problem::Source;
use super::reader::{FILE_KEY, Reader, problem};
use super::secret::{Secret, Weakness};
use super::settings::{self, SETTINGS, Setting};

/// Permission bits of a file's mode for users other than owner and group. The group may have access: Kubernetes'
/// `fsGroup` gives it.
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_READ_OR_WRITE: u32 = 0o006;

impl Reader {
    /// Checks each secret that was read, alone and against the others.
    ///
    /// If two places have the same secret, one of them is misplaced, and one side could sign for the other.
    pub(super) fn check_secrets(&mut self) {
        let allow_weak = self.value("allow_weak_secrets");
        let secrets = mem::take(&mut self.secrets);
        for (index, (key, secret)) in secrets.iter().enumerate() {
            self.check_secret(key, secret, allow_weak);
            if let Some((other, _)) = secrets.iter().take(index).find(|(_, other)| other.is_same(secret)) {
                let what = format!("is the same secret as {other}; each has its own, so one of the two is misplaced");
                self.reject(key, what);
            }
        }
        self.secrets = secrets;
    }

    fn check_secret(&mut self, key: &str, secret: &Secret, allow_weak: bool) {
        match secret.weakness() {
            Some(Weakness { text, may_be_allowed: true }) if allow_weak => {
                self.warn(key, format!("WEAK SECRET: {text}"));
            }
            Some(Weakness { text, may_be_allowed: true }) => {
                self.reject(key, format!("{text}, or set allow_weak_secrets = true if the other side chose it"));
            }
            Some(Weakness { text, .. }) => self.reject(key, text),
            None => {}
        }
        if secret.has_wrapping() {
            self.warn(key, "has white space or quotes around it, which count as part of it; is that intended?");
        }
        if secret.has_odd_characters() {
            self.warn(key, "has characters that no generator of secrets makes; copy it again");
        }
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

    /// A secret that is set, even if the command has not read it, and the key that gives it.
    fn any_secret(&self, key: &'static str) -> Option<(&'static str, Secret)> {
        let file_key = settings::file_key(key);
        if let Some(read) = self.secrets.iter().find(|(from, _)| *from == key || *from == file_key) {
            return Some(read.clone());
        }
        // Opening a pipe would wait for its writer.
        let is_regular = || self.path(file_key).is_some_and(|path| path.is_ok_and(Path::is_file));
        let (from, secret) = (self.has(key) || is_regular()).then(|| self.read_secret(key))??;
        Some((from, secret.ok()?))
    }

    /// Warns of every named file that all users can change, or read though it holds a secret.
    pub(crate) fn warn_of_open_files(&mut self) {
        for setting in SETTINGS.iter().filter(|setting| matches!(setting.kind, Kind::SecretFile | Kind::PublicFile)) {
            let bits = if matches!(setting.kind, Kind::SecretFile) { OTHERS_READ_OR_WRITE } else { OTHERS_WRITE };
            let Some(Ok(path)) = self.path(setting.key) else { continue };
            if let Some(what) = access_by_others(path, bits) {
                self.warn(setting.key, format!("names a file that {what}"));
            }
        }
    }

    /// Warns of a settings file that all users can change, or read though it holds a secret.
    pub(super) fn warn_of_open_settings(&mut self, path: &Path) {
        let is_in_file = |setting: &&Setting| matches!(self.source(setting.key), Source::File(..));
        let holds_secret = SETTINGS.iter().filter(is_in_file).any(Setting::is_secret);
        if let Some(what) = access_by_others(path, if holds_secret { OTHERS_READ_OR_WRITE } else { OTHERS_WRITE }) {
            self.warnings.push(problem(FILE_KEY, Source::File(path.to_owned(), None), what));
        }
    }
}

/// What every user may do with a file whose mode has one of `bits`, and the fix.
fn access_by_others(path: &Path, bits: u32) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & bits;
    let access = if mode & OTHERS_WRITE != 0 { "changed" } else { "read" };
    let fix = if bits == OTHERS_WRITE { "chmod o-w it" } else { "make its mode 0400, or 0440 for a group" };
    (mode != 0).then(|| format!("can be {access} by every user of this machine; {fix}"))
}
