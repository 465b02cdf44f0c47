//! Compares our verifier with another one on randomly changed tokens. Where they differ, ours must be stricter, for a reason
//! that is listed here and that the token itself proves.

use std::collections::BTreeMap;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration};
use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::prelude::*;
use serde_json::{Map, Value, json};
use zendesk_token::exchange::ExchangeError;
use zendesk_token::login::claims::ClaimsError;
use zendesk_token::login::strict_json::StrictJsonError;
use zendesk_token::login::token::VerifyError;
use zendesk_token::login::verifier::LoginError;

use crate::harness::LOGIN_SECRET;
use crate::login_tokens::{HEADER, LoginToken, sign, sign_message};
use crate::verification::{NOW, exchange, run};

const TOKENS: u32 = 100_000;
/// Allowed clock difference in seconds, in both verifiers.
const LEEWAY: i64 = 60;

/// A random number generator with the same sequence in each run (Marsaglia, *Xorshift RNGs*, 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Whether the other verifier accepts a token: signature, form, `exp` and `nbf`.
fn other_accepts(token: &str) -> bool {
    let Ok(token) = UntrustedToken::new(token) else { return false };
    let key = Hs256Key::new(LOGIN_SECRET.as_bytes());
    let verified: Result<Token<Map<String, Value>>, _> = Hs256.validator(&key).validate(&token);
    let Ok(verified) = verified else { return false };
    let clock = || DateTime::from_timestamp(NOW, 0).unwrap();
    let options = TimeOptions::new(Duration::seconds(LEEWAY), clock);
    let claims = verified.claims();
    let is_mature = claims.not_before.is_none() || claims.validate_maturity(&options).is_ok();
    claims.validate_expiration(&options).is_ok() && is_mature
}

const NAMES: [&str; 14] =
    ["alg", "typ", "kid", "crit", "b64", "zip", "enc", "exp", "nbf", "iat", "sub", "email", "groups", "username"];

fn value(chance: &mut Chance) -> Value {
    match chance.below(16) {
        0 => json!(null),
        1 => json!(true),
        2 => json!("HS256"),
        3 => json!(""),
        4 => json!("1800000000"),
        5 => json!(NOW - 30),
        6 => json!(NOW + 30),
        7 => json!(NOW + 90),
        8 => json!(NOW - 90),
        9 => json!(-1),
        10 => json!(u64::MAX),
        11 => json!(1e300),
        12 => json!(253_402_300_800_i64),
        13 => json!(["exp"]),
        14 => json!({"a": {"a": 1}}),
        _ => json!(1_800_000_030.5),
    }
}

/// A JSON object with some members changed or removed.
fn changed(json: &str, chance: &mut Chance) -> String {
    let mut object: Map<String, Value> = serde_json::from_str(json).unwrap();
    for _ in 0..=chance.below(3) {
        let name = chance.of(&NAMES);
        if chance.below(4) == 0 {
            object.remove(name);
        } else {
            object.insert(name.to_owned(), value(chance));
        }
    }
    Value::Object(object).to_string()
}

/// A text with some characters inserted, removed or changed.
fn edited(text: &str, characters: &str, chance: &mut Chance) -> String {
    let characters: Vec<char> = characters.chars().collect();
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..=chance.below(3) {
        let (at, c) = (chance.below(text.len()), characters[chance.below(characters.len())]);
        match chance.below(3) {
            0 => text.insert(at, c),
            1 if text.len() > 1 => drop(text.remove(at)),
            _ => text[at] = c,
        }
    }
    text.into_iter().collect()
}

/// A JSON object with a repeated member, whose name may be escaped.
fn repeated(json: &str, chance: &mut Chance) -> String {
    let name = chance.of(&["exp", "sub", "alg", "x", "\\u0065xp", "e\\u0078p"]);
    let more = format!("\"{name}\":{},", value(chance));
    format!("{{{more}{}", &json[1..])
}

fn token(chance: &mut Chance) -> String {
    let plain = LoginToken::at(NOW);
    let (header_text, payload_text, plain) = (HEADER, plain.payload(), plain.mint());
    let secret = LOGIN_SECRET.as_bytes();
    let json = "{}[]\",:\\ \n0123456789eE+-.tfn\u{1}é";
    match chance.below(10) {
        0 => edited(&plain, "AZaz09-_.=+/ \n\u{e9}", chance),
        1 => sign(&changed(header_text, chance), &payload_text, secret),
        2 | 3 => sign(header_text, &changed(&payload_text, chance), secret),
        4 => sign(&edited(header_text, json, chance), &payload_text, secret),
        5 => sign(header_text, &edited(&payload_text, json, chance), secret),
        6 => sign(header_text, &repeated(&payload_text, chance), secret),
        7 => sign(&repeated(header_text, chance), &payload_text, secret),
        8 => {
            let (message, _) = plain.rsplit_once('.').unwrap();
            sign_message(&edited(message, "=+/ \n-_.", chance), secret)
        }
        _ => {
            let depth = 100 + chance.below(60);
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let long = "x".repeat(5000 + chance.below(3000));
            let more = if chance.below(2) == 0 { nested } else { json!(long).to_string() };
            sign(header_text, &format!("{{\"x\":{more},{}", &payload_text[1..]), secret)
        }
    }
}

