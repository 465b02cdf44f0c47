//! The settings form of `desk`: what it refuses, tries and writes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::client::Answer;
use crate::commands::run;
use crate::desk_api::{APP, CHAT_TOKEN, DeskApi, EMAIL, KEY_ID, KEY_SECRET};
use crate::desk_page::{Desk, NOW, desk, start};
use crate::reload::Folder;

/// The form with the keys of an API.
pub fn form(api: &DeskApi) -> Value {
    let (messaging, chat) = (format!(" {}/sc/ ", api.url()), format!("{}/api/v2/chat", api.url()));
    json!({
        "conversations": {"zendesk": messaging, "app_id": APP, "key_id": KEY_ID, "key_secret": KEY_SECRET, "brand_id": ""},
        "chat_api": {"zendesk": chat, "token": CHAT_TOKEN},
    })
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap().to_owned())
}

fn has_no_file(desk: &Desk) -> bool {
    fs::read_dir(desk.folder.path("")).unwrap().next().is_none()
}

#[test]
fn both_sections_are_tried_written_and_used_and_other_commands_take_the_file() {
    let api = DeskApi::start();
    let first = start(None);
    let state = first.get("state").json();
    assert_eq!((&state["conversations"], &state["chat_api"]), (&Value::Null, &Value::Null));
    let player = json!({"email": EMAIL, "expect": NOW});
    assert_eq!(first.post("find", &player).status, 422, "there is no key yet");
    assert_eq!((first.post("settings", &form(&api)).status, api.count("GET"), api.asked().len()), (204, 2, 2));
    assert_eq!(first.post("find", &player).json()["conflict"], true);
    assert_eq!(first.post("settings", &form(&api)).status, 409, "a file is never overwritten");
    let state = first.get("state").json();
    assert_eq!(state["conversations"]["url"], format!("{}/sc", api.url()));
    assert_eq!(state["chat_api"]["url"], format!("{}/api/v2/chat", api.url()));
    assert_eq!(first.post("visitor", &json!({"id": "9855790-xjj3ukxyIhn6j3"})).status, 200);
    let file = first.folder.path("desk.toml");
    let file = file.to_str().unwrap();
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let check = run(&["check", "--config", file], &[]);
    assert_eq!(check.status, Some(0), "{}", check.err);
    let mut command = desk(&["--listen", "127.0.0.1:0", "--config", file], &first.folder);
    let next = Desk::open(&mut command, Folder::new());
    assert_eq!(next.get("state").json()["conversations"], first.get("state").json()["conversations"]);
}

#[test]
fn a_wrong_value_is_shown_at_its_field_and_nothing_is_asked_or_written() {
    let api = DeskApi::start();
    let desk = start(None);
    for (field, value) in [
        ("conversations.zendesk", ""),
        ("conversations.zendesk", "acme zendesk"),
        ("conversations.app_id", ""),
        ("conversations.app_id", "?"),
        ("conversations.key_id", ""),
        ("conversations.key_id", "a b"),
        ("conversations.key_secret", ""),
        ("conversations.key_secret", "my-secret \"of\" Zendesk"),
        ("chat_api.zendesk", ""),
        ("chat_api.zendesk", "https://"),
        ("chat_api.token", ""),
        ("chat_api.token", "two words"),
    ] {
        let mut form = form(&api);
        let (section, name) = field.split_once('.').unwrap();
        form[section][name] = json!(value);
        let answer = desk.post("settings", &form);
        let fields: Vec<Value> =
            answer.json()["problems"].as_array().unwrap().iter().map(|problem| problem["field"].clone()).collect();
        assert_eq!((answer.status, fields), (422, vec![json!(field)]), "{value}: {answer:?}");
        let is_secret = ["key_secret", "token"].contains(&name) && !value.is_empty();
        assert!(!is_secret || !answer.body.contains(value.split(' ').next().unwrap()), "{answer:?}");
    }
    assert!(api.asked().is_empty() && has_no_file(&desk));
}

#[test]
fn keys_that_do_not_work_are_not_written() {
    let api = DeskApi::start();
    let desk = start(None);
    let empty = desk.post("settings", &json!({"conversations": null, "chat_api": null}));
    assert!(empty.status == 422 && empty.body.contains("the form is empty"), "{empty:?}");
    let wrong = "another-secret-of-zendesk-1234567890";
    for (field, value, fix) in [
        ("/conversations/key_secret", wrong, "check the key's ID and secret (conversations.key_id and key_secret)"),
        ("/conversations/app_id", "5d8cff3cd55b040010928b5c", "and the app's ID (conversations.app_id)"),
        ("/chat_api/token", wrong, "check the access token (chat_api.token)"),
    ] {
        let mut form = form(&api);
        *form.pointer_mut(field).unwrap() = json!(value);
        let (status, text) = error(&desk.post("settings", &form));
        assert!(status == 422 && text.contains(fix) && !text.contains(wrong), "{field}: {text}");
        let state = desk.get("state").json();
        assert!(has_no_file(&desk) && state["conversations"].is_null() && state["chat_api"].is_null(), "{field}");
    }
    // One of the two sections is enough.
    let mut form = form(&api);
    form["conversations"] = Value::Null;
    assert_eq!(desk.post("settings", &form).status, 204);
    let state = desk.get("state").json();
    assert!(state["conversations"].is_null() && state["chat_api"].is_object(), "{state}");
}

#[test]
fn a_file_that_came_after_the_start_is_not_overwritten_and_a_link_not_followed() {
    let api = DeskApi::start();
    let desk = start(None);
    let file = desk.folder.write("desk.toml", "precious");
    let meanwhile = "desk.toml was written in the meantime; stop the support desk and start it again".to_owned();
    assert_eq!(error(&desk.post("settings", &form(&api))), (409, meanwhile.clone()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    fs::remove_file(&file).unwrap();
    symlink(desk.folder.path("elsewhere"), &file).unwrap();
    assert_eq!(error(&desk.post("settings", &form(&api))), (409, meanwhile));
    assert!(!desk.folder.path("elsewhere").exists() && desk.get("state").json()["conversations"].is_null());
}
