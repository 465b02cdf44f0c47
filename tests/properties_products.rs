//! Properties of every product's tokens, for random login claims.

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use serde_json::{Value, json};
use zendesk_token::config::products::{PRODUCTS, Product};
use zendesk_token::login::json::Object;
use zendesk_token::login::token;
use zendesk_token::login::verifier::Credentials;
use zendesk_token::zendesk::rules;

use crate::harness::{CHAT_SECRET, HELP_CENTER_SECRET, KEY_ID, MESSAGING_SECRET, OTHER_PRODUCTS, SUPPORT_SDK_SECRET};
use crate::login_tokens::{LoginToken, open};
use crate::properties::check;
use crate::verification::{NOW, exchange};

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
fn whatever_the_login_claims_an_issued_token_keeps_its_products_rules() {
    let exchanges = ["unverified", "verified", "omit"].map(|email| {
        let settings = [&OTHER_PRODUCTS[..], &[("messaging.email", email)]].concat();
        (email, exchange(&settings))
    });
    let secret = |product| match product {
        Product::Chat => CHAT_SECRET,
        Product::Messaging => MESSAGING_SECRET,
        Product::HelpCenter => HELP_CENTER_SECRET,
        Product::SupportSdk => SUPPORT_SDK_SECRET,
    };
    let issued = std::cell::RefCell::new(std::collections::BTreeMap::<_, u32>::new());
    let verified = || prop_oneof![Just(json!(true)), Just(json!(null)), Just(json!(false)), value()];
    check(1000, &(value(), value(), value(), verified(), -59..100_000_i64), |(sub, email, name, verified, left)| {
        let login = LoginToken::at(NOW).claim("sub", sub.clone()).claim("email", email.clone()).claim("name", name);
        let says_nothing = verified.is_null() || verified == "";
        let is_unconfirmed = !(says_nothing || verified == true || verified == "true");
        let login = login.claim("email_verified", verified).claim("exp", NOW + left).mint();
        let candidates = Credentials { bearer: None, cookies: vec![token::LoginToken::new(login.as_bytes())] };
        for ((rule, exchange), product) in exchanges.iter().flat_map(|one| PRODUCTS.map(|product| (one, product))) {
            let Ok(token) = exchange.run(product, &candidates, NOW).now_or_never().unwrap() else { continue };
            *issued.borrow_mut().entry((*rule, product.as_str())).or_default() += 1;
            let (header, claims) = open(token.token.as_str(), secret(product));
            let object = |json: &Value| serde_json::from_value::<Object>(json.clone()).unwrap();
            assert_eq!(rules::violations(product, &object(&header), &object(&claims), Some(KEY_ID), NOW), []);
            let claims = claims.as_object().unwrap();
            for (claim, text) in claims.iter().filter_map(|(claim, value)| Some((claim, value.as_str()?))) {
                let length = if claim == "name" { text.chars().count() } else { text.len() };
                assert!(!text.is_empty() && length <= 255 && !text.contains(char::is_control), "{claim}");
            }
            if product == Product::Messaging {
                let vouched = claims.get("email_verified");
                let is_as_claimed = claims.get("email") == Some(&email);
                let is_vouched = *rule == "verified" && is_as_claimed && !is_unconfirmed;
                assert_eq!(vouched.is_some(), is_vouched, "{claims:?}");
                assert!(*rule != "omit" || !claims.contains_key("email"));
            } else {
                assert!(!claims.contains_key("email_verified") && claims["email"] == email, "{claims:?}");
                assert!(
                    product == Product::Chat || !is_unconfirmed,
                    "known by an email that is nobody's yet: {claims:?}"
                );
            }
            assert!(claims.get("external_id").is_none_or(|id| *id == sub));
            assert!(claims.get("exp").is_none_or(|exp| exp.as_i64().unwrap() <= NOW + left.max(60)));
        }
    });
    let issued = issued.into_inner();
    assert!(issued.len() == 12 && issued.values().all(|count| *count > 50), "{issued:?}");
}
