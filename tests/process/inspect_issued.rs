//! `inspect --zendesk` explains tokens issued for Zendesk.

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::harness::{CHAT_SECRET, HELP_CENTER_SECRET, KEY_ID, MESSAGING_SECRET, OTHER_PRODUCTS, SUPPORT_SDK_SECRET};
use crate::inspect::{LOGIN, inspect};
use crate::login_tokens::{EMAIL, HEADER, LoginToken, SUB, now, sign};

/// Each product, the setting with its secret, and the secret.
pub const SECRETS: [(&str, &str, &str); 4] = [
    ("chat", "chat.secret", CHAT_SECRET),
    ("messaging", "messaging.secret", MESSAGING_SECRET),
    ("help-center", "help_center.secret", HELP_CENTER_SECRET),
    ("support-sdk", "support_sdk.secret", SUPPORT_SDK_SECRET),
];

fn secret(product: &str) -> &'static str {
    SECRETS.iter().find(|(name, ..)| *name == product).unwrap().2
}

/// Header and claims that a product accepts.
fn valid(product: &str) -> (Value, Value) {
    let (email, name, id) = (EMAIL, "Jane Doe", SUB);
    let header = json!({"alg": "HS256", "typ": "JWT"});
    match product {
        "chat" => (header, json!({"name": name, "email": email, "external_id": id, "iat": now(), "exp": now() + 300})),
        "help-center" | "support-sdk" => {
            (header, json!({"name": name, "email": email, "iat": now(), "jti": "7f3c9d1e"}))
        }
        _ => (
            json!({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}),
            json!({"scope": "user", "external_id": id, "name": name, "email": email, "email_verified": true, "exp": now() + 900}),
        ),
    }
}

