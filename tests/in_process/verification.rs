//! Login tokens that are accepted and login tokens that are refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use serde_json::json;
use zendesk_token::config::products::Product;
use zendesk_token::exchange::{Exchange, ExchangeError};
use zendesk_token::http::error::Reason;
use zendesk_token::login::token;
use zendesk_token::login::verifier::Credentials;
use zendesk_token::metrics::Metrics;
use zendesk_token::zendesk::signing_key::ZendeskToken;

use crate::app::App;
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, usual};
use crate::inspect_issued::changed;
use crate::login_tokens::{HEADER, LoginToken, PROJECT, SUB, open, sign, sign_message};
use crate::settings::load;
use crate::threats_tokens::Side;

pub const NOW: i64 = 1_800_000_000;

/// An exchange with the usual settings and these changes.
pub fn exchange(changes: &[(&str, &str)]) -> Exchange {
    exchange_with(&usual(changes))
}

/// An exchange with exactly these settings.
pub fn exchange_with(settings: &[(&str, &str)]) -> Exchange {
    Exchange::new(&load(None, settings).unwrap(), &Metrics::new(), None).unwrap()
}

pub fn run(exchange: &Exchange, token: &[u8], now: i64) -> Result<ZendeskToken, ExchangeError> {
    run_for(Product::Chat, exchange, token, now)
}

/// Exchanges a login token for a token of the product. With shared secrets the future never waits.
pub fn run_for(product: Product, exchange: &Exchange, token: &[u8], now: i64) -> Result<ZendeskToken, ExchangeError> {
    let candidates = Credentials { bearer: None, cookies: vec![token::LoginToken::new(token)] };
    exchange.run(product, &candidates, now).now_or_never().expect("waits").map(|issued| issued.token)
}

/// The error code for a token; `None` if it is accepted.
pub fn refusal(exchange: &Exchange, token: &[u8]) -> Option<&'static str> {
    run(exchange, token, NOW).err().map(|error| Reason::from(error).error_code().code())
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
        assert_eq!(refusal(&exchange, &token), Some(code), "{name}");
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
fn every_character_of_the_header_counts() {
    const CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (exchange, payload) = (exchange(&[]), URL_SAFE_NO_PAD.encode(LoginToken::at(NOW).payload()));
    let is_accepted = |header: &[u8]| {
        let message = format!("{}.{payload}", std::str::from_utf8(header).unwrap());
        run(&exchange, sign_message(&message, LOGIN_SECRET.as_bytes()).as_bytes(), NOW).is_ok()
    };
    let mut accepted = 0;
    for usual in [HEADER, r#"{"typ":"JWT","alg":"HS256"}"#] {
        let usual = URL_SAFE_NO_PAD.encode(usual).into_bytes();
        for (index, c) in (0..usual.len()).flat_map(|index| CHARACTERS.iter().map(move |c| (index, *c))) {
            let mut changed = usual.clone();
            changed[index] = c;
            let header = URL_SAFE_NO_PAD.decode(&changed).unwrap();
            let is_good = serde_json::from_slice::<BTreeMap<String, String>>(&header).is_ok_and(|header| {
                let is_jwt = header.get("typ").is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
                header.get("alg").is_some_and(|alg| alg == "HS256") && is_jwt
            });
            assert_eq!(is_accepted(&changed), is_good, "{}", String::from_utf8_lossy(&changed));
            accepted += u32::from(is_good);
        }
    }
    assert!(accepted > 2 * 36, "{accepted}");
}

#[test]
fn a_token_is_valid_until_its_exp_and_the_leeway_have_passed() {
    for (leeway, seconds) in [("60s", 60), ("0s", 0), ("5m", 300)] {
        let expired = |ago: i64| LoginToken::at(NOW).claim("exp", NOW - ago);
        assert!(is_valid(&[("login.leeway", leeway)], &expired(seconds - 1)), "{leeway}");
        assert!(!is_valid(&[("login.leeway", leeway)], &expired(seconds)), "{leeway}");
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
fn iat_and_nbf_may_be_in_the_future_by_at_most_the_leeway() {
    for claim in ["iat", "nbf"] {
        let at = |ahead| LoginToken::at(NOW).claim(claim, NOW + ahead);
        assert!(is_valid(&[], &at(60)), "{claim}");
        assert!(!is_valid(&[], &at(61)), "{claim}");
        assert!(!is_valid(&[("login.leeway", "0s")], &at(1)), "{claim}");
    }
    assert!(is_valid(&[], &LoginToken::at(NOW).without("iat")));
    for side in Side::both() {
        let payload = serde_json::from_str(&side.payload()).unwrap();
        for (claim, ahead, is_right) in [("iat", 60, true), ("iat", 61, false), ("nbf", 60, true), ("nbf", 61, false)] {
            let token = side.sign(&changed(&payload, &json!({claim: NOW + ahead})).to_string());
            assert_eq!(run(&side.exchange, token.as_bytes(), NOW).is_ok(), is_right, "{claim} {ahead}");
        }
    }
}

#[test]
fn issuer_and_project_are_checked_when_they_are_set() {
    for (key, claim, value) in
        [("login.issuer", "iss", "https://login.xsolla.com"), ("login.project_id", "xsolla_login_project_id", PROJECT)]
    {
        let set = [(key, value)];
        assert!(is_valid(&set, &LoginToken::at(NOW)), "{key}");
        assert!(!is_valid(&set, &LoginToken::at(NOW).without(claim)), "{key}");
        assert!(!is_valid(&set, &LoginToken::at(NOW).claim(claim, vec![value])), "{key}");
        for other in ["https://login.xsolla.com/", "another", ""] {
            assert!(!is_valid(&set, &LoginToken::at(NOW).claim(claim, other)), "{key} {other}");
            assert!(is_valid(&[], &LoginToken::at(NOW).claim(claim, other)), "{key} {other}");
        }
    }
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
fn tokens_for_servers_and_for_logout_are_refused() {
    for name in ["request_type", "events"] {
        for value in [json!("gateway_token"), json!({}), json!(null), json!(false), json!("")] {
            let token = LoginToken::at(NOW).claim(name, value.clone()).mint();
            let error = run(&exchange(&[]), token.as_bytes(), NOW).unwrap_err();
            assert_eq!(Reason::from(error.clone()).error_code().code(), "00-01", "{name}: {value}");
            assert_eq!(error.to_string(), format!("has the claim {name}, so it is not a player's login token"));
        }
    }
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
