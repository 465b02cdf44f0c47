//! `visitor show`.

use serde_json::{Value, json};

use crate::conflict::run;
use crate::desk_api::{DeskApi, Step};
use crate::inspect::CommandOutput;
use crate::stub::Reply;

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
    let unasked = show(&api, &[ID]);
    assert!(unasked.status == Some(0) && !unasked.out.contains("inked"), "{}", unasked.out);
    let nobody = show(&api, &["1.a"]);
    assert_eq!(
        (nobody.status, nobody.out.as_str(), nobody.err.as_str()),
        (Some(1), "", "no visitor of Chat has the id 1.a\n")
    );
    assert_eq!(show(&api, &[".."]).status, Some(1), "a dash replaces the dot");
    assert_eq!(show(&api, &[""]).err, "ID: is not an id (empty, '.' or '..')\n");
}

#[test]
fn as_json_it_has_the_fields_and_the_verdict() {
    let api = DeskApi::start();
    let json = |output: &CommandOutput| serde_json::from_str::<Value>(&output.out).unwrap();
    let expected = json!({
        "id": ID, "external_id": SUB, "name": "Sue", "email": "sue@example.org", "phone": "", "created": "2020-04-15T11:35:54Z",
        "banned": false, "notes": "", "expect": null, "linked": null
    });
    assert_eq!(json(&show(&api, &[ID, "--json"])), expected);
    assert_eq!(json(&show(&api, &[ID, "--json", "--expect", SUB]))["linked"], true);
    let other = show(&api, &[ID, "--json", "--expect", "another"]);
    assert_eq!((&json(&other)["linked"], other.status), (&json!(false), Some(1)));
}

#[test]
fn both_forms_of_id_and_created_are_read_and_fields_may_be_missing() {
    let api = DeskApi::start();
    for (visitor, id, created, external_id) in [
        (
            json!({"id": 9, "created": "2020-04-15T11:35:54Z", "external_id": SUB}),
            "9",
            json!("2020-04-15T11:35:54Z"),
            json!(SUB),
        ),
        (json!({"id": "9.a", "created": 1_586_950_554}), "9.a", json!("2020-04-15T11:35:54Z"), json!(null)),
        (
            json!({"id": "9.a", "created": 1_586_950_554.5, "external_id": ""}),
            "9.a",
            json!("1586950554.5"),
            json!(null),
        ),
        (json!({"id": "9.a", "created": null, "external_id": null, "banned": null}), "9.a", json!(null), json!(null)),
    ] {
        api.then([Step::Say(Reply::Answer(200, visitor.to_string()))]);
        let output = show(&api, &["9.a", "--json", "--expect", SUB]);
        let json: Value = serde_json::from_str(&output.out).unwrap();
        assert_eq!(
            (&json["id"], &json["created"], &json["external_id"]),
            (&json!(id), &created, &external_id),
            "{visitor}"
        );
        assert_eq!(output.status, Some(i32::from(external_id != SUB)));
    }
    api.then([Step::Say(Reply::Answer(200, json!({"id": "9.a"}).to_string()))]);
    let output = show(&api, &["9.a", "--expect", SUB]);
    assert!(
        output.out.ends_with(&format!("\nNot linked: the visitor never signed in, as {SUB} or anyone else.\n")),
        "{}",
        output.out
    );
    api.then([Step::Say(Reply::Answer(200, json!({"id": "9.a", "notes": "one\u{1b}[2J\ntwo"}).to_string()))]);
    assert!(show(&api, &["9.a"]).out.contains("notes        one\\u{1b}[2J\\u{a}two\n"));
}

#[test]
fn failures_are_explained() {
    let api = DeskApi::start();
    let unexpected = "does not match its description";
    for (status, body, message) in [
        (401, json!({"error": "invalid_token"}), "status 401 (invalid_token); check chat_api.token, and"),
        (404, json!("not an error object"), "the Chat API answered with status 404; check chat_api.subdomain"),
        (200, json!({"id": [], "name": "x"}), unexpected),
        (200, json!({"id": ID, "banned": "no"}), unexpected),
        (200, json!({"id": "1.other", "external_id": SUB}), unexpected),
        (200, json!({"id": 1, "external_id": SUB}), unexpected),
        (404, json!({"error": "InvalidEndpoint"}), "status 404 (InvalidEndpoint); check chat_api.subdomain"),
    ] {
        api.then([Step::Say(Reply::Answer(status, body.to_string()))]);
        let failed = show(&api, &[ID]);
        assert_eq!((failed.status, failed.out.as_str()), (Some(3), ""));
        assert!(failed.err.contains(message), "{}", failed.err);
    }
}
