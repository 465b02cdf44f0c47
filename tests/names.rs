//! Names as agents see them. No name causes a refusal.

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use serde_json::{Value, json};
use zendesk_token::config::products::Product;
use zendesk_token::exchange::{Exchange, ExchangeError, Issued};
use zendesk_token::login::strict_json::{Members, without_lone_surrogates};
use zendesk_token::login::token;
use zendesk_token::login::verifier::Credentials;

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, OTHER_PRODUCTS};
use crate::login_tokens::{EMAIL, LoginToken, open, sign};
use crate::properties::check;
use crate::verification::{NOW, exchange};

fn run(exchange: &Exchange, product: Product, token: &str) -> Result<Issued, ExchangeError> {
    let credentials = Credentials { bearer: Some(token::LoginToken::new(token)), cookies: Vec::new() };
    exchange.run(product, &credentials, NOW).now_or_never().unwrap()
}

/// The name in the product's token for a login token.
fn name(exchange: &Exchange, product: Product, token: &str) -> Option<String> {
    let secret = if product == Product::Chat { CHAT_SECRET } else { MESSAGING_SECRET };
    let token = run(exchange, product, token).unwrap_or_else(|error| panic!("{error}")).token;
    open(token.as_str(), secret).1["name"].as_str().map(str::to_owned)
}

/// The name in a Messaging token for a login with this claim `name`.
fn of_claim(value: impl Into<Value>) -> Option<String> {
    name(&exchange(&OTHER_PRODUCTS), Product::Messaging, &LoginToken::at(NOW).claim("name", value).mint())
}

/// The name in the next claim.
const NEXT: &str = "Jane Doe";

#[test]
fn what_nobody_sees_and_what_turns_the_line_is_taken_out_of_a_name() {
    for (claimed, shown) in [
        ("Jane\tDoe", "Jane Doe"),
        ("Jane\r\nDoe", "Jane Doe"),
        ("Jane\u{2028}Doe", "Jane Doe"),
        ("  Jane \u{3000} Doe\u{a0}", "Jane Doe"),
        ("Jane\u{7}", "Jane"),
        ("\0Jane\u{9b}31m\u{1b}", "Jane31m"),
        ("Ja\u{ad}ne\u{200b}\u{2060}\u{feff}\u{3164}", "Jane"),
        ("\u{202e}enaJ\u{202c}", "enaJ"),
        ("\u{2066}Jane\u{2069}\u{200f}\u{61c}", "Jane"),
        ("Jane\u{e0041}\u{e0042}\u{e007f}", "Jane"),
        ("Jane\u{fe01}\u{fe02}\u{e0100}\u{e0101}", "Jane\u{fe01}"),
        ("\u{200d}Jane\u{200d} \u{200c}Doe\u{200c}", "Jane Doe"),
        ("J\u{200d}\u{200d}\u{200d}D", "J\u{200d}D"),
        // Not changed.
        ("★ José 🔥", "★ José 🔥"),
        ("👩\u{200d}👩\u{200d}👧\u{200d}👦", "👩\u{200d}👩\u{200d}👧\u{200d}👦"),
        ("❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3}", "❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3}"),
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ("ක්\u{200d}ෂ", "ක්\u{200d}ෂ"),
        ("葛\u{e0100}城", "葛\u{e0100}城"),
        ("Z\u{30c}ofie", "Z\u{30c}ofie"),
        ("O'Hara <b>&\"\\", "O'Hara <b>&\"\\"),
        ("jane@example.com", "jane@example.com"),
    ] {
        assert_eq!(of_claim(claimed).as_deref(), Some(shown), "{claimed:?}");
    }
}

#[test]
fn a_name_that_shows_nothing_is_passed_over() {
    let alone =
        ["", " ", "\t\r\n", "\0", "\u{3164}", "\u{2800}", "\u{200b}", "\u{ad}", "\u{2060}", "\u{115f}", "\u{1160}"];
    let more = [
        "\u{ffa0}",
        "\u{200d}",
        "\u{200c}",
        "\u{fe0f}",
        "\u{202e}",
        "\u{feff}",
        "\u{34f}",
        "\u{e0041}",
        "\u{180e}",
        "\u{fff9}",
        // A filler, a joiner and a control of other scripts; unassigned; private use; marks without a base character.
        "\u{16fe4}",
        "\u{1107f}",
        "\u{13430}",
        "\u{ffff}",
        "\u{e000}",
        "\u{301}",
        "\u{20dd}",
    ];
    for nothing in alone.into_iter().chain(more) {
        for text in [nothing.to_owned(), format!(" {nothing} {nothing}")] {
            assert_eq!(of_claim(text.as_str()).as_deref(), Some(NEXT), "{text:?}");
        }
    }
    for other in [json!(7), json!(null), json!(true), json!(["Jane"]), json!({"first": "Jane"})] {
        assert_eq!(of_claim(other.clone()).as_deref(), Some(NEXT), "{other}");
    }
    let chat = exchange(&[("chat.name_from", "username")]);
    let token = LoginToken::at(NOW).claim("username", "\u{2800}\u{7}").mint();
    assert_eq!(name(&chat, Product::Chat, &token).as_deref(), Some(EMAIL), "where there is no other");
    let nameless = LoginToken::at(NOW).claim("username", "\u{3164}").without("email").mint();
    assert_eq!(name(&exchange(&OTHER_PRODUCTS), Product::Messaging, &nameless), None);
}

