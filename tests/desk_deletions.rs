//! What becomes of a deletion when the API fails, lies or is slow, and whether it is the one that Zendesk's own client asks for.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::any;
use serde_json::json;
use zendesk_token::config::desk::Place;
use zendesk_token::config::secret::Secret;
use zendesk_token::zendesk::desk_api::{Credentials, DeskApi as Client};

use crate::conflict::run;
use crate::desk_api::{APP, DeskApi, KEY_ID, KEY_SECRET, Step, USER, decoded};
use crate::desk_failures::{refusal, say};
use crate::harness::{command, skip};
use crate::inspect::CommandOutput;
use crate::properties::check;
use crate::reload::Folder;
use crate::stub::Reply;

fn resolve(api: &DeskApi, folder: &Folder, remedy: &str) -> CommandOutput {
    run(api, &folder.path(""), &["conflict", "resolve", USER, remedy, "--yes"], &[])
}

#[test]
fn a_deletion_is_asked_for_again_and_finding_nothing_then_is_done() {
    for (remedy, last) in
        [("--forget-email", "has no email any more"), ("--delete-user", "is gone, and its conversations")]
    {
        // Not done, or done and not told.
        for step in [say(502), Step::DoAndSay(Reply::HangUp), Step::DoAndSay(Reply::Answer(500, String::new()))] {
            let (api, folder) = (DeskApi::start(), Folder::new());
            api.then([Step::Do, Step::Do, step]);
            let told = resolve(&api, &folder, remedy);
            assert_eq!((told.status, api.count("DELETE")), (Some(0), 2), "{}", told.err);
            assert!(told.out.contains(last), "{}", told.out);
        }
        // The status says all of a deletion.
        for reply in [
            Reply::Answer(200, "<html>".to_owned()),
            Reply::Answer(204, String::new()),
            Reply::CutOff("{".to_owned()),
            Reply::Huge,
        ] {
            let (api, folder) = (DeskApi::start(), Folder::new());
            api.then([Step::Do, Step::Do, Step::DoAndSay(reply)]);
            let told = resolve(&api, &folder, remedy);
            assert_eq!((told.status, api.count("DELETE")), (Some(0), 1), "{}", told.err);
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
        let told = resolve(&api, &folder, "--delete-user");
        assert_eq!((told.status, api.count("DELETE"), told.out.as_str()), (Some(3), deletions, ""), "{reply:?}");
        assert!(told.err.contains("conflict show says whether anything was deleted"), "{}", told.err);
        let kept = fs::read_dir(folder.path("")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("{user}\n"));
        assert_eq!(api.users().len(), 1);
    }
}

#[test]
fn what_the_api_has_not_done_yet_is_told_and_not_called_done() {
    for remedy in ["--forget-email", "--delete-user"] {
        let (api, folder) = (DeskApi::start(), Folder::new());
        api.then([Step::Do, Step::Do, Step::Say(Reply::Answer(200, "{}".to_owned()))]);
        let seen = resolve(&api, &folder, remedy);
        assert_eq!((seen.status, seen.out.contains("is not done: user")), (Some(3), true), "{}{}", seen.out, seen.err);
    }
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.then([Step::Do, Step::Do, Step::Do, Step::Say(Reply::Answer(403, String::new()))]);
    let told = resolve(&api, &folder, "--forget-email");
    assert_eq!((told.status, told.out.as_str()), (Some(3), ""));
    assert!(told.err.contains("the API took the request; looking again failed: "), "{}", told.err);
    // A path that a gateway does not have is no user that is gone.
    let (api, folder) = (DeskApi::start(), Folder::new());
    let lost = || Step::Say(Reply::Answer(404, json!({"error": "InvalidEndpoint"}).to_string()));
    api.then([Step::Do, Step::Do, say(503), lost()]);
    let told = resolve(&api, &folder, "--delete-user");
    assert_eq!((told.status, told.out.as_str()), (Some(3), ""), "{}", told.err);
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.then([Step::Do, Step::Do, Step::Do, lost()]);
    assert_eq!(resolve(&api, &folder, "--delete-user").status, Some(3));
}

#[test]
fn a_stranger_is_never_taken_for_the_user() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    for user in [json!({"id": "8", "externalId": "another"}), json!({"id": ""}), json!({"externalId": USER}), json!([])]
    {
        api.then([Step::Say(Reply::Answer(200, json!({"user": user}).to_string()))]);
        let told = resolve(&api, &folder, "--delete-user");
        assert_eq!((told.status, told.out.as_str()), (Some(3), ""));
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
    // It was refused once, and will be sent again in a moment.
    crate::published_keys::until("refused", || api.count("DELETE") == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(folder.path("kept")).unwrap(), format!("{user}\n"));
    assert_eq!(api.users().len(), 1);
}

#[test]
fn every_id_arrives_as_it_is_and_as_one_segment() {
    let place = Place { url: "https://acme.zendesk.com/sc".to_owned(), authorities: None };
    let client = Client::new(&place, &Credentials::Bearer(&Secret::new(b"token".to_vec())), &[], |_| ()).unwrap();
    let encoded = |id: &str| {
        let url = client.address(&["v2", "users", id], &[]).ok()?;
        assert_eq!((url.host_str(), url.query(), url.fragment()), (Some("acme.zendesk.com"), None, None), "{id:?}");
        Some(url.path().strip_prefix("/sc/v2/users/")?.to_owned())
    };
    check(20_000, &any::<String>(), |id| {
        if ["", ".", ".."].contains(&id.as_str()) {
            assert_eq!(encoded(&id), None);
            return;
        }
        let segment = encoded(&id).unwrap();
        assert!(segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{segment}");
        assert_eq!(decoded(&segment).unwrap(), id);
    });
    for (id, segment) in [
        ("a/b", "a%2Fb"),
        ("a?b", "a%3Fb"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("a b", "a%20b"),
        ("é", "%C3%A9"),
        ("...", "..."),
        ("a\nb\tc", "a%0Ab%09c"),
        ("\\..\\", "%5C..%5C"),
        ("a;b", "a%3Bb"),
        ("+", "%2B"),
    ] {
        assert_eq!(encoded(id).as_deref(), Some(segment));
    }
    assert_eq!([encoded(""), encoded("."), encoded("..")], [None, None, None]);
}

#[test]
fn the_official_client_asks_for_the_same() {
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
            let told = run(&ours, &folder.path(""), &["conflict", "resolve", id, remedy, "--yes"], &[]);
            assert_eq!(told.status, Some(0), "{}", told.err);
            let base = format!("{}/sc", theirs.url());
            let client =
                Command::new(&python).arg(&script).args([&base, APP, KEY_ID, KEY_SECRET, method, id]).output().unwrap();
            assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
            assert_eq!(ours.users(), theirs.users());
            // We name the user by the API's own id, whatever we were called with.
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
