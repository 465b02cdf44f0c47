//! Properties that hold for every input.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config as Runs, TestRunner};
use zendesk_token::config::origin::OriginPattern;
use zendesk_token::config::settings::SETTINGS;
use zendesk_token::http::error::ErrorCode;
use zendesk_token::login::token;

use crate::app::App;
use crate::harness::{LOGIN_SECRET, ORIGIN, usual};
use crate::login_tokens::{LoginToken, sign};
use crate::settings::{SettingsFile, load};
use crate::verification::{NOW, exchange, run, run_all};

/// Checks a property with this many random cases.
pub fn check<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value))
where
    S::Value: std::fmt::Debug,
{
    let runs = Runs { cases, failure_persistence: None, ..Runs::default() };
    let outcome = TestRunner::new(runs).run(strategy, |value| {
        property(value);
        Ok(())
    });
    outcome.unwrap();
}

/// Bytes that HTTP allows in a header's value (RFC 9110 §5.5), more often plausible ones.
fn header_bytes() -> impl Strategy<Value = Vec<u8>> {
    let allowed =
        any::<u8>().prop_filter("a control character", |byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f));
    let token = LoginToken::valid().mint().into_bytes();
    let piece = prop_oneof![
        vec(allowed, 0..40),
        Just(b"; ".to_vec()),
        Just(b"token=".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"=".to_vec()),
        Just(token),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_cookie_bytes_panic_or_answer_off_the_table() {
    let server = App::start();
    let known: Vec<(u16, String)> = ErrorCode::ALL
        .into_iter()
        .map(ErrorCode::row)
        .map(|(status, code, description)| {
            (status.as_u16(), serde_json::json!({"code": code, "description": description}).to_string())
        })
        .collect();
    check(2000, &header_bytes(), |cookie| {
        let answer = server.get("/generate/token").header("Cookie", &cookie).send();
        let is_known = known.contains(&(answer.status, answer.body.clone()));
        assert!(answer.status == 200 || is_known, "{answer:?}");
        assert_ne!(answer.status, 500);
    });
}

#[test]
fn any_flipped_bit_of_a_good_token_is_refused() {
    let exchange = exchange(&[]);
    let good = LoginToken::at(NOW).mint().into_bytes();
    assert!(run(&exchange, &good, NOW).is_ok());
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut flipped = good.clone();
            flipped[index] ^= 1 << bit;
            assert!(run(&exchange, &flipped, NOW).is_err(), "bit {bit} of byte {index}");
        }
    }
}

#[test]
fn any_piece_of_a_good_token_taken_away_or_put_in_is_refused() {
    let exchange = exchange(&[]);
    let good = LoginToken::at(NOW).mint();
    let edit = (0..good.len(), 1..20_usize, "[A-Za-z0-9_.=+/ -]{0,4}");
    check(5000, &edit, |(start, length, text)| {
        let end = (start + length).min(good.len());
        let edited = format!("{}{text}{}", &good[..start], &good[end..]);
        assert!(edited == good || run(&exchange, edited.as_bytes(), NOW).is_err(), "{start} {length} {text}");
    });
}

