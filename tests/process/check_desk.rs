//! `check` with the support desk's sections: their settings, and with `--online` their keys.

use serde_json::{Value, json};

use crate::commands::CommandOutput;
use crate::conflict::run;
use crate::desk_api::{APP, CHAT_TOKEN, DeskApi, KEY_SECRET, answer, error};
use crate::harness::usual;
use crate::login_api::LoginApi;
use crate::reload::Folder;

/// Checks with the API's settings and these; an empty value removes a setting.
fn check(api: &DeskApi, changes: &[(&str, &str)]) -> CommandOutput {
    run(api, &std::env::temp_dir(), &["check", "--online"], changes)
}

#[test]
fn both_keys_are_tried_and_nothing_is_changed() {
    let api = DeskApi::start();
    let output = check(&api, &[]);
    let url = api.url();
    let expected = format!(
        "\nSupport desk: Conversations API {url}/sc, app {APP}\n  accepts the key\n\nSupport desk: Chat API {url}/api/v2/chat\n  accepts the key\n"
    );
    assert_eq!((output.status, output.out.as_str(), output.err.as_str()), (Some(0), expected.as_str(), ""));
    let asked = [
        format!("GET /sc/v2/apps/{APP}/users?filter%5Bidentities.email%5D=nobody%40example.invalid"),
        "GET /api/v2/chat/visitors/0-0".to_owned(),
    ];
    assert_eq!(api.asked(), asked);
    let offline = run(&api, &std::env::temp_dir(), &["check"], &[]);
    assert_eq!((offline.status, offline.out.matches("  no errors\n").count()), (Some(0), 2), "{}", offline.out);
    assert_eq!(api.asked().len(), 2, "without --online nothing is asked");
}

#[test]
fn next_to_the_service_they_are_checked_too() {
    let (api, login_api) = (DeskApi::start(), LoginApi::start());
    let login_url = login_api.url();
    let service = usual(&[("login.api_url", &login_url)]);
    api.then([answer(401, &error("unauthorized", "No")), answer(403, &json!({"error": "access_denied"}))]);
    let output = check(&api, &service);
    assert_eq!(output.status, Some(1));
    assert!(output.out.contains("Login default: ") && output.out.contains("Chat API "), "{}", output.out);
    assert_eq!(output.err.lines().count(), 2, "both are reported: {}", output.err);
    assert_eq!(check(&api, &service).status, Some(0));
}

#[test]
fn a_key_that_does_not_work_is_explained() {
    for (status, body, message) in [
        (
            401,
            error("unauthorized", "No"),
            "check the key's ID and secret (conversations.key_id and key_secret), and that the key was not revoked",
        ),
        (402, error("payment_required", "No"), "the plan must be Suite Professional or above"),
        (
            403,
            error("forbidden", "No"),
            "it must be a key of this app, and the plan must be Suite Professional or above",
        ),
        (
            404,
            error("app_not_found", "No"),
            "(app_not_found: No); check the address of your Zendesk (conversations.subdomain or base_url) and the app's ID (conversations.app_id)",
        ),
        (200, json!({"users": [{"id": "1"}]}), "does not match its description"),
    ] {
        assert_fails(&[("chat_api.base_url", ""), ("chat_api.token", "")], status, &body, message);
    }
    let chat_only = ["base_url", "app_id", "key_id", "key_secret"].map(|name| format!("conversations.{name}"));
    let chat_only: Vec<(&str, &str)> = chat_only.iter().map(|key| (key.as_str(), "")).collect();
    for (status, body, message) in [
        (
            401,
            json!({"error": "invalid_token"}),
            "check the access token (chat_api.token): that it was not revoked and has not expired",
        ),
        (
            403,
            json!({"error": "access_denied"}),
            "it needs the scope read, and its owner access to Chat; the account needs a plan",
        ),
        (
            404,
            json!({"error": "InvalidEndpoint"}),
            "check the address of your Zendesk (chat_api.subdomain or base_url)",
        ),
    ] {
        assert_fails(&chat_only, status, &body, message);
    }
}

/// The check without these settings fails with a message if the API answers so.
fn assert_fails(removed: &[(&str, &str)], status: u16, body: &Value, message: &str) {
    let api = DeskApi::start();
    api.then([answer(status, body)]);
    let mut settings = api.settings();
    settings.retain(|(key, _)| removed.iter().all(|(removed, _)| removed != key));
    let folder = Folder::new();
    let lines = settings.iter().map(|(key, value)| format!("{key} = \"{value}\"\n"));
    let file = folder.write("desk.toml", &lines.collect::<String>());
    let output = CommandOutput::from(
        crate::harness::command(&["check", "--online", "--config", file.to_str().unwrap()], &[]).output().unwrap(),
    );
    assert_eq!(output.status, Some(1), "{}", output.err);
    assert!(output.err.contains(message), "{message}: {}", output.err);
    assert!(![KEY_SECRET, CHAT_TOKEN].iter().any(|secret| (output.out.clone() + &output.err).contains(secret)));
}

