//! `conflict resolve` shows, asks and saves the record before it deletes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::conflict::{conflict, run, users_path};
use crate::desk_api::{DeskApi, EXTERNAL_ID, Step, USER};
use crate::harness::{command, skip};
use crate::inspect::CommandOutput;
use crate::reload::Folder;
use crate::stub::Reply;

fn resolve(api: &DeskApi, folder: &Folder, arguments: &[&str]) -> CommandOutput {
    run(api, &folder.path(""), &[&["conflict", "resolve"], arguments].concat(), &[])
}

#[test]
fn resolve_saves_the_record_then_deletes_then_checks_the_result() {
    let api = DeskApi::start();
    let (folder, user) = (Folder::new(), api.users()[0].clone());
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
    let files: Vec<_> = fs::read_dir(folder.path("")).unwrap().map(|file| file.unwrap()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let name = file.file_name().into_string().unwrap();
    assert!(name.starts_with(&format!("zendesk-user-{USER}-20")) && name.ends_with("Z.json"), "{name}");
    assert!(output.err.contains(&format!("saved the user's record to {name}")));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(serde_json::from_str::<Value>(&fs::read_to_string(file.path()).unwrap()).unwrap(), user);
    assert_eq!(api.users()[0]["identities"], json!([]));

    let arguments = [USER, "--delete-user", "--yes", "--json", "--backup", "kept"];
    let output = resolve(&api, &folder, &arguments);
    let json: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!((output.status, &json["remedy"], &json["backup"]), (Some(0), &json!("delete-user"), &json!("kept")));
    assert_eq!((&json["now"], &json["is_free"], &json["user"]["id"]), (&json!(null), &json!(true), &json!(USER)));
    assert!(api.users().is_empty());
    let output = resolve(&api, &folder, &arguments);
    assert_eq!((output.status, output.out.as_str()), (Some(1), ""), "the user is deleted");
}

#[test]
fn the_record_is_saved_unchanged() {
    let api = DeskApi::start();
    let folder = Folder::new();
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
    let api = DeskApi::start();
    let folder = Folder::new();
    let taken = folder.write("taken", "precious");
    std::os::unix::fs::symlink(folder.path("nowhere"), folder.path("link")).unwrap();
    for backup in ["taken", "link", "no/such/folder/file", "/dev/full", "."] {
        let output = resolve(&api, &folder, &[USER, "--delete-user", "--yes", "--backup", backup]);
        assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{backup}");
        assert!(
            output.err.contains(&format!("--backup: can't write {backup} ("))
                && output.err.contains("nothing was deleted")
        );
    }
    assert_eq!(fs::read_to_string(taken).unwrap(), "precious");
    assert!(!folder.path("nowhere").exists());
    let asked = api.asked().len();
    for (arguments, message) in [
        (&["--delete-user"][..], "can't ask without a terminal; check the user with conflict show, then add --yes"),
        (&["--yes"][..], "<--forget-email|--delete-user>"),
        (&["--yes", "--forget-email", "--delete-user"][..], "cannot be used with"),
    ] {
        let refused = conflict(&api, &[&["resolve", USER], arguments].concat());
        assert_eq!((refused.status, refused.err.contains(message)), (Some(2), true), "{}", refused.err);
    }
    assert_eq!(api.asked().len(), asked, "these send no request");
    assert_eq!(api.count("DELETE"), 0);
}

#[test]
fn a_user_that_changes_before_the_deletion_is_not_deleted() {
    let api = DeskApi::start();
    let folder = Folder::new();
    let mut other = api.users()[0].clone();
    other["externalId"] = json!("new-login-id");
    let mut moved = api.users()[0].clone();
    moved["identities"] = json!([]);
    for now in [json!({"user": other}), json!({"user": moved})] {
        let shown = Reply::Answer(200, json!({"user": api.users()[0]}).to_string());
        api.then([Step::Say(shown), Step::Say(Reply::Answer(200, now.to_string()))]);
        let output = resolve(&api, &folder, &[USER, "--delete-user", "--yes"]);
        assert_eq!((output.status, output.out.as_str()), (Some(1), ""));
        assert!(output.err.contains("the user has changed in the meantime, so nothing was deleted"), "{}", output.err);
    }
    assert_eq!((api.count("DELETE"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
}

#[test]
fn an_email_that_another_user_has_is_not_free() {
    let api = DeskApi::start();
    let folder = Folder::new();
    api.add(json!({"id": "8", "externalId": "x", "identities": [{"type": "email", "value": "sue@example.org"}]}));
    let output = resolve(&api, &folder, &[USER, "--forget-email", "--yes"]);
    assert!(
        output.out.contains("has no email any more") && output.out.contains("User 8 has the email too"),
        "{}",
        output.out
    );
    let output = resolve(&api, &folder, &["8", "--forget-email", "--yes", "--json"]);
    let json: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!((output.status, &json["is_free"], &json["still_have_it"]), (Some(0), &json!(true), &json!([])));
}

#[test]
fn a_dry_run_prints_the_request_and_sends_and_writes_nothing() {
    let api = DeskApi::start();
    let folder = Folder::new();
    for (remedy, rest, loss) in [
        ("--forget-email", "/personalinformation", "the conversations stay"),
        ("--delete-user", "", "ALL ITS CONVERSATIONS"),
    ] {
        let output = resolve(&api, &folder, &[EXTERNAL_ID, remedy, "--dry-run"]);
        let url = format!("{}{}", api.url(), users_path(&format!("/{USER}{rest}")));
        assert!(
            output.out.starts_with(&format!("Would send: DELETE {url}\nThis would permanently delete ")),
            "{}",
            output.out
        );
        assert!(output.out.contains(loss) && output.status == Some(0));
        let output = resolve(&api, &folder, &[EXTERNAL_ID, remedy, "--dry-run", "--json"]);
        let json: Value = serde_json::from_str(&output.out).unwrap();
        assert_eq!((&json["would_send"], &json["backup"]), (&json!(format!("DELETE {url}")), &json!(null)));
    }
    assert_eq!((api.count("DELETE"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
}

#[test]
fn on_a_terminal_it_asks_and_only_yes_confirms() {
    let api = DeskApi::start();
    let folder = Folder::new();
    if Command::new("script").arg("--version").output().is_err() {
        return skip("script (util-linux) gives no terminal here");
    }
    let own = command(&[], &[]);
    // Starts when the terminal has the input from before the question, which `script` may forward slowly.
    let line = format!(
        "bash -c 'until read -t 0; do sleep 0.05; done; exec {} conflict resolve {USER} --delete-user'",
        own.get_program().to_str().unwrap()
    );
    for (typed, status) in [("no\n", 1), ("y\n", 1), ("\n", 1), ("", 1), ("yes\n", 0)] {
        let settings = api.settings();
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"])
            .current_dir(folder.path(""));
        script.envs(settings.iter().map(|(key, value)| (crate::harness::variable(key), value.clone())));
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        // Input from before the question is not an answer to it.
        input.write_all(b"yes\n").unwrap();
        let (mut shown, mut chunk) = (String::new(), [0; 4096]);
        let question = "This will permanently delete the user and ALL ITS CONVERSATIONS. Type yes to continue: ";
        while !shown.ends_with(question) {
            let read = screen.read(&mut chunk).unwrap();
            assert!(read > 0, "{typed:?}: {shown}");
            shown += &String::from_utf8_lossy(&chunk[..read]);
        }
        input.write_all(typed.as_bytes()).unwrap();
        drop(input);
        screen.read_to_string(&mut shown).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{typed:?}: {shown}");
        assert_eq!(api.users().len(), usize::from(status == 1), "{typed:?}: {shown}");
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "declining saves no record");
}
