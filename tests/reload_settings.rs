//! Settings that change while the service runs, and what goes on meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Request;
use crate::harness::{CHAT_SECRET, KEY_ID, LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, Server, command, usual};
use crate::login_api::{LoginApi, VALIDATE_PATH};
use crate::login_tokens::{LoginToken, open};
use crate::published_keys::until;
use crate::reload::{Folder, NEW_SECRET, reloads, serve};
use crate::stub::Reply;

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
            |line: &&String| line.contains("after a restart") && line.contains(&format!("\"setting\":\"{key}\""));
        assert_eq!(log.iter().filter(told).count(), 1, "{key}: {log:?}");
    }
    assert_eq!(log.iter().filter(|line| line.contains("after a restart")).count(), 3, "{log:?}");
}

#[test]
fn settings_that_would_publish_a_secret_are_not_taken_over() {
    let folder = Folder::new();
    let text = |key_id: &str| {
        let cors = format!("[cors]\norigins = [\"{ORIGIN}\"]\n");
        let messaging = format!("[messaging]\nsecret = \"{MESSAGING_SECRET}\"\nkey_id = \"{key_id}\"\n");
        settings_text(&format!("{cors}{messaging}"))
    };
    let file = folder.write("settings.toml", &text(KEY_ID));
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &[]));
    fs::write(&file, text(MESSAGING_SECRET)).unwrap();
    server.signal("HUP");
    until("refused", || reloads(&server, "failed") == 1);
    let token = server.get("/messaging/token").cookie(LoginToken::valid().mint()).send().token();
    assert_eq!(open(&token, MESSAGING_SECRET).0["kid"], KEY_ID);
    let log = server.stop().log.join("\n");
    assert!(log.contains("has the value of messaging.secret (") && !log.contains(MESSAGING_SECRET), "{log}");
}

#[test]
fn what_only_the_refused_settings_name_is_watched_for_its_mend() {
    let folder = Folder::new();
    let secret = folder.write("secret", "short");
    let text = settings_text(&format!("[cors]\norigins = [\"{ORIGIN}\"]\n"));
    let file = folder.write("settings.toml", &text);
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &[]));
    let named = text.replace(&format!("secret = \"{LOGIN_SECRET}\""), &format!("secret_file = {secret:?}"));
    fs::write(&file, named).unwrap();
    server.signal("HUP");
    until("refused", || reloads(&server, "failed") == 1);
    fs::write(&secret, NEW_SECRET).unwrap();
    let ask = || server.get("/generate/token").cookie(LoginToken::valid().secret(NEW_SECRET).mint()).send().status;
    until("mended", || ask() == 200);
    assert_eq!((reloads(&server, "done"), reloads(&server, "failed")), (1, 1));
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
fn limits_count_on_over_a_reload_and_the_time_for_an_answer_changes_with_it() {
    let (folder, api) = (Folder::new(), LoginApi::start());
    let text = |timeout: &str| {
        format!("[limits]\nrequests_in_flight = 8\nrequest_timeout = \"{timeout}\"\nidle_timeout = \"300ms\"\n")
    };
    let file = folder.write("settings.toml", &text("300ms"));
    let url = api.url();
    let settings = usual(&[("login.check_revocation", "true"), ("login.api_url", &url)]);
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &settings));
    fs::write(&file, text("10s")).unwrap();
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") == 1);
    api.reply(VALIDATE_PATH, Reply::Late(Duration::from_secs(2), 204, String::new()));
    let (address, token) = (server.public, LoginToken::valid().mint());
    let ask = |token: &str| Request::new(address, "GET", "/generate/token").cookie(token).send();
    thread::scope(|scope| {
        // Two of eight may wait for the Login API: the house has room for players it has nothing to ask about.
        let waiting: Vec<_> = (0..2)
            .map(|number| scope.spawn(move || ask(&LoginToken::valid().claim("number", number).mint()).status))
            .collect();
        until("asked", || api.asked(VALIDATE_PATH) == 2);
        server.signal("HUP");
        until("reloaded", || reloads(&server, "done") == 2);
        assert_eq!(ask(&token).refusal(), "503 00-07");
        assert_eq!(ask("garbage").refusal(), "401 00-01");
        for answer in waiting {
            assert_eq!(answer.join().unwrap(), 200, "it has 10 s now");
        }
    });
}

#[test]
fn what_the_login_api_said_is_remembered_over_a_reload() {
    let (folder, api) = (Folder::new(), LoginApi::start());
    let file = folder.write("settings.toml", "[limits]\nrequests_in_flight = 8\n");
    let url = api.url();
    let settings = usual(&[("login.check_revocation", "true"), ("login.api_url", &url)]);
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &settings));
    let token = LoginToken::valid().mint();
    let ask = || server.get("/generate/token").cookie(&token).send().status;
    assert_eq!(ask(), 200);
    for (count, limit) in [8, 9].into_iter().enumerate() {
        fs::write(&file, format!("[limits]\nrequests_in_flight = {limit}\n")).unwrap();
        server.signal("HUP");
        until("reloaded", || reloads(&server, "done") == count + 1);
        assert_eq!(ask(), 200);
    }
    assert_eq!(api.asked(VALIDATE_PATH), 1);
}

#[test]
fn requests_under_way_count_on_over_a_reload() {
    let api = LoginApi::start();
    let url = api.url();
    let limit = [("limits.requests_in_flight", "1"), ("login.check_revocation", "true"), ("login.api_url", &url)];
    let server = Server::with(&limit);
    api.reply(VALIDATE_PATH, Reply::Late(Duration::from_secs(2), 204, String::new()));
    let address = server.public;
    thread::scope(|scope| {
        let token = LoginToken::valid().mint();
        let waiting = scope.spawn(move || Request::new(address, "GET", "/generate/token").cookie(token).send().status);
        until("asked", || api.asked(VALIDATE_PATH) == 1);
        server.signal("HUP");
        until("reloaded", || reloads(&server, "done") == 1);
        assert_eq!(server.get("/generate/token").cookie("garbage").send().refusal(), "503 00-11");
        // A platform would restart a service that only has much to do.
        assert_eq!(server.get("/health").send().status, 200);
        assert_eq!(waiting.join().unwrap(), 200);
    });
}

#[test]
fn a_closed_terminal_ends_the_demo_and_not_the_service() {
    // Whoever starts the tests with nohup has all that they start ignore the signal.
    let mut demo = Command::new("env");
    demo.arg("--default-signal=HUP").arg(command(&[], &[]).get_program()).args(["demo", "--listen", "127.0.0.1:0"]);
    let demo = Server::run(demo);
    assert!(demo.stop_by("HUP").status.code().is_none());
    let server = Server::start();
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") == 1);
    assert_eq!(server.stop().status.code(), Some(0));
}

#[test]
fn a_rate_limit_counts_on_over_a_reload() {
    let limit = [("rate_limit.per_second", "1"), ("rate_limit.burst", "30")];
    let server = Server::with(&limit);
    let started = Instant::now();
    let refused = || (0..30).filter(|_| server.get("/generate/token").send().status == 429).count();
    assert_eq!(refused(), 0);
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") == 1);
    let refused = refused();
    let refilled = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
    assert!(refused + refilled >= 30, "{refused} refused, {refilled} refilled");
}
