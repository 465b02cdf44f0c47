//! Attacks with the token itself. The table of all threats is in `threats.rs`.

use allocation_counter::measure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zendesk_token::exchange::Exchange;
use zendesk_token::login::strict_json::Members;

use crate::harness::LOGIN_SECRET;
use crate::inspect_issued::changed;
use crate::login_api::LoginApi;
use crate::login_tokens::{LoginToken, sign, sign_message};
use crate::provider::{Key, Provider};
use crate::verification::{self, NOW, exchange};

/// A login, and what signs its tokens. Each attack must fail with both kinds of login.
pub struct Side {
    pub exchange: Exchange,
    signer: Signer,
    token: LoginToken,
}

enum Signer {
    Secret(&'static str),
    Key(Box<Key>),
}

impl Side {
    /// A login of Xsolla with a secret, and one of a provider with a published key.
    pub fn both() -> [Self; 2] {
        let provider = Provider::start();
        let (oidc, token) = (provider.exchange(&[]), provider.token_at(NOW));
        let signer = Signer::Key(Box::new(provider.key));
        [
            Self { exchange: exchange(&[]), signer: Signer::Secret(LOGIN_SECRET), token: LoginToken::at(NOW) },
            Self { exchange: oidc, signer, token },
        ]
    }

    pub fn payload(&self) -> String {
        self.token.payload()
    }

    /// A token with a valid header and this payload.
    pub fn sign(&self, payload: &str) -> String {
        self.signer.sign(&json!({}), payload)
    }

    /// A token with these members in its header, and a valid payload.
    fn with_header(&self, more: &Value) -> String {
        self.signer.sign(more, &self.payload())
    }

    fn sign_message(&self, message: &str) -> String {
        match &self.signer {
            Signer::Secret(secret) => sign_message(message, secret.as_bytes()),
            Signer::Key(key) => key.sign_message(message),
        }
    }

    /// The error code for a token; `None` if it is accepted.
    fn refusal(&self, token: &str) -> Option<&'static str> {
        verification::refusal(&self.exchange, token.as_bytes())
    }

    /// What an attacker signs with, and this as a key in a header.
    fn attacker(&self) -> (Signer, Value) {
        match &self.signer {
            Signer::Secret(_) => {
                let secret = "the attacker's own secret, of 32 bytes and more";
                (Signer::Secret(secret), json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(secret), "alg": "HS256"}))
            }
            Signer::Key(key) => {
                let own = Key::new("ES256", &key.kid);
                let jwk = own.jwk();
                (Signer::Key(Box::new(own)), jwk)
            }
        }
    }
}

impl Signer {
    /// A token with more members in its header.
    fn sign(&self, more: &Value, payload: &str) -> String {
        match self {
            Self::Secret(secret) => {
                let header = changed(&json!({"alg": "HS256", "typ": "JWT"}), more);
                sign(&header.to_string(), payload, secret.as_bytes())
            }
            Self::Key(key) => key.sign(&changed(&key.header(), more), payload),
        }
    }
}

#[test]
fn header_members_that_change_the_meaning_are_refused_with_any_value() {
    let values = [json!(false), json!(true), json!(""), json!("DEF"), json!([]), json!(["exp"]), json!({})];
    for side in Side::both() {
        for name in ["crit", "b64", "zip", "enc"] {
            for value in &values {
                let token = side.with_header(&json!({name: value}));
                assert_eq!(side.refusal(&token), Some("00-01"), "{name}: {value}");
            }
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","{name}":null}}"#));
            let token = side.sign_message(&format!("{header}.{}", URL_SAFE_NO_PAD.encode(side.payload())));
            assert_eq!(side.refusal(&token), Some("00-01"), "{name}: null");
        }
        assert_eq!(side.refusal(&side.with_header(&json!({"x": 1}))), None);
    }
}

