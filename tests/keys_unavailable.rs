//! RS256 while the Login API gives no usable answer.

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use crate::login_api::{LoginApi, fixture, keys_path};
use crate::published_keys::{INVALID, ask, is_ready, ready, serve, token, until};
use crate::stub::Reply;

const UNAVAILABLE: &str = "503 00-07";

#[test]
fn a_start_without_the_api_works_once_it_is_there() {
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
fn a_start_with_an_api_that_says_nothing_is_told_in_time() {
    let api = LoginApi::start();
    api.reply(&keys_path(), Reply::Late(Duration::from_mins(1), 200, String::new()));
    let server = serve(&api.url(), &[]);
    until("asked", || api.asked(&keys_path()) == 1);
    // It waits only for the current fetch: two would take as long as request_timeout.
    assert_eq!(ask(&server, &token("key_a")).refusal(), UNAVAILABLE);
    assert_eq!(api.asked(&keys_path()), 1);
}

#[test]
fn a_request_waits_for_the_fetch_that_is_under_way_and_causes_no_other() {
    let api = LoginApi::start();
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(1), 200, fixture("first.json")));
    let server = serve(&api.url(), &[]);
    until("asked", || api.asked(&keys_path()) == 1);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    assert_eq!(api.asked(&keys_path()), 1);
}

#[test]
fn made_up_kids_leave_room_for_players_while_the_api_is_slow() {
    let api = LoginApi::start();
    // Two of eight may wait for keys.
    let server = ready(&api, &[("limits.requests_in_flight", "8")]);
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(3), 200, fixture("first.json")));
    let unknown = fixture("refused/kid_unknown.jwt");
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(|| ask(&server, &unknown).refusal())).collect();
        until("asked", || api.asked(&keys_path()) == 2);
        // The second request may still be on its way; from the third on there is no slot.
        let turned_away = || (0..3).all(|_| ask(&server, &unknown).refusal() == UNAVAILABLE);
        until("full", || turned_away() || api.asked(&keys_path()) > 2);
        assert_eq!(ask(&server, &token("key_a")).status, 200);
        assert!(waiting.into_iter().all(|answer| [INVALID, UNAVAILABLE].contains(&answer.join().unwrap().as_str())));
    });
    assert_eq!(api.asked(&keys_path()), 2);
}

#[test]
fn our_trouble_with_one_cookie_outweighs_what_is_wrong_with_another() {
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    drop(api);
    let unknown = fixture("refused/kid_unknown.jwt");
    for cookies in [format!("token=garbage; token={unknown}"), format!("token={unknown}; token=garbage")] {
        assert_eq!(server.get("/generate/token").header("Cookie", cookies).send().refusal(), UNAVAILABLE);
    }
    // It may be the player's own token, and the valid one may come from an attacker.
    for pair in [[&unknown, &token("key_a")], [&token("key_a"), &unknown]] {
        let beside_a_good_one = format!("token={}; token={}", pair[0], pair[1]);
        assert_eq!(server.get("/generate/token").header("Cookie", beside_a_good_one).send().refusal(), UNAVAILABLE);
    }
}

#[test]
fn after_a_failed_fetch_the_next_does_not_wait_for_the_cooldown() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "1h")]);
    api.reply(&keys_path(), Reply::Answer(500, String::new()));
    assert_eq!(ask(&server, &token("key_c")).refusal(), UNAVAILABLE);
    api.publish("rotated.json");
    until("well again", || ask(&server, &token("key_c")).status == 200);
}

#[test]
fn old_keys_serve_while_the_api_is_down_and_then_no_more() {
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
fn an_answer_that_is_no_key_set_keeps_the_old_keys() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "100ms")]);
    let trap = LoginApi::start();
    for (reply, told) in [
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
            assert_eq!(ask(&server, &fixture("refused/kid_unknown.jwt")).refusal(), UNAVAILABLE, "{told}");
            api.asked(&keys_path()) > asked
        });
        assert_eq!(ask(&server, &token("key_a")).status, 200, "{told}");
    }
    assert_eq!(trap.asked(&keys_path()), 0, "no redirect is followed");
    api.publish("rotated.json");
    until("well again", || ask(&server, &token("key_c")).status == 200);
    let metrics = server.admin("GET", "/metrics").send().body;
    let failed =
        metrics.lines().find_map(|line| line.strip_prefix(r#"zendesk_token_key_fetches_total{outcome="failed"} "#));
    assert!(failed.unwrap().parse::<u32>().unwrap() >= 11, "{metrics}");
    let log = server.log().join("\n");
    for told in ["status 500", "status 302", "two keys with the same kid", "over 100 KiB", "did not answer within 5 s"]
    {
        assert!(log.contains(told), "{told}: {log}");
    }
}
