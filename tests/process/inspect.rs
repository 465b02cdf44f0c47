//! `inspect` explains login tokens, and what each product does with them.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use zendesk_token::http::error::Reason;

use crate::commands::CommandOutput;
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, OTHER_PRODUCTS, command};
use crate::inspect_issued::changed;
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture};
use crate::login_tokens::{EMAIL, HEADER, LoginToken, PROJECT, SUB, now, sign};
use crate::stub::Reply;
use crate::user_tokens;
use crate::verification::{exchange, fixtures, run};

const PREVIOUS: &str = "70726576696f7573206c6f67696e2073656372657420726573657420746f6461";

/// The login secret as the only setting.
pub const LOGIN: [(&str, &str); 1] = [("login.secret", LOGIN_SECRET)];

/// Runs `inspect` with a token on standard input.
pub fn inspect(arguments: &[&str], settings: &[(&str, &str)], token: impl AsRef<[u8]>) -> CommandOutput {
    let mut command = command(&[&["inspect"], arguments].concat(), settings);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that stops before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(token.as_ref());
    child.wait_with_output().unwrap().into()
}

/// Inspects a login token with the login secret and more settings.
fn with_secret(changes: &[(&str, &str)], token: &LoginToken) -> CommandOutput {
    inspect(&[], &[&LOGIN, changes].concat(), token.mint())
}

#[test]
fn a_valid_token_is_explained_with_relative_times_and_what_the_agent_sees() {
    let output = with_secret(&[("chat.name_from", "username")], &LoginToken::at(now() - 3 * 3600));
    assert_eq!(output.status, Some(0), "{output:?}");
    for line in [
        "  alg  \"HS256\"",
        "issued 3 hours ago",
        "expires in 20 hours",
        "Accepted as a login token",
        "  signed with login.secret",
        "  chat: the agent sees name \"Jane Doe\"",
        &format!("  chat: the agent sees external_id \"{SUB}\""),
    ] {
        assert!(output.out.contains(line), "{line}\n{}", output.out);
    }
    let previous = with_secret(&[("login.previous_secret", PREVIOUS)], &LoginToken::valid().secret(PREVIOUS));
    assert!(previous.out.contains("signed with login.previous_secret"), "{}", previous.out);
    assert_eq!(previous.status, Some(0));
}

#[test]
fn a_refused_token_gets_a_cause_and_a_fix() {
    let token = LoginToken::valid;
    let own_project = format!("login project {PROJECT} (");
    let project = format!("issued for login project {PROJECT}, but");
    let neither = "signed with neither login.secret nor login.previous_secret";
    for (settings, token, cause, fix) in [
        (&[][..], token().claim("exp", now() - 3 * 3600 - 5), "expired 3 hours ago", "sign in again"),
        (&[], token().claim("iat", now() + 400), "claim iat is 6 minutes in the future", "clock"),
        (&[], token().secret(PREVIOUS), "not signed with login.secret", &own_project),
        (&[("login.previous_secret", PREVIOUS)], token().secret(CHAT_SECRET), neither, &own_project),
        (&[], token().secret(CHAT_SECRET).claim("external_id", SUB), "not signed with login.secret", "--zendesk"),
        (&[], token().without("email"), "claim email is missing", "fields=email"),
        (&[], token().without("sub"), "claim sub is missing", "which program created it"),
        (&[], token().claim("email", "žofie@example.com"), "not ASCII", "another email"),
        (&[], token().claim("email", "jane@example.com."), "not a valid email address", "in the player's account"),
        (&[], token().claim("request_type", "gateway_token"), "has the claim request_type", "user token"),
        (&[], token().claim("events", true), "has the claim events", "user token"),
        (&[], token().without("exp"), "claim exp is missing", "which program created it"),
        (&[], token().claim("exp", (now() + 60) * 1000), "exp is not a time", "which program created it"),
        (&[("login.issuer", "another")], token(), "issued by https://login.xsolla.com, but", "login.issuer"),
        (&[("login.project_id", "another")], token(), &project, "login.project_id"),
        (&[("login.max_lifetime", "1h")], token(), "valid for 24 hours", "login.max_lifetime"),
    ] {
        let output = with_secret(settings, &token);
        assert_eq!(output.status, Some(1), "{cause}: {output:?}");
        let verdict = output.out.lines().skip_while(|line| !line.starts_with("Refused as a login token"));
        let finding = verdict.skip_while(|line| !line.contains(cause)).take(2).collect::<Vec<_>>().join("\n");
        assert!(finding.contains(fix), "{cause} / {fix}: {output:?}");
        let error = run(&exchange(settings), token.mint().as_bytes(), now()).unwrap_err();
        let code = Reason::from(error).error_code().code();
        assert!(output.out.contains(&format!("the service answers {code}")), "{output:?}");
    }
}