#[test]
fn no_signed_bytes_panic() {
    let exchange = exchange(&[]);
    let piece = || {
        prop_oneof![
            vec(any::<u8>(), 0..20).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            Just("{".to_owned()),
            Just("}".to_owned()),
            Just("[".to_owned()),
            Just("\"exp\":".to_owned()),
            Just("\"alg\":\"HS256\"".to_owned()),
            Just("\"sub\":\"x\",".to_owned()),
            Just("1e308".to_owned()),
            Just("-0.0".to_owned()),
            Just("18446744073709551615".to_owned()),
        ]
    };
    let parts = (vec(piece(), 0..8), vec(piece(), 0..12), any::<bool>(), any::<i64>());
    check(5000, &parts, |(header, payload, good_header, now)| {
        let header = if good_header { r#"{"alg":"HS256"}"#.to_owned() } else { header.concat() };
        let token = sign(&header, &payload.concat(), LOGIN_SECRET.as_bytes());
        let _ = run(&exchange, token.as_bytes(), now.rem_euclid(1 << 40));
    });
}

#[test]
fn no_candidates_panic() {
    let exchange = exchange(&[]);
    check(2000, &vec(vec(any::<u8>(), 0..60), 0..5), |candidates| {
        let candidates: Vec<_> = candidates.iter().map(|bytes| token::LoginToken::new(bytes.as_slice())).collect();
        assert!(run_all(&exchange, candidates, NOW).is_err());
    });
}

#[test]
fn no_member_stands_twice_unnoticed_whatever_its_spelling() {
    let exchange = exchange(&[]);
    let spell = |name: &str, escapes: u32| {
        name.chars().enumerate().fold(String::new(), |mut spelled, (index, letter)| {
            if escapes >> (index % 32) & 1 == 1 {
                let _ = write!(spelled, "\\u{:04x}", u32::from(letter));
            } else {
                spelled.push(letter);
            }
            spelled
        })
    };
    check(1000, &("[a-z]{1,8}", any::<u32>(), any::<u32>(), 0..6_usize), |(name, left, right, depth)| {
        let twice = format!(r#"{{"{}":1,"{}":2}}"#, spell(&name, left), spell(&name, right));
        let nested =
            (0..depth).fold(
                twice,
                |inner, level| {
                    if level % 2 == 0 { format!("[{inner}]") } else { format!(r#"{{"x":{inner}}}"#) }
                },
            );
        let payload = format!(r#"{{"sub":"a","email":"a@b.example","exp":{},"zz":{nested}}}"#, NOW + 60);
        let token = sign(r#"{"alg":"HS256"}"#, &payload, LOGIN_SECRET.as_bytes());
        assert!(run(&exchange, token.as_bytes(), NOW).is_err(), "{payload}");
        let once = payload.replacen(&format!("\"{}\":2", spell(&name, right)), "\"another-name\":2", 1);
        let token = sign(r#"{"alg":"HS256"}"#, &once, LOGIN_SECRET.as_bytes());
        assert!(run(&exchange, token.as_bytes(), NOW).is_ok() || once == payload, "{once}");
    });
}

#[test]
fn whatever_is_issued_is_bounded_and_printable() {
    let exchange = exchange(&[("chat.name_from", "username")]);
    let text = || {
        prop_oneof![
            ".{0,300}",
            "[a-z]{0,20}@[a-z.@]{0,20}",
            vec(any::<char>(), 0..20).prop_map(|all| all.into_iter().collect())
        ]
    };
    check(3000, &(text(), text(), text()), |(sub, email, name)| {
        let token = LoginToken::at(NOW).claim("sub", sub).claim("email", email).claim("username", name).mint();
        let Ok(issued) = run(&exchange, token.as_bytes(), NOW) else { return };
        let payload = URL_SAFE_NO_PAD.decode(issued.as_str().split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        for claim in ["external_id", "email", "name"] {
            let text = claims[claim].as_str().unwrap();
            let length = if claim == "name" { text.chars().count() } else { text.len() };
            assert!(!text.is_empty() && length <= 255 && !text.contains(char::is_control), "{claim}");
        }
        let email = claims["email"].as_str().unwrap();
        assert!(email.is_ascii() && email.matches('@').count() == 1);
    });
}

#[test]
fn no_settings_text_panics_or_comes_back_in_an_error() {
    let key = || proptest::sample::select(SETTINGS.iter().map(|setting| setting.key).collect::<Vec<_>>());
    let line = prop_oneof![
        (key(), ".{0,30}").prop_map(|(key, value)| format!("{key} = {value}")),
        (key(), any::<String>()).prop_map(|(key, value)| format!("{key} = {value:?}")),
        (key(), any::<i64>()).prop_map(|(key, value)| format!("{key} = {value}")),
        "\\[[a-z.]{0,10}\\]",
        any::<String>(),
    ];
    check(1000, &vec(line, 0..12), |lines| {
        let file = SettingsFile::new(lines.join("\n"));
        let _ = load(Some(&file), &usual(&[])).map_err(|error| error.to_string());
    });
    let value = "[^\0]{0,40}";
    check(1000, &(key(), value), |(key, value)| {
        if let Err(error) = load(None, &usual(&[(key, &value)])) {
            let place = format!("{key} (");
            assert!(error.to_string().contains(&place), "{error}");
        }
    });
}

#[test]
fn no_origin_pattern_panics_and_none_allows_what_it_does_not_spell() {
    let text = prop_oneof!["((https?|app|chrome-extension)://)?[a-z0-9.*:@/\\[\\]-]{0,40}", any::<String>()];
    check(5000, &(text.clone(), text), |(pattern, origin)| {
        let Ok(parsed) = OriginPattern::parse(&pattern) else { return };
        let allowed = parsed.allows(origin.as_bytes());
        assert!(!allowed || !parsed.is_exact() || origin == pattern);
        assert!(!parsed.allows(format!("{ORIGIN}.evil.example").as_bytes()) || pattern.contains("evil"));
    });
}
