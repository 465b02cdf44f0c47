//! Secrets and settings that change while the service runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zendesk_token::config::watched::WatchedFiles;

use crate::client::{Answer, Request};
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, Server, command, usual};
use crate::login_tokens::{LoginToken, open};
use crate::published_keys::until;

pub const NEW_SECRET: &str = "6e6577206c6f67696e2073656372657420616674657220612072657365742021";
const NEW_CHAT_SECRET: &str = "6e657720636861742073656372657420616674657220612072657365742021aa";

/// A folder that is gone when dropped.
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

/// A service that reads its login secret from a file.
pub fn serve(secret: &Path, changes: &[(&str, &str)]) -> Server {
    let file = [("login.secret_file", secret.to_str().unwrap())];
    let mut settings = usual(&[&file, changes].concat());
    settings.retain(|(key, _)| *key != "login.secret");
    Server::run(command(&["serve"], &settings))
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

fn until_swapped(server: &Server, old: &str, new: &str) {
    until("the new secret verifies", || ask(server, new).status == 200);
    assert_eq!(ask(server, old).refusal(), "401 00-01");
}

#[test]
fn a_secret_file_written_anew_or_put_in_place_is_read() {
    let folder = Folder::new();
    let secret = folder.write("secret", LOGIN_SECRET);
    let server = serve(&secret, &[]);
    assert_eq!(ask(&server, LOGIN_SECRET).status, 200);
    fs::write(&secret, format!("{NEW_SECRET}\n")).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    fs::rename(folder.write("secret.new", LOGIN_SECRET), &secret).unwrap();
    until_swapped(&server, NEW_SECRET, LOGIN_SECRET);
    fs::remove_file(&secret).unwrap();
    until("missed", || reloads(&server, "failed") > 0);
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
    assert_eq!((reloads(&server, "done"), reloads(&server, "failed")), (2, 0));
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

#[test]
fn a_bad_file_keeps_the_old_secret_and_says_so() {
    let folder = Folder::new();
    let secret = folder.write("secret", LOGIN_SECRET);
    let server = serve(&secret, &[]);
    let bad = ["", "short", CHAT_SECRET, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"];
    for (count, text) in bad.into_iter().enumerate() {
        fs::write(&secret, text).unwrap();
        until("refused", || reloads(&server, "failed") == count + 1);
        assert_eq!(ask(&server, LOGIN_SECRET).status, 200, "{text}");
    }
    fs::write(&secret, NEW_SECRET).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    assert_eq!((reloads(&server, "done"), reloads(&server, "failed")), (1, bad.len()));
    let log = server.stop().log;
    let errors: Vec<_> = log.iter().filter(|line| line.contains("settings not reloaded; the old ones stay")).collect();
    assert_eq!(errors.len(), bad.len(), "{log:?}");
    let told = ["is empty", "is 5 bytes and needs 32", "is the same secret as", "is a key or key set"];
    for (line, told) in errors.iter().zip(told) {
        assert!(line.contains(told) && line.contains(r#""level":"ERROR""#) && line.contains("secret_file"), "{line}");
    }
    assert!(log.iter().any(|line| line.contains("settings reloaded")));
    assert!(!log.iter().any(|line| line.contains(CHAT_SECRET) || line.contains("\"short\"")));
}

#[test]
fn a_file_that_was_given_to_the_service_or_kept_its_time_is_noticed() {
    let folder = Folder::new();
    let secret = folder.write("secret", LOGIN_SECRET);
    let server = serve(&secret, &[]);
    // As `cp -p` and `rsync --times --inplace` leave it: as long, and written at the same time.
    let written = fs::metadata(&secret).unwrap().modified().unwrap();
    fs::write(&secret, NEW_SECRET).unwrap();
    fs::File::options().write(true).open(&secret).unwrap().set_modified(written).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    // Permissions that change change what can be read.
    let before = reloads(&server, "done");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
    until("reloaded", || reloads(&server, "done") > before);
}

#[test]
fn a_file_that_never_ends_fails_the_reload_and_not_the_service() {
    let folder = Folder::new();
    let secret = folder.write("secret", LOGIN_SECRET);
    let server = serve(&secret, &[]);
    fs::write(&secret, NEW_SECRET).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    fs::remove_file(&secret).unwrap();
    assert!(Command::new("mkfifo").arg(&secret).status().unwrap().success());
    until("given up", || reloads(&server, "failed") > 0);
    assert_eq!(ask(&server, NEW_SECRET).status, 200);
    let given_up = Instant::now();
    until("tried again", || reloads(&server, "failed") > 1);
    assert!(given_up.elapsed() > Duration::from_secs(9), "it is tried again after a pause: {:?}", given_up.elapsed());
    let threads = || fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().count();
    let before = threads();
    for _ in 0..3 {
        server.signal("HUP");
    }
    until("given up again", || reloads(&server, "failed") > 2);
    assert!(threads() <= before + 1, "one stuck reader is enough");
    // What it waits for comes, and then the file is another: nobody has to ask for a reload.
    fs::write(&secret, NEW_SECRET).unwrap();
    fs::remove_file(&secret).unwrap();
    folder.write("secret", LOGIN_SECRET);
    until_swapped(&server, NEW_SECRET, LOGIN_SECRET);
    assert_eq!(server.stop().status.code(), Some(0));
}

#[test]
fn other_files_in_the_folder_are_nobodys_business() {
    let folder = Folder::new();
    let secret = folder.write("secret", LOGIN_SECRET);
    let server = serve(&secret, &[]);
    for number in 0..50 {
        folder.write(&format!("{number}"), "noise");
        thread::sleep(Duration::from_millis(20));
    }
    fs::write(&secret, NEW_SECRET).unwrap();
    until_swapped(&server, LOGIN_SECRET, NEW_SECRET);
    assert_eq!((reloads(&server, "done"), reloads(&server, "failed")), (1, 0));
}

#[test]
fn every_product_secret_is_swapped_and_both_login_secrets_can_change_places() {
    let folder = Folder::new();
    let (current, chat) = (folder.write("login", LOGIN_SECRET), folder.write("chat", CHAT_SECRET));
    let previous = folder.write("previous", NEW_SECRET);
    let files = [
        ("login.secret_file", current.to_str().unwrap()),
        ("login.previous_secret_file", previous.to_str().unwrap()),
        ("chat.secret_file", chat.to_str().unwrap()),
    ];
    let mut settings = usual(&files);
    settings.retain(|(key, _)| !matches!(*key, "login.secret" | "chat.secret"));
    let server = Server::run(command(&["serve"], &settings));
    fs::write(&current, NEW_SECRET).unwrap();
    fs::write(&previous, LOGIN_SECRET).unwrap();
    fs::write(&chat, NEW_CHAT_SECRET).unwrap();
    until("reloaded", || reloads(&server, "done") == 1);
    for secret in [LOGIN_SECRET, NEW_SECRET] {
        let token = ask(&server, secret).token();
        open(&token, NEW_CHAT_SECRET);
    }
    assert_eq!(reloads(&server, "failed"), 0, "three files written one after the other are one change");
}
