//! Attacks with the token itself. The table of all threats is in `threats.rs`.

use allocation_counter::measure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zendesk_token::http::error::Reason;
use zendesk_token::login::strict_json::Members;

use crate::app::App;
use crate::harness::LOGIN_SECRET;
use crate::login_api::{LoginApi, keys_path};
use crate::login_tokens::{LoginToken, sign, sign_message};
use crate::published_keys::{ready, token};
use crate::verification::{NOW, exchange, run};

/// The error code for a token with the usual settings; `None` if it is accepted.
fn refusal(token: &str) -> Option<&'static str> {
    run(&exchange(&[]), token.as_bytes(), NOW).err().map(|error| Reason::from(error).error_code().code())
}

/// The payload of a valid token.
fn payload() -> String {
    let token = LoginToken::at(NOW).mint();
    String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn with_header(header: &Value) -> String {
    sign(&header.to_string(), &payload(), LOGIN_SECRET.as_bytes())
}

fn with_payload(payload: &str) -> String {
    sign(r#"{"alg":"HS256"}"#, payload, LOGIN_SECRET.as_bytes())
}

#[test]
fn header_members_that_change_the_meaning_are_refused_whatever_they_hold() {
    assert_eq!(refusal(&with_header(&json!({"alg": "HS256", "x": 1}))), None);
    for name in ["crit", "b64", "zip", "enc"] {
        for value in
            [json!(null), json!(false), json!(true), json!(""), json!("DEF"), json!([]), json!(["exp"]), json!({})]
        {
            assert_eq!(refusal(&with_header(&json!({"alg": "HS256", name: value}))), Some("00-01"), "{name}: {value}");
        }
    }
}

#[test]
fn keys_that_a_token_brings_along_are_never_fetched_and_never_used() {
    let api = LoginApi::start();
    let url = format!("{}/jwks.json", api.url());
    let own = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("the attacker's own secret, of 32 bytes and more"), "alg": "HS256"});
    let secret = b"the attacker's own secret, of 32 bytes and more";
    let server = App::start();
    for (name, value) in [("jku", json!(url)), ("x5u", json!(url)), ("jwk", own), ("x5c", json!(["MIIB"]))] {
        let header = json!({"alg": "HS256", "typ": "JWT", name: value}).to_string();
        let forged = sign(&header, &payload(), secret);
        assert_eq!(server.get("/generate/token").cookie(&forged).send().refusal(), "401 00-01", "{name}");
        assert_eq!(refusal(&sign(&header, &payload(), secret)), Some("00-01"), "{name}");
        assert_eq!(
            refusal(&sign(&header, &payload(), LOGIN_SECRET.as_bytes())),
            None,
            "{name} changes nothing of a good token"
        );
    }
    assert_eq!(api.asked("/jwks.json"), 0);
}

#[test]
fn a_kid_is_looked_up_exactly_or_not_at_all() {
    let api = LoginApi::start();
    let server = ready(&api, &[("login.keys_cooldown", "1h")]);
    let good = token("key_a");
    assert_eq!(server.get("/generate/token").cookie(&good).send().status, 200);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let kid = header["kid"].as_str().unwrap();
    for other in [
        json!("../../etc/passwd"),
        json!("' OR 1=1 --"),
        json!("x".repeat(3000)),
        json!(1),
        json!(null),
        json!([kid]),
        json!(""),
        json!(format!("{kid} ")),
        json!(kid.to_uppercase()),
        json!(format!("{kid}\u{0}")),
    ] {
        let mut changed = header.clone();
        changed["kid"] = other.clone();
        let token = format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(changed.to_string()));
        assert_eq!(server.get("/generate/token").cookie(&token).send().refusal(), "401 00-01", "{other}");
    }
    assert!(api.asked(&keys_path()) <= 3, "however many kids are made up");
    let log = server.log().join("\n");
    assert!(!log.contains("passwd") && !log.contains("OR 1=1") && !log.contains("xxx"), "{log}");
}

#[test]
fn a_payload_that_is_no_object_is_refused() {
    for payload in ["[1,2,3,4,5]", "\"text\"", "5", "null", "true", "", "{", "{}x", "[]"] {
        assert_eq!(refusal(&with_payload(payload)), Some("00-01"), "{payload}");
    }
}

#[test]
fn times_that_are_none_are_refused_before_any_arithmetic() {
    let good = payload();
    let with = |name: &str, value: &str| {
        let mut claims: serde_json::Map<String, Value> = serde_json::from_str(&good).unwrap();
        claims.remove(name);
        let rest = Value::Object(claims).to_string();
        with_payload(&format!("{{\"{name}\":{value},{}", &rest[1..]))
    };
    let none = [
        "\"1\"",
        "-1",
        "-0.5",
        "1e300",
        "1e999",
        "NaN",
        "18446744073709551615",
        "9223372036854775807",
        "253402300800",
        "null",
        "true",
        "[]",
        "{}",
        "1_000",
        "0x10",
        "01",
    ];
    for name in ["exp", "iat", "nbf"] {
        for value in none {
            assert_eq!(refusal(&with(name, value)), Some("00-01"), "{name}: {value}");
        }
    }
    assert_eq!(refusal(&LoginToken::at(NOW).without("exp").mint()), Some("00-01"));
    assert_eq!(refusal(&with("exp", &format!("{NOW}.5"))), None, "inside the leeway");
}

#[test]
fn an_audience_is_nobodys_business() {
    for audience in [json!("another"), json!(["a", "b"]), json!(7), json!(null)] {
        assert_eq!(refusal(&LoginToken::at(NOW).claim("aud", audience).mint()), None);
    }
}

#[test]
fn base64url_is_read_to_the_letter() {
    let good = LoginToken::at(NOW).mint();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = message.split_once('.').unwrap();
    let signed = |message: String| sign_message(&message, LOGIN_SECRET.as_bytes());
    for odd in ["=", "==", " ", "\n", "+", "/", "%3D", "\u{a0}"] {
        for token in [
            signed(format!("{header}{odd}.{body}")),
            signed(format!("{header}.{body}{odd}")),
            signed(format!("{odd}{header}.{body}")),
            format!("{message}.{signature}{odd}"),
            format!("{message}.{odd}{signature}"),
        ] {
            assert_eq!(refusal(&token), Some("00-01"), "{odd:?}");
        }
    }
    // The last character of 32 bytes in base64url has two unused bits.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let taken = alphabet.chars().filter(|last| refusal(&format!("{}{last}", &good[..good.len() - 1])).is_none());
    assert_eq!(taken.collect::<String>(), good[good.len() - 1..]);
}

/// Any client can send a header, and with RS256 it stays in memory while an unknown key is fetched.
#[test]
fn a_header_of_objects_in_objects_takes_no_more_memory_than_its_bytes() {
    let members: Vec<String> = (0..500).map(|name| format!(r#""{name}":{{"":{{}}}}"#)).collect();
    let json = format!("{{{}}}", members.join(","));
    let mut kept = None;
    let counted = measure(|| kept = Some(Members::read(json.as_bytes()).unwrap()));
    assert!(kept.unwrap().has("499"));
    let bytes = counted.bytes_current;
    assert!(bytes < 8 * i64::try_from(json.len()).unwrap(), "{bytes} bytes for {} of JSON", json.len());
}
