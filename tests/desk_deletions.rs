//! Deletions when the API fails, sends wrong data or is slow, and compared with Zendesk's own client.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::conflict::run;
use crate::desk_api::{APP, DeskApi, KEY_ID, KEY_SECRET, Step, USER};
use crate::desk_failures::{refusal, say};
use crate::harness::{command, skip};
use crate::inspect::CommandOutput;
use crate::reload::Folder;
use crate::stub::Reply;

fn resolve(api: &DeskApi, folder: &Folder, remedy: &str) -> CommandOutput {
    run(api, &folder.path(""), &["conflict", "resolve", USER, remedy, "--yes"], &[])
}

#[test]
fn a_deletion_is_repeated_and_succeeds_if_the_repetition_finds_nothing() {
    for (remedy, last) in
        [("--forget-email", "has no email any more"), ("--delete-user", "and its conversations are deleted")]
    {
        // Failed, or succeeded without a response that says so.
        for step in [say(502), Step::DoAndSay(Reply::HangUp), Step::DoAndSay(Reply::Answer(500, String::new()))] {
            let (api, folder) = (DeskApi::start(), Folder::new());
            api.then([Step::Do, Step::Do, step]);
            let output = resolve(&api, &folder, remedy);
            assert_eq!((output.status, api.count("DELETE")), (Some(0), 2), "{}", output.err);
            assert!(output.out.contains(last), "{}", output.out);
        }
        // The status alone says whether a deletion succeeded.
        for reply in [
            Reply::Answer(200, "<html>".to_owned()),
            Reply::Answer(204, String::new()),
            Reply::CutOff("{".to_owned()),
            Reply::Huge,
        ] {
            let (api, folder) = (DeskApi::start(), Folder::new());
            api.then([Step::Do, Step::Do, Step::DoAndSay(reply)]);
            let output = resolve(&api, &folder, remedy);
            assert_eq!((output.status, api.count("DELETE")), (Some(0), 1), "{}", output.err);
        }
    }
}

#[test]
fn a_deletion_that_fails_says_so_and_leaves_the_record() {
    for (reply, deletions) in [
        (Reply::Answer(401, String::new()), 1),
        (Reply::Answer(403, String::new()), 1),
        (Reply::Answer(409, String::new()), 1),
        (Reply::Answer(404, refusal("user_not_found", "User not found")), 1),
        (Reply::Redirect("http://127.0.0.1:1/".to_owned()), 1),
    ] {
        let (api, folder) = (DeskApi::start(), Folder::new());
        let user = api.users()[0].to_string();
        api.then([Step::Do, Step::Do, Step::Say(reply.clone())]);
        let output = resolve(&api, &folder, "--delete-user");
        assert_eq!((output.status, api.count("DELETE"), output.out.as_str()), (Some(3), deletions, ""), "{reply:?}");
        assert!(output.err.contains("conflict show says whether anything was deleted"), "{}", output.err);
        let kept = fs::read_dir(folder.path("")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("{user}\n"));
        assert_eq!(api.users().len(), 1);
    }
}

#[test]
fn an_unfinished_deletion_is_reported_as_unfinished() {
    for remedy in ["--forget-email", "--delete-user"] {
        let (api, folder) = (DeskApi::start(), Folder::new());
        api.then([Step::Do, Step::Do, Step::Say(Reply::Answer(200, "{}".to_owned()))]);
        let seen = resolve(&api, &folder, remedy);
        assert_eq!(
            (seen.status, seen.out.contains("has not finished: check user")),
            (Some(3), true),
            "{}{}",
            seen.out,
            seen.err
        );
    }
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.then([Step::Do, Step::Do, Step::Do, Step::Say(Reply::Answer(403, String::new()))]);
    let output = resolve(&api, &folder, "--forget-email");
    assert_eq!((output.status, output.out.as_str()), (Some(3), ""));
    assert!(output.err.contains("the API accepted the request; checking the result failed: "), "{}", output.err);
    // A gateway's 404 does not mean that the user is deleted.
    let (api, folder) = (DeskApi::start(), Folder::new());
    let lost = || Step::Say(Reply::Answer(404, json!({"error": "InvalidEndpoint"}).to_string()));
    api.then([Step::Do, Step::Do, say(503), lost()]);
    let output = resolve(&api, &folder, "--delete-user");
    assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{}", output.err);
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.then([Step::Do, Step::Do, Step::Do, lost()]);
    assert_eq!(resolve(&api, &folder, "--delete-user").status, Some(3));
}

#[test]
fn another_user_is_never_taken_for_the_requested_one() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    for user in [json!({"id": "8", "externalId": "another"}), json!({"id": ""}), json!({"externalId": USER}), json!([])]
    {
        api.then([Step::Say(Reply::Answer(200, json!({"user": user}).to_string()))]);
        let output = resolve(&api, &folder, "--delete-user");
        assert_eq!((output.status, output.out.as_str()), (Some(3), ""));
    }
    for id in ["", ".", ".."] {
        api.then([Step::Say(Reply::Answer(200, json!({"user": {"id": id, "externalId": USER}}).to_string()))]);
        assert_eq!(resolve(&api, &folder, "--delete-user").status, Some(3));
    }
    assert_eq!((api.count("DELETE"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
}

#[test]
fn a_kill_before_the_deletion_is_done_leaves_a_record_and_a_user() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let user = api.users()[0].to_string();
    api.then([Step::Do, Step::Do, say(503)]);
    let settings = api.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut command = command(&["conflict", "resolve", USER, "--delete-user", "--yes", "--backup", "kept"], &settings);
    let mut child = command.current_dir(folder.path("")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The first attempt failed, and the next one follows in a moment.
    crate::published_keys::until("refused", || api.count("DELETE") == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(folder.path("kept")).unwrap(), format!("{user}\n"));
    assert_eq!(api.users().len(), 1);
}

#[test]
fn the_official_client_sends_the_same_requests() {
    let python = std::env::var("TESTS_VENV").unwrap_or_else(|_| "target/tests-venv".to_owned()) + "/bin/python";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(python);
    if !Command::new(&python)
        .args(["-c", "import sunshine_conversations_client"])
        .output()
        .is_ok_and(|ran| ran.status.success())
    {
        return skip("sunshine-conversations-client (PyPI); tests/all installs it");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/conversations.py");
    let ids = [USER, "a/b?c=%2F d#é+;.", "your-own-id"];
    for (method, remedy) in [("delete_user_personal_information", "--forget-email"), ("delete_user", "--delete-user")] {
        for id in ids {
            let (ours, theirs, folder) = (DeskApi::start(), DeskApi::start(), Folder::new());
            let added = json!({"id": "a/b?c=%2F d#é+;.", "identities": []});
            ours.add(added.clone());
            theirs.add(added);
            let output = run(&ours, &folder.path(""), &["conflict", "resolve", id, remedy, "--yes"], &[]);
            assert_eq!(output.status, Some(0), "{}", output.err);
            let base = format!("{}/sc", theirs.url());
            let client =
                Command::new(&python).arg(&script).args([&base, APP, KEY_ID, KEY_SECRET, method, id]).output().unwrap();
            assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
            assert_eq!(ours.users(), theirs.users());
            // Ours always uses the API's own id.
            let own = if id == "your-own-id" { USER } else { id };
            let deletion = |api: &DeskApi| {
                let asked = api.all().into_iter().find(|asked| asked.method == "DELETE").unwrap();
                let target = asked.target.replace("/your-own-id", &format!("/{own}"));
                (target, asked.header("authorization").unwrap().to_owned())
            };
            assert_eq!(deletion(&ours), deletion(&theirs));
        }
    }
}
