//! Attacks with the token itself. The table of all threats is in `threats.rs`.

use allocation_counter::measure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zendesk_token::login::strict_json::Members;

use crate::app::App;
use crate::harness::LOGIN_SECRET;
use crate::login_api::LoginApi;
use crate::login_tokens::{HEADER, LoginToken, sign, sign_message};
use crate::verification::{self, NOW, exchange};

/// A token with this header and a valid payload.
fn with_header(header: &Value, secret: &str) -> String {
    sign(&header.to_string(), &LoginToken::at(NOW).payload(), secret.as_bytes())
}

/// The error code with the usual settings; `None` if the token is accepted.
fn refusal(token: &str) -> Option<&'static str> {
    verification::refusal(&exchange(&[]), token.as_bytes())
}

#[test]
fn header_members_that_change_the_meaning_are_refused_with_any_value() {
    let values =
        [json!(null), json!(false), json!(true), json!(""), json!("DEF"), json!([]), json!(["exp"]), json!({})];
    for name in ["crit", "b64", "zip", "enc"] {
        for value in &values {
            let token = with_header(&json!({"alg": "HS256", name: value}), LOGIN_SECRET);
            assert_eq!(refusal(&token), Some("00-01"), "{name}: {value}");
        }
    }
    assert_eq!(refusal(&with_header(&json!({"alg": "HS256", "x": 1}), LOGIN_SECRET)), None);
}

#[test]
fn keys_in_a_token_are_never_fetched_or_used() {
    let api = LoginApi::start();
    let url = format!("{}/jwks.json", api.url());
    let secret = "the attacker's own secret, of 32 bytes and more";
    let own = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(secret), "alg": "HS256"});
    let server = App::start();
    for (name, value) in [("jku", json!(url)), ("x5u", json!(url)), ("jwk", own), ("x5c", json!(["MIIB"]))] {
        let header = json!({"alg": "HS256", "typ": "JWT", name: value});
        let forged = sign(&header.to_string(), &LoginToken::valid().payload(), secret.as_bytes());
        assert_eq!(server.get("/generate/token").cookie(&forged).send().refusal(), "401 00-01", "{name}");
        assert_eq!(refusal(&with_header(&header, secret)), Some("00-01"), "{name}");
        assert_eq!(refusal(&with_header(&header, LOGIN_SECRET)), None, "{name} does not affect a valid token");
    }
    assert_eq!(api.asked("/jwks.json"), 0);
}

#[test]
fn a_payload_that_is_not_an_object_is_refused() {
    for payload in ["[1,2,3,4,5]", "[]", "\"text\"", "5", "null", "true", "", "{", "{}x"] {
        assert_eq!(refusal(&sign(HEADER, payload, LOGIN_SECRET.as_bytes())), Some("00-01"), "{payload}");
    }
}

#[test]
fn a_claim_that_is_not_a_time_is_refused_before_any_arithmetic() {
    let with = |name: &str, value: &str| {
        let rest = LoginToken::at(NOW).without(name).payload();
        let payload = format!("{{\"{name}\":{value},{}", &rest[1..]);
        sign(r#"{"alg":"HS256"}"#, &payload, LOGIN_SECRET.as_bytes())
    };
    let wrong = r#""1" -1 -0.5 1e300 1e999 NaN 18446744073709551615 9223372036854775807 253402300800 null true [] {} 1_000 0x10 01"#;
    for name in ["exp", "iat", "nbf"] {
        for value in wrong.split(' ') {
            assert_eq!(refusal(&with(name, value)), Some("00-01"), "{name}: {value}");
        }
    }
    assert_eq!(refusal(&LoginToken::at(NOW).without("exp").mint()), Some("00-01"));
    assert_eq!(refusal(&with("exp", &format!("{NOW}.5"))), None, "inside the leeway");
}

#[test]
fn an_audience_is_not_checked() {
    for audience in [json!("another"), json!(["a", "b"]), json!(7), json!(null)] {
        assert_eq!(refusal(&LoginToken::at(NOW).claim("aud", audience).mint()), None);
    }
}

#[test]
fn base64url_is_read_strictly() {
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
    let accepted = alphabet.chars().filter(|last| refusal(&format!("{}{last}", &good[..good.len() - 1])).is_none());
    assert_eq!(accepted.collect::<String>(), good[good.len() - 1..]);
}

/// Any client can send a header, and with RS256 it stays in memory while an unknown key is fetched.
#[test]
fn a_header_of_nested_objects_takes_memory_in_proportion_to_its_bytes() {
    let members: Vec<String> = (0..500).map(|name| format!(r#""{name}":{{"":{{}}}}"#)).collect();
    let json = format!("{{{}}}", members.join(","));
    let mut kept = None;
    let counted = measure(|| kept = Some(Members::read(json.as_bytes()).unwrap()));
    assert!(kept.unwrap().has("499"));
    let bytes = counted.bytes_current;
    assert!(bytes < 8 * i64::try_from(json.len()).unwrap(), "{bytes} bytes for {} of JSON", json.len());
}
