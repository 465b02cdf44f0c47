//! Opens the page in the browser without its address in the list of processes, which other users of the machine can read.

use std::fs;
use std::io;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::config::environment;
use crate::config::settings::PREFIX;
use crate::desk::record::save_new;

/// A private file that leads to the page, there until the page was opened.
#[derive(Default)]
pub(super) struct RedirectFile(Mutex<Option<PathBuf>>);

impl RedirectFile {
    /// Writes the file, and opens it in the browser. If that fails, the printed address is enough.
    pub(super) fn open(&self, file: &Path, url: &str) {
        if save_new(file, &html(url)).is_err() {
            return;
        }
        self.keep(Some(file.to_owned()));
        match start_browser(file) {
            // The child is waited for, so that it does not stay as a zombie.
            Ok(mut child) => drop(thread::spawn(move || child.wait())),
            Err(_) => self.remove(),
        }
    }

    /// Removes the file.
    pub(super) fn remove(&self) {
        self.keep(None);
    }

    fn keep(&self, file: Option<PathBuf>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = kept.take() {
            let _ = fs::remove_file(file);
        }
        *kept = file;
    }
}

fn html(url: &str) -> String {
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Support desk</title>\n\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\">\n<p><a href=\"{url}\">Open the support desk</a></p>"
    )
}

fn start_browser(file: &Path) -> io::Result<Child> {
    let (program, arguments): (_, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("cmd", &["/c", "start", ""])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(path::absolute(file)?);
    // Settings in the environment are not for the browser.
    for (name, _) in environment().into_iter().filter(|(name, _)| name.to_string_lossy().starts_with(PREFIX)) {
        command.env_remove(name);
    }
    // A browser in the group of this process would be stopped by Ctrl-C in the terminal.
    #[cfg(unix)]
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}
