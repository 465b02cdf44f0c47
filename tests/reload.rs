//! Secrets and settings that change while the service runs.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{Answer, Request};
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, ORIGIN, Server, command, usual};
use crate::login_api::{LoginApi, Reply, fixture, keys_path};
use crate::login_tokens::{LoginToken, PROJECT, open};
use crate::published_keys::{rs256, until};

const NEW_SECRET: &str = "6e6577206c6f67696e2073656372657420616674657220612072657365742021";
const NEW_CHAT_SECRET: &str = "6e657720636861742073656372657420616674657220612072657365742021aa";

/// A folder that is gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("zendesk-token-reload-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
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
fn serve(secret: &Path, changes: &[(&str, &str)]) -> Server {
    let file = [("login.secret_file", secret.to_str().unwrap())];
    let mut settings = usual(&[&file, changes].concat());
    settings.retain(|(key, _)| *key != "login.secret");
    Server::run(command(&["serve"], &settings))
}

fn ask(server: &Server, secret: &str) -> Answer {
    server.get("/generate/token").cookie(LoginToken::valid().secret(secret).mint()).send()
}

/// How many reloads there were, done or failed.
fn reloads(server: &Server, outcome: &str) -> usize {
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

fn settings_text(more: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[chat]\nsecret = \"{CHAT_SECRET}\"\n[login]\nsecret = \"{LOGIN_SECRET}\"\n{more}"
    )
}

#[test]
fn sighup_reloads_the_settings_file_and_says_what_takes_a_restart() {
    let folder = Folder::new();
    let cors = format!("[cors]\norigins = [\"{ORIGIN}\"]\n");
    let file = folder.write("settings.toml", &settings_text(&cors));
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &[]));
    let from = |origin: &str| {
        let request = server.get("/generate/token").header("Origin", origin);
        request.header("Authorization", format!("Bearer {}", LoginToken::valid().mint())).send()
    };
    assert_eq!(from("https://new.example.com").refusal(), "403 00-05");
    assert_eq!(from(ORIGIN).refusal(), "401 00-00");
    let more = "bearer = true\n[cors]\norigins = [\"https://new.example.com\"]\n[limits]\nconnections = 9\n[log]\nlevel = \"debug\"\n";
    fs::write(&file, settings_text(more).replace("127.0.0.1:0\"\n[admin]", "127.0.0.1:1\"\n[admin]")).unwrap();
    thread::sleep(Duration::from_millis(600));
    assert_eq!(reloads(&server, "done"), 0, "a settings file may be half edited: it waits for the signal");
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") == 1);
    assert_eq!(from("https://new.example.com").status, 200);
    assert_eq!(from(ORIGIN).refusal(), "403 00-05");

    fs::write(&file, "[login\n").unwrap();
    server.signal("HUP");
    until("refused", || reloads(&server, "failed") == 1);
    assert_eq!(from("https://new.example.com").status, 200);
    let log = server.stop().log;
    for key in ["listen", "limits.connections", "log.level"] {
        let told =
            |line: &&String| line.contains("takes a restart") && line.contains(&format!("\"setting\":\"{key}\""));
        assert_eq!(log.iter().filter(told).count(), 1, "{key}: {log:?}");
    }
    assert_eq!(log.iter().filter(|line| line.contains("takes a restart")).count(), 3, "{log:?}");
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

/// Asks on one connection for as long as it is told to; every answer must be a token.
fn ask_on(address: SocketAddr, request: &str, is_over: &AtomicBool) -> usize {
    let mut stream = crate::client::connect(address);
    let (mut asked, mut answer) = (0, vec![0; 16 * 1024]);
    while !is_over.load(Ordering::Relaxed) {
        stream.write_all(request.as_bytes()).unwrap();
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..read]));
        asked += 1;
    }
    asked
}

#[test]
fn no_request_fails_while_secrets_are_swapped_under_load() {
    let folder = Folder::new();
    let (current, previous) = (folder.write("login", LOGIN_SECRET), folder.write("previous", NEW_SECRET));
    let server = serve(&current, &[("login.previous_secret_file", previous.to_str().unwrap()), ("log.level", "warn")]);
    let (address, is_over) = (server.public, AtomicBool::new(false));
    let request =
        format!("GET /generate/token HTTP/1.1\r\nHost: x\r\nCookie: token={}\r\n\r\n", LoginToken::valid().mint());
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..8).map(|_| scope.spawn(|| ask_on(address, &request, &is_over))).collect();
        for turn in 0..6 {
            let (new, old) = if turn % 2 == 0 { (NEW_SECRET, LOGIN_SECRET) } else { (LOGIN_SECRET, NEW_SECRET) };
            fs::rename(folder.write("new", new), &current).unwrap();
            fs::rename(folder.write("new", old), &previous).unwrap();
            until("swapped", || reloads(&server, "done") == turn + 1);
        }
        is_over.store(true, Ordering::Relaxed);
        let asked: usize = lanes.into_iter().map(|lane| lane.join().unwrap()).sum();
        assert!(asked > 100, "{asked}");
    });
    assert_eq!(reloads(&server, "failed"), 0);
}

#[test]
fn keys_that_were_fetched_survive_a_reload_and_those_of_another_project_are_there_before_the_swap() {
    let (folder, api) = (Folder::new(), LoginApi::start());
    let other = "11111111-2222-3333-4444-555555555555";
    let file = folder.write("settings.toml", "");
    let url = api.url();
    let mut settings = rs256(&url, &[("log.level", "warn")]);
    settings.retain(|(key, _)| *key != "login.project_id");
    let set_project = |project: &str| fs::write(&file, format!("[login]\nproject_id = \"{project}\"\n")).unwrap();
    set_project(PROJECT);
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &settings));
    let token = fixture("accepted/key_a.jwt");
    let ask = || server.get("/generate/token").cookie(&token).send();
    until("ready", || ask().status == 200);
    let before = api.asked(&keys_path());
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") == 1);
    assert_eq!(ask().status, 200);
    assert_eq!(api.asked(&keys_path()), before, "nothing was fetched for it");

    // The new project's keys can't be had: the old ones stay.
    set_project(other);
    server.signal("HUP");
    until("refused", || reloads(&server, "failed") == 1);
    assert_eq!(ask().status, 200);

    // They take their time: the old ones serve until then.
    let others_path = format!("/api/projects/{other}/keys");
    let asked = api.asked(&others_path);
    api.reply(&others_path, Reply::Late(Duration::from_secs(2), 200, fixture("first.json")));
    server.signal("HUP");
    until("asked", || api.asked(&others_path) > asked);
    for _ in 0..20 {
        assert_eq!(ask().status, 200);
    }
    assert_eq!(reloads(&server, "done"), 1, "the fetch is still under way");
    until("swapped", || reloads(&server, "done") == 2);
    assert_eq!(ask().refusal(), "401 00-01", "a token of the old project");
}

#[test]
fn a_closed_terminal_ends_the_demo_and_not_the_service() {
    let demo = Server::run(command(&["demo", "--listen", "127.0.0.1:0"], &[]));
    assert!(demo.stop_by("HUP").status.code().is_none());
    let server = Server::start();
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") == 1);
    assert_eq!(server.stop().status.code(), Some(0));
}