#[test]
fn a_long_name_is_cut_at_a_letter() {
    for (claimed, shown) in [
        ("a".repeat(255), "a".repeat(255)),
        ("a".repeat(256), "a".repeat(255)),
        ("ж".repeat(300), "ж".repeat(255)),
        ("🔥".repeat(300), "🔥".repeat(255)),
        (format!("{} Doe", "a".repeat(254)), "a".repeat(254)),
        (format!("{}Z\u{30c}", "a".repeat(254)), "a".repeat(254)),
        (format!("{}👩\u{200d}👧\u{200d}👦", "a".repeat(252)), "a".repeat(252)),
        (format!("{}👩\u{200d}👧\u{200d}👦", "a".repeat(250)), format!("{}👩\u{200d}👧\u{200d}👦", "a".repeat(250))),
        (format!("{}Jane", "\u{200b}".repeat(1000)), "Jane".to_owned()),
        (format!("{}J\u{200d}D", "a".repeat(253)), format!("{}J", "a".repeat(253))),
        // A single grapheme of 300 characters is dropped.
        (format!("a{}", "\u{300}".repeat(299)), NEXT.to_owned()),
    ] {
        assert_eq!(
            of_claim(claimed.as_str()).as_deref(),
            Some(shown.as_str()),
            "{} characters",
            claimed.chars().count()
        );
    }
}

#[test]
fn a_lone_surrogate_costs_a_claim_and_never_the_login() {
    let exchange = exchange(&OTHER_PRODUCTS);
    let with = |more: &str| {
        let payload = format!(
            r#"{{"sub":"82cd5e0c","exp":{},"username":"Jane \ud83d\udd25","email":"jane\u0040example.com",{more}}}"#,
            NOW + 60
        );
        sign(r#"{"alg":"HS256"}"#, &payload, LOGIN_SECRET.as_bytes())
    };
    for half in
        [r"\ud800", r"\uDFFF", r"\udc00\ud800", r"\ud83d \udd25", r"\ud83d\ud83d\udd25", r"\ud83dx", r#"\\\ud83d\""#]
    {
        for more in [
            format!(r#""name":"Eve {half}""#),
            format!(r#""name" : "{half}" , "x":["{half}",{{"a":"{half}: "}}]"#),
            format!(r#""partner_data":{{"a":["{half}"]}},"type":"{half}""#),
        ] {
            let shown = name(&exchange, Product::Messaging, &with(&more));
            assert_eq!(shown.as_deref(), Some("Jane 🔥"), "{more}");
        }
        for more in [
            format!(r#""{half}":1"#),
            format!(r#""{half}" :"{half}""#),
            format!(r#""x":[{{"a{half}":1}}]"#),
            format!(r#""name":"{half}","name":"Eve""#),
            format!(r#""name":"{half}","n\u0061me":"{half}""#),
            format!(r#""x":{{"a":"{half}","\u0061":"{half}"}}"#),
            format!(r#""name":"{half}",}}"#),
            format!(r#""name":"{half}" "x""#),
            format!(r#""name":"{half}","x":"\q""#),
            format!(r#""name":"{half}","x":"{}""#, "\u{1}"),
        ] {
            let token = with(&more);
            let error = run(&exchange, Product::Messaging, &token).unwrap_err();
            assert!(error.to_string().starts_with("payload "), "as strict as ever: {more}");
        }
    }
    let none =
        sign(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"a\ud800","exp":{}}}"#, NOW + 60), LOGIN_SECRET.as_bytes());
    let error = run(&exchange, Product::Messaging, &none).unwrap_err();
    assert_eq!(error.to_string(), "claim sub is missing, empty or not a string");
}

#[test]
fn a_text_changes_only_where_a_lone_surrogate_is() {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u", "\\ud83d", "\\udd25", "\"a\":", "null", "\n"
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    check(5000, &vec(piece, 0..12), |pieces| {
        let text = pieces.concat();
        let other = without_lone_surrogates(text.as_bytes());
        if Members::read(text.as_bytes()).is_ok() {
            assert_eq!(other, text.as_bytes(), "what is good stays as it is");
        }
        if Members::read(&other).is_ok() {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            assert!(is_json, "what is no JSON does not become any: {text}");
        }
    });
}
