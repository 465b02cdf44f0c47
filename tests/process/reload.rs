//! Secret files that change while the service runs.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zendesk_token::config::files::WatchedFiles;

use crate::client::{Answer, Request};
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, Server, command, usual};
use crate::login_tokens::{LoginToken, open};
use crate::published_keys::until;

pub const NEW_SECRET: &str = "6e6577206c6f67696e2073656372657420616674657220612072657365742021";
const NEW_CHAT_SECRET: &str = "6e657720636861742073656372657420616674657220612072657365742021aa";

/// A folder that is deleted when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("zendesk-token-reload-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The settings without these keys.
pub fn without<'a>(keys: &[&str], mut settings: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    settings.retain(|(key, _)| !keys.contains(key));
    settings
}

/// A service that reads its login secret from a file.
pub fn serve(secret: &Path, changes: &[(&str, &str)]) -> Server {
    let file = [("login.secret_file", secret.to_str().unwrap())];
    Server::run(command(&["serve"], &without(&["login.secret"], usual(&[&file, changes].concat()))))
}

fn serve_secret_file() -> (Folder, PathBuf, Server) {
    let folder = Folder::new();
    let secret = folder.write("secret", LOGIN_SECRET);
    let server = serve(&secret, &[]);
    (folder, secret, server)
}

/// A service with a settings file of this text, and more settings from the environment.
pub fn serve_settings_file(text: &str, settings: &[(&str, &str)]) -> (Folder, PathBuf, Server) {
    let folder = Folder::new();
    let file = folder.write("settings.toml", text);
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], settings));
    (folder, file, server)
}

/// Writes the settings file, sends SIGHUP and waits for the outcome: done or failed.
pub fn reload(server: &Server, file: &Path, text: &str, outcome: &str) {
    fs::write(file, text).unwrap();
    hang_up(server, outcome);
}

/// Sends SIGHUP and waits for the outcome: done or failed.
pub fn hang_up(server: &Server, outcome: &str) {
    let before = reloads(server, outcome);
    server.signal("HUP");
    until(outcome, || reloads(server, outcome) > before);
}

fn ask(server: &Server, secret: &str) -> Answer {
    server.get("/generate/token").cookie(LoginToken::valid().secret(secret).mint()).send()
}

/// How many reloads there were, done or failed.
pub fn reloads(server: &Server, outcome: &str) -> usize {
    let metrics = Request::new(server.admin, "GET", "/metrics").send().body;
    let name = format!("zendesk_token_reloads_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(name.as_str())).unwrap().parse().unwrap()
}

/// Replaces the login secret in a file, and waits until it is used.
fn swap(server: &Server, secret: &Path, old: &str, new: &str) {
    fs::write(secret, new).unwrap();
    until_swapped(server, old, new);
}

fn until_swapped(server: &Server, old: &str, new: &str) {
    until("the new secret verifies", || ask(server, new).status == 200);
    assert_eq!(ask(server, old).refusal(), "401 00-01");
}

#[test]
fn an_overwritten_replaced_or_deleted_secret_file_is_noticed() {
    let (folder, secret, server) = serve_secret_file();
    assert_eq!(ask(&server, LOGIN_SECRET).status, 200);
    fs::write(&secret, format!("{NEW_SECRET}\n")).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    fs::rename(folder.write("secret.new", LOGIN_SECRET), &secret).unwrap();
    until_swapped(&server, NEW_SECRET, LOGIN_SECRET);
    fs::remove_file(&secret).unwrap();
    until("failed", || reloads(&server, "failed") > 0);
    assert_eq!(ask(&server, LOGIN_SECRET).status, 200);
    folder.write("secret", NEW_SECRET);
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
}

#[test]
fn a_link_that_kubernetes_swaps_is_followed() {
    let folder = Folder::new();
    let put = |version: &str, secret: &str| {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/login"), secret);
        symlink(version, folder.path("..data_tmp")).unwrap();
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    };
    put("..2026_01", LOGIN_SECRET);
    symlink("..data/login", folder.path("login")).unwrap();
    let server = serve(&folder.path("login"), &[]);
    put("..2026_02", NEW_SECRET);
    fs::remove_dir_all(folder.path("..2026_01")).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    put("..2026_03", LOGIN_SECRET);
    fs::remove_dir_all(folder.path("..2026_02")).unwrap();
    until_swapped(&server, NEW_SECRET, LOGIN_SECRET);
    until("counted", || (reloads(&server, "done"), reloads(&server, "failed")) == (2, 0));
}

#[test]
fn a_file_behind_links_in_other_folders_is_watched_too() {
    let (folder, elsewhere, further) = (Folder::new(), Folder::new(), Folder::new());
    further.write("secret", LOGIN_SECRET);
    symlink(further.path("secret"), elsewhere.path("link")).unwrap();
    symlink(elsewhere.path("link"), folder.path("login")).unwrap();
    let mut watched = WatchedFiles::default();
    watched.add(folder.path("login"));
    let folders: Vec<PathBuf> = watched.folders().into_iter().collect();
    let mut expected = [&folder, &elsewhere, &further].map(|folder| folder.0.canonicalize().unwrap());
    expected.sort();
    assert_eq!(folders, expected);
    let server = serve(&folder.path("login"), &[]);
    further.write("secret", NEW_SECRET);
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    symlink(further.write("other", LOGIN_SECRET), elsewhere.path("new")).unwrap();
    fs::rename(elsewhere.path("new"), elsewhere.path("link")).unwrap();
    until_swapped(&server, NEW_SECRET, LOGIN_SECRET);
}

/// The writable memory of a process.
fn memory(process: u32) -> io::Result<Vec<u8>> {
    let (maps, mut file) =
        (fs::read_to_string(format!("/proc/{process}/maps"))?, File::open(format!("/proc/{process}/mem"))?);
    let mut memory = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let range = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(range.0, 16).unwrap(), u64::from_str_radix(range.1, 16).unwrap());
        file.seek(SeekFrom::Start(start))?;
        // A region may have ended since.
        let _ = file.by_ref().take(end - start).read_to_end(&mut memory);
    }
    Ok(memory)
}

