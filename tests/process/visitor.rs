//! `visitor show`.

use serde_json::json;

use crate::commands::CommandOutput;
use crate::conflict::run;
use crate::desk_api::{DeskApi, answer};

const ID: &str = "9855790.xjj3ukxyIhn6j3";
const SUB: &str = "82cd5e0c-9d6e-4e7c-8d0b-7f6f6d5a1a11";

fn show(api: &DeskApi, arguments: &[&str]) -> CommandOutput {
    run(api, &std::env::temp_dir(), &[&["visitor", "show"], arguments].concat(), &[])
}

#[test]
fn a_visitor_is_shown_by_either_id_with_its_link() {
    let api = DeskApi::start();
    for id in [ID, "9855790-xjj3ukxyIhn6j3"] {
        let output = show(&api, &[id, "--expect", SUB]);
        assert_eq!(output.status, Some(0), "{}", output.err);
        let fields = [
            format!("id           {ID}\n"),
            format!("external id  {SUB}\n"),
            "name         Sue\n".to_owned(),
            "email        sue@example.org\n".to_owned(),
            "created      2020-04-15T11:35:54Z\n".to_owned(),
            "banned       no\n".to_owned(),
            format!("\nLinked: the visitor is the player {SUB}.\n"),
        ];
        assert_eq!(output.out, fields.concat());
    }
    assert_eq!(api.asked(), ["GET /api/v2/chat/visitors/9855790-xjj3ukxyIhn6j3"; 2]);
    let other = show(&api, &[ID, "--expect", "another"]);
    assert_eq!(other.status, Some(1));
    assert!(other.out.ends_with(&format!("\nNot linked: the visitor is {SUB}, not another.\n")), "{}", other.out);
    let without_expect = show(&api, &[ID]);
    assert!(without_expect.status == Some(0) && !without_expect.out.contains("inked"), "{}", without_expect.out);
    let none = show(&api, &["1.a"]);
    let message = "no visitor of Chat has the id 1.a\n";
    assert_eq!((none.status, none.out.as_str(), none.err.as_str()), (Some(1), "", message));
    assert_eq!(show(&api, &[".."]).status, Some(1), "a dash replaces the dot");
    assert_eq!(show(&api, &[""]).err, "ID: is not an id (empty, '.' or '..')\n");
}

#[test]
fn as_json_it_has_the_fields_and_the_verdict() {
    let api = DeskApi::start();
    let expected = json!({
        "asked": ID, "id": ID, "external_id": SUB, "name": "Sue", "email": "sue@example.org", "phone": "", "created": "2020-04-15T11:35:54Z",
        "banned": false, "notes": "", "expect": null, "linked": null
    });
    assert_eq!(show(&api, &[ID, "--json"]).json(), expected);
    assert_eq!(show(&api, &[ID, "--json", "--expect", SUB]).json()["linked"], true);
    let other = show(&api, &[ID, "--json", "--expect", "another"]);
    assert_eq!((&other.json()["linked"], other.status), (&json!(false), Some(1)));
}

#[test]
fn chat_may_answer_with_another_visitor_of_the_account() {
    // The pair of Xsolla's article on Zendesk Chat.
    let asked = "9855790-xjj3u5xPWhW1Fv";
    let api = DeskApi::start();
    let visitor = || answer(200, &json!({"id": ID, "external_id": SUB}));
    api.then([visitor(), visitor()]);
    let output = show(&api, &[asked, "--expect", SUB]);
    assert_eq!(output.status, Some(0), "{}", output.err);
    let sentences = format!(
        "\nChat answered with another id than {asked}: it makes one visitor of those that share an external id.\n\n\
         Linked: the visitor is the player {SUB}.\n"
    );
    assert!(
        output.out.starts_with(&format!("id           {ID}\n")) && output.out.ends_with(&sentences),
        "{}",
        output.out
    );
    let json = show(&api, &[asked, "--json"]).json();
    assert_eq!((&json["asked"], &json["id"]), (&json!(asked), &json!(ID)));
}

#[test]
fn both_forms_of_id_and_created_are_read_and_fields_may_be_missing() {
    let api = DeskApi::start();
    let created = "2020-04-15T11:35:54Z";
    for (visitor, expected) in [
        (json!({"id": 9, "created": created, "external_id": SUB}), json!(["9", created, SUB])),
        (json!({"id": "9.a", "created": 1_586_950_554}), json!(["9.a", created, null])),
        (json!({"id": "9.a", "created": 1_586_950_554.5, "external_id": ""}), json!(["9.a", "1586950554.5", null])),
        (json!({"id": "9.a", "created": null, "external_id": null, "banned": null}), json!(["9.a", null, null])),
    ] {
        api.then([answer(200, &visitor)]);
        let output = show(&api, &["9.a", "--json", "--expect", SUB]);
        let json = output.json();
        assert_eq!(json!([json["id"], json["created"], json["external_id"]]), expected, "{visitor}");
        assert_eq!(output.status, Some(i32::from(expected[2] != SUB)));
    }
    api.then([answer(200, &json!({"id": "9.a"}))]);
    let output = show(&api, &["9.a", "--expect", SUB]).out;
    let last = format!("\nNot linked: the visitor never signed in, as {SUB} or anyone else.\n");
    assert!(output.ends_with(&last), "{output}");
    api.then([answer(200, &json!({"id": "9.a", "notes": "one\u{1b}[2J\ntwo"}))]);
    assert!(show(&api, &["9.a"]).out.contains("notes        one\\u{1b}[2J\\u{a}two\n"));
}

#[test]
fn failures_are_explained() {
    let api = DeskApi::start();
    let unexpected = "does not match its description";
    for (status, body, message) in [
        (401, json!({"error": "invalid_token"}), "status 401 (invalid_token); check the access token (chat_api.token)"),
        (
            404,
            json!("not an error object"),
            "the Chat API answered with status 404; check the address of your Zendesk (chat_api.subdomain",
        ),
        (200, json!({"id": [], "name": "x"}), unexpected),
        (200, json!({"id": ID, "banned": "no"}), unexpected),
        (200, json!({"id": "1.other", "external_id": SUB}), unexpected),
        (200, json!({"id": 1, "external_id": SUB}), unexpected),
        (
            404,
            json!({"error": "InvalidEndpoint"}),
            "status 404 (InvalidEndpoint); check the address of your Zendesk (chat_api.subdomain",
        ),
    ] {
        api.then([answer(status, &body)]);
        let failed = show(&api, &[ID]);
        assert_eq!((failed.status, failed.out.as_str()), (Some(3), ""));
        assert!(failed.err.contains(message), "{}", failed.err);
    }
}
