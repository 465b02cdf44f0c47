//! `conflict resolve --merge-into`: which users it merges, what it says, and how it ends when the API fails half way.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::commands::CommandOutput;
use crate::conflict::{run, with_official_client};
use crate::desk_api::{APP, DeskApi, EMAIL, EXTERNAL_ID, Step, USER, answer, failure};
use crate::desk_failures::{has_terminal, on_terminal};
use crate::harness::command;
use crate::reload::Folder;
use crate::stub::Reply;

const BRAND: &str = "9477922990333";
const NOW: &str = "new-login-id";

/// The player's present user, with or without an email.
fn present(email: Option<&str>) -> Value {
    let identities = email.map(|email| json!({"type": "email", "value": email, "verification": "sso"}));
    json!({"id": "8", "externalId": NOW, "brandId": BRAND, "authenticated": true, "identities": identities.as_slice(), "profile": {}})
}

fn merge(api: &DeskApi, folder: &Folder, arguments: &[&str]) -> CommandOutput {
    run(api, &folder.path(""), &[&["conflict", "resolve", USER, "--merge-into"], arguments].concat(), &[])
}

/// An API where the player has a user for the new login id too.
fn api_with_both() -> DeskApi {
    let api = DeskApi::start();
    api.add(present(None));
    api.add_conversations(USER, 3);
    api.add_conversations("8", 2);
    api
}

fn paths(api: &DeskApi) -> Vec<String> {
    let users = format!("/sc/v2/apps/{APP}/users");
    api.asked().iter().map(|request| request.replace(&users, "…").replace(&format!("?brandId={BRAND}"), "")).collect()
}

