//! `conflict find`, `show` and `resolve`: what they show, ask, save and delete, also when the API fails.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::commands::CommandOutput;
use crate::desk_api::{
    APP, CHAT_TOKEN, DeskApi, EMAIL, EXTERNAL_ID, KEY_ID, KEY_SECRET, Step, USER, answer, error, failure,
};
use crate::desk_failures::{has_terminal, on_terminal};
use crate::harness::{Server, command, skip};
use crate::published_keys::until;
use crate::reload::Folder;
use crate::stub::Reply;

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

fn conflict(api: &DeskApi, arguments: &[&str]) -> CommandOutput {
    run(api, &std::env::temp_dir(), &[&["conflict"], arguments].concat(), &[])
}

fn users_path(rest: &str) -> String {
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
    let output = conflict(&api, &["find", "--email", EMAIL, "--expect", "-login\u{3164}\u{2800}-id"]).out;
    assert!(output.contains(r"refuses -login\u{3164}\u{2800}-id with 409"), "{output}");
    let folder = Folder::new();
    let file = folder.write("it's mine.toml", "");
    let file = file.to_str().unwrap();
    let output = conflict(&api, &[&conflicting[..], &["--config", file]].concat()).out;
    let command = format!("resolve {USER} --config '{}' --forget-email\n", file.replace('\'', r"'\''"));
    assert!(output.contains(&command), "{command}: {output}");
    let output = conflict(&api, &["find", "--email", EMAIL, "--expect", EXTERNAL_ID]);
    assert_eq!(output.status, Some(0));
    assert!(output.out.contains("No conflict: no other login id than your-own-id"), "{}", output.out);
    for same in ["Your-Own-ID", " your-own-id "] {
        let output = conflict(&api, &["find", "--email", EMAIL, "--expect", same]).out;
        let sentence = if same.starts_with(' ') {
            "No conflict: no other"
        } else {
            "No conflict: the email belongs to your-own-id"
        };
        assert!(output.contains(sentence) && !output.contains("conflict resolve"), "{output}");
    }

    let output = conflict(&api, &["find", "--email", "nobody@example.org", "--expect", "new-login-id"]);
    assert_eq!(output.status, Some(1));
    assert_eq!(
        output.out,
        "No user of Messaging has the email nobody@example.org; if users are separate for each brand, the settings need this user's brand (conversations.brand_id).\n"
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

fn resolve(api: &DeskApi, folder: &Folder, arguments: &[&str]) -> CommandOutput {
    run(api, &folder.path(""), &[&["conflict", "resolve"], arguments].concat(), &[])
}

/// Resolves for the user of the examples; the API handles the requests after the first two with these steps.
fn resolve_with(api: &DeskApi, folder: &Folder, remedy: &str, steps: Vec<Step>) -> CommandOutput {
    api.then([Step::Do, Step::Do].into_iter().chain(steps));
    resolve(api, folder, &[USER, remedy, "--yes"])
}

fn count_files(folder: &Folder) -> usize {
    fs::read_dir(folder.path("")).unwrap().count()
}

#[test]
fn resolve_saves_the_record_then_deletes_then_checks_the_result() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let user = api.users()[0].clone();
    let output = resolve(&api, &folder, &[EXTERNAL_ID, "--forget-email", "--yes"]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    assert_eq!(output.out, format!("Done: user {USER} has no email any more, and keeps its conversations.\n"));
    assert!(output.err.contains("email        sue@example.org (verification: sso)"), "{}", output.err);
    let id = users_path(&format!("/{USER}"));
    let expected = [
        format!("GET {}", users_path(&format!("/{EXTERNAL_ID}"))),
        format!("GET {id}"),
        format!("DELETE {id}/personalinformation"),
        format!("GET {id}"),
        format!("GET {}", users_path("?filter%5Bidentities.email%5D=sue%40example.org")),
    ];
    assert_eq!(api.asked(), expected, "by the API's own id, not the given one");
    assert_eq!(count_files(&folder), 1);
    let file = fs::read_dir(folder.path("")).unwrap().next().unwrap().unwrap();
    let name = file.file_name().into_string().unwrap();
    assert!(name.starts_with(&format!("zendesk-user-{USER}-20")) && name.ends_with("Z.json"), "{name}");
    assert!(output.err.contains(&format!("saved the user's record to {name}")));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(serde_json::from_str::<Value>(&fs::read_to_string(file.path()).unwrap()).unwrap(), user);
    assert_eq!(api.users()[0]["identities"], json!([]));

    let arguments = [USER, "--delete-user", "--yes", "--json", "--backup", "kept"];
    let output = resolve(&api, &folder, &arguments);
    let json = output.json();
    assert_eq!((output.status, &json["remedy"], &json["backup"]), (Some(0), &json!("delete-user"), &json!("kept")));
    assert_eq!((&json["now"], &json["is_free"], &json["user"]["id"]), (&json!(null), &json!(true), &json!(USER)));
    assert!(api.users().is_empty());
    let output = resolve(&api, &folder, &arguments);
    assert_eq!((output.status, output.out.as_str()), (Some(1), ""), "the user is deleted");
}

#[test]
fn the_record_is_saved_unchanged() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let user = r#"{"id":"7","externalId":"e","identities":[],"n":1.50,"big":12345678901234567890123,"unknown" : {"b":1,"a":"\u00e9"}}"#;
    let shown = || Step::Say(Reply::Answer(200, format!(r#"{{"user":{user}}}"#)));
    api.then([shown(), shown()]);
    api.add(json!({"id": "7", "identities": []}));
    let output = resolve(&api, &folder, &["e", "--forget-email", "--yes", "--backup", "b"]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    assert_eq!(fs::read_to_string(folder.path("b")).unwrap(), format!("{user}\n"));
}

#[test]
fn nothing_is_deleted_without_a_record_a_terminal_or_a_remedy() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let taken = folder.write("taken", "precious");
    std::os::unix::fs::symlink(folder.path("nowhere"), folder.path("link")).unwrap();
    for backup in ["taken", "link", "no/such/folder/file", "/dev/full", "."] {
        let output = resolve(&api, &folder, &[USER, "--delete-user", "--yes", "--backup", backup]);
        assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{backup}");
        let message = format!("--backup: can't write {backup} (");
        assert!(output.err.contains(&message) && output.err.contains("nothing was changed"), "{}", output.err);
    }
    assert_eq!(fs::read_to_string(taken).unwrap(), "precious");
    assert!(!folder.path("nowhere").exists());
    let requests = api.asked().len();
    for (arguments, message) in [
        (&["--delete-user"][..], "can't ask without a terminal; check the user with conflict show, then add --yes"),
        (&["--yes"][..], "<--merge-into <SUB>|--forget-email|--delete-user>"),
        (&["--yes", "--forget-email", "--delete-user"][..], "cannot be used with"),
    ] {
        let refused = conflict(&api, &[&["resolve", USER], arguments].concat());
        assert_eq!((refused.status, refused.err.contains(message)), (Some(2), true), "{}", refused.err);
    }
    assert_eq!(api.asked().len(), requests, "these send no request");
    assert_eq!(api.count("DELETE"), 0);
}

#[test]
fn a_user_that_changes_before_the_deletion_is_not_deleted() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let mut other = api.users()[0].clone();
    other["externalId"] = json!("new-login-id");
    let mut moved = api.users()[0].clone();
    moved["identities"] = json!([]);
    for now in [json!({"user": other}), json!({"user": moved})] {
        api.then([answer(200, &json!({"user": api.users()[0]})), answer(200, &now)]);
        let output = resolve(&api, &folder, &[USER, "--delete-user", "--yes"]);
        assert_eq!((output.status, output.out.as_str()), (Some(1), ""));
        assert!(output.err.contains("the user has changed in the meantime, so nothing was changed"), "{}", output.err);
    }
    assert_eq!((api.count("DELETE"), count_files(&folder)), (0, 0));
}

#[test]
fn an_email_that_another_user_has_is_not_free() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.add(json!({"id": "8", "externalId": "x", "identities": [{"type": "email", "value": "sue@example.org"}]}));
    let output = resolve(&api, &folder, &[USER, "--forget-email", "--yes"]);
    let messages = ["has no email any more", "User 8 has the email too"];
    assert!(messages.iter().all(|message| output.out.contains(message)), "{}", output.out);
    let output = resolve(&api, &folder, &["8", "--forget-email", "--yes", "--json"]);
    let json = output.json();
    assert_eq!((output.status, &json["is_free"], &json["still_have_it"]), (Some(0), &json!(true), &json!([])));
}

#[test]
fn a_dry_run_prints_the_request_and_sends_and_writes_nothing() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    for (remedy, rest, loss) in [
        ("--forget-email", "/personalinformation", "the conversations stay"),
        ("--delete-user", "", "ALL ITS CONVERSATIONS"),
    ] {
        let output = resolve(&api, &folder, &[EXTERNAL_ID, remedy, "--dry-run"]);
        let url = format!("{}{}", api.url(), users_path(&format!("/{USER}{rest}")));
        let start = format!("Would send: DELETE {url}\nThis would permanently delete ");
        assert!(output.out.starts_with(&start) && output.out.contains(loss), "{}", output.out);
        assert_eq!(output.status, Some(0));
        let json = resolve(&api, &folder, &[EXTERNAL_ID, remedy, "--dry-run", "--json"]).json();
        assert_eq!((&json["would_send"], &json["backup"]), (&json!(format!("DELETE {url}")), &json!(null)));
    }
    assert_eq!((api.count("DELETE"), count_files(&folder)), (0, 0));
}

#[test]
fn on_a_terminal_resolve_asks_and_only_yes_confirms() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    if !has_terminal() {
        return;
    }
    let own = command(&[], &[]);
    let program = own.get_program().to_str().unwrap();
    // Starts when the terminal has the input from before the question, which `script` may forward slowly.
    let line =
        format!("bash -c 'until read -t 0; do sleep 0.05; done; exec {program} conflict resolve {USER} --delete-user'");
    for (typed, status) in [("no\n", 1), ("y\n", 1), ("\n", 1), ("", 1), ("yes\n", 0)] {
        let mut script = on_terminal(&api, &line);
        let mut child =
            script.current_dir(folder.path("")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        // Input from before the question is not an answer to it.
        input.write_all(b"yes\n").unwrap();
        let (mut shown, mut chunk) = (String::new(), [0; 4096]);
        while !shown.ends_with(" Type yes to continue: ") {
            let read = screen.read(&mut chunk).unwrap();
            assert!(read > 0, "{typed:?}: {shown}");
            shown += &String::from_utf8_lossy(&chunk[..read]);
        }
        let question = format!("This will permanently delete user {USER} and ALL ITS CONVERSATIONS. Type");
        assert!(shown.contains(&question), "{shown}");
        input.write_all(typed.as_bytes()).unwrap();
        drop(input);
        screen.read_to_string(&mut shown).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{typed:?}: {shown}");
        assert_eq!(api.users().len(), usize::from(status == 1), "{typed:?}: {shown}");
    }
    assert_eq!(count_files(&folder), 1, "declining saves no record");
}

#[test]
fn a_deletion_is_repeated_and_succeeds_if_the_repetition_finds_nothing() {
    for (remedy, last) in
        [("--forget-email", "has no email any more"), ("--delete-user", "and its conversations are deleted")]
    {
        for (step, deletions) in [
            // Failed, or succeeded without a response that says so.
            (failure(502), 2),
            (Step::DoAndSay(Reply::HangUp), 2),
            (Step::DoAndSay(Reply::Answer(500, String::new())), 2),
            // The status alone says whether a deletion succeeded.
            (Step::DoAndSay(Reply::Answer(200, "<html>".to_owned())), 1),
            (Step::DoAndSay(Reply::Answer(204, String::new())), 1),
            (Step::DoAndSay(Reply::CutOff("{".to_owned())), 1),
            (Step::DoAndSay(Reply::Huge), 1),
        ] {
            let (api, folder) = (DeskApi::start(), Folder::new());
            let output = resolve_with(&api, &folder, remedy, vec![step]);
            assert_eq!((output.status, api.count("DELETE")), (Some(0), deletions), "{}", output.err);
            assert!(output.out.contains(last), "{}", output.out);
        }
    }
}

#[test]
fn a_failed_deletion_is_reported_and_leaves_the_record() {
    for reply in [
        Reply::Answer(401, String::new()),
        Reply::Answer(403, String::new()),
        Reply::Answer(409, String::new()),
        Reply::Answer(404, error("user_not_found", "User not found").to_string()),
        Reply::Redirect("http://127.0.0.1:1/".to_owned()),
    ] {
        let (api, folder) = (DeskApi::start(), Folder::new());
        let user = api.users()[0].to_string();
        let output = resolve_with(&api, &folder, "--delete-user", vec![Step::Say(reply.clone())]);
        assert_eq!((output.status, api.count("DELETE"), output.out.as_str()), (Some(3), 1, ""), "{reply:?}");
        assert!(output.err.ends_with("; nothing was deleted\n"), "{}", output.err);
        let kept = fs::read_dir(folder.path("")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("{user}\n"));
        assert_eq!(api.users().len(), 1);
    }
    // The record can't be loaded.
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.then([Step::Do, answer(403, &json!({}))]);
    let output = resolve(&api, &folder, &[USER, "--delete-user", "--yes"]);
    assert_eq!((output.status, api.count("DELETE"), count_files(&folder)), (Some(3), 0, 0));
    assert!(output.err.ends_with("; nothing was changed\n"), "{}", output.err);
    // The user is gone, but not because of this deletion.
    let (api, folder) = (DeskApi::start(), Folder::new());
    let gone = || answer(404, &error("user_not_found", "User not found"));
    let output = resolve_with(&api, &folder, "--delete-user", vec![answer(403, &json!({})), gone()]);
    assert!(
        output.err.ends_with("whether anything was deleted is not known: look at the user again\n"),
        "{}",
        output.err
    );
}

#[test]
fn an_empty_login_id_is_refused() {
    let api = DeskApi::start();
    for arguments in [&["conflict", "find", "--email", EMAIL][..], &["visitor", "show", "9855790-x"]] {
        let output = run(&api, &std::env::temp_dir(), &[arguments, &["--expect", " "]].concat(), &[]);
        assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{}", output.err);
        assert!(output.err.contains("--expect: is empty; give the player's login id"), "{}", output.err);
    }
    assert!(api.asked().is_empty());
}

#[test]
fn an_unfinished_deletion_is_reported_as_unfinished() {
    let unfinished = "has not finished: look at user";
    let unchecked = "the API accepted the request; checking the result failed: ";
    // A gateway's 404 does not mean that the user is deleted.
    let gateway = || answer(404, &json!({"error": "InvalidEndpoint"}));
    for (remedy, steps, message) in [
        ("--forget-email", vec![answer(200, &json!({}))], unfinished),
        ("--delete-user", vec![answer(200, &json!({}))], unfinished),
        ("--forget-email", vec![Step::Do, answer(403, &json!({}))], unchecked),
        ("--delete-user", vec![failure(503), gateway()], "status 404 (InvalidEndpoint); check"),
        ("--delete-user", vec![Step::Do, gateway()], unchecked),
    ] {
        let (api, folder) = (DeskApi::start(), Folder::new());
        let output = resolve_with(&api, &folder, remedy, steps);
        let text = if message == unfinished { &output.out } else { &output.err };
        assert!(output.status == Some(3) && text.contains(message), "{message}: {}{}", output.out, output.err);
        assert_eq!(output.out.is_empty(), message != unfinished, "{}", output.out);
    }
}

#[test]
fn another_user_is_never_taken_for_the_requested_one() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let with_id = |id: &str| json!({"id": id, "externalId": USER});
    for user in [
        json!({"id": "8", "externalId": "another"}),
        json!({"id": ""}),
        json!({"externalId": USER}),
        json!([]),
        with_id(""),
        with_id("."),
        with_id(".."),
    ] {
        api.then([answer(200, &json!({"user": user}))]);
        let output = resolve(&api, &folder, &[USER, "--delete-user", "--yes"]);
        assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{user}");
    }
    assert_eq!((api.count("DELETE"), count_files(&folder)), (0, 0));
}

