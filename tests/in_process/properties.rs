//! Properties that hold for every input.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config as Runs, TestRunner};
use serde_json::{Value, json};
use zendesk_token::config::products::{PRODUCTS, Product};
use zendesk_token::config::settings::SETTINGS;
use zendesk_token::http::error::ErrorCode;

use crate::app::App;
use crate::harness::{CHAT_SECRET, HELP_CENTER_SECRET, MESSAGING_SECRET, OTHER_PRODUCTS, SUPPORT_SDK_SECRET, usual};
use crate::login_tokens::{LoginToken, open_at};
use crate::provider::Provider;
use crate::settings::{SettingsFile, load};
use crate::threats_tokens::Side;
use crate::verification::{NOW, exchange, run, run_for};

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
fn any_cookie_gets_a_token_or_a_known_error() {
    let server = App::start();
    let known: Vec<(u16, String)> = ErrorCode::ALL
        .into_iter()
        .map(ErrorCode::row)
        .map(|(status, code, description)| {
            (status.as_u16(), json!({"code": code, "description": description}).to_string())
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
    for side in Side::both() {
        let good = side.sign(&side.payload()).into_bytes();
        assert!(run(&side.exchange, &good, NOW).is_ok());
        for index in 0..good.len() {
            for bit in 0..8 {
                let mut flipped = good.clone();
                flipped[index] ^= 1 << bit;
                assert!(run(&side.exchange, &flipped, NOW).is_err(), "bit {bit} of byte {index}");
            }
        }
    }
}

#[test]
fn a_repeated_member_is_refused_at_any_depth_and_in_any_spelling() {
    let spell = |name: &str, escapes: u32| {
        name.chars().enumerate().fold(String::new(), |mut spelled, (index, c)| {
            if escapes >> (index % 32) & 1 == 1 {
                let _ = write!(spelled, "\\u{:04x}", u32::from(c));
            } else {
                spelled.push(c);
            }
            spelled
        })
    };
    let sides = Side::both();
    check(1000, &("[a-z]{1,8}", any::<u32>(), any::<u32>(), 0..6_usize), |(name, left, right, depth)| {
        let mut repeated = format!(r#"{{"{}":1,"{}":2}}"#, spell(&name, left), spell(&name, right));
        for level in 0..depth {
            repeated = if level % 2 == 0 { format!("[{repeated}]") } else { format!(r#"{{"x":{repeated}}}"#) };
        }
        for side in &sides {
            let is_accepted = |payload: &str| run(&side.exchange, side.sign(payload).as_bytes(), NOW).is_ok();
            let payload = format!(r#"{},"zz":{repeated}}}"#, side.payload().strip_suffix('}').unwrap());
            assert!(!is_accepted(&payload), "{payload}");
            let once = payload.replacen(&format!("\"{}\":2", spell(&name, right)), "\"another-name\":2", 1);
            assert!(is_accepted(&once) || once == payload, "{once}");
        }
    });
}

#[test]
fn no_settings_text_panics_and_each_error_names_its_key() {
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
            assert!(error.to_string().contains(&format!("{key} (")), "{error}");
        }
    });
}

/// A random claim, more often a plausible one.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "[a-zA-Z0-9 ]{1,20}".prop_map(Value::from),
        4 => "[a-z]{1,10}@[a-z]{1,10}\\.example".prop_map(Value::from),
        1 => "\\+?[0-9]{1,20}".prop_map(Value::from),
        1 => ".{0,300}".prop_map(Value::from),
        1 => vec(any::<char>(), 0..20).prop_map(|all| all.into_iter().collect::<String>().into()),
        1 => prop_oneof![Just(json!(null)), Just(json!(7)), Just(json!(true)), Just(json!(false)), Just(json!("false")), Just(json!(["a@b.example"]))],
    ]
}

#[test]
fn every_issued_token_keeps_its_products_rules_for_any_login_claims() {
    let provider = Provider::start();
    let exchanges = ["unverified", "verified", "omit"].map(|email| {
        let changes = [("messaging.email", email), ("chat.name_from", "name,email")];
        let changes = [&OTHER_PRODUCTS[..], &changes].concat();
        let of_provider = provider.exchange(&[&changes[..], &[("login.external_id_prefix", "p|")]].concat());
        [(email, exchange(&changes), false), (email, of_provider, true)]
    });
    let secret = |product| match product {
        Product::Chat => CHAT_SECRET,
        Product::Messaging => MESSAGING_SECRET,
        Product::HelpCenter => HELP_CENTER_SECRET,
        Product::SupportSdk => SUPPORT_SDK_SECRET,
    };
    let counts = RefCell::new(BTreeMap::<_, u32>::new());
    let verified = || prop_oneof![Just(json!(true)), Just(json!(null)), Just(json!(false)), value()];
    check(1000, &(value(), value(), value(), verified(), -59..100_000_i64), |(sub, email, name, verified, left)| {
        let is_silent = verified.is_null() || verified == "";
        let confirms =
            verified == true || verified.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1");
        let [of_xsolla, of_provider] = [LoginToken::at(NOW), provider.token_at(NOW)].map(|login| {
            let login = login.claim("sub", sub.clone()).claim("email", email.clone()).claim("name", name.clone());
            login.claim("email_verified", verified.clone()).claim("exp", NOW + left)
        });
        let logins = [of_xsolla.mint(), provider.mint(&of_provider)];
        let all = exchanges.iter().flatten().flat_map(|one| PRODUCTS.map(|product| (one, product)));
        for ((rule, exchange, is_oidc), product) in all {
            let is_unconfirmed = !confirms && (!is_silent || *is_oidc);
            let (login, prefix) = (&logins[usize::from(*is_oidc)], if *is_oidc { "p|" } else { "" });
            let Ok(token) = run_for(product, exchange, login.as_bytes(), NOW) else { continue };
            *counts.borrow_mut().entry((*rule, *is_oidc, product.as_str())).or_default() += 1;
            let claims = open_at(NOW, product, token.as_str(), secret(product)).1;
            let claims = claims.as_object().unwrap();
            for (claim, text) in claims.iter().filter_map(|(claim, value)| Some((claim, value.as_str()?))) {
                let length = if claim == "name" { text.chars().count() } else { text.len() };
                assert!(!text.is_empty() && length <= 255 && !text.contains(char::is_control), "{claim}");
                assert!(claim != "email" || text.is_ascii() && text.matches('@').count() == 1, "{text}");
            }
            if product == Product::Messaging {
                let is_as_claimed = claims.get("email") == Some(&email);
                let is_confirmed = *rule == "verified" && is_as_claimed && !is_unconfirmed;
                assert_eq!(claims.contains_key("email_verified"), is_confirmed, "{claims:?}");
                assert!(*rule != "omit" || !claims.contains_key("email"));
            } else {
                assert!(!claims.contains_key("email_verified") && claims["email"] == email, "{claims:?}");
                assert!(product == Product::Chat || !is_unconfirmed, "identified by an unconfirmed email: {claims:?}");
            }
            assert!(claims.get("external_id").is_none_or(|id| *id == format!("{prefix}{}", sub.as_str().unwrap())));
            assert!(claims.get("exp").is_none_or(|exp| exp.as_i64().unwrap() <= NOW + left.max(60)));
        }
    });
    let counts = counts.into_inner();
    assert!(counts.len() == 24 && counts.values().all(|count| *count > 20), "{counts:?}");
}
