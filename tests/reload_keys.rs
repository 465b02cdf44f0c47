//! What a reload does to the keys of RS256.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Request;
use crate::harness::{LOGIN_SECRET, Server, command, usual};
use crate::login_api::{LoginApi, fixture, keys_path};
use crate::login_tokens::{LoginToken, PROJECT};
use crate::published_keys::{rs256, until};
use crate::reload::{Folder, reloads};
use crate::stub::Reply;

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
    let started = Instant::now();
    server.signal("HUP");
    until("asked", || api.asked(&others_path) > asked);
    for _ in 0..20 {
        assert_eq!(ask().status, 200);
    }
    until("swapped", || reloads(&server, "done") == 2);
    assert!(started.elapsed() >= Duration::from_secs(2), "not before the keys were there");
    assert_eq!(ask().refusal(), "401 00-01", "a token of the old project");
}

#[test]
fn keys_of_another_project_that_could_not_be_had_are_asked_for_again() {
    let (folder, api) = (Folder::new(), LoginApi::start());
    let other = "11111111-2222-3333-4444-555555555555";
    let file = folder.write("settings.toml", &format!("[login]\nproject_id = \"{PROJECT}\"\n"));
    let url = api.url();
    let mut settings = rs256(&url, &[]);
    settings.retain(|(key, _)| *key != "login.project_id");
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &settings));
    let token = fixture("accepted/key_a.jwt");
    let ask = || server.get("/generate/token").cookie(&token).send();
    until("ready", || ask().status == 200);
    fs::write(&file, format!("[login]\nproject_id = \"{other}\"\n")).unwrap();
    server.signal("HUP");
    until("refused", || reloads(&server, "failed") == 1);
    api.reply(&format!("/api/projects/{other}/keys"), Reply::Answer(200, fixture("first.json")));
    // Nobody asks for another reload.
    until("reloaded", || reloads(&server, "done") == 1);
    assert_eq!(ask().refusal(), "401 00-01");
}

#[test]
fn signals_without_end_and_other_timing_cost_no_key() {
    let (folder, api) = (Folder::new(), LoginApi::start());
    let file = folder.write("settings.toml", "[login]\nkeys_max_stale = \"1h\"\n");
    let url = api.url();
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(1), 200, fixture("first.json")));
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &rs256(&url, &[])));
    let token = fixture("accepted/key_a.jwt");
    let ready = || Request::new(server.admin, "GET", "/ready").send().status == 200;
    until("ready", || {
        server.signal("HUP");
        thread::sleep(Duration::from_millis(100));
        ready()
    });
    assert_eq!(api.asked(&keys_path()), 1, "no reload ends a fetch");
    // The API is down, and the keys are to serve for longer.
    api.reply(&keys_path(), Reply::Answer(503, String::new()));
    let done = reloads(&server, "done");
    fs::write(&file, "[login]\nkeys_max_stale = \"2h\"\n").unwrap();
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") > done);
    assert_eq!(server.get("/generate/token").cookie(&token).send().status, 200);
    assert_eq!(reloads(&server, "failed"), 0);
}

#[test]
fn a_service_without_keys_is_ready_once_its_settings_need_none() {
    let folder = Folder::new();
    let rs256 =
        format!("[login]\nalgorithm = \"RS256\"\nproject_id = \"{PROJECT}\"\napi_url = \"http://127.0.0.1:1\"\n");
    let file = folder.write("settings.toml", &rs256);
    let mut settings = usual(&[]);
    settings.retain(|(key, _)| *key != "login.secret");
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &settings));
    let is_ready = || Request::new(server.admin, "GET", "/ready").send().status == 200;
    assert!(!is_ready());
    fs::write(&file, format!("[login]\nsecret = \"{LOGIN_SECRET}\"\n")).unwrap();
    server.signal("HUP");
    until("ready", is_ready);
    assert_eq!(server.get("/generate/token").cookie(LoginToken::valid().mint()).send().status, 200);
}

#[test]
fn once_ready_it_stays_so_over_a_reload_to_a_project_whose_keys_are_still_to_come() {
    let (folder, api) = (Folder::new(), LoginApi::start());
    let project =
        |id: &str| format!("[login]\nproject_id = \"{id}\"\nkeys_max_age = \"500ms\"\nkeys_max_stale = \"1s\"\n");
    let file = folder.write("settings.toml", &project(PROJECT));
    let url = api.url();
    let mut settings = rs256(&url, &[]);
    settings.retain(|(key, _)| *key != "login.project_id");
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &settings));
    let ask = || server.get("/generate/token").cookie(fixture("accepted/key_a.jwt")).send();
    let ready =
        || [Request::new(server.admin, "GET", "/ready"), server.get("/health")].map(|probe| probe.send().status);
    // Nobody has asked whether it is ready.
    until("keys", || ask().status == 200);
    drop(api);
    until("too old", || ask().status == 503);
    fs::write(&file, project("11111111-2222-3333-4444-555555555555")).unwrap();
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") == 1);
    assert_eq!(ask().refusal(), "503 00-07");
    assert_eq!(ready(), [200, 200]);
}

#[test]
fn keys_that_a_reload_brings_are_kept_fresh_and_those_it_drops_are_not() {
    let (folder, api) = (Folder::new(), LoginApi::start());
    let hs256 = format!("[login]\nsecret = \"{LOGIN_SECRET}\"\n");
    let url = api.url();
    let rs256 = format!(
        "[login]\nalgorithm = \"RS256\"\nproject_id = \"{PROJECT}\"\napi_url = \"{url}\"\nkeys_max_age = \"300ms\"\n"
    );
    let file = folder.write("settings.toml", &hs256);
    let mut settings = usual(&[]);
    settings.retain(|(key, _)| *key != "login.secret");
    let server = Server::run(command(&["serve", "--config", file.to_str().unwrap()], &settings));
    fs::write(&file, rs256).unwrap();
    server.signal("HUP");
    until("kept fresh", || api.asked(&keys_path()) >= 4);
    assert_eq!(server.get("/generate/token").cookie(fixture("accepted/key_a.jwt")).send().status, 200);
    fs::write(&file, hs256).unwrap();
    let done = reloads(&server, "done");
    server.signal("HUP");
    until("reloaded", || reloads(&server, "done") > done);
    let asked = api.asked(&keys_path());
    thread::sleep(Duration::from_secs(1));
    assert!(api.asked(&keys_path()) <= asked + 1, "one may have been under way");
}