#[test]
fn a_login_shorter_than_15_minutes_causes_a_warning_with_any_verdict() {
    let lasting = |seconds: i64| LoginToken::valid().claim("iat", now() - 10).claim("exp", now() - 10 + seconds);
    for (seconds, shown) in
        [(299, Some("4 minutes")), (60, Some("60 seconds")), (899, Some("14 minutes")), (900, None), (3600, None)]
    {
        let output = with_secret(&[], &lasting(seconds));
        assert_eq!(output.status, Some(0), "a warning does not refuse the token: {output:?}");
        assert_eq!(output.out.contains("Warning"), shown.is_some(), "{output:?}");
        if let Some(shown) = shown {
            let warning = format!(
                "  Warning: the login lasts only {shown}; Zendesk tokens expire with it, so players become anonymous\n    \
                 → increase the token lifetime in the login project"
            );
            assert!(output.out.contains(&warning), "{output:?}");
        }
        let json = inspect(&["--json"], &LOGIN, lasting(seconds).mint()).json();
        assert_eq!(json["warnings"].as_array().unwrap().len(), usize::from(shown.is_some()));
    }
    let outlives = [("messaging.secret", MESSAGING_SECRET), ("messaging.outlives_login", "true")];
    assert!(!with_secret(&outlives, &lasting(299)).out.contains("Warning"), "no token expires with the login");
    let expired = with_secret(&[], &LoginToken::valid().claim("iat", now() - 900).claim("exp", now() - 600));
    assert_eq!(expired.status, Some(1));
    assert!(expired.out.contains("Warning: the login lasts only 5 minutes"), "{}", expired.out);
    let without_iat = LoginToken::valid().without("iat").claim("exp", now() + 60);
    for odd in [lasting(0), lasting(-50), without_iat] {
        let output = with_secret(&[], &odd);
        assert!(!output.out.contains("Warning"), "{output:?}");
    }
}

