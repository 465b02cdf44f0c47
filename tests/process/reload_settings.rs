//! A settings file that is reloaded while the service runs, and what happens to the keys of RS256.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zendesk_token::config::products::Product;

use crate::client::{Answer, Request};
use crate::harness::{CHAT_SECRET, KEY_ID, LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, Server, command, usual};
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture, keys_path};
use crate::login_tokens::{LoginToken, PROJECT, open, open_for};
use crate::published_keys::{rs256, token, until};
use crate::reload::{Folder, NEW_SECRET, hang_up, reload, reloads, serve, serve_settings_file, without};
use crate::stub::Reply;

/// A settings file with an origin and more settings of the login and of other sections.
fn text(origin: &str, login: &str, more: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[cors]\norigins = [\"{origin}\"]\n[login]\n{login}\n{more}"
    )
}

fn login() -> String {
    format!("secret = \"{LOGIN_SECRET}\"")
}

fn chat() -> String {
    format!("[chat]\nsecret = \"{CHAT_SECRET}\"\n")
}

fn messaging(secret: &str, key_id: &str) -> String {
    format!("[messaging]\n{secret}\nkey_id = \"{key_id}\"\n")
}

#[cfg(target_os = "linux")]
#[test]
fn systemd_is_notified_of_start_reloads_and_stop() {
    let folder = Folder::new();
    let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let state = || {
        let mut message = [0; 1024];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let file = folder.write("settings.toml", &text(ORIGIN, &login(), &chat()));
    let mut command = command(&["serve", "--config", file.to_str().unwrap()], &[]);
    command.env("NOTIFY_SOCKET", folder.path("notify"));
    let server = Server::run(command);
    assert_eq!(state().trim_end(), "READY=1");
    for (text, outcome) in [(text(ORIGIN, &login(), &chat()), "done"), ("[login\n".to_owned(), "failed")] {
        reload(&server, &file, &text, outcome);
        // systemd ignores a state that is older than its request (sd_notify(3)).
        let reloading = state();
        let lines: Vec<&str> = reloading.lines().collect();
        let time = lines[1].strip_prefix("MONOTONIC_USEC=").and_then(|time| time.parse::<u64>().ok());
        assert!(lines[0] == "RELOADING=1" && time.is_some(), "{reloading}");
        assert_eq!(state().trim_end(), "READY=1", "{outcome}");
    }
    server.stop();
    assert_eq!(state().trim_end(), "STOPPING=1");
}

#[test]
fn sighup_reloads_the_settings_file_and_logs_which_settings_need_a_restart() {
    let (_folder, file, server) = serve_settings_file(&text(ORIGIN, &login(), &chat()), &[]);
    let from = |origin: &str| {
        let request = server.get("/generate/token").header("Origin", origin);
        request.header("Authorization", format!("Bearer {}", LoginToken::valid().mint())).send()
    };
    let new_origin = "https://new.example.com";
    assert_eq!(from(new_origin).refusal(), "403 00-05");
    assert_eq!(from(ORIGIN).refusal(), "401 00-00");
    let more = chat() + "[limits]\nconnections = 9\n[log]\nlevel = \"debug\"\n";
    let changed = text(new_origin, &(login() + "\nbearer = true"), &more);
    fs::write(&file, changed.replace("127.0.0.1:0\"\n[admin]", "127.0.0.1:1\"\n[admin]")).unwrap();
    thread::sleep(Duration::from_millis(600));
    assert_eq!(reloads(&server, "done"), 0, "a settings file may be half edited: it waits for the signal");
    hang_up(&server, "done");
    assert_eq!(from(new_origin).status, 200);
    assert_eq!(from(ORIGIN).refusal(), "403 00-05");

    reload(&server, &file, "[login\n", "failed");
    assert_eq!(from(new_origin).status, 200);
    let log = server.stop().log;
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("after a restart")).collect();
    for key in ["listen", "limits.connections", "log.level"] {
        let names_it = |line: &&&String| line.contains(&format!("\"setting\":\"{key}\""));
        assert_eq!(lines.iter().filter(names_it).count(), 1, "{key}: {lines:?}");
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn settings_that_would_publish_a_secret_are_not_taken_over() {
    let secret = format!("secret = \"{MESSAGING_SECRET}\"");
    let with_key_id = |key_id: &str| text(ORIGIN, &login(), &messaging(&secret, key_id));
    let (_folder, file, server) = serve_settings_file(&with_key_id(KEY_ID), &[]);
    reload(&server, &file, &with_key_id(MESSAGING_SECRET), "failed");
    let token = server.get("/messaging/token").cookie(LoginToken::valid().mint()).send().token();
    assert_eq!(open(&token, MESSAGING_SECRET).0["kid"], KEY_ID);
    let log = server.stop().log.join("\n");
    assert!(log.contains("has the value of messaging.secret (") && !log.contains(MESSAGING_SECRET), "{log}");
}

#[test]
fn a_secret_file_that_only_refused_settings_name_is_watched() {
    let (folder, file, server) = serve_settings_file(&text(ORIGIN, &login(), &chat()), &[]);
    let secret = folder.write("secret", "short");
    reload(&server, &file, &text(ORIGIN, &format!("secret_file = {secret:?}"), &chat()), "failed");
    fs::write(&secret, NEW_SECRET).unwrap();
    let ask = || server.get("/generate/token").cookie(LoginToken::valid().secret(NEW_SECRET).mint()).send().status;
    until("fixed", || ask() == 200);
    until("counted", || (reloads(&server, "done"), reloads(&server, "failed")) == (1, 1));
}

#[test]
fn a_product_is_added_changes_its_key_and_is_removed_without_a_restart() {
    let folder = Folder::new();
    let secret = folder.write("messaging", MESSAGING_SECRET);
    let messaging = |key_id: &str| messaging(&format!("secret_file = {secret:?}"), key_id);
    let with = |products: &str| text(ORIGIN, &login(), products);
    let (_other_folder, file, server) = serve_settings_file(&with(&chat()), &[]);
    let ask = |path: &str| server.get(path).cookie(LoginToken::valid().mint()).send();
    assert_eq!((ask("/generate/token").status, ask("/messaging/token").refusal()), (200, "404 00-08".to_owned()));

    reload(&server, &file, &with(&(chat() + &messaging(KEY_ID))), "done");
    open_for(Product::Messaging, &ask("/messaging/token").token(), MESSAGING_SECRET);
    assert_eq!(ask("/generate/token").status, 200);

    // Its secret file is watched, too.
    fs::rename(folder.write("new", NEW_SECRET), &secret).unwrap();
    until("swapped", || reloads(&server, "done") == 2);
    open_for(Product::Messaging, &ask("/messaging/token").token(), NEW_SECRET);

    reload(&server, &file, &with(&messaging("app_other")), "done");
    assert_eq!(open(&ask("/messaging/token").token(), NEW_SECRET).0["kid"], "app_other");
    assert_eq!(ask("/generate/token").refusal(), "404 00-08");

    for (wrong, what) in [("", "no product"), ("[messaging]\nkey_id = \"app_other\"\n", "a key id without a secret")] {
        reload(&server, &file, &with(wrong), "failed");
        assert_eq!(ask("/messaging/token").status, 200, "{what}");
    }
}

/// Sends requests on one connection until `is_over`; every answer must be a token. Returns their number.
fn ask_on(address: SocketAddr, request: &str, is_over: &AtomicBool) -> usize {
    let mut stream = crate::client::connect(address);
    let (mut count, mut answer) = (0, vec![0; 16 * 1024]);
    while !is_over.load(Ordering::Relaxed) {
        stream.write_all(request.as_bytes()).unwrap();
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..read]));
        count += 1;
    }
    count
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
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| ask_on(address, &request, &is_over))).collect();
        for turn in 0..6 {
            let (new, old) = if turn % 2 == 0 { (NEW_SECRET, LOGIN_SECRET) } else { (LOGIN_SECRET, NEW_SECRET) };
            // On a slow machine a reload can come between the two and fail, because both settings have one secret then.
            let (new, old) = (folder.write("new", new), folder.write("old", old));
            fs::rename(new, &current).unwrap();
            fs::rename(old, &previous).unwrap();
            until("swapped", || reloads(&server, "done") == turn + 1);
        }
        is_over.store(true, Ordering::Relaxed);
        let count: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert!(count > 100, "{count}");
    });
}

