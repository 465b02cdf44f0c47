//! The files that the settings depend on: whether one has changed, and in which folders that shows.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most links that are followed from one file, as many as the kernel follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Files as they were when they were last looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedFiles(Vec<(PathBuf, Option<Stamp>)>);

/// What tells one state of a file from the next: which file it is, and when its content, owner or
/// permissions last changed. That time can't be set to another, as the time of writing can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
}

impl WatchedFiles {
    /// Adds a file that is about to be read: a change from here on is one.
    pub fn add(&mut self, path: PathBuf) {
        let stamp = stamp(&path);
        self.0.push((path, stamp));
    }

    /// These, and others as they were when they were looked at later.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.0.retain(|(path, _)| later.0.iter().all(|(other, _)| other != path));
        self.0.extend(later.0);
        self
    }

    /// The same files as they are now.
    #[must_use]
    pub fn as_they_are(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), stamp(path))).collect())
    }

    /// Every folder in which a change of one of the files would show: those of the files and of each
    /// link on the way. Kubernetes changes a link beside the file's own and leaves the file alone;
    /// editors and `mv` put another file in the place.
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
