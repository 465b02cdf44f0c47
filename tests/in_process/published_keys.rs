//! RS256: login tokens are verified with the published keys of the login project, which may be unavailable.

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::app::App;
use crate::client::{Answer, Request};
use crate::harness::{PATIENCE, usual};
use crate::login_api::{LoginApi, fixture, keys_path};
use crate::login_tokens::{LoginToken, PROJECT};
use crate::settings::without;
use crate::stub::Reply;
use crate::verification::fixtures;

pub const INVALID: &str = "401 00-01";
pub const UNAVAILABLE: &str = "503 00-07";

/// The usual settings for RS256 with these changes.
pub fn rs256<'a>(url: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let set = [("login.algorithm", "RS256"), ("login.project_id", PROJECT), ("login.api_url", url)];
    without("login.secret", usual(&[&set, changes].concat()))
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
    request(server, token).send()
}

pub fn request(server: &App, token: impl AsRef<[u8]>) -> Request {
    server.get("/generate/token").cookie(token)
}

#[test]
fn tokens_are_verified_with_the_key_of_their_kid_in_either_form_of_set() {
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
        assert_eq!(request(&server, bytes).send().refusal(), INVALID, "{name}");
    }
    for (name, bytes) in fixtures("accepted").into_iter().chain(fixtures("refused")) {
        if !bytes.is_empty() && !bytes.contains(&b'\n') {
            assert_eq!(request(&server, bytes).send().refusal(), INVALID, "{name}");
        }
    }
    assert_eq!(api.asked(&keys_path()), 2, "one at the start and one for all unknown kids");
    let log = server.log().join("\n");
    assert!(!log.contains("passwd") && !log.contains("OR 1=1") && !log.contains("xxx"), "{log}");
}

#[test]
fn a_key_that_is_valid_in_both_encodings_is_hexadecimal_in_either_form_of_set() {
    let api = LoginApi::start();
    for set in ["both_readings.json", "both_readings_as_jwks.json"] {
        api.publish(set);
        assert_eq!(ask(&ready(&api, &[]), &token("both_readings")).status, 200, "{set}");
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
fn a_new_key_works_at_once_and_replaces_the_old_one() {
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    api.publish("rotated.json");
    assert_eq!(ask(&server, &token("key_a")).status, 200, "the new keys are not fetched yet");
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
    let waiting: Vec<_> = (0..20).map(|_| request(&server, token("key_c")).start()).collect();
    until("asked", || api.asked(&keys_path()) == 2);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    assert!(!waiting.iter().any(JoinHandle::is_finished), "a known key waits for nothing");
    assert!(waiting.into_iter().all(|answer| server.wait(answer).status == 200));
    assert_eq!(api.asked(&keys_path()), 2);
}

#[test]
fn a_client_that_hangs_up_does_not_cancel_the_fetch() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "1h")]);
    api.reply(&keys_path(), Reply::Late(Duration::from_millis(500), 200, fixture("rotated.json")));
    let hung_up = request(&server, token("key_c")).start();
    until("asked", || api.asked(&keys_path()) == 2);
    hung_up.abort();
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
fn a_service_started_without_the_api_works_once_the_api_is_up() {
    // No other test listens on this address, so the port stays free.
    let address = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    let server = serve(&format!("http://{address}"), &[]);
    assert!(!is_ready(&server));
    assert_eq!(server.get("/health").send().status, 503);
    assert_eq!(server.admin("GET", "/live").send().status, 200);
    assert_eq!(ask(&server, &token("key_a")).refusal(), UNAVAILABLE);
    assert_eq!(ask(&server, &token("key_a")).header("retry-after").as_deref(), Some("1"));
    let _api = LoginApi::at(address);
    until("ready", || is_ready(&server));
    assert_eq!(server.get("/health").send().status, 200);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
}

#[test]
fn a_request_during_a_slow_first_fetch_gets_503_in_time() {
    let api = LoginApi::start();
    api.reply(&keys_path(), Reply::Late(Duration::from_mins(1), 200, String::new()));
    let server = serve(&api.url(), &[]);
    until("asked", || api.asked(&keys_path()) == 1);
    // It waits only for the current fetch: two would take as long as request_timeout.
    assert_eq!(ask(&server, &token("key_a")).refusal(), UNAVAILABLE);
    assert_eq!(api.asked(&keys_path()), 1);
}

#[test]
fn a_request_waits_for_the_first_fetch_and_causes_no_other() {
    let api = LoginApi::start();
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(1), 200, fixture("first.json")));
    let server = serve(&api.url(), &[]);
    until("asked", || api.asked(&keys_path()) == 1);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    assert_eq!(api.asked(&keys_path()), 1);
}

#[test]
fn invented_kids_leave_room_for_players_while_the_api_is_slow() {
    let api = LoginApi::start();
    // Two of eight may wait for keys.
    let server = ready(&api, &[("limits.requests_in_flight", "8")]);
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(3), 200, fixture("first.json")));
    let unknown = fixture("refused/kid_unknown.jwt");
    let waiting = [(); 2].map(|()| request(&server, &unknown).start());
    until("asked", || api.asked(&keys_path()) == 2);
    // The second request may still be on its way; from the third on there is no slot.
    let refused = || (0..3).all(|_| ask(&server, &unknown).refusal() == UNAVAILABLE);
    until("full", || refused() || api.asked(&keys_path()) > 2);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    assert!(waiting.into_iter().all(|answer| [INVALID, UNAVAILABLE].contains(&&*server.wait(answer).refusal())));
    assert_eq!(api.asked(&keys_path()), 2);
}

