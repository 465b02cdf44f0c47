//! The files that settings name: whether one has changed, and which folders to watch for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::successors;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most links that are followed from one file, as in the kernel (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Files, and their state when they were last checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedFiles(BTreeMap<PathBuf, Option<State>>);

/// Which file it is (device and inode), and when its content, owner or permissions last changed. Unlike the time of
/// writing, that time can't be set.
type State = (u64, u64, i64, i64);

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
    Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}
