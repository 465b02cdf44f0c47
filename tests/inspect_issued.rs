//! What a person is told of a token issued for Zendesk.

use serde_json::{Map, Value, json};

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, Server};
use crate::inspect::inspect;
use crate::login_tokens::{LoginToken, now, sign};

const SECRETS: [(&str, &str, &str); 4] = [
    ("chat", "chat.secret", CHAT_SECRET),
    ("messaging", "messaging.secret", "6d657373616769696e672073686172656420736563726574206f662061206b6579"),
    ("help-center", "help_center.secret", "68656c702063656e74657220736861726564207365637265742020202020202e"),
    ("support-sdk", "support_sdk.secret", "737570706f72742073646b20736861726564207365637265742020202020202e"),
];
const KEY_ID: &str = "app_0123456789abcdef01234567";

fn secret(product: &str) -> &'static str {
    SECRETS.iter().find(|(name, ..)| *name == product).unwrap().2
}

/// Header and claims that a product takes.
fn good(product: &str) -> (Value, Value) {
    let (email, name, id) = ("jane@example.com", "Jane Doe", "82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11");
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

/// Sets members; null takes one out.
fn changed(object: &Value, changes: &Value) -> Value {
    let mut object: Map<String, Value> = object.as_object().unwrap().clone();
    object.extend(changes.as_object().unwrap().clone());
    Value::Object(object.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// Causes and mends that are told of a token with these changes.
fn findings(product: &str, header: &Value, claims: &Value, signed_with: &str) -> (Option<i32>, String) {
    let (good_header, good_claims) = good(product);
    let (header, claims) = (changed(&good_header, header), changed(&good_claims, claims));
    let token = sign(&header.to_string(), &claims.to_string(), signed_with.as_bytes());
    let secrets = SECRETS.map(|(_, key, secret)| (key, secret));
    let settings = [&secrets[..], &[("messaging.key_id", KEY_ID)]].concat();
    let told = inspect(&["--zendesk", product], &settings, &token);
    assert!(!told.out.contains(token.rsplit('.').next().unwrap()));
    (told.status, told.out.split_once(" as a ").map_or(told.err, |(_, verdict)| verdict.to_owned()))
}

#[test]
fn a_token_by_the_rules_is_good_for_its_product_and_for_no_other() {
    for (product, key, _) in SECRETS {
        let (status, told) = findings(product, &json!({}), &json!({}), secret(product));
        assert_eq!(status, Some(0), "{product}: {told}");
        assert!(told.contains(&format!("signed with {key}")), "{told}");
        for (other, other_key, _) in SECRETS.into_iter().filter(|(other, ..)| *other != product) {
            let (status, told) = findings(product, &json!({}), &json!({}), secret(other));
            assert_eq!(status, Some(1));
            assert!(told.contains(&format!("signed with another secret than {key}")), "{told}");
            assert!(told.contains(&format!("it is signed with {other_key}; each product has its own")), "{told}");
        }
    }
}

#[test]
fn what_the_service_issues_is_good() {
    let server = Server::start();
    let token = server.get("/generate/token").cookie(LoginToken::valid().mint()).send().token();
    let told = inspect(&["--zendesk", "chat"], &[("chat.secret", CHAT_SECRET)], &token);
    assert_eq!(told.status, Some(0), "{}{}", told.out, told.err);
    let login = inspect(&[], &[("login.secret", LOGIN_SECRET)], &token);
    assert!(login.out.contains("try --zendesk"), "{}", login.out);
}

#[test]
fn every_broken_rule_is_named() {
    // One time for all: they are made at once and judged one after the other.
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
        (&named, json!({}), json!({"iat": start - 600}), "claim iat is 6"),
        (&named, json!({}), json!({"iat": start + 600}), "s in the future"),
        (&everywhere, json!({}), json!({"exp": (start + 300).to_string()}), "claim exp is text and has to be a number"),
        (&everywhere, json!({}), json!({"exp": milliseconds}), "claim exp is in milliseconds"),
        (&everywhere, json!({}), json!({"exp": start - 60}), "claim exp passed 6"),
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
        (&messaging, json!({}), json!({"email_verified": "true"}), "email_verified is neither"),
    ] {
        for product in products {
            let (status, told) = findings(product, &header, &claims, secret(product));
            assert_eq!(status, Some(1), "{product} {cause}: {told}");
            assert!(told.contains(cause), "{product} {cause}: {told}");
            assert!(told.lines().filter(|line| line.starts_with("    → ")).count() >= 1, "{told}");
        }
    }
}

#[test]
fn what_may_be_is_no_finding() {
    for (product, header, claims) in [
        ("chat", json!({}), json!({"exp": null})),
        ("chat", json!({}), json!({"iat": now() - 100, "exp": now() + 310})),
        ("chat", json!({"kid": "any"}), json!({"email": "jane@example.com", "phone": 1})),
        ("messaging", json!({}), json!({"name": null, "email": null, "email_verified": null, "exp": null})),
        ("messaging", json!({}), json!({"external_id": "8".repeat(255), "exp": now() + 900_000})),
        ("messaging", json!({}), json!({"iat": now() - 86_400})),
        ("help-center", json!({}), json!({"external_id": "82cd"})),
        ("support-sdk", json!({}), json!({"iat": now() - 170, "external_id": "82cd"})),
    ] {
        let (status, told) = findings(product, &header, &claims, secret(product));
        assert_eq!(status, Some(0), "{product} {claims}: {told}");
    }
}

#[test]
fn the_usual_slips_with_a_secret_are_known() {
    let claims = good("chat").1.to_string();
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let base64_secret = "c2VjcmV0IGJ5dGVzIGluIGJhc2U2NCB0aGF0IG5vYm9keSBzaG91bGQgZGVjb2Rl";
    for (setting, signer, told_as) in [
        (CHAT_SECRET, format!("{CHAT_SECRET}\n").into_bytes(), "and a newline after it"),
        (CHAT_SECRET, format!("\"{CHAT_SECRET}\"").into_bytes(), "in quotes"),
        (CHAT_SECRET, hex::decode(CHAT_SECRET).unwrap(), "decoded from hexadecimal"),
        (base64_secret, b"secret bytes in base64 that nobody should decode".to_vec(), "decoded from base64"),
        (CHAT_SECRET, b"something else altogether, of 40 bytes..".to_vec(), "see that the signer and chat.secret"),
    ] {
        let told = inspect(&["--zendesk", "chat"], &[("chat.secret", setting)], sign(header, &claims, &signer));
        assert!(told.out.contains(told_as), "{told_as}: {}{}", told.out, told.err);
    }
}

#[test]
fn it_needs_that_products_secret_and_no_other() {
    let token = sign("{}", "{}", b"x");
    for (product, key, _) in SECRETS {
        let told = inspect(&["--zendesk", product], &[("login.secret", "short")], &token);
        assert_eq!(told.status, Some(2));
        assert!(told.err.starts_with(key) && told.err.lines().count() == 1, "{}", told.err);
    }
    for (settings, key) in [
        (&[("chat.secret", "")][..], "chat.secret"),
        (&[("chat.secret", "short")], "chat.secret"),
        (&[("chat.secret", CHAT_SECRET), ("allow_weak_secrets", "maybe")], "allow_weak_secrets"),
    ] {
        let told = inspect(&["--zendesk", "chat"], settings, &token);
        assert_eq!(told.status, Some(2), "{}", told.out);
        assert!(told.err.starts_with(key), "{}", told.err);
    }
    let told =
        inspect(&["--zendesk", "messaging"], &[("messaging.secret", CHAT_SECRET), ("messaging.key_id", "")], &token);
    assert!(told.err.starts_with("messaging.key_id"), "{}", told.err);
    let weak = [("chat.secret", "short"), ("allow_weak_secrets", "true")];
    assert_eq!(inspect(&["--zendesk", "chat"], &weak, &token).status, Some(1));

    let twice = sign(r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"email":"a@b.c","email":"d@e.f"}"#, CHAT_SECRET.as_bytes());
    let told = inspect(&["--zendesk", "chat"], &[("chat.secret", CHAT_SECRET)], twice);
    assert!(told.out.contains("has a member twice"), "{}", told.out);
    let told = inspect(&["--zendesk", "chat", "--json"], &[("chat.secret", CHAT_SECRET)], "no token");
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        (told.status, json["verdict"].as_str(), json["judged_as"].as_str()),
        (Some(1), Some("refused"), Some("chat"))
    );
    assert!(json["header"].is_null() && json["findings"][0]["cause"].as_str().unwrap().starts_with("is no token"));
}
