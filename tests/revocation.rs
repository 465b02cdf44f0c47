//! Login tokens with a valid signature that were revoked.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::client::Answer;
use crate::harness::CHAT_SECRET;
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture};
use crate::login_tokens::{LoginToken, now, open};
use crate::published_keys::{rs256, until};
use crate::stub::Reply;

/// A refusal of the Login API.
const REVOKED: &str = r#"{"error":{"code":"003-061","description":"The token of jane@example.com was revoked"}}"#;

pub fn serve(api: &LoginApi, changes: &[(&str, &str)]) -> App {
    let url = api.url();
    App::with(&[&[("login.check_revocation", "true"), ("login.api_url", &url)], changes].concat())
}

pub fn ask(server: &App, token: &str) -> Answer {
    server.get("/generate/token").cookie(token).send()
}

/// A valid login token that is different from all others.
fn fresh(number: usize) -> String {
    LoginToken::valid().claim("number", number).mint()
}

#[test]
fn a_token_that_stands_passes_and_the_answer_is_remembered() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    let token = fresh(0);
    for _ in 0..5 {
        assert_eq!(ask(&server, &token).status, 200);
    }
    assert_eq!(api.asked(VALIDATE_PATH), 1);
    let (method, body) = api.last(VALIDATE_PATH);
    assert_eq!(method, "POST");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), json!({"token": token}));
    // The cached answer is only for this token.
    api.reply(VALIDATE_PATH, Reply::Answer(401, REVOKED.to_owned()));
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
fn the_answer_is_forgotten_in_time_and_with_the_token() {
    let api = LoginApi::start();
    let server = serve(&api, &[("login.revocation_cache", "300ms")]);
    let token = fresh(0);
    assert_eq!(ask(&server, &token).status, 200);
    api.reply(VALIDATE_PATH, Reply::Answer(401, REVOKED.to_owned()));
    until("revoked", || ask(&server, &token).status == 401);
    api.reply(VALIDATE_PATH, Reply::Answer(204, String::new()));
    until("let in again", || ask(&server, &token).status == 200);
    drop(server);

    // The token's leeway ends in a second or two: then it is refused without another call.
    let server = serve(&api, &[("login.revocation_cache", "10m"), ("login.leeway", "10s")]);
    let ending = LoginToken::valid().claim("exp", now() - 8).mint();
    assert_eq!(ask(&server, &ending).status, 200);
    until("expired", || ask(&server, &ending).status == 401);
    let server = serve(&api, &[("login.revocation_cache", "0s")]);
    let before = api.asked(VALIDATE_PATH);
    assert_eq!((ask(&server, &token).status, ask(&server, &token).status), (200, 200));
    assert_eq!(api.asked(VALIDATE_PATH), before + 2, "0s remembers nothing");
}

#[test]
fn an_answer_that_was_asked_for_again_is_remembered_and_forgotten_like_the_first() {
    let api = LoginApi::start();
    let server = serve(&api, &[("login.revocation_cache", "1s")]);
    let token = fresh(0);
    for round in 1..=3 {
        until("asked", || {
            assert_eq!(ask(&server, &token).status, 200);
            api.asked(VALIDATE_PATH) == round
        });
        (0..5).for_each(|_| assert_eq!(ask(&server, &token).status, 200));
        assert_eq!(api.asked(VALIDATE_PATH), round, "remembered");
    }
}

#[test]
fn only_a_token_that_verifies_is_asked_about_and_only_the_one_that_counts() {
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
    let two = server.get("/generate/token").header("Cookie", format!("token={}; token={other}", fresh(0)));
    assert_eq!(two.send().refusal(), "401 00-01");
    assert_eq!(api.asked(VALIDATE_PATH), 0);
    let later = LoginToken::valid().claim("exp", now() + 90_000).mint();
    for pair in [[&fresh(0), &later], [&later, &fresh(0)]] {
        let both = server.get("/generate/token").header("Cookie", format!("token={}; token={}", pair[0], pair[1]));
        assert_eq!(both.send().status, 200);
    }
    assert_eq!(api.asked(VALIDATE_PATH), 1, "the latest to end is the login");
    assert_eq!(api.last(VALIDATE_PATH).1, json!({"token": later}).to_string());
}

/// The body of a call about a token.
fn question(token: &str) -> String {
    json!({"token": token}).to_string()
}

