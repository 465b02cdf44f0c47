//! `conflict find` and `conflict show`.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::desk_api::{APP, CHAT_TOKEN, DeskApi, EMAIL, EXTERNAL_ID, KEY_SECRET, USER, answer};
use crate::harness::{Server, command};
use crate::inspect::CommandOutput;
use crate::reload::Folder;

/// Runs a command in a folder, with the API's settings and an empty standard input.
pub fn run(api: &DeskApi, folder: &Path, arguments: &[&str], changes: &[(&str, &str)]) -> CommandOutput {
    let mut settings = api.settings();
    settings.retain(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut command = command(arguments, &[&settings[..], changes].concat());
    let output = CommandOutput::from(command.current_dir(folder).stdin(Stdio::null()).output().unwrap());
    for secret in [KEY_SECRET, CHAT_TOKEN] {
        assert!(!output.out.contains(secret) && !output.err.contains(secret), "{}{}", output.out, output.err);
    }
    output
}

pub fn conflict(api: &DeskApi, arguments: &[&str]) -> CommandOutput {
    run(api, &std::env::temp_dir(), &[&["conflict"], arguments].concat(), &[])
}

pub fn users_path(rest: &str) -> String {
    format!("/sc/v2/apps/{APP}/users{rest}")
}

#[test]
fn find_lists_the_users_with_the_email_and_says_whether_that_is_a_conflict() {
    let api = DeskApi::start();
    let output = conflict(&api, &["find", "--email", EMAIL]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    for line in [
        "One user of Messaging has the email sue@example.org:",
        &format!("id           {USER}\n"),
        &format!("external id  {EXTERNAL_ID}\n"),
        "signed up    2025-02-03T19:10:08.152Z\n",
        "brand        9477922990333\n",
        "email        sue@example.org (verification: sso)\n",
        "--expect SUB compares the two",
    ] {
        assert!(output.out.contains(line), "{line}\n{}", output.out);
    }
    assert_eq!(api.asked(), [format!("GET {}", users_path("?filter%5Bidentities.email%5D=sue%40example.org"))]);

    let conflicting = ["find", "--email", EMAIL, "--expect", "new-login-id"];
    let output = conflict(&api, &conflicting);
    assert_eq!(output.status, Some(0), "users were found, conflict or not");
    for text in [
        "Conflict: the email belongs to your-own-id",
        "refuses new-login-id with 409",
        &format!("zendesk-token conflict resolve {USER} --forget-email\n"),
        &format!("zendesk-token conflict resolve {USER} --delete-user\n"),
    ] {
        assert!(output.out.contains(text), "{text}: {}", output.out);
    }
    let folder = Folder::new();
    let file = folder.write("it's mine.toml", "");
    let file = file.to_str().unwrap();
    let output = conflict(&api, &[&conflicting[..], &["--config", file]].concat()).out;
    let command = format!("resolve {USER} --config '{}' --forget-email\n", file.replace('\'', r"'\''"));
    assert!(output.contains(&command), "{command}: {output}");
    let output = conflict(&api, &["find", "--email", EMAIL, "--expect", EXTERNAL_ID]);
    assert_eq!(output.status, Some(0));
    assert!(output.out.contains("No conflict: no other login id than your-own-id"), "{}", output.out);

    let output = conflict(&api, &["find", "--email", "nobody@example.org", "--expect", "new-login-id"]);
    assert_eq!(output.status, Some(1));
    assert_eq!(
        output.out,
        "No user of Messaging has the email nobody@example.org; if users are separated by brand, set conversations.brand_id to the user's brand.\n"
    );
}

#[test]
fn find_offers_only_users_that_have_the_email() {
    let api = DeskApi::start();
    let has = |email: &str| json!({"id": "8", "externalId": "x", "identities": [{"type": "email", "value": email}]});
    for (user, status) in [(has("Sue@Example.org"), 0), (has("other@example.org"), 3), (json!({"id": "8"}), 3)] {
        api.then([answer(200, &json!({"users": [user]}))]);
        let output = conflict(&api, &["find", "--email", EMAIL, "--expect", "y"]);
        assert_eq!((output.status, output.out.is_empty()), (Some(status), status == 3), "{}", output.out);
    }
}

#[test]
fn find_as_json_has_the_verdict_and_the_users() {
    let api = DeskApi::start();
    api.add(json!({"id": "2", "externalId": null, "identities": [{"type": "email", "value": EMAIL}]}));
    let user = json!({
        "id": USER, "external_id": EXTERNAL_ID, "zendesk_id": "35436", "brand_id": "9477922990333",
        "signed_up_at": "2025-02-03T19:10:08.152Z", "authenticated": null,
        "identities": [{"type": "email", "value": EMAIL, "verification": "sso"}]
    });
    let anonymous = json!({
        "id": "2", "external_id": null, "zendesk_id": null, "brand_id": null, "signed_up_at": null, "authenticated": null,
        "identities": [{"type": "email", "value": EMAIL, "verification": null}]
    });
    for (expect, verdict, in_the_way) in [
        (None, json!(null), json!([])),
        (Some("other"), json!(true), json!([USER])),
        (Some(EXTERNAL_ID), json!(false), json!([])),
    ] {
        let more = expect.map_or(Vec::new(), |expect| vec!["--expect", expect]);
        let output = conflict(&api, &[&["find", "--email", EMAIL, "--json"], &more[..]].concat());
        let users = json!([user, anonymous]);
        let expected =
            json!({"email": EMAIL, "expect": expect, "conflict": verdict, "in_the_way": in_the_way, "users": users});
        assert_eq!((output.json(), output.status, output.err.as_str()), (expected, Some(0), ""));
    }
    let output = conflict(&api, &["find", "--email", "nobody@example.org", "--json"]);
    let expected =
        json!({"email": "nobody@example.org", "expect": null, "conflict": null, "in_the_way": [], "users": []});
    assert_eq!((output.json(), output.status), (expected, Some(1)));
}

#[test]
fn show_takes_either_id_and_escapes_control_characters() {
    let api = DeskApi::start();
    for id in [USER, EXTERNAL_ID] {
        let output = conflict(&api, &["show", id]);
        assert_eq!((output.status, output.out.contains("2025-02-03")), (Some(0), true), "{}", output.err);
        assert_eq!(conflict(&api, &["show", id, "--json"]).json()["id"], USER);
    }
    let odd = "a/b?c=%2F d#é\u{1b}[2J\n.";
    api.add(json!({"id": "7", "externalId": odd, "identities": [{"type": "\u{1b}[H\n", "value": "v"}]}));
    let output = conflict(&api, &["show", odd]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    assert!(output.out.contains("external id    a/b?c=%2F d#é\\u{1b}[2J\\u{a}.\n"), "{}", output.out);
    assert!(output.out.contains("\\u{1b}[H\\u{a}  v\n"), "{}", output.out);
    let output = conflict(&api, &["show", "nobody"]);
    assert_eq!((output.status, output.out.as_str()), (Some(1), ""));
    let message = "no user of Messaging has the id or external id nobody";
    assert!(output.err.contains(message) && output.err.contains("brand_id"), "{}", output.err);
    for wrong in ["", ".", ".."] {
        let output = conflict(&api, &["show", wrong]);
        assert_eq!((output.status, output.err.as_str()), (Some(2), "USER: is not an id (empty, '.' or '..')\n"));
    }
}

#[test]
fn every_request_has_the_brand() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let brand = [("conversations.brand_id", "94 779")];
    run(&api, &folder.path(""), &["conflict", "find", "--email", EMAIL], &brand);
    let output = run(&api, &folder.path(""), &["conflict", "resolve", USER, "--delete-user", "--yes"], &brand);
    assert_eq!(output.status, Some(0), "{}", output.err);
    let requests = api.asked();
    assert!(requests.len() == 6 && requests.iter().all(|request| request.contains("brandId=94+779")), "{requests:?}");
}

#[test]
fn it_needs_only_its_own_settings_and_serve_does_not_need_them() {
    let api = DeskApi::start();
    let others = [("listen", "nonsense"), ("chat_api.token", "")];
    let output = run(&api, &std::env::temp_dir(), &["conflict", "show", USER], &others);
    assert_eq!(output.status, Some(0), "{}", output.err);
    let broken = [
        ("conversations.base_url", "ftp://x"),
        ("conversations.key_secret_file", "/no/such/file"),
        ("chat_api.token_file", "/no"),
    ];
    assert_eq!(Server::with(&broken).stop().status.code(), Some(0));
}