#[test]
fn wrong_settings_are_reported_without_a_request() {
    let api = DeskApi::start();
    let output = check(&api, &[("conversations.key_id", "a b"), ("conversations.app_id", "?")]);
    assert_eq!((output.status, api.asked().len()), (Some(2), 0));
    assert!(
        output.err.contains("conversations.app_id") && output.err.contains("conversations.key_id"),
        "{}",
        output.err
    );
}

/// `check --online` with only this file and these variables.
fn check_file(text: &str, variables: &[(&str, &str)]) -> CommandOutput {
    let folder = Folder::new();
    let file = folder.write("desk.toml", text);
    let mut command = crate::harness::command(&["check", "--online", "--config", file.to_str().unwrap()], &[]);
    CommandOutput::from(command.envs(variables.iter().copied()).output().unwrap())
}

/// The settings of both sections in a file.
fn both_sections(api: &DeskApi) -> String {
    let lines: Vec<String> = api.settings().iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    lines.concat()
}

#[test]
fn the_brand_is_part_of_the_request() {
    let api = DeskApi::start();
    assert_eq!(check(&api, &[("conversations.brand_id", "brand-7")]).status, Some(0));
    assert!(api.asked()[0].ends_with("&brandId=brand-7"), "{:?}", api.asked());
}

#[test]
fn keys_of_both_sections_that_fail_are_both_reported() {
    let api = DeskApi::start();
    api.then([answer(401, &error("unauthorized", "No")), answer(403, &json!({"error": "access_denied"}))]);
    let output = check_file(&both_sections(&api), &[]);
    assert_eq!((output.status, output.err.lines().count()), (Some(1), 2), "{}", output.err);
    assert!(output.err.contains("status 401") && output.err.contains("status 403"), "{}", output.err);
    assert!(!output.out.contains("accepts"), "{}", output.out);
}

#[test]
fn everything_that_is_wrong_with_the_settings_is_reported_once() {
    let api = DeskApi::start();
    let typo = both_sections(&api) + "chat_apii.token = \"x\"\nlgin.cookie = \"x\"\nconversations.brand = \"x\"\n";
    let incomplete =
        "chat_api.subdomain = \"acme\"\nconversations.app_id = \"x\"\nconversations.subdomain = \"acme\"\n";
    for (text, keys) in [
        (typo.as_str(), &["chat_apii.token", "conversations.brand", "lgin.cookie"][..]),
        (incomplete, &["chat_api.token", "conversations.key_id", "conversations.key_secret"]),
    ] {
        let output = check_file(text, &[]);
        let mut reported: Vec<&str> = output.err.lines().filter_map(|line| line.split(' ').next()).collect();
        reported.sort_unstable();
        assert_eq!((output.status, output.out.as_str(), &*reported), (Some(2), "", keys), "{}", output.err);
    }
    assert_eq!(api.asked().len(), 0);
}

#[test]
fn wrong_settings_next_to_the_service_are_reported_before_its_report() {
    let (api, login_api) = (DeskApi::start(), LoginApi::start());
    let login_url = login_api.url();
    let changes = [usual(&[("login.api_url", &login_url)]), vec![("conversations.app_id", "?")]].concat();
    let output = check(&api, &changes);
    assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{}", output.err);
    assert!(output.err.starts_with("conversations.app_id ("), "{}", output.err);
}

#[test]
fn a_login_that_fails_does_not_hide_a_key_that_fails() {
    let (api, login_api) = (DeskApi::start(), LoginApi::start());
    let login_url = login_api.url();
    drop(login_api);
    api.then([answer(401, &error("unauthorized", "No"))]);
    let output = check(&api, &usual(&[("login.api_url", &login_url)]));
    assert_eq!((output.status, output.err.lines().count()), (Some(1), 2), "{}", output.err);
    assert!(output.err.starts_with("login.api_url: ") && output.err.contains("status 401"), "{}", output.err);
}

#[test]
fn the_variable_port_of_another_program_does_not_matter() {
    let api = DeskApi::start();
    for port in ["8080", "none"] {
        let output = check_file(&both_sections(&api), &[("PORT", port)]);
        assert_eq!((output.status, output.err.as_str()), (Some(0), ""), "{port}");
        assert_eq!(output.out.matches("accepts the key").count(), 2, "{}", output.out);
    }
}

#[test]
fn a_warning_about_the_file_is_printed_once() {
    let api = DeskApi::start();
    let folder = Folder::new();
    let file = folder.write("desk.toml", &both_sections(&api));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let output = crate::commands::run(&["check", "--config", file.to_str().unwrap()], &[]);
    assert_eq!((output.status, output.out.matches("Warning: config file (").count()), (Some(0), 1), "{}", output.out);
}
