//! `conflict resolve`: nothing is deleted that was not shown, confirmed and kept.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::conflict::{conflict, run, users_path};
use crate::desk_api::{DeskApi, EXTERNAL_ID, Step, USER};
use crate::harness::{command, skip};
use crate::reload::Folder;
use crate::stub::Reply;

#[test]
fn resolve_keeps_the_record_then_deletes_then_looks_again() {
    let api = DeskApi::start();
    let (folder, user) = (Folder::new(), api.users()[0].clone());
    let told = run(&api, &folder.path(""), &["conflict", "resolve", EXTERNAL_ID, "--forget-email", "--yes"], &[]);
    assert_eq!(told.status, Some(0), "{}", told.err);
    assert_eq!(told.out, format!("Done: user {USER} has no email any more, and keeps its conversations.\n"));
    assert!(told.err.contains("email        sue@example.org (verification: sso)"), "it is shown first: {}", told.err);
    let id = users_path(&format!("/{USER}"));
    let expected = [
        format!("GET {}", users_path(&format!("/{EXTERNAL_ID}"))),
        format!("GET {id}"),
        format!("DELETE {id}/personalinformation"),
        format!("GET {id}"),
        format!("GET {}", users_path("?filter%5Bidentities.email%5D=sue%40example.org")),
    ];
    assert_eq!(api.asked(), expected, "by the API's own id, whatever it was called");
    let files: Vec<_> = fs::read_dir(folder.path("")).unwrap().map(|file| file.unwrap()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let name = file.file_name().into_string().unwrap();
    assert!(name.starts_with(&format!("zendesk-user-{USER}-20")) && name.ends_with("Z.json"), "{name}");
    assert!(told.err.contains(&format!("the user's record is in {name}")));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(serde_json::from_str::<Value>(&fs::read_to_string(file.path()).unwrap()).unwrap(), user);
    assert_eq!(api.users()[0]["identities"], json!([]));

    let arguments = ["conflict", "resolve", USER, "--delete-user", "--yes", "--json", "--backup", "kept.json"];
    let told = run(&api, &folder.path(""), &arguments, &[]);
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.status, &json["remedy"], &json["backup"]), (Some(0), &json!("delete-user"), &json!("kept.json")));
    assert_eq!((&json["now"], &json["is_free"], &json["user"]["id"]), (&json!(null), &json!(true), &json!(USER)));
    assert!(api.users().is_empty());
    let told = run(&api, &folder.path(""), &arguments, &[]);
    assert_eq!((told.status, told.out.as_str()), (Some(1), ""), "it is gone");
}