/// An object with these members changed; null removes one.
pub fn changed(object: &Value, changes: &Value) -> Value {
    let mut object: Map<String, Value> = object.as_object().unwrap().clone();
    object.extend(changes.as_object().unwrap().clone());
    Value::Object(object.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// Exit status, and causes and fixes for a token with these changes.
fn findings(product: &str, header: &Value, claims: &Value, signed_with: &str) -> (Option<i32>, String) {
    let (valid_header, valid_claims) = valid(product);
    let (header, claims) = (changed(&valid_header, header), changed(&valid_claims, claims));
    let token = sign(&header.to_string(), &claims.to_string(), signed_with.as_bytes());
    let settings = [&[("chat.secret", CHAT_SECRET)], &OTHER_PRODUCTS[..]].concat();
    let output = inspect(&["--zendesk", product], &settings, &token);
    assert!(!output.out.contains(token.rsplit('.').next().unwrap()));
    (output.status, output.out.split_once(" as a ").map_or(output.err, |(_, verdict)| verdict.to_owned()))
}

#[test]
fn a_valid_token_is_accepted_for_its_product_and_no_other() {
    for (product, key, _) in SECRETS {
        let (status, output) = findings(product, &json!({}), &json!({}), secret(product));
        assert_eq!(status, Some(0), "{product}: {output}");
        assert!(output.contains(&format!("signed with {key}")), "{output}");
        for (other, other_key, _) in SECRETS.into_iter().filter(|(other, ..)| *other != product) {
            let (status, output) = findings(product, &json!({}), &json!({}), secret(other));
            assert_eq!(status, Some(1));
            assert!(output.contains(&format!("not signed with {key}")), "{output}");
            assert!(output.contains(&format!("it is signed with {other_key}; each product has its own")), "{output}");
        }
    }
}

#[test]
fn tokens_of_the_service_are_accepted() {
    let server = App::start();
    let token = server.get("/generate/token").cookie(LoginToken::valid().mint()).send().token();
    let output = inspect(&["--zendesk", "chat"], &[("chat.secret", CHAT_SECRET)], &token);
    assert_eq!(output.status, Some(0), "{output:?}");
    let login = inspect(&[], &LOGIN, &token);
    assert!(login.out.contains("try --zendesk"), "{login:?}");
}

#[test]
fn every_broken_rule_is_named() {
    // All cases share one time: they are created together and checked one after another.
    let start = now();
    let milliseconds = start * 1000;
    let everywhere = ["chat", "messaging", "help-center", "support-sdk"];
    let named = ["chat", "help-center", "support-sdk"];
    let (chat, messaging) = (["chat"], ["messaging"]);
    for (products, header, claims, cause) in [
        (&everywhere[..], json!({"alg": "HS512"}), json!({}), "header alg is not HS256"),
        (&everywhere, json!({"alg": "RS256"}), json!({}), "header alg is not HS256"),
        (&everywhere, json!({"typ": null}), json!({}), "header typ is not JWT"),
        (&named, json!({}), json!({"name": null}), "claim name is missing"),
        (&named, json!({}), json!({"email": null}), "claim email is missing"),
        (&everywhere, json!({}), json!({"name": ""}), "claim name is empty"),
        (&everywhere, json!({}), json!({"email": 1}), "claim email is a number and has to be text"),
        (&chat, json!({}), json!({"email": "žofie@example.com"}), "not ASCII"),
        (&named, json!({}), json!({"iat": null}), "claim iat is missing"),
        (&everywhere, json!({}), json!({"iat": milliseconds}), "claim iat is in milliseconds"),
        (&everywhere, json!({}), json!({"iat": start.to_string()}), "claim iat is text and has to be a number"),
        (&named, json!({}), json!({"iat": 1.5}), "claim iat is not a whole number of seconds"),
        (&named, json!({}), json!({"iat": start - 6_000_000}), "claim iat is 60"),
        (&named, json!({}), json!({"iat": start + 600}), "s in the future"),
        (&everywhere, json!({}), json!({"exp": (start + 300).to_string()}), "claim exp is text and has to be a number"),
        (&everywhere, json!({}), json!({"exp": milliseconds}), "claim exp is in milliseconds"),
        (&everywhere, json!({}), json!({"exp": start - 6_000_000}), "claim exp passed 60"),
        (&everywhere, json!({}), json!({"exp": -5}), "claim exp is not a whole number of seconds"),
        (
            &chat,
            json!({}),
            json!({"iat": start, "exp": start + 421}),
            "claim exp is 421 s after iat; Zendesk accepts at most 420",
        ),
        (&["chat", "messaging"], json!({}), json!({"external_id": null}), "claim external_id is missing"),
        (&everywhere, json!({}), json!({"external_id": 82}), "claim external_id is a number and has to be text"),
        (&everywhere, json!({}), json!({"external_id": "8".repeat(256)}), "over 255 characters"),
        (&["help-center", "support-sdk"], json!({}), json!({"jti": null}), "claim jti is missing"),
        (&["help-center", "support-sdk"], json!({}), json!({"jti": 7}), "claim jti is a number and has to be text"),
        (&messaging, json!({"kid": null}), json!({}), "header kid is missing"),
        (&messaging, json!({"kid": "app_other"}), json!({}), "header kid is not messaging.key_id"),
        (&messaging, json!({}), json!({"scope": null}), "claim scope is not \"user\""),
        (&messaging, json!({}), json!({"scope": "appUser"}), "claim scope is not \"user\""),
        (&messaging, json!({}), json!({"external_id": "jane@example.com"}), "external_id is an email"),
        (&messaging, json!({}), json!({"external_id": "+4930123456"}), "or a phone number"),
        (&messaging, json!({}), json!({"external_id": "+1 (425) 555-1212"}), "or a phone number"),
        (&messaging, json!({}), json!({"external_id": "tel:+1-425-555-1212"}), "or a phone number"),
        (&messaging, json!({}), json!({"email_verified": "true"}), "email_verified is neither"),
    ] {
        for product in products {
            let (status, output) = findings(product, &header, &claims, secret(product));
            assert_eq!(status, Some(1), "{product} {cause}: {output}");
            assert!(output.contains(cause), "{product} {cause}: {output}");
            assert!(output.lines().filter(|line| line.starts_with("    → ")).count() >= 1, "{output}");
        }
    }
}

#[test]
fn optional_and_additional_claims_are_accepted() {
    for (product, header, claims) in [
        ("chat", json!({}), json!({"exp": null})),
        ("chat", json!({}), json!({"iat": now() - 100, "exp": now() + 310})),
        ("chat", json!({"kid": "any"}), json!({"email": "jane@example.com", "phone": 1})),
        ("messaging", json!({}), json!({"name": null, "email": null, "email_verified": null, "exp": null})),
        ("messaging", json!({}), json!({"external_id": "8".repeat(255), "exp": now() + 900_000})),
        ("messaging", json!({}), json!({"iat": now() - 86_400})),
        ("help-center", json!({}), json!({"external_id": "82cd"})),
        ("support-sdk", json!({}), json!({"iat": now() - 100, "external_id": "82cd"})),
    ] {
        let (status, output) = findings(product, &header, &claims, secret(product));
        assert_eq!(status, Some(0), "{product} {claims}: {output}");
    }
}

#[test]
fn common_mistakes_with_a_secret_are_recognized() {
    let claims = valid("chat").1.to_string();
    let base64_secret = "c2VjcmV0IGJ5dGVzIGluIGJhc2U2NCB0aGF0IG5vYm9keSBzaG91bGQgZGVjb2Rl";
    for (setting, signer, expected) in [
        (CHAT_SECRET, format!("{CHAT_SECRET}\n").into_bytes(), "with a newline at its end"),
        (CHAT_SECRET, format!("\"{CHAT_SECRET}\"").into_bytes(), "in quotes"),
        (CHAT_SECRET, hex::decode(CHAT_SECRET).unwrap(), "decoded from hexadecimal"),
        (base64_secret, b"secret bytes in base64 that nobody should decode".to_vec(), "decoded from base64"),
        (CHAT_SECRET, b"something else altogether, of 40 bytes..".to_vec(), "check that the signer and chat.secret"),
    ] {
        let output = inspect(&["--zendesk", "chat"], &[("chat.secret", setting)], sign(HEADER, &claims, &signer));
        assert!(output.out.contains(expected), "{expected}: {output:?}");
    }
}

#[test]
fn it_needs_only_the_secret_of_that_product() {
    let token = sign("{}", "{}", b"x");
    for (product, key, _) in SECRETS {
        let output = inspect(&["--zendesk", product], &[("login.secret", "short")], &token);
        assert_eq!(output.status, Some(2));
        assert!(output.err.starts_with(key) && output.err.lines().count() == 1, "{output:?}");
    }
    for (product, settings, key) in [
        ("chat", &[("chat.secret", "")][..], "chat.secret"),
        ("chat", &[("chat.secret", "short")], "chat.secret"),
        ("chat", &[("chat.secret", CHAT_SECRET), ("allow_weak_secrets", "maybe")], "allow_weak_secrets"),
        ("messaging", &[("messaging.secret", CHAT_SECRET), ("messaging.key_id", "")], "messaging.key_id"),
    ] {
        let output = inspect(&["--zendesk", product], settings, &token);
        assert!(output.status == Some(2) && output.err.starts_with(key), "{output:?}");
    }
    let weak = [("chat.secret", "short"), ("allow_weak_secrets", "true")];
    assert_eq!(inspect(&["--zendesk", "chat"], &weak, &token).status, Some(1));
}

#[test]
fn what_is_not_a_token_is_refused_with_the_cause() {
    let chat = [("chat.secret", CHAT_SECRET)];
    let repeated = sign(HEADER, r#"{"email":"a@b.c","email":"d@e.f"}"#, CHAT_SECRET.as_bytes());
    let output = inspect(&["--zendesk", "chat"], &chat, repeated);
    assert!(output.out.contains("has the same JSON member twice"), "{output:?}");
    let output = inspect(&["--zendesk", "chat", "--json"], &chat, "no token");
    let json = output.json();
    assert_eq!(output.status, Some(1));
    assert_eq!((&json["verdict"], &json["judged_as"]), (&json!("refused"), &json!("chat")));
    assert!(json["header"].is_null() && json["findings"][0]["cause"].as_str().unwrap().starts_with("is not a token"));
}