/// Settings that check revocations at this API.
fn checking_revocations(url: &str) -> Vec<(&str, &str)> {
    usual(&[("login.check_revocation", "true"), ("login.api_url", url)])
}

#[test]
fn limits_count_on_over_a_reload_and_a_new_request_timeout_applies() {
    let api = LoginApi::start();
    let limits = |timeout: &str| {
        format!("[limits]\nrequests_in_flight = 8\nrequest_timeout = \"{timeout}\"\nidle_timeout = \"300ms\"\n")
    };
    let (_folder, file, server) = serve_settings_file(&limits("300ms"), &checking_revocations(&api.url()));
    reload(&server, &file, &limits("10s"), "done");
    api.reply(VALIDATE_PATH, Reply::Late(Duration::from_secs(2), 204, String::new()));
    let address = server.public;
    let ask = |token: &str| Request::new(address, "GET", "/generate/token").cookie(token).send();
    thread::scope(|scope| {
        // Two of eight may wait for the Login API; the others serve requests that need no check.
        let waiting: Vec<_> = (0..2)
            .map(|number| scope.spawn(move || ask(&LoginToken::valid().claim("number", number).mint()).status))
            .collect();
        until("asked", || api.asked(VALIDATE_PATH) == 2);
        hang_up(&server, "done");
        assert_eq!(ask(&LoginToken::valid().mint()).refusal(), "503 00-07");
        assert_eq!(ask("garbage").refusal(), "401 00-01");
        for answer in waiting {
            assert_eq!(answer.join().unwrap(), 200, "it has 10 s now");
        }
    });
}

