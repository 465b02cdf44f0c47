//! RS256: login tokens that are verified with the login project's published keys.

use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::app::App;
use crate::client::Answer;
use crate::harness::{PATIENCE, usual};
use crate::key_sets::nested_in_strings;
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture, keys_path};
use crate::login_tokens::{LoginToken, PROJECT};
use crate::stub::Reply;
use crate::verification::fixtures;

pub const INVALID: &str = "401 00-01";

/// The usual settings for RS256 with these changes.
pub fn rs256<'a>(url: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let set = [("login.algorithm", "RS256"), ("login.project_id", PROJECT), ("login.api_url", url)];
    let mut settings = usual(&[&set, changes].concat());
    settings.retain(|(key, _)| *key != "login.secret");
    settings
}

/// A service with the API's published keys, when it is ready.
pub fn ready(api: &LoginApi, changes: &[(&str, &str)]) -> App {
    let server = serve(&api.url(), changes);
    until("ready", || is_ready(&server));
    server
}

pub fn serve(url: &str, changes: &[(&str, &str)]) -> App {
    App::of(&rs256(url, changes))
}

pub fn is_ready(server: &App) -> bool {
    server.admin("GET", "/ready").send().status == 200
}

/// Waits until a condition is true.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub fn token(name: &str) -> String {
    fixture(&format!("accepted/{name}.jwt"))
}

pub fn ask(server: &App, token: &str) -> Answer {
    server.get("/generate/token").cookie(token).send()
}

#[test]
fn tokens_verify_with_the_key_that_their_kid_names_in_either_form_of_set() {
    for set in ["first.json", "first_as_jwks.json"] {
        let api = LoginApi::start();
        api.publish(set);
        let server = ready(&api, &[]);
        for name in ["key_a", "key_b"] {
            assert_eq!(ask(&server, &token(name)).status, 200, "{set} {name}");
        }
        assert_eq!(ask(&server, &LoginToken::valid().mint()).refusal(), INVALID, "HS256");
        assert_eq!(ask(&server, &token("both_readings")).refusal(), INVALID);
        let log = server.log().join("\n");
        assert!(log.contains(r#""keys":2,"ignored":8"#) && log.contains(r#""key":"published""#), "{log}");
    }
}

#[test]
fn every_refused_rs256_fixture_is_refused() {
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    let refused = fixtures("rs256/refused");
    assert!(refused.len() >= 43);
    for (name, bytes) in refused {
        assert_eq!(server.get("/generate/token").cookie(bytes).send().refusal(), INVALID, "{name}");
    }
    for (name, bytes) in fixtures("accepted").into_iter().chain(fixtures("refused")) {
        if !bytes.is_empty() && !bytes.contains(&b'\n') {
            assert_eq!(server.get("/generate/token").cookie(bytes).send().refusal(), INVALID, "{name}");
        }
    }
    assert_eq!(api.asked(&keys_path()), 2, "one at the start and one for all unknown kids");
}

#[test]
fn a_number_valid_in_both_forms_is_read_by_the_shape_of_the_set() {
    let api = LoginApi::start();
    for (set, status) in [("both_readings.json", 200), ("both_readings_as_jwks.json", 401)] {
        api.publish(set);
        assert_eq!(ask(&ready(&api, &[]), &token("both_readings")).status, status, "{set}");
    }
}

#[test]
fn tokens_of_another_project_are_refused() {
    let api = LoginApi::start();
    let other = "11111111-2222-3333-4444-555555555555";
    api.reply(&format!("/api/projects/{other}/keys"), Reply::Answer(200, fixture("first.json")));
    let server = ready(&api, &[("login.project_id", other)]);
    assert_eq!(ask(&server, &token("key_a")).refusal(), INVALID);
}

#[test]
fn a_rotated_key_works_at_once_and_the_old_one_no_more() {
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    api.publish("rotated.json");
    assert_eq!(ask(&server, &token("key_a")).status, 200, "nobody knows yet");
    assert_eq!(ask(&server, &token("key_c")).status, 200);
    assert_eq!(ask(&server, &token("key_a")).refusal(), INVALID);
    assert_eq!(api.asked(&keys_path()), 2);
}

#[test]
fn unknown_kids_cause_one_fetch_in_each_cooldown() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "1h")]);
    let tokens = ["refused/kid_unknown.jwt", "refused/kid_path.jwt", "refused/kid_4_kilobytes.jwt"].map(fixture);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                (0..25).for_each(|turn| assert_eq!(ask(&server, &tokens[turn % 3]).refusal(), INVALID));
            });
        }
    });
    assert_eq!(api.asked(&keys_path()), 2);
    drop(server);

    let server = ready(&api, &[("login.keys_cooldown", "100ms")]);
    until("asked again", || {
        assert_eq!(ask(&server, &tokens[0]).refusal(), INVALID);
        api.asked(&keys_path()) >= 2 + 4
    });
}

#[test]
fn requests_with_an_unknown_kid_wait_for_one_fetch_while_others_go_on() {
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(4), 200, fixture("rotated.json")));
    thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..20).map(|_| scope.spawn(|| assert_eq!(ask(&server, &token("key_c")).status, 200))).collect();
        until("asked", || api.asked(&keys_path()) == 2);
        assert_eq!(ask(&server, &token("key_a")).status, 200);
        assert!(!waiting.iter().any(ScopedJoinHandle::is_finished), "a known key waits for nothing");
    });
    assert_eq!(api.asked(&keys_path()), 2);
}

#[test]
fn a_client_that_hangs_up_does_not_end_the_fetch_for_the_others() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "1h")]);
    api.reply(&keys_path(), Reply::Late(Duration::from_millis(500), 200, fixture("rotated.json")));
    let gone = server.get("/generate/token").cookie(token("key_c")).start();
    until("asked", || api.asked(&keys_path()) == 2);
    gone.abort();
    assert_eq!(ask(&server, &token("key_c")).status, 200);
    assert_eq!(api.asked(&keys_path()), 2);
}

#[test]
fn keys_are_fetched_again_before_they_are_too_old() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_max_age", "500ms")]);
    api.publish("rotated.json");
    until("fetched again", || ask(&server, &token("key_a")).status == 401);
    until("again and again", || api.asked(&keys_path()) >= 4);
    assert_eq!(ask(&server, &token("key_c")).status, 200);
}

#[test]
fn answers_that_are_nested_in_strings_end_nothing_and_good_keys_stay() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "1s"), ("login.check_revocation", "true")]);
    for body in [nested_in_strings(), format!("{{\"keys\":{}}}", nested_in_strings())] {
        let before = api.asked(&keys_path());
        api.reply(&keys_path(), Reply::Answer(200, body));
        until("asked again", || {
            let _ = ask(&server, &token("key_c"));
            api.asked(&keys_path()) > before
        });
        assert_eq!(ask(&server, &token("key_a")).status, 200);
    }
    api.reply(VALIDATE_PATH, Reply::Answer(422, nested_in_strings()));
    assert_ne!(ask(&server, &token("key_b")).status, 200);
    api.reply(VALIDATE_PATH, Reply::Answer(204, String::new()));
    assert_eq!(ask(&server, &token("key_a")).status, 200);
}
