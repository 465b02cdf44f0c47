//! Names in issued tokens. No name causes a refusal.

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use serde_json::{Value, json};
use zendesk_token::config::products::Product;
use zendesk_token::exchange::{Exchange, ExchangeError, Issued};
use zendesk_token::login::strict_json::{Members, without_lone_surrogates};
use zendesk_token::login::token;
use zendesk_token::login::verifier::Credentials;

use crate::harness::{LOGIN_SECRET, OTHER_PRODUCTS};
use crate::login_tokens::{EMAIL, LoginToken, open, sign};
use crate::properties::check;
use crate::token_claims::secret;
use crate::verification::{NOW, exchange};

pub fn run(exchange: &Exchange, product: Product, token: &str) -> Result<Issued, ExchangeError> {
    let credentials = Credentials { bearer: Some(token::LoginToken::new(token)), cookies: Vec::new() };
    exchange.run(product, &credentials, NOW).now_or_never().unwrap()
}

/// The name in the product's token for a login token.
fn name(exchange: &Exchange, product: Product, token: &str) -> Option<String> {
    let token = run(exchange, product, token).unwrap_or_else(|error| panic!("{error}")).token;
    open(token.as_str(), secret(product)).1["name"].as_str().map(str::to_owned)
}

fn valid() -> LoginToken {
    LoginToken::at(NOW)
}

/// The name in a Messaging token for each claim `name`.
fn check_names(cases: impl IntoIterator<Item = (Value, impl AsRef<str>)>) {
    let exchange = exchange(&OTHER_PRODUCTS);
    for (claim, expected) in cases {
        let token = valid().claim("name", claim.clone()).mint();
        assert_eq!(name(&exchange, Product::Messaging, &token).as_deref(), Some(expected.as_ref()), "{claim}");
    }
}

/// The name in the next claim.
const NEXT: &str = "Jane Doe";

#[test]
fn the_name_comes_from_the_first_claim_of_the_setting_that_is_usable() {
    let settings = [("chat.name_from", "nickname, username,email"), ("help_center.name_from", "nickname,email")];
    let (changed, usual) = (exchange(&[&OTHER_PRODUCTS[..], &settings].concat()), exchange(&OTHER_PRODUCTS));
    let (claimed, spaces) = (valid().claim("nickname", "Žofie"), valid().claim("nickname", "  "));
    let (chat, messaging, help_center) = (Product::Chat, Product::Messaging, Product::HelpCenter);
    for (exchange, product, token, expected) in [
        (&changed, chat, &claimed, Some("Žofie")),
        (&changed, chat, &spaces, Some(NEXT)),
        (&changed, chat, &valid(), Some(NEXT)),
        (&changed, chat, &valid().without("username"), Some(EMAIL)),
        (&changed, help_center, &claimed, Some("Žofie")),
        (&changed, help_center, &valid(), Some(EMAIL)),
        (&usual, help_center, &valid().claim("name", "Jane D."), Some("Jane D.")),
        (&usual, help_center, &valid().without("username"), Some(EMAIL)),
        (&usual, messaging, &valid().without("username"), Some(EMAIL)),
        (&usual, messaging, &valid().without("username").without("email"), None),
        (&usual, messaging, &valid().claim("username", "\u{3164}").without("email"), None),
    ] {
        assert_eq!(name(exchange, product, &token.mint()).as_deref(), expected, "{product:?}");
    }
    let chat_only = exchange(&[("chat.name_from", "username")]);
    let token = valid().claim("username", "\u{2800}\u{7}").mint();
    assert_eq!(name(&chat_only, chat, &token).as_deref(), Some(EMAIL), "the email when there is no other");
}

#[test]
fn no_email_becomes_a_name_where_the_setting_omits_emails() {
    let exchange = exchange(&[&OTHER_PRODUCTS[..], &[("messaging.email", "omit")]].concat());
    let name = |token: &LoginToken| name(&exchange, Product::Messaging, &token.mint());
    assert_eq!(name(&valid().without("username")), None);
    assert_eq!(name(&valid().claim("username", "Jane@Example.com")), None);
    for claimed in [
        "Jane@Example.com",
        "@jane",
        "Jane (jane@example.com)",
        "jane\u{ff20}example.com",
        "jane\u{fe6b}example.com",
        "a@b@c",
        "ja\u{200b}ne@x",
    ] {
        assert_eq!(name(&valid().claim("name", claimed)).as_deref(), Some(NEXT), "{claimed}");
    }
}