#[test]
fn a_kill_before_the_deletion_is_done_leaves_a_record_and_a_user() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let user = api.users()[0].to_string();
    api.then([Step::Do, Step::Do, failure(503)]);
    let settings = api.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut command = command(&["conflict", "resolve", USER, "--delete-user", "--yes", "--backup", "kept"], &settings);
    let mut child = command.current_dir(folder.path("")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The first attempt failed, and the next one follows in a moment.
    until("refused", || api.count("DELETE") == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(folder.path("kept")).unwrap(), format!("{user}\n"));
    assert_eq!(api.users().len(), 1);
}

/// Sends a request with Zendesk's own clients; `false` if they are missing.
pub fn with_official_client(api: &DeskApi, method: &str, arguments: &[&str]) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var("TESTS_VENV").unwrap_or_else(|_| "target/tests-venv".to_owned());
    let python = root.join(venv).join("bin/python");
    let probe = Command::new(&python).args(["-c", "import smooch, sunshine_conversations_client"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        skip("sunshine-conversations-client and smooch (PyPI); tests/all installs them");
        return false;
    }
    let base = format!("{}/sc", api.url());
    let mut client = Command::new(&python);
    client.arg(root.join("tests/outside/conversations.py")).args([&base, APP, KEY_ID, KEY_SECRET, method]);
    let output = client.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[test]
fn the_official_client_sends_the_same_deletions() {
    for (method, remedy) in [("delete_user_personal_information", "--forget-email"), ("delete_user", "--delete-user")] {
        for id in [USER, "a/b?c=%2F d#é+;.", EXTERNAL_ID] {
            let (ours, theirs, folder) = (DeskApi::start(), DeskApi::start(), Folder::new());
            let added = json!({"id": "a/b?c=%2F d#é+;.", "identities": []});
            ours.add(added.clone());
            theirs.add(added);
            let output = resolve(&ours, &folder, &[id, remedy, "--yes"]);
            assert_eq!(output.status, Some(0), "{}", output.err);
            if !with_official_client(&theirs, method, &[id]) {
                return;
            }
            assert_eq!(ours.users(), theirs.users());
            // Ours always uses the API's own id.
            let deletion = |api: &DeskApi| {
                let request = api.all().into_iter().find(|request| request.method == "DELETE").unwrap();
                let target = request.target.replace(&format!("/{EXTERNAL_ID}"), &format!("/{USER}"));
                (target, request.header("authorization").unwrap().to_owned())
            };
            assert_eq!(deletion(&ours), deletion(&theirs));
        }
    }
}