#[test]
fn revocation_answers_are_kept_over_a_reload() {
    let api = LoginApi::start();
    let limits = |limit: usize| format!("[limits]\nrequests_in_flight = {limit}\n");
    let (_folder, file, server) = serve_settings_file(&limits(8), &checking_revocations(&api.url()));
    let token = LoginToken::valid().mint();
    let ask = || server.get("/generate/token").cookie(&token).send().status;
    assert_eq!(ask(), 200);
    for limit in [8, 9] {
        reload(&server, &file, &limits(limit), "done");
        assert_eq!(ask(), 200);
    }
    assert_eq!(api.asked(VALIDATE_PATH), 1);
}

#[test]
fn requests_in_flight_count_on_over_a_reload() {
    let api = LoginApi::start();
    let limit = [("limits.requests_in_flight", "1")];
    let server = Server::with(&[&checking_revocations(&api.url())[..], &limit].concat());
    api.reply(VALIDATE_PATH, Reply::Late(Duration::from_secs(2), 204, String::new()));
    let request = server.get("/generate/token").cookie(LoginToken::valid().mint());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| request.send().status);
        until("asked", || api.asked(VALIDATE_PATH) == 1);
        hang_up(&server, "done");
        assert_eq!(server.get("/generate/token").cookie("garbage").send().refusal(), "503 00-11");
        // Otherwise a platform would restart a busy service.
        assert_eq!(server.get("/health").send().status, 200);
        assert_eq!(waiting.join().unwrap(), 200);
    });
}

#[test]
fn a_closed_terminal_ends_the_demo_and_not_the_service() {
    // Under nohup, child processes ignore the signal.
    let mut demo = Command::new("env");
    demo.arg("--default-signal=HUP").arg(command(&[], &[]).get_program()).args(["demo", "--listen", "127.0.0.1:0"]);
    let demo = Server::run(demo);
    assert!(demo.stop_by("HUP").status.code().is_none());
    let server = Server::start();
    hang_up(&server, "done");
    assert_eq!(server.stop().status.code(), Some(0));
}

#[test]
fn a_rate_limit_counts_on_over_a_reload() {
    let limit = [("rate_limit.per_second", "1"), ("rate_limit.burst", "30")];
    let server = Server::with(&limit);
    let started = Instant::now();
    let refused = || (0..30).filter(|_| server.get("/generate/token").send().status == 429).count();
    assert_eq!(refused(), 0);
    hang_up(&server, "done");
    let refused = refused();
    let refilled = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
    assert!(refused + refilled >= 30, "{refused} refused, {refilled} refilled");
}

const OTHER_PROJECT: &str = "11111111-2222-3333-4444-555555555555";

fn other_keys_path() -> String {
    keys_path().replace(PROJECT, OTHER_PROJECT)
}

/// Settings for RS256 without a project.
fn without_project(url: &str) -> Vec<(&str, &str)> {
    without(&["login.project_id"], rs256(url, &[]))
}

fn project(id: &str) -> String {
    format!("[login]\nproject_id = \"{id}\"\n")
}

fn ask(server: &Server) -> Answer {
    server.get("/generate/token").cookie(token("key_a")).send()
}

fn is_ready(server: &Server) -> bool {
    Request::new(server.admin, "GET", "/ready").send().status == 200
}