#[test]
fn a_replaced_secret_is_not_in_memory_any_more_and_only_root_may_look() {
    let (_folder, secret, server) = serve_secret_file();
    swap(&server, &secret, LOGIN_SECRET, NEW_SECRET);
    match memory(server.id()) {
        Ok(memory) => {
            let is_there = |secret: &str| memory.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert_eq!([NEW_SECRET, LOGIN_SECRET].map(is_there), [true, false]);
        }
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
    }
}

#[test]
fn an_unusable_secret_file_keeps_the_old_secret_and_is_logged() {
    let (_folder, secret, server) = serve_secret_file();
    let bad = ["", "short", CHAT_SECRET, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"];
    for (count, text) in bad.into_iter().enumerate() {
        fs::write(&secret, text).unwrap();
        until("refused", || reloads(&server, "failed") == count + 1);
        assert_eq!(ask(&server, LOGIN_SECRET).status, 200, "{text}");
    }
    swap(&server, &secret, LOGIN_SECRET, NEW_SECRET);
    until("counted", || (reloads(&server, "done"), reloads(&server, "failed")) == (1, bad.len()));
    let log = server.stop().log;
    let errors: Vec<_> = log.iter().filter(|line| line.contains("settings not reloaded; the old ones stay")).collect();
    assert_eq!(errors.len(), bad.len(), "{log:?}");
    let causes = ["is empty", "is shorter than 32 bytes", "is the same secret as", "is a key or key set"];
    for (line, cause) in errors.iter().zip(causes) {
        assert!(line.contains(cause) && line.contains(r#""level":"ERROR""#) && line.contains("secret_file"), "{line}");
    }
    assert!(log.iter().any(|line| line.contains("settings reloaded")));
    assert!(!log.iter().any(|line| line.contains(CHAT_SECRET) || line.contains("\"short\"")));
}

#[test]
fn a_change_of_content_without_a_new_time_or_of_permissions_is_noticed() {
    let (_folder, secret, server) = serve_secret_file();
    // Like `cp -p` and `rsync --times --inplace`: of the same length and modification time.
    let written = fs::metadata(&secret).unwrap().modified().unwrap();
    fs::write(&secret, NEW_SECRET).unwrap();
    File::options().write(true).open(&secret).unwrap().set_modified(written).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    let before = reloads(&server, "done");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
    until("reloaded", || reloads(&server, "done") > before);
}

#[test]
fn a_secret_file_that_never_ends_fails_the_reload_but_not_the_service() {
    let (folder, secret, server) = serve_secret_file();
    swap(&server, &secret, LOGIN_SECRET, NEW_SECRET);
    fs::remove_file(&secret).unwrap();
    assert!(Command::new("mkfifo").arg(&secret).status().unwrap().success());
    until("failed", || reloads(&server, "failed") > 0);
    assert_eq!(ask(&server, NEW_SECRET).status, 200);
    let given_up = Instant::now();
    until("failed again", || reloads(&server, "failed") > 1);
    assert!(given_up.elapsed() > Duration::from_secs(9), "without a pause: {:?}", given_up.elapsed());
    let threads = || fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().count();
    let before = threads();
    (0..3).for_each(|_| server.signal("HUP"));
    until("failed a third time", || reloads(&server, "failed") > 2);
    assert!(threads() <= before + 1, "one stuck reader is enough");
    // The reader ends, and the next file is read without a signal.
    fs::write(&secret, NEW_SECRET).unwrap();
    fs::remove_file(&secret).unwrap();
    folder.write("secret", LOGIN_SECRET);
    until_swapped(&server, NEW_SECRET, LOGIN_SECRET);
    assert_eq!(server.stop().status.code(), Some(0));
}

#[test]
fn other_files_in_the_folder_cause_no_reload() {
    let (folder, secret, server) = serve_secret_file();
    for number in 0..50 {
        folder.write(&format!("{number}"), "noise");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(reloads(&server, "done"), 0);
    swap(&server, &secret, LOGIN_SECRET, NEW_SECRET);
    until("counted", || (reloads(&server, "done"), reloads(&server, "failed")) == (1, 0));
}

#[test]
fn several_secret_files_that_change_together_are_one_reload() {
    let folder = Folder::new();
    let (current, chat) = (folder.write("login", LOGIN_SECRET), folder.write("chat", CHAT_SECRET));
    let previous = folder.write("previous", NEW_SECRET);
    let files = [
        ("login.secret_file", current.to_str().unwrap()),
        ("login.previous_secret_file", previous.to_str().unwrap()),
        ("chat.secret_file", chat.to_str().unwrap()),
    ];
    let server = Server::run(command(&["serve"], &without(&["login.secret", "chat.secret"], usual(&files))));
    fs::write(&current, NEW_SECRET).unwrap();
    fs::write(&previous, LOGIN_SECRET).unwrap();
    fs::write(&chat, NEW_CHAT_SECRET).unwrap();
    until("reloaded", || reloads(&server, "done") == 1);
    for secret in [LOGIN_SECRET, NEW_SECRET] {
        open(&ask(&server, secret).token(), NEW_CHAT_SECRET);
    }
    assert_eq!(reloads(&server, "failed"), 0);
}
