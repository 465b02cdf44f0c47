//! Where is a record kept before it is deleted?

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::login::Timestamp;

use super::words::date;

/// The file of a user's record when none is named: in the working directory, with the user and the time.
#[must_use]
pub fn default_path(user_id: &str, now: Timestamp) -> PathBuf {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let user: String = user_id.chars().filter(is_plain).take(64).collect();
    let time: String = date(now).unwrap_or_default().chars().filter(is_plain).collect();
    PathBuf::from(format!("zendesk-user-{user}-{time}.json"))
}

/// Writes a record into a file that was not there before and that nobody else may read, and sees it on the disk.
///
/// # Errors
/// There is such a file, or it can't be written whole.
pub fn write(path: &Path, record: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let kept = file.write_all(record.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    let kept = kept.and_then(|()| {
        // That the folder has it is on the disk with the folder.
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    });
    // Half a record would look like one.
    kept.inspect_err(|_| drop(fs::remove_file(path)))
}