#[test]
fn a_revoked_login_drops_out_beside_a_good_one_of_the_same_player() {
    let api = LoginApi::start();
    let server = serve(&api, &[("login.bearer", "true"), ("login.revocation_cache", "0s")]);
    let ends = |seconds: i64| LoginToken::valid().claim("exp", now() + seconds).mint();
    let [short, middle, long] = [200, 400, 600].map(ends);
    let revoked = || Reply::Answer(401, REVOKED.to_owned());
    let both = |first: &str, second: &str| {
        server.get("/generate/token").header("Cookie", format!("token={first}; token={second}")).send()
    };
    let lives = |answer: &Answer| {
        let claims = open(&answer.token(), CHAT_SECRET).1;
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
    };
    api.reply(&question(&long), revoked());
    for answer in [both(&long, &short), both(&short, &long)] {
        assert!((190..=200).contains(&lives(&answer)), "the good one's end counts: {answer:?}");
    }
    let header = |bearer: &str, cookies: &str| {
        let request = server.get("/generate/token").header("Authorization", format!("Bearer {bearer}"));
        request.header("Cookie", cookies).send()
    };
    assert_eq!(header(&long, &format!("token={short}")).status, 200, "a revoked bearer token too");
    assert_eq!(header(&short, &format!("token={long}; token={middle}")).status, 200);
    assert_eq!(api.last(VALIDATE_PATH).1, question(&middle), "asked about until one stands");

    // Tokens of two players are refused before any call, whichever was revoked.
    let asked = api.asked(VALIDATE_PATH);
    let other = LoginToken::valid().claim("sub", "another").mint();
    assert_eq!(both(&long, &other).refusal(), "401 00-01");
    assert_eq!(header(&other, &format!("token={long}")).refusal(), "401 00-01");
    assert_eq!(header("garbage", &format!("token={short}")).refusal(), "401 00-01");
    assert_eq!(api.asked(VALIDATE_PATH), asked);

    api.reply(&question(&short), Reply::Answer(500, String::new()));
    assert_eq!(both(&long, &short).refusal(), "503 00-07", "nobody can say whether the other stands");
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
    let wait = Duration::from_secs(2);
    for (number, status, expected) in [(1, 204, 200), (2, 401, 401), (3, 500, 503)] {
        api.reply(
            VALIDATE_PATH,
            Reply::Late(wait, status, if status == 401 { REVOKED.to_owned() } else { String::new() }),
        );
        let (before, token) = (api.asked(VALIDATE_PATH), fresh(number));
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| assert_eq!(ask(&server, &token).status, expected));
            }
        });
        assert_eq!(api.asked(VALIDATE_PATH), before + 1, "{status}");
    }
    // A failure is shared but not cached.
    api.reply(VALIDATE_PATH, Reply::Answer(204, String::new()));
    assert_eq!(ask(&server, &fresh(3)).status, 200);
}

#[test]
fn a_client_that_hangs_up_takes_no_other_down() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    let token = fresh(0);
    api.reply(VALIDATE_PATH, Reply::Late(Duration::from_millis(500), 204, String::new()));
    let gone = server.get("/generate/token").cookie(&token).start();
    until("asked", || api.asked(VALIDATE_PATH) == 1);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(ask(&server, &token).status, 200));
        gone.abort();
    });
}

#[test]
fn any_answer_but_yes_or_no_is_our_trouble_and_not_the_players() {
    let api = LoginApi::start();
    let server = serve(&api, &[]);
    let trap = LoginApi::start();
    let (unavailable, invalid) = ("503 00-07", "401 00-01");
    let odd_code = r#"{"error":{"code":"\u001b[31m jane@example.com","description":""}}"#;
    for (number, (reply, refusal)) in [
        (Reply::Answer(400, REVOKED.to_owned()), invalid),
        (Reply::Answer(403, REVOKED.to_owned()), invalid),
        (Reply::Answer(404, REVOKED.to_owned()), invalid),
        (Reply::Answer(422, odd_code.to_owned()), invalid),
        (Reply::Answer(200, String::new()), unavailable),
        (Reply::Answer(200, REVOKED.to_owned()), unavailable),
        (Reply::Answer(401, String::new()), unavailable),
        (Reply::Answer(401, "<html>".to_owned()), unavailable),
        (Reply::Answer(401, r#"{"error":"no"}"#.to_owned()), unavailable),
        (Reply::Answer(401, r#"{"error":{"code":3,"description":""}}"#.to_owned()), unavailable),
        (Reply::Answer(401, r#"{"error":{"code":"003-061"}}"#.to_owned()), unavailable),
        (Reply::Answer(401, " ".repeat(100 * 1024 + 1)), unavailable),
        (Reply::Answer(408, REVOKED.to_owned()), unavailable),
        (Reply::Answer(429, REVOKED.to_owned()), unavailable),
        (Reply::Answer(500, REVOKED.to_owned()), unavailable),
        (Reply::Answer(503, REVOKED.to_owned()), unavailable),
        (Reply::Redirect(format!("{}{VALIDATE_PATH}", trap.url())), unavailable),
        (Reply::HangUp, unavailable),
        (Reply::Noise, unavailable),
        (Reply::Late(Duration::from_mins(1), 204, String::new()), unavailable),
    ]
    .into_iter()
    .enumerate()
    {
        api.reply(VALIDATE_PATH, reply);
        let answer = ask(&server, &fresh(number));
        assert_eq!(answer.refusal(), refusal, "{number}");
        assert_eq!(answer.header("retry-after").is_some(), refusal == unavailable);
    }
    assert_eq!(trap.asked(VALIDATE_PATH), 0, "a token goes where the settings say and nowhere else");
    let metrics = server.admin("GET", "/metrics").send().body;
    assert!(metrics.contains("zendesk_token_revocation_calls_total{outcome=\"done\"} 4\n"), "{metrics}");
    assert!(metrics.contains("zendesk_token_revocation_calls_total{outcome=\"failed\"} 16\n"), "{metrics}");
    let log = server.log().join("\n");
    assert!(!log.contains("jane@") && !log.contains("[31m"), "{log}");
    drop(api);
    let gone = LoginApi::start();
    let server = serve(&gone, &[]);
    drop(gone);
    assert_eq!(ask(&server, &fresh(0)).refusal(), unavailable);
}

#[test]
fn rs256_tokens_are_asked_about_too() {
    let api = LoginApi::start();
    let url = api.url();
    let settings = rs256(&url, &[("login.check_revocation", "true")]);
    let server = App::of(&settings);
    assert_eq!(ask(&server, &fixture("accepted/key_a.jwt")).status, 200);
    api.reply(VALIDATE_PATH, Reply::Answer(401, REVOKED.to_owned()));
    assert_eq!(ask(&server, &fixture("accepted/key_b.jwt")).refusal(), "401 00-01");
    assert_eq!(api.asked(VALIDATE_PATH), 2);
}
