//! Revocation: asks the Login API about valid tokens and caches its answers.

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::client::Answer;
use crate::harness::CHAT_SECRET;
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture};
use crate::login_tokens::{LoginToken, now, open};
use crate::published_keys::{ask, request, rs256, until};
use crate::stub::Reply;

/// A refusal of the Login API.
const REVOKED: &str = r#"{"error":{"code":"003-061","description":"The token of jane@example.com was revoked"}}"#;

pub fn serve(api: &LoginApi, changes: &[(&str, &str)]) -> App {
    let url = api.url();
    App::with(&[&[("login.check_revocation", "true"), ("login.api_url", &url)], changes].concat())
}

fn ask_with_both(server: &App, first: &str, second: &str) -> Answer {
    server.get("/generate/token").header("Cookie", format!("token={first}; token={second}")).send()
}

/// The body of a call about a token.
fn question(token: &str) -> String {
    json!({"token": token}).to_string()
}

fn revoked() -> Reply {
    Reply::Answer(401, REVOKED.to_owned())
}

/// A valid login token that is different from all others.
fn fresh(number: usize) -> String {
    LoginToken::valid().claim("number", number).mint()
}

#[test]
fn a_valid_token_is_accepted_and_the_answer_is_cached() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    let token = fresh(0);
    for _ in 0..5 {
        assert_eq!(ask(&server, &token).status, 200);
    }
    assert_eq!(api.asked(VALIDATE_PATH), 1);
    assert_eq!(api.last(VALIDATE_PATH), ("POST".to_owned(), question(&token)));
    // The cached answer is only for this token.
    api.reply(VALIDATE_PATH, revoked());
    assert_eq!(ask(&server, &token).status, 200);
    assert_eq!(ask(&server, &fresh(1)).refusal(), "401 00-01");
    assert_eq!(ask(&server, &fresh(1)).refusal(), "401 00-01");
    assert_eq!(api.asked(VALIDATE_PATH), 2);
    let log = server.log().join("\n");
    assert!(log.contains("the Login API refuses the token (003-061)"), "{log}");
    assert!(log.lines().filter(|line| line.contains("003-061")).all(|line| line.contains(r#""key":"current""#)));
    assert!(!log.contains("jane@"));
}

#[test]
fn a_cached_answer_expires_after_its_time_and_with_the_token() {
    let api = LoginApi::start();
    let server = serve(&api, &[("login.revocation_cache", "300ms")]);
    let token = fresh(0);
    assert_eq!(ask(&server, &token).status, 200);
    api.reply(VALIDATE_PATH, revoked());
    until("revoked", || ask(&server, &token).status == 401);
    api.reply(VALIDATE_PATH, Reply::Answer(204, String::new()));
    until("accepted again", || ask(&server, &token).status == 200);
    drop(server);

    // The token's leeway ends in a second or two: then it is refused without another call.
    let server = serve(&api, &[("login.revocation_cache", "10m"), ("login.leeway", "10s")]);
    let ending = LoginToken::valid().claim("exp", now() - 8).mint();
    assert_eq!(ask(&server, &ending).status, 200);
    until("expired", || ask(&server, &ending).status == 401);
    let server = serve(&api, &[("login.revocation_cache", "0s")]);
    let before = api.asked(VALIDATE_PATH);
    assert_eq!((ask(&server, &token).status, ask(&server, &token).status), (200, 200));
    assert_eq!(api.asked(VALIDATE_PATH), before + 2, "0s caches nothing");
}

#[test]
fn a_renewed_answer_is_cached_and_expires_like_the_first() {
    let api = LoginApi::start();
    let server = serve(&api, &[("login.revocation_cache", "1s")]);
    let token = fresh(0);
    for round in 1..=3 {
        until("asked", || {
            assert_eq!(ask(&server, &token).status, 200);
            api.asked(VALIDATE_PATH) >= round
        });
        let before = api.asked(VALIDATE_PATH);
        (0..50).for_each(|_| assert_eq!(ask(&server, &token).status, 200));
        assert!(api.asked(VALIDATE_PATH) < before + 50, "nothing is cached");
    }
}

#[test]
fn only_the_valid_token_that_expires_last_is_asked_about() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    for token in [
        "garbage".to_owned(),
        LoginToken::valid().secret("6f74686572").mint(),
        LoginToken::valid().without("exp").mint(),
    ] {
        assert_eq!(ask(&server, &token).refusal(), "401 00-01");
    }
    let other = LoginToken::valid().claim("sub", "another").mint();
    assert_eq!(ask_with_both(&server, &fresh(0), &other).refusal(), "401 00-01");
    assert_eq!(api.asked(VALIDATE_PATH), 0);
    let later = LoginToken::valid().claim("exp", now() + 90_000).mint();
    for pair in [[&fresh(0), &later], [&later, &fresh(0)]] {
        assert_eq!(ask_with_both(&server, pair[0], pair[1]).status, 200);
    }
    assert_eq!(api.asked(VALIDATE_PATH), 1);
    assert_eq!(api.last(VALIDATE_PATH).1, question(&later));
}

#[test]
fn a_revoked_login_is_skipped_when_the_same_player_has_a_valid_one() {
    let api = LoginApi::start();
    let server = serve(&api, &[("login.bearer", "true"), ("login.revocation_cache", "0s")]);
    let ends = |seconds: i64| LoginToken::valid().claim("exp", now() + seconds).mint();
    let [short, middle, long] = [200, 400, 600].map(ends);
    let both = |first: &str, second: &str| ask_with_both(&server, first, second);
    let lifetime = |answer: &Answer| {
        let claims = open(&answer.token(), CHAT_SECRET).1;
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    };
    api.reply(&question(&long), revoked());
    for answer in [both(&long, &short), both(&short, &long)] {
        assert!((190..=200).contains(&lifetime(&answer)), "the valid one's exp counts: {answer:?}");
    }
    let header = |bearer: &str, cookies: &str| {
        let request = server.get("/generate/token").header("Authorization", format!("Bearer {bearer}"));
        request.header("Cookie", cookies).send()
    };
    assert_eq!(header(&long, &format!("token={short}")).status, 200, "a revoked bearer token too");
    assert_eq!(header(&short, &format!("token={long}; token={middle}")).status, 200);
    assert_eq!(api.last(VALIDATE_PATH).1, question(&middle), "asked about until one is valid");

    // Tokens of two players are refused before any call, whichever was revoked.
    let asked = api.asked(VALIDATE_PATH);
    let other = LoginToken::valid().claim("sub", "another").mint();
    assert_eq!(both(&long, &other).refusal(), "401 00-01");
    assert_eq!(header(&other, &format!("token={long}")).refusal(), "401 00-01");
    assert_eq!(header("garbage", &format!("token={short}")).refusal(), "401 00-01");
    assert_eq!(api.asked(VALIDATE_PATH), asked);

    api.reply(&question(&short), Reply::Answer(500, String::new()));
    assert_eq!(both(&long, &short).refusal(), "503 00-07", "it is unknown whether the other one is valid");
    api.reply(&question(&short), revoked());
    assert_eq!(both(&long, &short).refusal(), "401 00-01");
    let all = server.log();
    let refusal = all.iter().rfind(|line| line.contains("\"refusal\"")).unwrap();
    assert!(refusal.contains("the Login API refuses the token (003-061)"), "{refusal}");
}

#[test]
fn requests_with_one_token_share_one_call_and_its_failure() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    for (number, status, body, expected) in [(1, 204, "", 200), (2, 401, REVOKED, 401), (3, 500, "", 503)] {
        api.reply(VALIDATE_PATH, Reply::Late(Duration::from_secs(2), status, body.to_owned()));
        let (before, token) = (api.asked(VALIDATE_PATH), fresh(number));
        let answers: Vec<_> = (0..20).map(|_| request(&server, &token).start()).collect();
        assert!(answers.into_iter().all(|answer| server.wait(answer).status == expected));
        assert_eq!(api.asked(VALIDATE_PATH), before + 1, "{status}");
    }
    // A failure is shared but not cached.
    api.reply(VALIDATE_PATH, Reply::Answer(204, String::new()));
    assert_eq!(ask(&server, &fresh(3)).status, 200);
}

