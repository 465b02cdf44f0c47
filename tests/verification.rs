//! Login tokens that are accepted and login tokens that are refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use serde_json::{Value, json};
use zendesk_token::config::Config;
use zendesk_token::config::products::Product;
use zendesk_token::exchange::{Exchange, ExchangeError};
use zendesk_token::http::error::Reason;
use zendesk_token::login::token;
use zendesk_token::login::verifier::Credentials;
use zendesk_token::metrics::Metrics;
use zendesk_token::zendesk::signing_key::ZendeskToken;

use crate::app::App;
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, usual, variable};
use crate::login_tokens::{LoginToken, PROJECT, SUB, open, sign, sign_message};

pub const NOW: i64 = 1_800_000_000;

/// An exchange with the usual settings and these changes.
pub fn exchange(changes: &[(&str, &str)]) -> Exchange {
    let settings = usual(changes).into_iter();
    let environment = settings.map(|(key, value)| (OsString::from(variable(key)), OsString::from(value)));
    Exchange::new(&Config::load(None, environment).unwrap(), &Metrics::new(), None).unwrap()
}

pub fn run(exchange: &Exchange, token: &[u8], now: i64) -> Result<ZendeskToken, ExchangeError> {
    run_all(exchange, vec![token::LoginToken::new(token)], now)
}

/// Exchanges the login tokens of several cookies. With shared secrets the future never waits.
pub fn run_all(exchange: &Exchange, cookies: Vec<token::LoginToken>, now: i64) -> Result<ZendeskToken, ExchangeError> {
    let candidates = Credentials { bearer: None, cookies };
    exchange.run(Product::Chat, &candidates, now).now_or_never().expect("waits").map(|issued| issued.token)
}

fn is_valid(changes: &[(&str, &str)], token: &LoginToken) -> bool {
    run(&exchange(changes), token.mint().as_bytes(), NOW).is_ok()
}

/// Name and content of each token in a folder of fixtures.
pub fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
    files.map(read).collect()
}

#[test]
fn every_accepted_fixture_gives_a_token() {
    let (exchange, server) = (exchange(&[]), App::start());
    let fixtures = fixtures("accepted");
    assert!(fixtures.len() >= 14);
    for (name, token) in fixtures {
        let issued = run(&exchange, &token, NOW).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(open(issued.as_str(), CHAT_SECRET).1["external_id"], SUB, "{name}");
        assert_eq!(server.get("/generate/token").cookie(&token).send().status, 200, "{name}");
    }
}

#[test]
fn every_refused_fixture_is_refused_with_the_code_in_its_name() {
    let (exchange, server) = (exchange(&[]), App::start());
    let fixtures = fixtures("refused");
    assert!(fixtures.len() >= 110);
    for (name, token) in fixtures {
        let (code, defect) = name.split_once('_').unwrap();
        let refusal = Reason::from(run(&exchange, &token, NOW).expect_err(&name)).error_code();
        assert_eq!(refusal.code(), code, "{name}");
        if defect == "empty" {
            assert_eq!(server.get("/generate/token").cookie(&token).send().refusal(), "401 00-00", "no cookie at all");
        } else if defect != "newline_inside" {
            assert_eq!(server.get("/generate/token").cookie(&token).send().code(), code, "{name}");
        }
    }
}