#[test]
fn a_cookie_that_cannot_be_verified_now_outweighs_every_other_cookie() {
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    drop(api);
    let (unknown, valid) = (fixture("refused/kid_unknown.jwt"), token("key_a"));
    // It may be the player's own token, and the valid one may come from an attacker.
    for other in ["garbage", &valid] {
        for cookies in [format!("token={other}; token={unknown}"), format!("token={unknown}; token={other}")] {
            assert_eq!(server.get("/generate/token").header("Cookie", cookies).send().refusal(), UNAVAILABLE);
        }
    }
}

#[test]
fn the_cooldown_does_not_delay_the_fetch_after_a_failed_one() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "1h")]);
    api.reply(&keys_path(), Reply::Answer(500, String::new()));
    assert_eq!(ask(&server, &token("key_c")).refusal(), UNAVAILABLE);
    api.publish("rotated.json");
    until("recovered", || ask(&server, &token("key_c")).status == 200);
}

#[test]
fn old_keys_are_used_while_the_api_is_down_until_they_are_too_old() {
    let api = LoginApi::at(SocketAddr::from(([127, 0, 0, 3], 0)));
    let address = api.address();
    let server =
        ready(&api, &[("login.keys_max_age", "1s"), ("login.keys_max_stale", "3s"), ("login.keys_cooldown", "100ms")]);
    drop(api);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    assert_eq!(ask(&server, &fixture("refused/kid_unknown.jwt")).refusal(), UNAVAILABLE, "it may be a new key");
    until("too old", || ask(&server, &token("key_a")).status == 503);
    assert_eq!(ask(&server, &token("key_a")).refusal(), UNAVAILABLE);
    assert!(is_ready(&server), "not ready means that a proxy answers, and without CORS headers");
    assert_eq!(server.get("/health").send().status, 200);
    assert_eq!(ask(&server, "garbage").refusal(), INVALID, "what no key could verify is still invalid");
    let _api = LoginApi::at(address);
    until("served", || ask(&server, &token("key_a")).status == 200);
}

#[test]
fn an_answer_that_is_not_a_key_set_keeps_the_old_keys() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "100ms")]);
    let trap = LoginApi::start();
    for (reply, cause) in [
        (Reply::Answer(500, fixture("first.json")), "answered with status 500"),
        (Reply::Answer(404, String::new()), "answered with status 404"),
        (Reply::Answer(200, "<html>".to_owned()), "not a key set"),
        (Reply::Answer(200, fixture("kid_twice.json")), "two keys with the same kid"),
        (Reply::Answer(200, fixture("nothing_fit.json")), "none of the 8 keys"),
        (Reply::Answer(200, " ".repeat(100 * 1024 + 1)), "over 100 KiB"),
        (Reply::Redirect(format!("{}{}", trap.url(), keys_path())), "answered with status 302"),
        (Reply::Huge, "over 100 KiB"),
        (Reply::HangUp, "is incomplete or is not HTTP"),
        (Reply::Noise, "is incomplete or is not HTTP"),
        (Reply::Late(Duration::from_mins(1), 200, String::new()), "did not answer within 5 s"),
    ] {
        let asked = api.asked(&keys_path());
        api.reply(&keys_path(), reply);
        until("asked", || {
            assert_eq!(ask(&server, &fixture("refused/kid_unknown.jwt")).refusal(), UNAVAILABLE, "{cause}");
            api.asked(&keys_path()) > asked
        });
        assert_eq!(ask(&server, &token("key_a")).status, 200, "{cause}");
    }
    assert_eq!(trap.asked(&keys_path()), 0, "no redirect is followed");
    api.publish("rotated.json");
    until("recovered", || ask(&server, &token("key_c")).status == 200);
    let metrics = server.admin("GET", "/metrics").send().body;
    let failed = r#"zendesk_token_key_fetches_total{outcome="failed",login="default"} "#;
    let failed = metrics.lines().find_map(|line| line.strip_prefix(failed));
    assert!(failed.unwrap().parse::<u32>().unwrap() >= 11, "{metrics}");
    let log = server.log().join("\n");
    for cause in ["status 500", "status 302", "two keys with the same kid", "over 100 KiB", "not answer within 5 s"] {
        assert!(log.contains(cause), "{cause}: {log}");
    }
}

#[test]
fn keys_stay_fresh_after_a_request_ends_an_outage() {
    let api = LoginApi::start();
    let caching = [("login.keys_max_age", "500ms"), ("login.keys_max_stale", "1s"), ("login.keys_cooldown", "100ms")];
    let server = ready(&api, &caching);
    api.reply(&keys_path(), Reply::Answer(500, String::new()));
    // The pause after the third failed fetch is 4 s.
    let before = api.asked(&keys_path());
    until("failed three times", || api.asked(&keys_path()) >= before + 3);
    api.publish("first.json");
    until("fetched for a request", || ask(&server, &token("key_a")).status == 200);
    let asked = api.asked(&keys_path());
    thread::sleep(Duration::from_secs(2));
    assert!(api.asked(&keys_path()) > asked, "not fetched again before the end of the pause");
}
