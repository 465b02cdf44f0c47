//! The files that settings name: whether one has changed, and which folders to watch for it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most links that are followed from one file, as in the kernel (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Files, and their state when they were last checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedFiles(Vec<(PathBuf, Option<Stamp>)>);

/// The state of a file: which file it is, and when its content, owner or permissions last changed. Unlike the time of
/// writing, that time can't be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
}

impl WatchedFiles {
    /// Adds a file. Call this before reading it, so that no change is missed.
    pub fn add(&mut self, path: PathBuf) {
        let stamp = stamp(&path);
        self.0.push((path, stamp));
    }

    /// These files and others that were checked later.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.0.retain(|(path, _)| later.0.iter().all(|(other, _)| other != path));
        self.0.extend(later.0);
        self
    }

    /// The same files in their current state.
    pub(crate) fn as_they_are(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), stamp(path))).collect())
    }

    /// The folders of the files and of every symbolic link on the way to them. Kubernetes changes such a link and not
    /// the file; editors and `mv` replace the file.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for (path, _) in &self.0 {
            let mut path = path.clone();
            for _ in 0..MAX_LINKS {
                let folder = folder(&path);
                let target = fs::read_link(&path);
                folders.extend(fs::canonicalize(&folder));
                match target {
                    Ok(target) => path = folder.join(target),
                    Err(_) => break,
                }
            }
        }
        folders
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some(Stamp { file: (file.dev(), file.ino()), changed: (file.ctime(), file.ctime_nsec()) })
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