#[test]
fn invisible_and_direction_characters_are_removed_from_a_name() {
    let cases = [
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
    ];
    check_names(cases.map(|(claim, expected)| (claim.into(), expected)));
}

#[test]
fn a_name_without_visible_characters_is_skipped() {
    // At the end: a filler, a joiner and a control of other scripts; unassigned; private use; marks without a base character.
    let invisible = "| |\t\r\n|\0|\u{3164}|\u{2800}|\u{200b}|\u{ad}|\u{2060}|\u{115f}|\u{1160}|\u{ffa0}|\u{200d}|\u{200c}|\
                     \u{fe0f}|\u{202e}|\u{feff}|\u{34f}|\u{e0041}|\u{180e}|\u{fff9}|\
                     \u{16fe4}|\u{1107f}|\u{13430}|\u{ffff}|\u{e000}|\u{301}|\u{20dd}";
    for text in invisible.split('|') {
        check_names([text.to_owned(), format!(" {text} {text}")].map(|claim| (claim.into(), NEXT)));
    }
    check_names(
        [json!(7), json!(null), json!(true), json!(["Jane"]), json!({"first": "Jane"})].map(|claim| (claim, NEXT)),
    );
}

#[test]
fn a_long_name_is_cut_between_graphemes() {
    let cases = [
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
    ];
    check_names(cases.map(|(claim, expected)| (claim.into(), expected)));
}

#[test]
fn a_lone_surrogate_makes_one_claim_unusable_and_not_the_login() {
    let exchange = exchange(&OTHER_PRODUCTS);
    let with = |more: &str| {
        let payload = format!(
            r#"{{"sub":"82cd5e0c","exp":{},"username":"Jane \ud83d\udd25","email":"jane\u0040example.com",{more}}}"#,
            NOW + 60
        );
        sign(r#"{"alg":"HS256"}"#, &payload, LOGIN_SECRET.as_bytes())
    };
    for surrogate in
        [r"\ud800", r"\uDFFF", r"\udc00\ud800", r"\ud83d \udd25", r"\ud83d\ud83d\udd25", r"\ud83dx", r#"\\\ud83d\""#]
    {
        for more in [
            format!(r#""name":"Eve {surrogate}""#),
            format!(r#""name" : "{surrogate}" , "x":["{surrogate}",{{"a":"{surrogate}: "}}]"#),
            format!(r#""partner_data":{{"a":["{surrogate}"]}},"type":"{surrogate}""#),
        ] {
            let name = name(&exchange, Product::Messaging, &with(&more));
            assert_eq!(name.as_deref(), Some("Jane 🔥"), "{more}");
        }
        for more in [
            format!(r#""{surrogate}":1"#),
            format!(r#""{surrogate}" :"{surrogate}""#),
            format!(r#""x":[{{"a{surrogate}":1}}]"#),
            format!(r#""name":"{surrogate}","name":"Eve""#),
            format!(r#""name":"{surrogate}","n\u0061me":"{surrogate}""#),
            format!(r#""x":{{"a":"{surrogate}","\u0061":"{surrogate}"}}"#),
            format!(r#""name":"{surrogate}",}}"#),
            format!(r#""name":"{surrogate}" "x""#),
            format!(r#""name":"{surrogate}","x":"\q""#),
            format!(r#""name":"{surrogate}","x":"{}""#, "\u{1}"),
        ] {
            let token = with(&more);
            let error = run(&exchange, Product::Messaging, &token).unwrap_err();
            assert!(error.to_string().starts_with("payload "), "{more}");
        }
    }
    let payload = format!(r#"{{"sub":"a\ud800","exp":{}}}"#, NOW + 60);
    let token = sign(r#"{"alg":"HS256"}"#, &payload, LOGIN_SECRET.as_bytes());
    let error = run(&exchange, Product::Messaging, &token).unwrap_err();
    assert_eq!(error.to_string(), "claim sub is missing, empty or not a string");
}

#[test]
fn only_lone_surrogates_change_in_a_text() {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\\u", "\\ud83d", "\\udd25", "\"a\":", "null", "\n"
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    check(5000, &vec(piece, 0..12), |pieces| {
        let text = pieces.concat();
        let cleaned = without_lone_surrogates(text.as_bytes());
        if Members::read(text.as_bytes()).is_ok() {
            assert_eq!(cleaned, text.as_bytes(), "valid JSON is not changed");
        }
        if Members::read(&cleaned).is_ok() {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            assert!(is_json, "invalid JSON does not become valid: {text}");
        }
    });
}