#[test]
fn a_client_that_hangs_up_does_not_cancel_the_call() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    let token = fresh(0);
    api.reply(VALIDATE_PATH, Reply::Late(Duration::from_millis(500), 204, String::new()));
    let [hung_up, other] = [(); 2].map(|()| request(&server, &token).start());
    until("asked", || api.asked(VALIDATE_PATH) == 1);
    hung_up.abort();
    assert_eq!(server.wait(other).status, 200);
}

#[test]
fn an_unexpected_answer_means_unavailable_and_not_refused() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    let trap = LoginApi::start();
    let (unavailable, invalid) = ("503 00-07", "401 00-01");
    let answer = |status: u16, body: &str| Reply::Answer(status, body.to_owned());
    let odd_code = r#"{"error":{"code":"\u001b[31m jane@example.com","description":""}}"#;
    let refusals = [answer(400, REVOKED), answer(403, REVOKED), answer(404, REVOKED), answer(422, odd_code)];
    let odd_bodies = [
        "",
        "<html>",
        r#"{"error":"no"}"#,
        r#"{"error":{"code":3,"description":""}}"#,
        r#"{"error":{"code":"003-061"}}"#,
        &" ".repeat(100 * 1024 + 1),
    ]
    .map(|body| answer(401, body));
    let failures = [200, 408, 429, 500, 503].map(|status| answer(status, REVOKED));
    let others = [
        answer(200, ""),
        Reply::Redirect(format!("{}{VALIDATE_PATH}", trap.url())),
        Reply::HangUp,
        Reply::Noise,
        Reply::Late(Duration::from_mins(1), 204, String::new()),
    ];
    let refused = refusals.into_iter().map(|reply| (reply, invalid));
    let failed = odd_bodies.into_iter().chain(failures).chain(others).map(|reply| (reply, unavailable));
    for (number, (reply, refusal)) in refused.chain(failed).enumerate() {
        api.reply(VALIDATE_PATH, reply);
        let answer = ask(&server, &fresh(number));
        assert_eq!(answer.refusal(), refusal, "{number}");
        assert_eq!(answer.header("retry-after").is_some(), refusal == unavailable);
    }
    assert_eq!(trap.asked(VALIDATE_PATH), 0, "no redirect is followed");
    let metrics = server.admin("GET", "/metrics").send().body;
    assert!(
        metrics.contains("zendesk_token_revocation_calls_total{outcome=\"done\",login=\"default\"} 4\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("zendesk_token_revocation_calls_total{outcome=\"failed\",login=\"default\"} 16\n"),
        "{metrics}"
    );
    let log = server.log().join("\n");
    assert!(!log.contains("jane@") && !log.contains("[31m"), "{log}");
    drop(api);
    let stopped = LoginApi::start();
    let server = serve(&stopped, &[]);
    drop(stopped);
    assert_eq!(ask(&server, &fresh(0)).refusal(), unavailable);
}

#[test]
fn rs256_tokens_are_asked_about_too() {
    let api = LoginApi::start();
    let url = api.url();
    let server = App::of(&rs256(&url, &[("login.check_revocation", "true")]));
    assert_eq!(ask(&server, &fixture("accepted/key_a.jwt")).status, 200);
    api.reply(VALIDATE_PATH, revoked());
    assert_eq!(ask(&server, &fixture("accepted/key_b.jwt")).refusal(), "401 00-01");
    assert_eq!(api.asked(VALIDATE_PATH), 2);
}