#[test]
fn keys_are_kept_until_those_of_another_project_are_fetched() {
    let api = LoginApi::start();
    let (_folder, file, server) = serve_settings_file(&project(PROJECT), &without_project(&api.url()));
    until("ready", || ask(&server).status == 200);
    let before = api.asked(&keys_path());
    hang_up(&server, "done");
    assert_eq!(ask(&server).status, 200);
    assert_eq!(api.asked(&keys_path()), before, "nothing was fetched for it");

    // The new project's keys are unavailable: the old ones stay.
    reload(&server, &file, &project(OTHER_PROJECT), "failed");
    assert_eq!(ask(&server).status, 200);

    // They are fetched again without a signal, and come late: the old ones serve until then.
    api.reply(&other_keys_path(), Reply::Late(Duration::from_secs(2), 200, fixture("first.json")));
    let (asked, started) = (api.asked(&other_keys_path()), Instant::now());
    until("asked", || api.asked(&other_keys_path()) > asked);
    (0..20).for_each(|_| assert_eq!(ask(&server).status, 200));
    until("swapped", || reloads(&server, "done") == 2);
    assert!(started.elapsed() >= Duration::from_secs(2), "not before the keys were there");
    assert_eq!(ask(&server).refusal(), "401 00-01", "a token of the old project");
}

#[test]
fn repeated_signals_and_changed_key_times_lose_no_key() {
    let api = LoginApi::start();
    let max_stale = |time: &str| format!("[login]\nkeys_max_stale = \"{time}\"\n");
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(1), 200, fixture("first.json")));
    let (_folder, file, server) = serve_settings_file(&max_stale("1h"), &rs256(&api.url(), &[]));
    until("ready", || {
        server.signal("HUP");
        thread::sleep(Duration::from_millis(100));
        is_ready(&server)
    });
    assert_eq!(api.asked(&keys_path()), 1, "no reload ends a fetch");
    // With the API down, the keys that are there get the new time.
    api.reply(&keys_path(), Reply::Answer(503, String::new()));
    reload(&server, &file, &max_stale("2h"), "done");
    assert_eq!(ask(&server).status, 200);
    assert_eq!(reloads(&server, "failed"), 0);
}

#[test]
fn a_service_without_keys_is_ready_once_its_settings_need_none() {
    let rs256 = format!("{}algorithm = \"RS256\"\napi_url = \"http://127.0.0.1:1\"\n", project(PROJECT));
    let (_folder, file, server) = serve_settings_file(&rs256, &without(&["login.secret"], usual(&[])));
    assert!(!is_ready(&server));
    fs::write(&file, format!("[login]\nsecret = \"{LOGIN_SECRET}\"\n")).unwrap();
    server.signal("HUP");
    until("ready", || is_ready(&server));
    assert_eq!(server.get("/generate/token").cookie(LoginToken::valid().mint()).send().status, 200);
}

#[test]
fn it_stays_ready_over_a_reload_to_a_project_whose_keys_are_missing() {
    let api = LoginApi::start();
    let url = api.url();
    let project = |id: &str| project(id) + "keys_max_age = \"500ms\"\nkeys_max_stale = \"1s\"\n";
    let (_folder, file, server) = serve_settings_file(&project(PROJECT), &without_project(&url));
    // Without a request for /ready.
    until("keys", || ask(&server).status == 200);
    drop(api);
    until("too old", || ask(&server).status == 503);
    reload(&server, &file, &project(OTHER_PROJECT), "done");
    assert_eq!(ask(&server).refusal(), "503 00-07");
    assert!(is_ready(&server) && server.get("/health").send().status == 200);
}

#[test]
fn keys_of_new_settings_are_kept_fresh_and_those_of_old_settings_are_not() {
    let api = LoginApi::start();
    let hs256 = format!("[login]\nsecret = \"{LOGIN_SECRET}\"\n");
    let url = api.url();
    let rs256 = format!("{}algorithm = \"RS256\"\napi_url = \"{url}\"\nkeys_max_age = \"300ms\"\n", project(PROJECT));
    let (_folder, file, server) = serve_settings_file(&hs256, &without(&["login.secret"], usual(&[])));
    fs::write(&file, rs256).unwrap();
    server.signal("HUP");
    until("kept fresh", || api.asked(&keys_path()) >= 4);
    assert_eq!(ask(&server).status, 200);
    reload(&server, &file, &hs256, "done");
    let asked = api.asked(&keys_path());
    thread::sleep(Duration::from_secs(1));
    assert!(api.asked(&keys_path()) <= asked + 1, "one may have been in flight");
}