#[test]
fn every_algorithm_but_the_configured_one_is_refused_under_any_secret() {
    let exchange = exchange(&[]);
    for algorithm in ["none", "HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "HS256 ", " HS256", "HS2560"] {
        let token = sign(&format!(r#"{{"alg":"{algorithm}"}}"#), r#"{"exp":4102444800}"#, LOGIN_SECRET.as_bytes());
        assert!(run(&exchange, token.as_bytes(), NOW).is_err(), "{algorithm}");
    }
}

#[test]
fn every_letter_of_a_usual_header_counts() {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (exchange, valid) = (exchange(&[]), LoginToken::at(NOW).mint());
    let judge = |header: &[u8]| {
        let payload = valid.split('.').nth(1).unwrap();
        let message = format!("{}.{payload}", std::str::from_utf8(header).unwrap());
        run(&exchange, sign_message(&message, LOGIN_SECRET.as_bytes()).as_bytes(), NOW).is_ok()
    };
    let mut accepted = 0;
    for usual in [r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"typ":"JWT","alg":"HS256"}"#] {
        let usual = URL_SAFE_NO_PAD.encode(usual).into_bytes();
        assert!(judge(&usual));
        for (place, letter) in (0..usual.len()).flat_map(|place| LETTERS.iter().map(move |letter| (place, *letter))) {
            let mut changed = usual.clone();
            changed[place] = letter;
            let header = URL_SAFE_NO_PAD.decode(&changed).unwrap();
            let header = serde_json::from_slice::<BTreeMap<String, String>>(&header);
            let is_jwt =
                |header: &BTreeMap<String, String>| header.get("typ").is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
            let is_good =
                header.is_ok_and(|header| header.get("alg").is_some_and(|alg| alg == "HS256") && is_jwt(&header));
            assert_eq!(judge(&changed), is_good, "{}", String::from_utf8_lossy(&changed));
            accepted += u32::from(is_good);
        }
    }
    assert!(accepted > 2 * 36, "{accepted}");
}

#[test]
fn a_token_is_valid_until_its_exp_and_the_leeway_have_passed() {
    for (leeway, age, valid) in [
        ("60s", 59, true),
        ("60s", 60, false),
        ("0s", -1, true),
        ("0s", 0, false),
        ("5m", 299, true),
        ("5m", 300, false),
    ] {
        let token = LoginToken::at(NOW).claim("exp", NOW - age);
        assert_eq!(is_valid(&[("login.leeway", leeway)], &token), valid, "{leeway} {age}");
    }
}

#[test]
fn a_fraction_of_a_time_rounds_down() {
    for fraction in [0.1, 0.5, 0.999] {
        let exp = f64::from(i32::try_from(NOW).unwrap()) + fraction;
        assert!(!is_valid(&[("login.leeway", "0s")], &LoginToken::at(NOW).claim("exp", exp)));
        assert!(is_valid(&[("login.leeway", "0s")], &LoginToken::at(NOW).claim("exp", exp + 1.0)));
    }
}

#[test]
fn iat_and_nbf_may_lie_in_the_future_by_the_leeway_and_no_more() {
    for claim in ["iat", "nbf"] {
        let at = |ahead| LoginToken::at(NOW).claim(claim, NOW + ahead);
        assert!(is_valid(&[], &at(60)), "{claim}");
        assert!(!is_valid(&[], &at(61)), "{claim}");
        assert!(!is_valid(&[("login.leeway", "0s")], &at(1)), "{claim}");
    }
    assert!(is_valid(&[], &LoginToken::at(NOW).without("iat")));
}

#[test]
fn the_issuer_is_checked_when_it_is_set() {
    let set = [("login.issuer", "https://login.xsolla.com")];
    assert!(is_valid(&set, &LoginToken::at(NOW)));
    assert!(!is_valid(&set, &LoginToken::at(NOW).without("iss")));
    for issuer in ["https://login.xsolla.com/", "https://evil.example", ""] {
        assert!(!is_valid(&set, &LoginToken::at(NOW).claim("iss", issuer)));
        assert!(is_valid(&[], &LoginToken::at(NOW).claim("iss", issuer)));
    }
    assert!(!is_valid(&set, &LoginToken::at(NOW).claim("iss", vec!["https://login.xsolla.com"])));
}

#[test]
fn the_project_is_checked_when_it_is_set() {
    let set = [("login.project_id", PROJECT)];
    let claim = "xsolla_login_project_id";
    assert!(is_valid(&set, &LoginToken::at(NOW)));
    assert!(!is_valid(&set, &LoginToken::at(NOW).without(claim)));
    assert!(!is_valid(&set, &LoginToken::at(NOW).claim(claim, "another")));
    assert!(!is_valid(&set, &LoginToken::at(NOW).claim(claim, vec![PROJECT])));
    assert!(is_valid(&[], &LoginToken::at(NOW).claim(claim, "another")));
}

#[test]
fn the_lifetime_is_bounded_when_it_is_set() {
    let lasting = |seconds: i64| LoginToken::at(NOW).claim("exp", NOW - 60 + seconds);
    assert!(is_valid(&[("login.max_lifetime", "24h")], &lasting(86_400)));
    assert!(!is_valid(&[("login.max_lifetime", "24h")], &lasting(86_401)));
    assert!(!is_valid(&[("login.max_lifetime", "24h")], &LoginToken::at(NOW).without("iat")));
    assert!(is_valid(&[], &LoginToken::at(NOW).claim("exp", 253_402_300_799_i64)));
}

#[test]
fn the_previous_secret_still_verifies_and_a_third_does_not() {
    let previous = "70726576696f7573206c6f67696e2073656372657420726573657420746f6461";
    let set = [("login.previous_secret", previous)];
    assert!(is_valid(&set, &LoginToken::at(NOW)));
    assert!(is_valid(&set, &LoginToken::at(NOW).secret(previous)));
    assert!(!is_valid(&set, &LoginToken::at(NOW).secret(CHAT_SECRET)));
    assert!(!is_valid(&[], &LoginToken::at(NOW).secret(previous)));
}

#[test]
fn a_token_of_another_kind_is_refused() {
    for name in ["request_type", "events"] {
        for value in [json!("gateway_token"), json!({}), json!(null), json!(false), json!("")] {
            let told = run(&exchange(&[]), LoginToken::at(NOW).claim(name, value.clone()).mint().as_bytes(), NOW);
            let told = told.unwrap_err();
            assert_eq!(Reason::from(told).error_code().code(), "00-01", "{name}: {value}");
            assert_eq!(told.to_string(), format!("has the claim {name}, so it is not a player's login token"));
        }
    }
    let payload =
        LoginToken::at(NOW).mint().split('.').nth(1).map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let judge = |typ: Value| {
        let header = json!({"alg": "HS256", "typ": typ}).to_string();
        run(
            &exchange(&[]),
            sign(&header, std::str::from_utf8(&payload).unwrap(), LOGIN_SECRET.as_bytes()).as_bytes(),
            NOW,
        )
    };
    for typ in ["JWT", "jwt", "Jwt"] {
        assert!(judge(json!(typ)).is_ok(), "{typ}");
    }
    for typ in [
        json!("at+jwt"),
        json!("logout+jwt"),
        json!("JWT "),
        json!("application/jwt"),
        json!(""),
        json!(null),
        json!(["JWT"]),
    ] {
        assert_eq!(Reason::from(judge(typ.clone()).unwrap_err()).error_code().code(), "00-01", "{typ}");
    }
}

#[test]
fn an_issued_token_is_no_login_token() {
    let exchange = exchange(&[]);
    let issued = run(&exchange, LoginToken::at(NOW).mint().as_bytes(), NOW).unwrap();
    assert!(run(&exchange, issued.as_str().as_bytes(), NOW).is_err());
}

#[test]
fn a_chat_token_never_outlives_the_login() {
    let exchange = exchange(&[]);
    // Seconds until the exp of the login, and until the exp of the Chat token.
    for (login, chat) in [(86_400, 300), (301, 300), (300, 300), (299, 299), (1, 1), (0, 60), (-30, 30), (-59, 1)] {
        let token = LoginToken::at(NOW).claim("exp", NOW + login).mint();
        let issued = run(&exchange, token.as_bytes(), NOW).unwrap();
        let claims = open(issued.as_str(), CHAT_SECRET).1;
        assert_eq!(claims["exp"].as_i64().unwrap() - NOW, chat, "login ends in {login} s");
        assert_eq!(claims["iat"], NOW);
    }
}

#[test]
fn huge_tokens_are_refused_before_they_are_read() {
    let exchange = exchange(&[]);
    let nested = format!(r#"{{"a":{}}}"#, "[".repeat(5000));
    let huge = [
        ".".repeat(100_000),
        ".".repeat(8192),
        "A".repeat(250 * 1024),
        sign(r#"{"alg":"HS256"}"#, &nested, LOGIN_SECRET.as_bytes()),
        sign(&nested, "{}", LOGIN_SECRET.as_bytes()),
    ];
    for token in huge {
        assert!(run(&exchange, token.as_bytes(), NOW).is_err());
    }
}
