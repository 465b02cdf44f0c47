//! `inspect` with several configured products.

use serde_json::{Value, json};

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, OTHER_PRODUCTS};
use crate::inspect::{CommandOutput, inspect};
use crate::login_tokens::{EMAIL, LoginToken, SUB};

fn ask(arguments: &[&str], settings: &[(&str, &str)], token: &LoginToken) -> CommandOutput {
    inspect(arguments, &[&[("login.secret", LOGIN_SECRET)], settings].concat(), token.mint())
}

fn all(arguments: &[&str], token: &LoginToken) -> CommandOutput {
    ask(arguments, &[&OTHER_PRODUCTS[..], &[("chat.secret", CHAT_SECRET)]].concat(), token)
}

#[test]
fn each_product_is_judged_by_its_own_rules() {
    let output = all(&["--json"], &LoginToken::valid());
    let json: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!((output.status, &json["verdict"], &json["refusal"]), (Some(0), &json!("accepted"), &Value::Null));
    let seen = |name: &str| json!({"name": name, "email": EMAIL, "external_id": SUB});
    let nameless_id = json!({"name": "Jane Doe", "email": EMAIL});
    let expected = json!([
        {"product": "chat", "refusal": null, "agent_sees": seen(EMAIL)},
        {"product": "messaging", "refusal": null, "agent_sees": seen("Jane Doe")},
        {"product": "help-center", "refusal": null, "agent_sees": nameless_id},
        {"product": "support-sdk", "refusal": null, "agent_sees": seen("Jane Doe")},
    ]);
    assert_eq!(json["products"], expected);

    let output = all(&[], &LoginToken::valid().without("email"));
    assert_eq!(output.status, Some(1));
    for line in [
        "Refused as a login token",
        "  messaging: the agent sees name \"Jane Doe\"",
        "  claim email is missing, empty or not a string",
        "  chat: the service answers 00-03",
        "  help-center: the service answers 00-03",
        "  support-sdk: the service answers 00-03",
    ] {
        assert_eq!(output.out.matches(line).count(), 1, "{line}\n{}", output.out);
    }
    assert!(!output.out.contains("messaging: the service answers"), "{}", output.out);
}

#[test]
fn an_unconfirmed_email_is_refused_by_products_that_identify_players_by_email() {
    let output = all(&[], &LoginToken::valid().claim("email_verified", false));
    assert_eq!(output.status, Some(1));
    for line in [
        "  claim email_verified is not true, and this product identifies the player by email\n    → the player must confirm the email",
        "  help-center: the service answers 00-04",
        "  support-sdk: the service answers 00-04",
    ] {
        assert_eq!(output.out.matches(line).count(), 1, "{line}\n{}", output.out);
    }
    for product in ["chat", "messaging"] {
        assert!(output.out.contains(&format!("  {product}: the agent sees email \"{EMAIL}\"")), "{}", output.out);
    }
    assert!(!output.out.contains("sees email_verified"), "{}", output.out);
    let fallback = [("help_center.fallback_email_domain", "players.example.com"), ("chat.secret", CHAT_SECRET)];
    let settings = [&OTHER_PRODUCTS[..], &fallback].concat();
    let odd = ask(&[], &settings, &LoginToken::valid().without("email").claim("sub", "a b"));
    assert!(odd.out.contains("claim sub can't be used before the @ of an email"), "{}", odd.out);
}

#[test]
fn without_a_login_every_product_refuses() {
    let output = all(&["--json"], &LoginToken::valid().secret(MESSAGING_SECRET));
    let json: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 1);
    let products = json["products"].as_array().unwrap();
    assert_eq!(products.len(), 4);
    assert!(products.iter().all(|product| product["refusal"] == "00-01" && product["agent_sees"].is_null()), "{json}");
}

#[test]
fn it_needs_no_secret_of_a_product() {
    let output = ask(&[], &[("messaging.email", "verified")], &LoginToken::valid());
    assert_eq!(output.status, Some(0), "{}{}", output.out, output.err);
    assert!(output.out.contains("  messaging: the agent sees email_verified true"), "{}", output.out);
    assert!(!output.out.contains("chat"), "{}", output.out);
    let output = ask(&[], &[], &LoginToken::valid().without("email"));
    assert!(output.out.contains("  chat: the service answers 00-03"), "as the reference does: {}", output.out);
    let output = ask(&[], &[("messaging.email", "sometimes")], &LoginToken::valid());
    assert_eq!(output.status, Some(2));
    assert!(output.err.starts_with("messaging.email ("), "{}", output.err);
}

#[test]
fn an_id_that_messaging_refuses_is_explained() {
    let output = ask(&[], &[("messaging.secret", MESSAGING_SECRET)], &LoginToken::valid().claim("sub", EMAIL));
    assert!(output.out.contains("claim sub is an email or a phone number"), "{}", output.out);
    assert!(output.out.contains("messaging: the service answers 00-04"), "{}", output.out);
}