#[test]
fn the_record_is_kept_to_the_letter() {
    let api = DeskApi::start();
    let folder = Folder::new();
    let user = r#"{"id":"7","externalId":"e","identities":[],"n":1.50,"big":12345678901234567890123,"unknown" : {"b":1,"a":"\u00e9"}}"#;
    let shown = || Step::Say(Reply::Answer(200, format!(r#"{{"user":{user}}}"#)));
    api.then([shown(), shown()]);
    api.add(json!({"id": "7", "identities": []}));
    let told =
        run(&api, &folder.path(""), &["conflict", "resolve", "e", "--forget-email", "--yes", "--backup", "b"], &[]);
    assert_eq!(told.status, Some(0), "{}", told.err);
    assert_eq!(fs::read_to_string(folder.path("b")).unwrap(), format!("{user}\n"));
}

#[test]
fn nothing_is_deleted_without_a_record_a_terminal_or_a_remedy() {
    let api = DeskApi::start();
    let folder = Folder::new();
    let taken = folder.write("taken", "precious");
    std::os::unix::fs::symlink(folder.path("nowhere"), folder.path("link")).unwrap();
    for backup in ["taken", "link", "no/such/folder/file", "/dev/full", "."] {
        let arguments = ["conflict", "resolve", USER, "--delete-user", "--yes", "--backup", backup];
        let told = run(&api, &folder.path(""), &arguments, &[]);
        assert_eq!((told.status, told.out.as_str()), (Some(2), ""), "{backup}");
        assert!(
            told.err.contains(&format!("--backup: can't write {backup} (")) && told.err.contains("nothing was deleted")
        );
    }
    assert_eq!(fs::read_to_string(taken).unwrap(), "precious");
    assert!(!folder.path("nowhere").exists());
    let asked = api.asked().len();
    for (arguments, told) in [
        (&["--delete-user"][..], "there is no terminal to ask on; look at the user with conflict show, then add --yes"),
        (&["--yes"][..], "<--forget-email|--delete-user>"),
        (&["--yes", "--forget-email", "--delete-user"][..], "cannot be used with"),
    ] {
        let refused = conflict(&api, &[&["resolve", USER], arguments].concat());
        assert_eq!((refused.status, refused.err.contains(told)), (Some(2), true), "{}", refused.err);
    }
    assert_eq!(api.asked().len(), asked, "these ask for nothing at all");
    assert_eq!(api.count("DELETE"), 0);
}

#[test]
fn a_user_that_changes_before_the_deletion_is_left_alone() {
    let api = DeskApi::start();
    let folder = Folder::new();
    let mut other = api.users()[0].clone();
    other["externalId"] = json!("new-login-id");
    let mut moved = api.users()[0].clone();
    moved["identities"] = json!([]);
    for now in [json!({"user": other}), json!({"user": moved})] {
        let shown = Reply::Answer(200, json!({"user": api.users()[0]}).to_string());
        api.then([Step::Say(shown), Step::Say(Reply::Answer(200, now.to_string()))]);
        let told = run(&api, &folder.path(""), &["conflict", "resolve", USER, "--delete-user", "--yes"], &[]);
        assert_eq!((told.status, told.out.as_str()), (Some(1), ""));
        assert!(told.err.contains("the user has changed meanwhile, so nothing was deleted"), "{}", told.err);
    }
    assert_eq!((api.count("DELETE"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
}

#[test]
fn an_email_that_is_anothers_too_is_not_called_free() {
    let api = DeskApi::start();
    let folder = Folder::new();
    api.add(json!({"id": "8", "externalId": "x", "identities": [{"type": "email", "value": "sue@example.org"}]}));
    let told = run(&api, &folder.path(""), &["conflict", "resolve", USER, "--forget-email", "--yes"], &[]);
    assert!(
        told.out.contains("has no email any more") && told.out.contains("The email is user 8's too"),
        "{}",
        told.out
    );
    let told = run(&api, &folder.path(""), &["conflict", "resolve", "8", "--forget-email", "--yes", "--json"], &[]);
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.status, &json["is_free"], &json["still_have_it"]), (Some(0), &json!(true), &json!([])));
}

#[test]
fn a_dry_run_says_what_would_be_sent_and_sends_and_writes_nothing() {
    let api = DeskApi::start();
    let folder = Folder::new();
    for (remedy, rest, loss) in [
        ("--forget-email", "/personalinformation", "the conversations stay"),
        ("--delete-user", "", "ALL ITS CONVERSATIONS"),
    ] {
        let told = run(&api, &folder.path(""), &["conflict", "resolve", EXTERNAL_ID, remedy, "--dry-run"], &[]);
        let url = format!("{}{}", api.url(), users_path(&format!("/{USER}{rest}")));
        assert!(told.out.starts_with(&format!("Would send: DELETE {url}\nIt would delete ")), "{}", told.out);
        assert!(told.out.contains(loss) && told.status == Some(0));
        let told =
            run(&api, &folder.path(""), &["conflict", "resolve", EXTERNAL_ID, remedy, "--dry-run", "--json"], &[]);
        let json: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!((&json["would_send"], &json["backup"]), (&json!(format!("DELETE {url}")), &json!(null)));
    }
    assert_eq!((api.count("DELETE"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
}

#[test]
fn on_a_terminal_it_asks_and_only_yes_is_yes() {
    let api = DeskApi::start();
    let folder = Folder::new();
    if Command::new("script").arg("--version").output().is_err() {
        return skip("script (util-linux) gives no terminal here");
    }
    let own = command(&[], &[]);
    // Begins once the terminal has what is typed before the question: who hands it on may be slow.
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
        // What is typed before the question is no answer to it.
        input.write_all(b"yes\n").unwrap();
        let (mut told, mut chunk) = (String::new(), [0; 4096]);
        while !told.ends_with("This deletes the user and ALL ITS CONVERSATIONS, for good. Type yes to go on: ") {
            let read = screen.read(&mut chunk).unwrap();
            assert!(read > 0, "{typed:?}: {told}");
            told += &String::from_utf8_lossy(&chunk[..read]);
        }
        input.write_all(typed.as_bytes()).unwrap();
        drop(input);
        screen.read_to_string(&mut told).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{typed:?}: {told}");
        assert_eq!(api.users().len(), usize::from(status == 1), "{typed:?}: {told}");
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "who declines needs no record");
}