#[test]
fn merge_saves_the_record_then_moves_everything_then_checks_the_result() {
    let (api, folder) = (api_with_both(), Folder::new());
    let old = api.users()[0].clone();
    let output = merge(&api, &folder, &[NOW, "--yes"]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    let done = format!("Done: user {USER} is merged into user 8.\n");
    assert!(output.out.starts_with(&done) && output.out.contains("stand-in"), "{}", output.out);
    for shown in ["external id  your-own-id", "is merged into\n\nid           8\nexternal id  new-login-id", "stand-in"]
    {
        assert!(output.err.contains(shown), "{shown}: {}", output.err);
    }
    let expected = [
        format!("GET …/{USER}"),
        format!("GET …/{NOW}"),
        format!("GET …/{USER}"),
        "GET …/8".to_owned(),
        format!("POST /sc/v1.1/apps/{APP}/appusers/merge"),
        format!("GET …/{USER}"),
        "GET …/8".to_owned(),
        "GET …?filter%5Bidentities.email%5D=sue%40example.org".to_owned(),
    ];
    assert_eq!(paths(&api), expected);
    let sent = api.all().into_iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(sent.body, format!(r#"{{"discarded":{{"_id":"{USER}"}},"surviving":{{"_id":"8"}}}}"#));
    assert_eq!((api.conversations("8"), api.conversations(USER), api.users().len()), (5, 0, 1));
    assert_eq!((&api.users()[0]["externalId"], &api.users()[0]["identities"]), (&json!(NOW), &old["identities"]));
    let record = fs::read_dir(folder.path("")).unwrap().next().unwrap().unwrap().path();
    let record: Value = serde_json::from_str(&fs::read_to_string(record).unwrap()).unwrap();
    assert_eq!(record, json!([old, present(None)]), "both users change");
    let output = run(&api, &folder.path(""), &["conflict", "find", "--email", EMAIL, "--expect", NOW], &[]);
    assert!(output.out.contains("No conflict"), "{}", output.out);
}

#[test]
fn a_user_for_the_new_login_id_is_created_first() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.add_conversations(USER, 3);
    let output = merge(&api, &folder, &[NOW, "--yes", "--json", "--backup", "kept"]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    let json = output.json();
    let survivor = &json["merged_into"];
    assert_eq!((&json["remedy"], &json["now"], &json["is_free"]), (&json!("merge-into"), &json!(null), &json!(true)));
    assert_eq!((&json["created"], &json["user"]["id"], &json["backup"]), (&json!(true), &json!(USER), &json!("kept")));
    assert_eq!((&survivor["external_id"], &survivor["brand_id"]), (&json!(NOW), &json!(BRAND)));
    assert_eq!(survivor["identities"], json!([{"type": "email", "value": EMAIL, "verification": "sso"}]));
    assert_eq!(api.conversations(survivor["id"].as_str().unwrap()), 3);
    let record: Value = serde_json::from_str(&fs::read_to_string(folder.path("kept")).unwrap()).unwrap();
    assert_eq!(record["externalId"], EXTERNAL_ID);
    let created = api.all().into_iter().find(|request| request.target.ends_with("/users")).unwrap();
    assert_eq!(created.body, format!(r#"{{"externalId":"{NOW}","brandId":"{BRAND}"}}"#), "in the old user's brand");
    assert!(
        output.err.contains("created user")
            && output.err.contains("Warning: No user has the login id new-login-id yet. Compare it"),
        "{}",
        output.err
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    for (api, created, count) in [(DeskApi::start(), true, 2), (api_with_both(), false, 1)] {
        let folder = Folder::new();
        let before = api.users();
        let output = merge(&api, &folder, &[NOW, "--dry-run", "--json"]).json();
        let sent = output["would_send"].as_str().unwrap();
        assert_eq!((sent.matches("POST ").count(), &output["created"]), (count, &json!(created)), "{sent}");
        assert!(sent.ends_with("/appusers/merge") && (sent.contains("/users, then POST ") == created), "{sent}");
        let text = merge(&api, &folder, &[NOW, "--dry-run"]).out;
        assert!(
            text.starts_with("Would send: POST http") && text.contains("This would move the conversations"),
            "{text}"
        );
        assert_eq!((api.count("POST"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
        assert_eq!(api.users(), before);
    }
}

#[test]
fn a_user_is_not_merged_into_itself_or_into_another_brand() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let mut foreign = present(None);
    foreign["brandId"] = json!("1");
    api.add(foreign);
    let unbranded = json!({"id": "9", "externalId": "no-brand", "identities": []});
    api.add(unbranded);
    for (into, message) in [
        (USER, "--merge-into: is that of the old user (upper and lower case do not count)"),
        (EXTERNAL_ID, "--merge-into: is that of the old user"),
        ("Your-Own-ID", "--merge-into: is that of the old user"),
        ("your-own-id ", "--merge-into: begins or ends with a space; copy it again"),
        ("8", "--merge-into: is the id of a user, but not the login id (external id) of one"),
        (
            "NO-brand",
            "--merge-into: differs from the user's login id in upper and lower case; give it as the user has it",
        ),
        ("no-brand", "--merge-into: is of a user of another brand; only users of one brand can be merged"),
        (".", "--merge-into: is not an id"),
        ("", "--merge-into: is not an id"),
    ] {
        let output = merge(&api, &folder, &[into, "--yes"]);
        assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{into}: {}", output.err);
        assert!(output.err.contains(message), "{message}: {}", output.err);
    }
    assert_eq!((api.count("POST"), fs::read_dir(folder.path("")).unwrap().count()), (0, 0));
}

#[test]
fn a_user_of_another_brand_with_the_login_id_is_pointed_out_and_not_touched() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    let mut foreign = present(None);
    foreign["brandId"] = json!("1");
    api.add(foreign.clone());
    let output = merge(&api, &folder, &[NOW, "--yes", "--json"]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    assert!(
        output.err.contains("User 8 of another brand has the login id new-login-id. It is not touched"),
        "{}",
        output.err
    );
    let json = output.json();
    assert_eq!((&json["created"], &json["merged_into"]["brand_id"]), (&json!(true), &json!(BRAND)));
    assert!(api.users().contains(&foreign), "{:?}", api.users());
}

#[test]
fn different_emails_of_two_users_that_signed_in_are_pointed_out() {
    let warning = "have signed in with different emails: sue@example.org and ann@example.org";
    let mut anonymous = present(Some("ann@example.org"));
    anonymous["authenticated"] = json!(false);
    for (user, is_warned) in [
        (present(Some("ann@example.org")), true),
        (present(Some("SUE@example.org")), false),
        (present(None), false),
        (anonymous, false),
    ] {
        let (api, folder) = (DeskApi::start(), Folder::new());
        api.add(user.clone());
        let output = merge(&api, &folder, &[NOW, "--dry-run", "--json"]);
        assert_eq!(output.err.contains(warning), is_warned, "{user}: {}", output.err);
        assert_eq!(output.json()["warnings"].to_string().contains(warning), is_warned, "{user}");
    }
}

/// Merges; the API handles the requests after the first `count` with these steps.
fn merge_with(api: &DeskApi, folder: &Folder, count: usize, steps: Vec<Step>) -> CommandOutput {
    api.then((0..count).map(|_| Step::Do).chain(steps));
    merge(api, folder, &[NOW, "--yes"])
}

#[test]
fn a_merge_whose_response_is_lost_is_done() {
    for step in [
        failure(502),
        Step::DoAndSay(Reply::HangUp),
        Step::DoAndSay(Reply::Answer(500, String::new())),
        Step::DoAndSay(Reply::Answer(200, "<html>".to_owned())),
        Step::DoAndSay(Reply::Answer(204, String::new())),
        Step::DoAndSay(Reply::CutOff("{".to_owned())),
    ] {
        let (api, folder) = (api_with_both(), Folder::new());
        let output = merge_with(&api, &folder, 4, vec![step]);
        assert_eq!((output.status, api.conversations("8")), (Some(0), 5), "{}", output.err);
        assert!(output.out.starts_with("Done: "), "{}", output.out);
    }
}

#[test]
fn a_creation_whose_response_is_lost_is_used() {
    for step in [Step::DoAndSay(Reply::HangUp), Step::DoAndSay(Reply::Answer(503, String::new())), failure(500)] {
        let (api, folder) = (DeskApi::start(), Folder::new());
        let output = merge_with(&api, &folder, 4, vec![step]);
        assert_eq!((output.status, api.users().len()), (Some(0), 1), "{}", output.err);
        assert_eq!(api.users()[0]["externalId"], NOW);
    }
}

#[test]
fn a_third_user_with_the_email_is_still_in_the_way_if_it_signed_in() {
    let third = |external_id: Value| json!({"id": "9", "externalId": external_id, "identities": [{"type": "email", "value": EMAIL}]});
    let not_finished = format!(
        "Not finished: user 9 with the login id third has the email too, so Messaging still refuses the player. Done so far: user {USER}"
    );
    let done = format!("Done: user {USER} is merged into user 8.\n");
    for (external_id, status, start) in [(json!("third"), 3, &not_finished), (Value::Null, 0, &done)] {
        let (api, folder) = (api_with_both(), Folder::new());
        api.add(third(external_id));
        let output = merge(&api, &folder, &[NOW, "--yes"]);
        assert_eq!(output.status, Some(status), "{}", output.err);
        assert!(
            output.out.starts_with(start) && output.out.ends_with("\nUser 9 has the email too.\n"),
            "{}",
            output.out
        );
    }
}

#[test]
fn each_email_of_the_old_user_is_looked_up() {
    let (api, folder) = (api_with_both(), Folder::new());
    let emails = (0..50).map(|number| json!({"type": "email", "value": format!("{number}@example.org")}));
    api.add(json!({"id": "9", "externalId": "many", "brandId": BRAND, "identities": emails.collect::<Vec<_>>()}));
    let output = run(&api, &folder.path(""), &["conflict", "resolve", "9", "--merge-into", NOW, "--yes"], &[]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    assert_eq!(api.asked().iter().filter(|request| request.contains("identities.email")).count(), 50);
}

#[test]
fn a_failed_merge_says_what_was_done() {
    let refused = || answer(403, &json!({"error": {"code": "forbidden", "description": "Not this key"}}));
    let gone = || answer(404, &json!({"error": {"code": "user_not_found", "description": "User not found"}}));
    for (has_present, before, steps, messages) in [
        (true, 4, vec![refused()], &["403 (forbidden: Not this key)", "; the users were not merged\n"][..]),
        (true, 4, vec![gone()], &["has no such user; the users were not merged\n"]),
        (true, 4, vec![refused(), refused()], &["whether the users were merged is not known: look at them again"]),
        (true, 4, vec![Step::Do, refused()], &["the API accepted the request; checking the result failed"]),
        (false, 5, vec![refused()], &["; the users were not merged; user ", " was created\n"]),
        (false, 4, vec![refused()], &["the users were not merged; whether the new user was created is not known"]),
    ] {
        let (api, folder) = (if has_present { api_with_both() } else { DeskApi::start() }, Folder::new());
        let output = merge_with(&api, &folder, before, steps);
        assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{messages:?}: {}", output.err);
        assert!(messages.iter().all(|message| output.err.contains(message)), "{messages:?}: {}", output.err);
        assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "the record stays");
    }
}

#[test]
fn an_unfinished_merge_is_reported_as_unfinished() {
    let (api, folder) = (api_with_both(), Folder::new());
    let output = merge_with(&api, &folder, 4, vec![answer(200, &json!({}))]);
    assert_eq!(output.status, Some(3), "{}", output.err);
    assert!(output.out.contains("has not finished: look at user"), "{}", output.out);
    // The API may answer for the merged user with the one that it was merged into.
    let (api, folder) = (api_with_both(), Folder::new());
    let output = merge_with(&api, &folder, 4, vec![Step::Do, answer(200, &json!({"user": present(Some(EMAIL))}))]);
    assert!(output.status == Some(0) && output.out.starts_with("Done: "), "{}{}", output.out, output.err);
    let (api, folder) = (api_with_both(), Folder::new());
    let no_user = answer(404, &json!({"errors": [{"code": "user_not_found"}]}));
    let output = merge_with(&api, &folder, 4, vec![Step::Do, Step::Do, no_user]);
    assert_eq!(output.status, Some(3), "{}", output.err);
    assert!(output.out.contains("the user that it was merged into is not there"), "{}", output.out);
    // The player would be refused if the present user lost the login id.
    let (api, folder) = (api_with_both(), Folder::new());
    let mut other = present(Some(EMAIL));
    other["externalId"] = json!(EXTERNAL_ID);
    let output = merge_with(&api, &folder, 4, vec![Step::Do, Step::Do, answer(200, &json!({"user": other}))]);
    assert_eq!(output.status, Some(3), "{}", output.err);
    assert!(output.out.contains("does not have both its email and the player's login id"), "{}", output.out);
}

#[test]
fn a_user_that_is_gone_is_not_taken_for_a_merged_one() {
    // Somebody deletes the old user at the same moment.
    let gone = || answer(404, &json!({"errors": [{"code": "user_not_found", "title": "User not found"}]}));
    let (api, folder) = (api_with_both(), Folder::new());
    let output = merge_with(&api, &folder, 4, vec![gone(), gone()]);
    assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{}", output.err);
    assert!(output.err.contains("whether the users were merged is not known"), "{}", output.err);
    // The answer is a refusal, so that nothing shows why the user is gone.
    let (api, folder) = (api_with_both(), Folder::new());
    let refused = Step::DoAndSay(Reply::Answer(400, String::new()));
    let output = merge_with(&api, &folder, 4, vec![refused]);
    assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{}", output.err);
    // Both have the email, so that it proves nothing.
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.add(present(Some(EMAIL)));
    let output = merge_with(&api, &folder, 4, vec![gone(), gone()]);
    assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{}", output.err);
    // A page of a proxy does not show that the user is gone.
    let (api, folder) = (api_with_both(), Folder::new());
    let page = Step::Say(Reply::Answer(200, "<html>".to_owned()));
    let output = merge_with(&api, &folder, 4, vec![answer(403, &json!({})), page]);
    assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{}", output.err);
    assert!(output.err.contains("whether the users were merged is not known"), "{}", output.err);
    // The API says that it merged, but the email has not arrived.
    let (api, folder) = (api_with_both(), Folder::new());
    let output = merge_with(&api, &folder, 4, vec![answer(200, &json!({})), gone()]);
    assert_eq!(output.status, Some(3), "{}", output.err);
    assert!(
        output.out.contains("is gone, but user 8 does not have both its email and the player's login id: look again"),
        "{}",
        output.out
    );
}

#[test]
fn a_new_user_of_another_brand_is_not_merged_into() {
    let (api, folder) = (DeskApi::start(), Folder::new());
    api.add(json!({"id": "7", "externalId": "x", "brandId": null, "identities": []}));
    let brand = [("conversations.brand_id", "b1")];
    let arguments = ["conflict", "resolve", "7", "--merge-into", NOW, "--yes"];
    let output = run(&api, &folder.path(""), &arguments, &brand);
    assert_eq!((output.status, output.out.as_str()), (Some(3), ""), "{}", output.err);
    assert!(output.err.contains("the new user is of another brand; the users were not merged"), "{}", output.err);
    assert!(!api.asked().iter().any(|request| request.contains("merge")));
}

#[test]
fn users_that_change_before_the_merge_are_not_merged() {
    let mut changed = present(None);
    changed["identities"] = json!([{"type": "email", "value": "new@example.org"}]);
    // The player signs in between the look and the creation: that user was never shown.
    let exists = answer(409, &json!({"errors": [{"code": "conflict", "title": "User already exists"}]}));
    for (api, before, steps) in [
        (api_with_both(), 3, vec![answer(200, &json!({"user": changed}))]),
        (DeskApi::start(), 4, vec![exists, answer(200, &json!({"user": changed}))]),
    ] {
        let folder = Folder::new();
        let output = merge_with(&api, &folder, before, steps);
        assert_eq!((output.status, output.out.as_str()), (Some(1), ""), "{}", output.err);
        assert!(output.err.contains("the user has changed in the meantime"), "{}", output.err);
        assert!(!api.asked().iter().any(|request| request.contains("merge")));
    }
}

#[test]
fn find_counts_conversations_over_all_pages() {
    let api = DeskApi::start();
    api.add_conversations("another", 1);
    for (count, pages) in [(0, 1), (1, 1), (100, 1), (101, 2), (250, 3)] {
        let api = DeskApi::start();
        api.add_conversations("another", 1);
        api.add_conversations(USER, count);
        let find = |more: &[&str]| {
            run(&api, &std::env::temp_dir(), &[&["conflict", "find", "--email", EMAIL, "--count"], more].concat(), &[])
        };
        let json = find(&["--json"]).json();
        assert_eq!(json["users"][0]["conversations"], count);
        assert_eq!(api.asked().len(), 1 + pages);
        let output = find(&[]);
        assert!(output.out.contains(&format!("conversations  {count}\n")), "{}", output.out);
        assert_eq!(output.out.contains("last message   2025-"), count > 0, "{}", output.out);
        assert_eq!((output.status, output.err.as_str()), (Some(0), ""), "no progress without a terminal");
    }
    let list =
        |meta: Value, links: Value| answer(200, &json!({"conversations": [{"id": "c"}], "meta": meta, "links": links}));
    // A link alone gives the cursor, and is never followed to another host.
    let next = json!({"next": "https://elsewhere.example/?page[after]=c%2F1&x=y"});
    api.then([Step::Do, list(json!({"hasMore": true}), next), list(json!({"hasMore": false}), json!({}))]);
    let output = run(&api, &std::env::temp_dir(), &["conflict", "find", "--email", EMAIL, "--count", "--json"], &[]);
    assert_eq!(output.json()["users"][0]["conversations"], 2, "{}", output.err);
    assert!(api.asked()[2].ends_with("page%5Bafter%5D=c%2F1"), "{:?}", api.asked());
    // A cursor that leads to the same page again ends the list.
    let same = || list(json!({"hasMore": true, "afterCursor": "c"}), json!({}));
    for (arguments, count) in [(&["--json"][..], "\"conversations\": 2,\n      \"more\": true"), (&[], "more than 2\n")]
    {
        let api = DeskApi::start();
        api.then([Step::Do, same(), same(), same()]);
        let find = [&["conflict", "find", "--email", EMAIL, "--count"], arguments].concat();
        let output = run(&api, &std::env::temp_dir(), &find, &[]);
        assert!(output.out.contains(count) && api.asked().len() == 3, "{}", output.out);
    }
}

#[test]
fn the_official_clients_send_the_same_creation_and_merge() {
    let (ours, theirs) = (DeskApi::start(), DeskApi::start());
    // The clients are older than brands.
    let old = json!({"id": "7", "externalId": "x", "brandId": null, "identities": [], "profile": {"givenName": "Ann"}});
    ours.add(old.clone());
    theirs.add(old);
    let folder = Folder::new();
    let output = run(&ours, &folder.path(""), &["conflict", "resolve", "7", "--merge-into", NOW, "--yes"], &[]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    let created = ours.users()[1]["id"].as_str().unwrap().to_owned();
    if !with_official_client(&theirs, "create_user", &[NOW]) {
        return;
    }
    with_official_client(&theirs, "merge_users", &[&created, "7"]);
    assert_eq!(ours.users(), theirs.users());
    let posts = |api: &DeskApi| {
        let posts = api.all().into_iter().filter(|request| request.method == "POST");
        let parts = posts.map(|request| {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            (request.target.clone(), request.header("authorization").unwrap().to_owned(), body)
        });
        parts.collect::<Vec<_>>()
    };
    assert_eq!(posts(&ours), posts(&theirs));
}

#[test]
fn a_long_list_shows_progress_on_a_terminal() {
    if !has_terminal() {
        return;
    }
    let api = DeskApi::start();
    api.add_conversations(USER, 250);
    let own = command(&[], &[]);
    let program = own.get_program().to_str().unwrap();
    let line = format!("{program} conflict find --email {EMAIL} --count");
    let output = CommandOutput::from(on_terminal(&api, &line).stdin(Stdio::null()).output().unwrap()).out;
    let progress = format!("counting the conversations of user {USER}: ");
    for shown in [format!("\r\u{1b}[K{progress}100\r\u{1b}[K{progress}200\r\u{1b}[K"), "conversations  250".to_owned()]
    {
        assert!(output.contains(&shown), "{output:?}");
    }
}