#[test]
fn keys_in_a_token_are_never_fetched_or_used() {
    let api = LoginApi::start();
    let url = format!("{}/jwks.json", api.url());
    for side in Side::both() {
        let (attacker, own) = side.attacker();
        for (name, value) in [("jku", json!(url)), ("x5u", json!(url)), ("jwk", own), ("x5c", json!(["MIIB"]))] {
            let header = json!({name: value});
            assert_eq!(side.refusal(&attacker.sign(&header, &side.payload())), Some("00-01"), "{name}");
            assert_eq!(side.refusal(&side.with_header(&header)), None, "{name} does not affect a valid token");
        }
    }
    assert_eq!(api.asked("/jwks.json"), 0);
}

#[test]
fn a_payload_that_is_not_an_object_is_refused() {
    for side in Side::both() {
        for payload in ["[1,2,3,4,5]", "[]", "\"text\"", "5", "null", "true", "", "{", "{}x"] {
            assert_eq!(side.refusal(&side.sign(payload)), Some("00-01"), "{payload}");
        }
    }
}

#[test]
fn a_claim_that_is_not_a_time_is_refused_before_any_arithmetic() {
    let wrong = r#""1" -1 -0.5 1e300 1e999 NaN 18446744073709551615 9223372036854775807 253402300800 null true [] {} 1_000 0x10 01"#;
    for side in Side::both() {
        let with = |name: &str, value: &str| {
            let rest = changed(&serde_json::from_str(&side.payload()).unwrap(), &json!({name: null})).to_string();
            side.sign(&format!("{{\"{name}\":{value},{}", &rest[1..]))
        };
        for name in ["exp", "iat", "nbf"] {
            for value in wrong.split(' ') {
                assert_eq!(side.refusal(&with(name, value)), Some("00-01"), "{name}: {value}");
            }
        }
        assert_eq!(side.refusal(&with("exp", &format!("{NOW}.5"))), None, "inside the leeway");
    }
    let without_exp = LoginToken::at(NOW).without("exp").mint();
    assert_eq!(refusal(&without_exp), Some("00-01"));
}

/// The error code with the usual settings; `None` if the token is accepted.
fn refusal(token: &str) -> Option<&'static str> {
    verification::refusal(&exchange(&[]), token.as_bytes())
}

#[test]
fn an_audience_of_xsolla_is_checked_only_if_it_is_set() {
    let set = exchange(&[("login.audience", "shop")]);
    let with = |audience: Value| LoginToken::at(NOW).claim("aud", audience).mint();
    for audience in [json!("another"), json!(["a", "b"]), json!(7), json!(null), json!(["shop", "a"])] {
        assert_eq!(refusal(&with(audience.clone())), None, "{audience}");
        assert_eq!(verification::refusal(&set, with(audience.clone()).as_bytes()), Some("00-01"), "{audience}");
    }
    for audience in [json!("shop"), json!(["shop"])] {
        assert_eq!(verification::refusal(&set, with(audience.clone()).as_bytes()), None, "{audience}");
    }
}

#[test]
fn base64url_is_read_strictly() {
    for side in Side::both() {
        let good = side.sign(&side.payload());
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (header, body) = message.split_once('.').unwrap();
        let signed = |message: String| side.sign_message(&message);
        for odd in ["=", "==", " ", "\n", "+", "/", "%3D", "\u{a0}"] {
            for token in [
                signed(format!("{header}{odd}.{body}")),
                signed(format!("{header}.{body}{odd}")),
                signed(format!("{odd}{header}.{body}")),
                format!("{message}.{signature}{odd}"),
                format!("{message}.{odd}{signature}"),
            ] {
                assert_eq!(side.refusal(&token), Some("00-01"), "{odd:?}");
            }
        }
        // The last character of 32 bytes in base64url has two unused bits, that of 64 bytes four.
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let with_last = |last: &char| side.refusal(&format!("{}{last}", &good[..good.len() - 1]));
        let accepted = alphabet.chars().filter(|last| with_last(last).is_none());
        assert_eq!(accepted.collect::<String>(), good[good.len() - 1..]);
    }
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
