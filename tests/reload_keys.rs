//! What a reload does to the keys of RS256.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, Request};
use crate::harness::{LOGIN_SECRET, Server, usual};
use crate::login_api::{LoginApi, fixture, keys_path};
use crate::login_tokens::{LoginToken, PROJECT};
use crate::published_keys::{rs256, token, until};
use crate::reload::{hang_up, reload, reloads, serve_settings_file, without};
use crate::stub::Reply;

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