/// The decoded header and payload of a token.
fn texts(token: &str) -> [String; 2] {
    let mut parts = token.split('.');
    [(); 2].map(|()| {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next().unwrap_or_default()).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    })
}

/// The listed reason why ours is stricter, if the token proves it.
fn reason(error: &VerifyError, token: &str) -> Option<&'static str> {
    let [header, payload] = texts(token);
    let claims: Map<String, Value> = serde_json::from_str(&payload).unwrap_or_default();
    let members: Map<String, Value> = serde_json::from_str(&header).unwrap_or_default();
    let is_time = |value: &Value| value.as_f64().is_some_and(|time| (0.0..253_402_300_800.0).contains(&time));
    let has_repeated = |text: &str| {
        // Parsing keeps only one of two repeated members.
        serde_json::from_str::<Value>(text).is_ok_and(|kept| kept.to_string().len() < compact(text).len())
    };
    let is_wrong = |name: &str| claims.get(name).is_some_and(|value| !is_time(value));
    let reasons = [
        ("over 8 KiB", matches!(error, VerifyError::TooLong(bytes) if *bytes == token.len() && *bytes > 8192)),
        (
            "a header that changes the meaning",
            matches!(error, VerifyError::HeaderRefused(name) if members.contains_key(*name)),
        ),
        (
            "a header of the wrong type",
            matches!(error, VerifyError::HeaderType(name) if members.get(*name).is_some_and(|value| !value.is_string())),
        ),
        (
            "a typ other than JWT",
            *error == VerifyError::TypMismatch
                && members.get("typ").and_then(Value::as_str).is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")),
        ),
        (
            "a repeated member",
            matches!(error, VerifyError::NotStrictJson(part, StrictJsonError::Duplicate)
                if has_repeated(if *part == "header" { &header } else { &payload })),
        ),
        ("not a time", matches!(error, VerifyError::Claims(ClaimsError::NotATime(name)) if is_wrong(name))),
        (
            "issued in the future",
            matches!(error, VerifyError::Claims(ClaimsError::InFuture("iat", by)) if *by > LEEWAY),
        ),
    ];
    reasons.into_iter().find(|(_, holds)| *holds).map(|(reason, _)| reason)
}

/// A JSON text without spaces, and with the escapes of [`repeated`] resolved.
fn compact(text: &str) -> String {
    text.replace("\\u0065", "e").replace("\\u0078", "x").split_whitespace().collect()
}

/// Verifies this many tokens with both verifiers; the number of tokens by verdict, or by reason why ours is stricter.
fn judge(seed: u64, count: u32) -> BTreeMap<&'static str, u32> {
    let exchange = exchange(&[]);
    let mut chance = Chance(seed);
    let mut counts = BTreeMap::new();
    for _ in 0..count {
        let token = token(&mut chance);
        let ours = match run(&exchange, token.as_bytes(), NOW) {
            Ok(_) | Err(ExchangeError::Identify(..) | ExchangeError::Issue(..)) => Ok(()),
            Err(ExchangeError::Login(LoginError::Verify(error, _))) => Err(error),
            Err(other) => panic!("{other}: {token}"),
        };
        let verdict = match (ours, other_accepts(&token)) {
            (Ok(()), true) => "accepted",
            (Err(_), false) => "refused",
            (Err(error), true) => {
                reason(&error, &token).unwrap_or_else(|| panic!("stricter for no listed reason: {error}: {token}"))
            }
            (Ok(()), false) => panic!("ours accepts what the other refuses: {token} {:?}", texts(&token)),
        };
        *counts.entry(verdict).or_default() += 1;
    }
    counts
}

#[test]
fn two_verifiers_agree_on_100_000_changed_tokens_except_for_listed_reasons() {
    let seeds = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0x2545_f491_4f6c_dd1d];
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    thread::scope(|scope| {
        for part in seeds.map(|seed| scope.spawn(move || judge(seed, TOKENS / 4))) {
            for (verdict, count) in part.join().unwrap() {
                *counts.entry(verdict).or_default() += count;
            }
        }
    });
    for (verdict, least) in [
        ("refused", 20_000),
        ("accepted", 10_000),
        ("a header that changes the meaning", 500),
        ("a repeated member", 500),
        ("not a time", 100),
        ("issued in the future", 100),
        ("a header of the wrong type", 30),
        ("a typ other than JWT", 30),
    ] {
        assert!(counts.get(verdict).is_some_and(|count| *count > least), "{verdict}: {counts:?}");
    }
}
