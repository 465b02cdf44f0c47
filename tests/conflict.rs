//! `conflict find` and `conflict show`: who has the email.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::desk_api::{APP, CHAT_TOKEN, DeskApi, EMAIL, EXTERNAL_ID, KEY_SECRET, Step, USER};
use crate::harness::{Server, command};
use crate::inspect::CommandOutput;
use crate::reload::Folder;
use crate::stub::Reply;

/// Runs a command with an API's settings, in a folder, with nothing on standard input.
pub fn run(api: &DeskApi, folder: &Path, arguments: &[&str], changes: &[(&str, &str)]) -> CommandOutput {
    let mut settings = api.settings();
    settings.retain(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut command = command(arguments, &[&settings[..], changes].concat());
    let output = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    for secret in [KEY_SECRET, CHAT_TOKEN] {
        assert!(!out.contains(secret) && !err.contains(secret), "{out}{err}");
    }
    CommandOutput { status: output.status.code(), out, err }
}

pub fn conflict(api: &DeskApi, arguments: &[&str]) -> CommandOutput {
    run(api, &std::env::temp_dir(), &[&["conflict"], arguments].concat(), &[])
}

pub fn users_path(rest: &str) -> String {
    format!("/sc/v2/apps/{APP}/users{rest}")
}

#[test]
fn find_says_who_has_the_email_and_whether_that_is_a_conflict() {
    let api = DeskApi::start();
    let told = conflict(&api, &["find", "--email", EMAIL]);
    assert_eq!(told.status, Some(0), "{}", told.err);
    for line in [
        "One user of Messaging has the email sue@example.org:",
        &format!("id           {USER}\n"),
        &format!("external id  {EXTERNAL_ID}\n"),
        "signed up    2025-02-03T19:10:08.152Z\n",
        "brand        9477922990333\n",
        "email        sue@example.org (verification: sso)\n",
        "--expect SUB says which",
    ] {
        assert!(told.out.contains(line), "{line}\n{}", told.out);
    }
    assert_eq!(api.asked(), [format!("GET {}", users_path("?filter%5Bidentities.email%5D=sue%40example.org"))]);

    let told = conflict(&api, &["find", "--email", EMAIL, "--expect", "new-login-id"]);
    assert_eq!(told.status, Some(0), "users were found, conflict or not");
    assert!(
        told.out.contains("Conflict: the email is your-own-id's") && told.out.contains("refuses new-login-id with 409")
    );
    for remedy in ["--forget-email", "--delete-user"] {
        assert!(told.out.contains(&format!("zendesk-token conflict resolve {USER} {remedy}\n")), "{}", told.out);
    }
    let folder = Folder::new();
    let file = folder.write("it's mine.toml", "");
    let arguments = ["find", "--email", EMAIL, "--expect", "new-login-id", "--config", file.to_str().unwrap()];
    let command =
        format!("resolve {USER} --config '{}' --forget-email\n", file.to_str().unwrap().replace('\'', r"'\''"));
    let told = conflict(&api, &arguments).out;
    assert!(told.contains(&command), "{command}: {told}");
    let told = conflict(&api, &["find", "--email", EMAIL, "--expect", EXTERNAL_ID]);
    assert_eq!(told.status, Some(0));
    assert!(told.out.contains("No conflict: no other login id than your-own-id"), "{}", told.out);

    let told = conflict(&api, &["find", "--email", "nobody@example.org", "--expect", "new-login-id"]);
    assert_eq!(told.status, Some(1));
    assert_eq!(
        told.out,
        "No user of Messaging has the email nobody@example.org; where users are kept apart by brand, conversations.brand_id has to be the user's.\n"
    );
}

#[test]
fn find_offers_nobody_who_does_not_have_the_email() {
    let api = DeskApi::start();
    let has = |email: &str| json!({"id": "8", "externalId": "x", "identities": [{"type": "email", "value": email}]});
    for (user, status) in [(has("Sue@Example.org"), 0), (has("stranger@example.org"), 3), (json!({"id": "8"}), 3)] {
        api.then([Step::Say(Reply::Answer(200, json!({"users": [user]}).to_string()))]);
        let told = conflict(&api, &["find", "--email", EMAIL, "--expect", "y"]);
        assert_eq!((told.status, told.out.is_empty()), (Some(status), status == 3), "{}", told.out);
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
        let arguments = ["find", "--email", EMAIL, "--json"].into_iter();
        let arguments: Vec<&str> =
            arguments.chain(expect.into_iter().flat_map(|expect| ["--expect", expect])).collect();
        let told = conflict(&api, &arguments);
        let json: Value = serde_json::from_str(&told.out).unwrap();
        let users = json!([user, anonymous]);
        let expected =
            json!({"email": EMAIL, "expect": expect, "conflict": verdict, "in_the_way": in_the_way, "users": users});
        assert_eq!((json, told.status, told.err.as_str()), (expected, Some(0), ""));
    }
    let told = conflict(&api, &["find", "--email", "nobody@example.org", "--json"]);
    let expected =
        json!({"email": "nobody@example.org", "expect": null, "conflict": null, "in_the_way": [], "users": []});
    assert_eq!((serde_json::from_str::<Value>(&told.out).unwrap(), told.status), (expected, Some(1)));
}

#[test]
fn show_takes_either_id_and_escapes_what_a_terminal_must_not_see() {
    let api = DeskApi::start();
    for id in [USER, EXTERNAL_ID] {
        let told = conflict(&api, &["show", id]);
        assert_eq!((told.status, told.out.contains("2025-02-03")), (Some(0), true), "{}", told.err);
        assert_eq!(serde_json::from_str::<Value>(&conflict(&api, &["show", id, "--json"]).out).unwrap()["id"], USER);
    }
    let odd = "a/b?c=%2F d#é\u{1b}[2J\n.";
    api.add(json!({"id": "7", "externalId": odd, "identities": [{"type": "\u{1b}[H\n", "value": "v"}]}));
    let told = conflict(&api, &["show", odd]);
    assert_eq!(told.status, Some(0), "{}", told.err);
    assert!(told.out.contains("external id    a/b?c=%2F d#é\\u{1b}[2J\\u{a}.\n"), "{}", told.out);
    assert!(told.out.contains("\\u{1b}[H\\u{a}  v\n"), "{}", told.out);
    let told = conflict(&api, &["show", "nobody"]);
    assert_eq!((told.status, told.out.as_str()), (Some(1), ""));
    assert!(
        told.err.contains("no user of Messaging has the id or external id nobody") && told.err.contains("brand_id")
    );
    for no_id in ["", ".", ".."] {
        let told = conflict(&api, &["show", no_id]);
        assert_eq!((told.status, told.err.as_str()), (Some(2), "USER: is no id: empty, '.' or '..'\n"));
    }
}

#[test]
fn a_brand_goes_with_every_request() {
    let api = DeskApi::start();
    let folder = Folder::new();
    let brand = [("conversations.brand_id", "94 779")];
    run(&api, &folder.path(""), &["conflict", "find", "--email", EMAIL], &brand);
    let told = run(&api, &folder.path(""), &["conflict", "resolve", USER, "--delete-user", "--yes"], &brand);
    assert_eq!(told.status, Some(0), "{}", told.err);
    assert!(
        api.asked().len() == 6 && api.asked().iter().all(|asked| asked.contains("brandId=94+779")),
        "{:?}",
        api.asked()
    );
}

#[test]
fn it_runs_with_its_own_settings_alone_and_serve_without_them() {
    let api = DeskApi::start();
    let told = run(
        &api,
        &std::env::temp_dir(),
        &["conflict", "show", USER],
        &[("listen", "nonsense"), ("chat_api.token", "")],
    );
    assert_eq!(told.status, Some(0), "{}", told.err);
    let broken = [
        ("conversations.base_url", "ftp://x"),
        ("conversations.key_secret_file", "/no/such/file"),
        ("chat_api.token_file", "/no"),
    ];
    let server = Server::with(&broken);
    assert_eq!(server.stop().status.code(), Some(0));
}
