//! Saves users' records before they are changed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::login::Timestamp;
use crate::terminal::date;

/// The record was not saved, so nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("can't write {0} ({1}), so nothing was changed; it must be a new file in a folder that you can write to")]
pub(super) struct BackupError(String, io::Error);

/// A file name with the user and the time.
pub(super) fn file_name(user_id: &str, now: Timestamp) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let user: String = user_id.chars().filter(is_plain).take(64).collect();
    let time: String = date(now).unwrap_or_default().chars().filter(is_plain).collect();
    format!("zendesk-user-{user}-{time}.json")
}

/// Saves a record to a new file.
pub(super) fn save(path: &Path, record: &str) -> Result<(), BackupError> {
    save_new(path, record).map_err(|error| BackupError(path.display().to_string(), error))
}

/// Writes text and a line feed to a new file that only its owner can read (on Windows: who can read the folder), and waits until it is on disk.
pub(super) fn save_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.write(true).create_new(true).open(path)?;
    let saved = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    // Only a sync of the folder makes the new entry durable.
    #[cfg(unix)]
    let saved = saved.and_then(|()| fs::File::open(folder(path))?.sync_all());
    // An incomplete record could be taken for a complete one.
    saved.inspect_err(|_| drop(fs::remove_file(path)))
}

/// The folder of a file.
#[cfg(unix)]
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}