#[test]
fn a_claim_with_a_lone_surrogate_is_shown_as_null() {
    let payload = format!(r#"{{"sub":"{SUB}","email":"{EMAIL}","exp":{},"name":"\ud800"}}"#, now() + 3600);
    let output = inspect(&[], &LOGIN, sign(HEADER, &payload, LOGIN_SECRET.as_bytes()));
    assert_eq!(output.status, Some(0), "{output:?}");
    assert!(output.out.contains("  name   null\n"), "{output:?}");
}

#[test]
fn the_verdict_equals_that_of_the_service_for_every_fixture() {
    for (name, token) in fixtures("accepted") {
        let output = inspect(&["--json"], &LOGIN, &token);
        let json = output.json();
        assert_eq!((output.status, &json["verdict"]), (Some(0), &json!("accepted")), "{name}");
        assert_eq!(json["signed_with"], "current");
    }
    for (name, token) in fixtures("refused") {
        let output = inspect(&["--json"], &LOGIN, &token);
        if token.trim_ascii().is_empty() {
            assert_eq!(output.status, Some(2), "{name}");
            continue;
        }
        let (json, code) = (output.json(), name.split_once('_').unwrap().0);
        assert_eq!((output.status, &json["refusal"]), (Some(1), &json!(code)), "{name}: {output:?}");
        let finding = &json["findings"][0];
        assert!(finding["cause"].as_str().unwrap().len() > 5 && finding["fix"].as_str().unwrap().len() > 10, "{name}");
    }
}

#[test]
fn signatures_and_control_characters_are_never_printed() {
    let evil = "\u{1b}[31m\u{202e}\u{200b}\u{9b}2J\r";
    let token = LoginToken::valid().claim("email", format!("{evil}{EMAIL}")).claim(evil, evil).mint();
    let odd_header = sign(&format!("{{\"alg\":\"{}\"}}", "\\u001b[31m\u{202e}"), "{}", LOGIN_SECRET.as_bytes());
    let (valid, invalid) = (LoginToken::valid().mint(), LoginToken::valid().secret(PREVIOUS).mint());
    for token in [valid, invalid, token, odd_header, fixture("accepted/key_a.jwt")] {
        let signature = token.rsplit('.').next().unwrap();
        for arguments in [&[][..], &["--json"]] {
            let output = inspect(arguments, &LOGIN, format!("\n {token} \r\n"));
            let printed = format!("{output:?}");
            assert!(!printed.contains(signature) && !printed.contains(&signature[..16]), "the signature is printed");
            assert!(!printed.contains(LOGIN_SECRET));
            let is_safe = |c: char| !c.is_control() || c == '\n';
            assert!(printed.chars().all(is_safe) && !printed.contains(['\u{202e}', '\u{200b}']), "{printed:?}");
            assert!(arguments.is_empty() || serde_json::from_str::<Value>(&output.out).is_ok(), "{printed:?}");
        }
    }
}

#[test]
fn rs256_keys_and_revocation_come_from_the_login_api() {
    let api = LoginApi::start();
    let url = api.url();
    let rs256 = [("login.algorithm", "RS256"), ("login.project_id", PROJECT), ("login.api_url", &url)];
    let (hs256_token, rs256_token) = (LoginToken::valid().mint(), fixture("accepted/key_a.jwt"));
    let unknown = fixture("refused/kid_unknown.jwt");
    for (settings, token, status, expected) in [
        (&rs256[..], &rs256_token, 0, "the login's published key that the token's kid names"),
        (&rs256, &hs256_token, 1, "HS256, but login.algorithm is RS256"),
        (&LOGIN, &rs256_token, 1, "RS256, but login.algorithm is HS256"),
        (&rs256, &unknown, 1, "header kid names a key that is not published"),
    ] {
        let output = inspect(&[], settings, token);
        assert!(output.status == Some(status) && output.out.contains(expected), "{expected}: {output:?}");
    }

    let revocation = [LOGIN[0], ("login.check_revocation", "true"), ("login.api_url", &url)];
    assert_eq!(inspect(&[], &revocation, LoginToken::valid().mint()).status, Some(0));
    let refusal = r#"{"error":{"code":"003-061","description":"x"}}"#;
    api.reply(VALIDATE_PATH, Reply::Answer(401, refusal.to_owned()));
    let revoked = inspect(&[], &revocation, LoginToken::valid().mint());
    assert_eq!(revoked.status, Some(1));
    assert!(revoked.out.contains("refuses the token (003-061)") && revoked.out.contains("signed out"), "{revoked:?}");

    drop(api);
    for (settings, token) in [(&rs256, rs256_token), (&revocation, hs256_token)] {
        let output = inspect(&["--json"], settings, token);
        let json = output.json();
        assert_eq!((output.status, &json["verdict"]), (Some(1), &json!("unknown")), "{output:?}");
        assert_eq!(json["refusal"], "00-07");
    }
}

#[test]
fn it_needs_only_the_login_settings_and_a_token() {
    let token = LoginToken::valid().mint();
    assert_eq!(with_secret(&[("limits.drain", "x")], &LoginToken::valid()).status, Some(0));
    let missing = "login.secret (ZENDESK_TOKEN_LOGIN__SECRET, not set): is needed";
    for (arguments, error) in [
        (&[][..], missing),
        (&["--config", "/nowhere/at/all"], "config file (/nowhere/at/all)"),
        (&["--config", "/nowhere/at/all", "--zendesk", "chat"], "config file (/nowhere/at/all)"),
    ] {
        let output = inspect(arguments, &[], &token);
        assert_eq!(output.status, Some(2), "{output:?}");
        assert!(output.err.starts_with(error) && output.err.lines().count() == 1, "{output:?}");
    }
    for (input, arguments) in [("", &[][..]), (" \n", &[]), (&token, &["--zendesk", "sso"]), (&token, &[&token])] {
        assert_eq!(inspect(arguments, &LOGIN, input).status, Some(2), "{arguments:?} {input}");
    }
    assert_eq!(inspect(&[], &LOGIN, "x".repeat(3 << 20)).status, Some(1));
    assert_eq!(inspect(&[], &LOGIN, [0xff, 0xfe, b'.', 0, b'.', 1]).status, Some(1));
}

/// Inspects a login token with all four products.
fn with_products(arguments: &[&str], token: &LoginToken) -> CommandOutput {
    inspect(arguments, &[&LOGIN, &[("chat.secret", CHAT_SECRET)], &OTHER_PRODUCTS[..]].concat(), token.mint())
}

#[test]
fn each_product_is_judged_by_its_own_rules() {
    let output = with_products(&["--json"], &LoginToken::valid());
    let json = output.json();
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

    let output = with_products(&[], &LoginToken::valid().without("email"));
    assert_eq!(output.status, Some(1));
    for line in [
        "Refused as a login token",
        "  messaging: the agent sees name \"Jane Doe\"",
        "  claim email is missing, empty or not a string",
        "  chat: the service answers 00-03",
        "  help-center: the service answers 00-03",
        "  support-sdk: the service answers 00-03",
    ] {
        assert_eq!(output.out.matches(line).count(), 1, "{line}: {output:?}");
    }
    assert!(!output.out.contains("messaging: the service answers"), "{output:?}");
}

#[test]
fn an_unconfirmed_email_is_refused_by_products_that_identify_players_by_email() {
    let output = with_products(&[], &LoginToken::valid().claim("email_verified", false));
    assert_eq!(output.status, Some(1));
    for line in [
        "  claim email_verified is not true, and this product identifies the player by email\n    → the player must confirm the email",
        "  help-center: the service answers 00-04",
        "  support-sdk: the service answers 00-04",
    ] {
        assert_eq!(output.out.matches(line).count(), 1, "{line}: {output:?}");
    }
    for product in ["chat", "messaging"] {
        assert!(output.out.contains(&format!("  {product}: the agent sees email \"{EMAIL}\"")), "{output:?}");
    }
    assert!(!output.out.contains("sees email_verified"), "{output:?}");
    let fallback = [("help_center.fallback_email_domain", "players.example.com"), ("chat.secret", CHAT_SECRET)];
    let settings = [&OTHER_PRODUCTS[..], &fallback].concat();
    let odd = with_secret(&settings, &LoginToken::valid().without("email").claim("sub", "a b"));
    assert!(odd.out.contains("claim sub can't be used before the @ of an email"), "{}", odd.out);
}

#[test]
fn every_product_refuses_an_invalid_login() {
    let json = with_products(&["--json"], &LoginToken::valid().secret(MESSAGING_SECRET)).json();
    assert_eq!(json["findings"].as_array().unwrap().len(), 1);
    let products = json["products"].as_array().unwrap();
    assert_eq!(products.len(), 4);
    assert!(products.iter().all(|product| product["refusal"] == "00-01" && product["agent_sees"].is_null()), "{json}");
}

#[test]
fn a_user_token_of_the_support_sdk_is_explained() {
    // A minute later, so that the time left is 89 whole days however long the test takes.
    let payload = user_tokens::payload(now() + 60);
    let token = user_tokens::forge(user_tokens::HEADER, &user_tokens::payload_text(&payload));
    let on = [LOGIN[0], OTHER_PRODUCTS[3], user_tokens::ON];
    let output = inspect(&[], &on, format!("user_token={token}"));
    assert_eq!(output.status, Some(0), "{output:?}");
    for line in [
        "  login        \"default\"",
        "expires in 89 days",
        "Accepted as a Support SDK user token",
        "  for the login default",
        "  signed with a key derived from support_sdk.secret",
        "  support-sdk: the agent sees name \"Jane Doe\"",
    ] {
        assert!(output.out.contains(line), "{line}\n{}", output.out);
    }
    let json = inspect(&["--json"], &on, &token).json();
    assert_eq!((&json["verdict"], &json["login"]), (&json!("accepted"), &json!("default")));
    assert_eq!((&json["judged_as"], &json["signed_with"]), (&json!("Support SDK user"), &json!("user-token")));

    let forge = |name: &str, value: Value| {
        let payload = changed(&payload, &json!({name: value}));
        user_tokens::forge(user_tokens::HEADER, &user_tokens::payload_text(&payload))
    };
    let from = ("support_sdk.user_tokens_valid_from", "2026-01-01");
    let other = ("support_sdk.secret", MESSAGING_SECRET);
    let old = changed(&payload, &json!({"iat": 1_700_000_000}));
    let old = user_tokens::forge(user_tokens::HEADER, &user_tokens::payload_text(&old));
    for (settings, token, cause, fix) in [
        (on.to_vec(), forge("exp", json!(now() - 60)), "user token: expired", "must request a new user token"),
        (on.to_vec(), forge("login", json!("eu")), "its login is not in the settings any more", "give it its old name"),
        ([&on[..], &[from]].concat(), old, "issued before support_sdk.user_tokens_valid_from", "request a new"),
        (vec![on[0], other, on[2]], token.clone(), "not signed with the key", "if support_sdk.secret was changed"),
        (on[..2].to_vec(), token.clone(), "is a user token of the Support SDK", "support_sdk.user_token_lifetime"),
        // Without the secret, a token signed with the key of an empty one must not be accepted.
        (vec![on[0], on[2]], user_tokens::forge_with("", &payload), "is a user token", "set support_sdk.secret"),
    ] {
        let output = inspect(&[], &settings, token);
        assert_eq!(output.status, Some(1), "{output:?}");
        assert!(output.out.contains("Refused as a Support SDK user token"), "{output:?}");
        assert!(output.out.contains(cause) && output.out.contains(fix), "{cause}: {output:?}");
        assert!(output.out.contains("  support-sdk: the service answers 00-01"), "{output:?}");
    }
    let fallback = [&on[..], &[("support_sdk.fallback_email_domain", "example.com")]].concat();
    let json = inspect(&["--json"], &fallback, forge("email", json!("another@example.com"))).json();
    assert!(json.to_string().contains("00-04"), "{json}");
    assert_eq!((&json["login"], &json["signed_with"]), (&json!("default"), &json!("user-token")), "{json}");
}

#[test]
fn it_needs_no_secrets_of_products() {
    let output = with_secret(&[("messaging.email", "verified")], &LoginToken::valid());
    assert_eq!(output.status, Some(0), "{output:?}");
    assert!(output.out.contains("  messaging: the agent sees email_verified true"), "{output:?}");
    assert!(!output.out.contains("chat"), "{output:?}");
    let output = with_secret(&[], &LoginToken::valid().without("email"));
    assert!(output.out.contains("  chat: the service answers 00-03"), "{output:?}");
    let output = with_secret(&[("messaging.email", "sometimes")], &LoginToken::valid());
    assert_eq!(output.status, Some(2));
    assert!(output.err.starts_with("messaging.email ("), "{}", output.err);
}

#[test]
fn an_id_that_messaging_refuses_is_explained() {
    let output = with_secret(&[("messaging.secret", MESSAGING_SECRET)], &LoginToken::valid().claim("sub", EMAIL));
    assert!(output.out.contains("the player's id is an email or a phone number"), "{output:?}");
    assert!(output.out.contains("messaging: the service answers 00-04"), "{output:?}");
}
