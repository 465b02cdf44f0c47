//! The settings file and the files that settings name: reads them, and finds out who can open them and whether one has
//! changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::iter::successors;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
#[cfg(not(unix))]
use std::time::SystemTime;

use secrecy::zeroize::Zeroizing;

/// Most bytes of a settings file, or of a text file that a setting names.
const MAX_BYTES: usize = 1 << 20;

/// Most links that are followed from one file, as in the kernel (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Files, and their state when they were last checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedFiles(BTreeMap<PathBuf, Option<State>>);

/// Which file it is (device and inode), and when its content, owner or permissions last changed. Unlike the time of
/// writing, that time can't be set.
#[cfg(unix)]
type State = (u64, u64, i64, i64);

/// Length, and the times of creation and of writing.
#[cfg(not(unix))]
type State = (u64, Option<SystemTime>, Option<SystemTime>);

impl WatchedFiles {
    /// Adds a file. Call this before reading it, so that no change is missed.
    pub fn add(&mut self, path: PathBuf) {
        let state = state(&path);
        self.0.entry(path).or_insert(state);
    }

    /// These files and others that were checked later.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.0.extend(later.0);
        self
    }

    /// The same files in their current state.
    pub(crate) fn checked_again(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), state(path))).collect())
    }

    /// The folders of the files and of every symbolic link on the way to them. Kubernetes changes such a link and not
    /// the file; editors and `mv` replace the file.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let links = |path| {
            let next = |path: &PathBuf| Some(path.parent()?.join(fs::read_link(path).ok()?));
            // With "." before it, a path of one name has a parent too.
            successors(Some(Path::new(".").join(path)), next).take(MAX_LINKS)
        };
        self.0.keys().flat_map(links).filter_map(|path| fs::canonicalize(path.parent()?).ok()).collect()
    }
}

fn state(path: &Path) -> Option<State> {
    let file = fs::metadata(path).ok()?;
    #[cfg(unix)]
    return Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()));
    #[cfg(not(unix))]
    Some((file.len(), file.created().ok(), file.modified().ok()))
}

/// Reads a file of at most `most` bytes, without the UTF-8 byte order mark that tools of Windows write first.
pub(super) fn read_file(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| {
        // Growing would leave copies in memory that are never wiped. The length of a pipe is 0.
        let length = usize::try_from(file.metadata()?.len()).ok().filter(|length| *length > 0).unwrap_or(most);
        bytes.reserve(length.min(most) + 8192);
        file.take(most as u64 + 1).read_to_end(&mut bytes)
    });
    match read {
        Ok(count) if count > most => Err(too_large(most)),
        Ok(_) => {
            if bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            Ok(bytes)
        }
        Err(error) => Err(format!("can't be read: {error}; is the path right, and may this user read it?")),
    }
}

pub(super) fn too_large(most: usize) -> String {
    format!("is larger than {} KiB; is it the right one?", most / 1024)
}

pub(super) fn read_text(path: &Path) -> Result<Zeroizing<String>, String> {
    match str::from_utf8(&read_file(path, MAX_BYTES)?) {
        Ok(text) if !text.contains('\0') => Ok(Zeroizing::new(text.to_owned())),
        _ => Err("is not UTF-8 text; if it is UTF-16, as PowerShell writes files, save it as UTF-8".to_owned()),
    }
}

/// Not known: the access control lists of Windows are not read.
#[cfg(not(unix))]
pub(super) const fn access_by_others(_path: &Path, _holds_secret: bool) -> Option<String> {
    None
}

/// What every user may do with a file, and the fix. Its group may have access: Kubernetes' `fsGroup` gives it.
#[cfg(unix)]
pub(super) fn access_by_others(path: &Path, holds_secret: bool) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let access = match mode & 0o006 {
        0 => return None,
        0o004 if !holds_secret => return None,
        0o004 => "read",
        _ => "changed",
    };
    let fix = if holds_secret { "make its mode 0400, or 0440 for a group" } else { "chmod o-w it" };
    Some(format!("the file can be {access} by every user of this machine; {fix}"))
}
