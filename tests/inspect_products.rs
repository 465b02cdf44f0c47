//! What a person is told of a login token where several products are configured.

use serde_json::{Value, json};

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, OTHER_PRODUCTS};
use crate::inspect::{Told, inspect};
use crate::login_tokens::{EMAIL, LoginToken, SUB};

fn ask(arguments: &[&str], settings: &[(&str, &str)], token: &LoginToken) -> Told {
    inspect(arguments, &[&[("login.secret", LOGIN_SECRET)], settings].concat(), token.mint())
}

fn all(arguments: &[&str], token: &LoginToken) -> Told {
    ask(arguments, &[&OTHER_PRODUCTS[..], &[("chat.secret", CHAT_SECRET)]].concat(), token)
}

#[test]
fn each_product_is_judged_by_its_own_rules() {
    let told = all(&["--json"], &LoginToken::valid());
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.status, &json["verdict"], &json["refusal"]), (Some(0), &json!("accepted"), &Value::Null));
    let seen = |name: &str| json!({"name": name, "email": EMAIL, "external_id": SUB});
    let nameless_id = json!({"name": "Jane Doe", "email": EMAIL});
    let expected = json!([
        {"product": "chat", "refusal": null, "agent_sees": seen(EMAIL)},
        {"product": "messaging", "refusal": null, "agent_sees": seen("Jane Doe")},
        {"product": "help-center", "refusal": null, "agent_sees": nameless_id},
        {"product": "support-sdk", "refusal": null, "agent_sees": seen("Jane Doe")},
    ]);
    assert_eq!(json["products"], expected);

    let told = all(&[], &LoginToken::valid().without("email"));
    assert_eq!(told.status, Some(1));
    for line in [
        "Refused as a login token",
        "  messaging: the agent sees name \"Jane Doe\"",
        "  claim email is missing, empty or not a string",
        "  chat: the service answers 00-03",
        "  help-center: the service answers 00-03",
        "  support-sdk: the service answers 00-03",
    ] {
        assert_eq!(told.out.matches(line).count(), 1, "{line}\n{}", told.out);
    }
    assert!(!told.out.contains("messaging: the service answers"), "{}", told.out);
}

#[test]
fn an_unconfirmed_email_is_refused_where_it_is_the_player_and_the_fix_is_told() {
    let told = all(&[], &LoginToken::valid().claim("email_verified", false));
    assert_eq!(told.status, Some(1));
    for line in [
        "  claim email_verified is not true, and this product identifies the player by email\n    → the player has to confirm the email",
        "  help-center: the service answers 00-04",
        "  support-sdk: the service answers 00-04",
    ] {
        assert_eq!(told.out.matches(line).count(), 1, "{line}\n{}", told.out);
    }
    for product in ["chat", "messaging"] {
        assert!(told.out.contains(&format!("  {product}: the agent sees email \"{EMAIL}\"")), "{}", told.out);
    }
    assert!(!told.out.contains("sees email_verified"), "{}", told.out);
    let fallback = [("help_center.fallback_email_domain", "players.example.com"), ("chat.secret", CHAT_SECRET)];
    let settings = [&OTHER_PRODUCTS[..], &fallback].concat();
    let odd = ask(&[], &settings, &LoginToken::valid().without("email").claim("sub", "a b"));
    assert!(odd.out.contains("claim sub can't be used before the @ of an email"), "{}", odd.out);
}

#[test]
fn where_there_is_no_login_there_is_none_for_any_product() {
    let told = all(&["--json"], &LoginToken::valid().secret(MESSAGING_SECRET));
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 1);
    let products = json["products"].as_array().unwrap();
    assert_eq!(products.len(), 4);
    assert!(products.iter().all(|product| product["refusal"] == "00-01" && product["agent_sees"].is_null()), "{json}");
}

#[test]
fn no_secret_of_a_product_is_needed() {
    let told = ask(&[], &[("messaging.email", "verified")], &LoginToken::valid());
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    assert!(told.out.contains("  messaging: the agent sees email_verified true"), "{}", told.out);
    assert!(!told.out.contains("chat"), "{}", told.out);
    let told = ask(&[], &[], &LoginToken::valid().without("email"));
    assert!(told.out.contains("  chat: the service answers 00-03"), "as the reference does: {}", told.out);
    let told = ask(&[], &[("messaging.email", "sometimes")], &LoginToken::valid());
    assert_eq!(told.status, Some(2));
    assert!(told.err.starts_with("messaging.email ("), "{}", told.err);
}

#[test]
fn an_id_that_messaging_would_not_take_is_explained() {
    let told = ask(&[], &[("messaging.secret", MESSAGING_SECRET)], &LoginToken::valid().claim("sub", EMAIL));
    assert!(told.out.contains("claim sub is an email or a phone number"), "{}", told.out);
    assert!(told.out.contains("messaging: the service answers 00-04"), "{}", told.out);
}
