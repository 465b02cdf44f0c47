//! The desk's commands when an API fails.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::commands::CommandOutput;
use crate::conflict::run;
use crate::desk_api::{APP, DeskApi, EMAIL, KEY_ID, KEY_SECRET, Step, answer, error, failure};
use crate::harness::{command, skip, variable};
use crate::stub::Reply;

fn find(api: &DeskApi) -> CommandOutput {
    find_with(api, &[])
}

fn find_with(api: &DeskApi, changes: &[(&str, &str)]) -> CommandOutput {
    run(api, &std::env::temp_dir(), &["conflict", "find", "--email", EMAIL], changes)
}

/// Whether `script` can make a terminal; reports it otherwise.
pub fn has_terminal() -> bool {
    let is_there = Command::new("script").arg("--version").output().is_ok();
    if !is_there {
        skip("script (util-linux) gives no terminal here");
    }
    is_there
}

/// A shell command on a terminal, with the API's settings.
pub fn on_terminal(api: &DeskApi, line: &str) -> Command {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--echo", "never", "--command", line, "/dev/null"]);
    script.envs(api.settings().iter().map(|(key, value)| (variable(key), value.clone())));
    script
}

#[test]
fn failures_are_explained_with_a_fix() {
    let elsewhere = DeskApi::start();
    let unexpected = |body: &str| (Reply::Answer(200, body.to_owned()), "does not match its description");
    let failed = |status: u16, code: &str, title: &str| Reply::Answer(status, error(code, title).to_string());
    let redirect = Reply::Redirect(format!("{}/sc/v2/apps/{APP}/users", elsewhere.url()));
    let slow_down = error("too_many_requests", "Slow down").to_string();
    for (reply, message) in [
        (
            failed(401, "unauthorized", "No key"),
            "answered with status 401 (unauthorized: No key); check the key's ID and secret (conversations.key_id and key_secret), and that the key was not revoked",
        ),
        (failed(403, "forbidden", "No\u{1b}[m"), "403 (forbidden: No\\u{1b}[m); check the permissions of the API key"),
        (failed(404, "app_not_found", "None"), "404 (app_not_found: None); check the address of your Zendesk"),
        (Reply::Answer(404, "<html>".to_owned()), "status 404; check the address of your Zendesk"),
        (failed(409, "conflict", "In use"), "status 409 (conflict: In use)\n"),
        (Reply::Answer(400, "x".repeat(9 << 20)), "status 400\n"),
        (
            Reply::Answer(200, "x".repeat(9 << 20)),
            "is over 8 MiB; check the address of your Zendesk (conversations.subdomain",
        ),
        (Reply::Huge, "is over 8 MiB"),
        (redirect, "status 302, a redirect, which is not followed"),
        unexpected("<html>"),
        unexpected("{}"),
        unexpected(r#"{"users":{}}"#),
        unexpected(r#"{"users":[{"id":7}]}"#),
        unexpected(r#"{"users":[{"id":"7","identities":[{"type":1}]}]}"#),
        (Reply::Answer(204, String::new()), "does not match its description"),
        (
            Reply::With(429, "Retry-After: 3600\r\n".to_owned(), slow_down),
            "status 429 (too_many_requests: Slow down); try again in 3600 s",
        ),
    ] {
        let api = DeskApi::start();
        api.then([Step::Say(reply.clone())]);
        let failed = find(&api);
        let outcome = (failed.status, failed.out.as_str(), api.asked().len());
        assert_eq!(outcome, (Some(3), "", 1), "{reply:?}: {}", failed.err);
        assert!(failed.err.contains(message) && failed.err.lines().count() == 1, "{message}: {}", failed.err);
    }
    assert!(elsewhere.asked().is_empty(), "no redirect is followed");
    let api = DeskApi::start();
    let wrong = find_with(&api, &[("conversations.key_secret", "another")]);
    assert_eq!((wrong.status, api.asked().len()), (Some(3), 1));
}

#[test]
fn a_key_in_an_error_message_is_not_printed() {
    let both = STANDARD.encode(format!("{KEY_ID}:{KEY_SECRET}"));
    for secret in [KEY_SECRET, KEY_ID, &both] {
        let api = DeskApi::start();
        api.then([answer(401, &error("unauthorized", &format!("{} {secret} is wrong", "x".repeat(190))))]);
        let failed = find(&api).err;
        assert!(failed.contains("status 401 (unauthorized); check") && !failed.contains("xxx"), "{failed}");
    }
}

#[test]
fn temporary_failures_are_retried_with_growing_delays() {
    let api = DeskApi::start();
    api.then([
        failure(500),
        Step::Say(Reply::HangUp),
        Step::Say(Reply::CutOff("{".to_owned())),
        Step::Say(Reply::Answer(429, String::new())),
    ]);
    let started = Instant::now();
    let found = find(&api);
    let outcome = (found.status, api.asked().len(), found.err.as_str());
    assert_eq!(outcome, (Some(0), 5, ""), "without a terminal, retries are not reported");
    // 0.5, 1, 2 and 4 s, and jitter of up to as much again.
    assert!(started.elapsed().as_millis() >= 7400, "{:?}", started.elapsed());
    let api = DeskApi::start();
    api.then((0..9).map(|_| failure(503)));
    let failed = find(&api);
    assert_eq!((failed.status, api.asked().len()), (Some(3), 5));
    let message = "status 503 (internal_error: Something broke); try again in a minute";
    assert!(failed.err.contains(message), "{}", failed.err);
}

#[test]
fn retries_respect_retry_after() {
    for (when, shortest, tries) in [
        ("Retry-After: 3\r\n", 3000, 2),
        ("Retry-After: 0\r\n", 500, 2),
        ("Date: Wed, 25 Nov 2026 10:00:00 GMT\r\nRetry-After: Wed, 25 Nov 2026 10:00:03 GMT\r\n", 3000, 2),
        ("Retry-After: soon\r\n", 500, 2),
        ("Retry-After: 55\r\n", 0, 1),
        ("Retry-After: 18446744073709551615\r\n", 0, 1),
    ] {
        let api = DeskApi::start();
        api.then([Step::Say(Reply::With(429, when.to_owned(), String::new()))]);
        let started = Instant::now();
        let found = find(&api);
        let took = started.elapsed().as_millis();
        assert_eq!((found.status, api.asked().len()), (Some(if tries == 2 { 0 } else { 3 }), tries), "{when}");
        assert!((shortest..shortest + 50_000).contains(&took), "{when}: {took} ms");
    }
}

#[test]
fn an_api_that_does_not_answer_fails_within_a_minute() {
    let api = DeskApi::start();
    api.then((0..9).map(|_| Step::Say(Reply::Late(Duration::from_secs(70), 200, String::new()))));
    let started = Instant::now();
    let failed = find(&api);
    assert_eq!(failed.status, Some(3));
    assert!(failed.err.contains("did not answer within 10 s"), "{}", failed.err);
    assert!((30..180).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert!((3..=5).contains(&api.asked().len()), "{:?}", api.asked());
}

#[test]
fn retries_are_reported_on_a_terminal() {
    if !has_terminal() {
        return;
    }
    let api = DeskApi::start();
    api.then([failure(503)]);
    let own = command(&[], &[]);
    let line = format!("{} conflict find --email {EMAIL}", own.get_program().to_str().unwrap());
    let output = CommandOutput::from(on_terminal(&api, &line).stdin(Stdio::null()).output().unwrap()).out;
    let message = "answered with status 503 (internal_error: Something broke); trying again in ";
    assert!(output.contains(message) && output.contains(" s (attempt 2 of 5)"), "{output}");
}
