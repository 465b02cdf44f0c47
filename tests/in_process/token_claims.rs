//! The claims of issued tokens, but names and emails.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zendesk_token::config::products::Product;
use zendesk_token::http::token::path;

use crate::app::App;
use crate::client::Answer;
use crate::harness::{CHAT_SECRET, HELP_CENTER_SECRET, KEY_ID, MESSAGING_SECRET, SUPPORT_SDK_SECRET};
use crate::login_tokens::{EMAIL, LoginToken, SUB, now, open_for};

pub fn secret(product: Product) -> &'static str {
    match product {
        Product::Chat => CHAT_SECRET,
        Product::Messaging => MESSAGING_SECRET,
        Product::HelpCenter => HELP_CENTER_SECRET,
        Product::SupportSdk => SUPPORT_SDK_SECRET,
    }
}

/// Requests the product's token as its clients do.
pub fn ask(server: &App, product: Product, token: &LoginToken) -> Answer {
    let token = token.mint();
    match product {
        Product::SupportSdk => server.request("POST", path(product)).body(format!("user_token={token}")).send(),
        Product::Chat | Product::Messaging | Product::HelpCenter => server.get(path(product)).cookie(token).send(),
    }
}

/// The claims of the product's token, which has exactly the usual header.
pub fn claims(server: &App, product: Product, token: &LoginToken) -> Value {
    let answer = ask(server, product, token).json();
    let token = answer.get("token").or(answer.get("jwt")).unwrap_or_else(|| panic!("{product:?}: {answer}"));
    let (header, claims) = open_for(product, token.as_str().unwrap(), secret(product));
    let mut expected = json!({"typ": "JWT", "alg": "HS256"});
    if product == Product::Messaging {
        expected["kid"] = KEY_ID.into();
    }
    assert_eq!(header, expected);
    claims
}

#[test]
fn a_token_has_exactly_the_claims_of_its_product() {
    let server = App::with_all_products(&[]);
    for (product, mut expected, lifetime) in [
        (Product::Chat, json!({"name": EMAIL, "email": EMAIL, "external_id": SUB}), Some(300)),
        (
            Product::Messaging,
            json!({"scope": "user", "external_id": SUB, "name": "Jane Doe", "email": EMAIL}),
            Some(900),
        ),
        (Product::HelpCenter, json!({"name": "Jane Doe", "email": EMAIL}), None),
        (Product::SupportSdk, json!({"name": "Jane Doe", "email": EMAIL, "external_id": SUB}), None),
    ] {
        let before = now();
        let claims = claims(&server, product, &LoginToken::valid());
        let iat = claims["iat"].as_i64().unwrap();
        assert!((before..=now()).contains(&iat));
        expected["iat"] = iat.into();
        if let Some(seconds) = lifetime {
            expected["exp"] = (iat + seconds).into();
        }
        if product != Product::Chat {
            expected["jti"] = claims["jti"].clone();
        }
        assert_eq!(claims, expected);
    }
}

#[test]
fn every_token_has_an_id_of_128_random_bits() {
    let server = App::with_all_products(&[]);
    for product in [Product::Messaging, Product::HelpCenter, Product::SupportSdk] {
        let ids = (0..20).map(|_| claims(&server, product, &LoginToken::valid())["jti"].as_str().unwrap().to_owned());
        let ids: BTreeSet<String> = ids.collect();
        assert_eq!(ids.len(), 20, "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())), "{ids:?}");
    }
}

/// Seconds from `iat` to `exp` of a product's token.
fn lifetime(server: &App, product: Product, login_ends_in: i64) -> i64 {
    let claims = claims(server, product, &LoginToken::valid().claim("exp", now() + login_ends_in));
    claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
}

#[test]
fn the_lifetime_is_a_setting_and_never_outlives_the_login() {
    let server = App::with_all_products(&[("chat.lifetime", "7m"), ("messaging.lifetime", "24h")]);
    let lifetime = |product, login_ends_in| lifetime(&server, product, login_ends_in);
    assert_eq!(lifetime(Product::Chat, 90_000), 420);
    assert_eq!(lifetime(Product::Messaging, 90_000), 86_400);
    assert!((1..=600).contains(&lifetime(Product::Messaging, 600)));
}

#[test]
fn a_messaging_token_outlives_the_login_only_if_the_setting_says_so() {
    let server = App::with_all_products(&[("messaging.lifetime", "6h"), ("messaging.outlives_login", "true")]);
    let lifetime = |product, login_ends_in| lifetime(&server, product, login_ends_in);
    // The login may have ended, too, within the leeway.
    for login_ends_in in [-30, 5, 3600, 86_400] {
        assert_eq!(lifetime(Product::Messaging, login_ends_in), 6 * 3600);
    }
    assert!((1..=60).contains(&lifetime(Product::Chat, 60)), "only Messaging");
    let expired = LoginToken::valid().claim("exp", now() - 120);
    assert_eq!(ask(&server, Product::Messaging, &expired).refusal(), "401 00-01", "a login is still needed");
}

#[test]
fn an_external_id_that_messaging_does_not_accept_is_refused() {
    let server = App::with_all_products(&[]);
    let ask = |sub: &str| ask(&server, Product::Messaging, &LoginToken::valid().claim("sub", sub));
    for sub in [EMAIL, "+4930123456", &"8".repeat(256), "a\nb", " a"] {
        assert_eq!(ask(sub).refusal(), "422 00-04", "{sub:?}");
    }
    for sub in ["4930123456", "+49x30", "+1"] {
        assert_eq!(ask(sub).status, 200, "{sub}");
    }
}

#[test]
fn the_longest_sub_and_email_that_zendesk_accepts_are_accepted() {
    let email = format!("{}@{}example.com", "j".repeat(64), "example.".repeat(22) + "x.");
    assert_eq!(email.len(), 254);
    let longest = LoginToken::valid().claim("sub", "8".repeat(255)).claim("email", email.as_str());
    assert_eq!(claims(&App::start(), Product::Chat, &longest)["email"], email);
}
