//! All answers of `desk`: their headers and errors, no secret in them; and its start and end.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::client::{Answer, send};
use crate::desk_api::{CHAT_TOKEN, DeskApi, EMAIL, KEY_ID, KEY_SECRET, Step, USER, answer, error, failure};
use crate::desk_form::form;
use crate::desk_page::{Desk, NOW, PATHS, desk, printed, start};
use crate::harness::{Process, command};
use crate::login_tokens::{LoginToken, SUB};
use crate::published_keys::until;
use crate::reload::Folder;
use crate::stub::Reply;

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn posts() -> impl Iterator<Item = &'static str> {
    PATHS.into_iter().filter(|(method, _)| *method == "POST").map(|(_, path)| path)
}

/// Status and sentence of a refusal, which has nothing else.
fn refusal(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"), "{answer:?}");
    assert_eq!(json.as_object().unwrap().len(), 1, "{answer:?}");
    (answer.status, json["error"].as_str().unwrap().to_owned())
}

/// A refusal by the API that takes three seconds off the next attempt.
fn busy() -> Step {
    Step::Say(Reply::With(503, "Retry-After: 3\r\n".to_owned(), error("busy", "Busy").to_string()))
}

#[test]
fn a_post_of_a_type_that_a_form_can_send_is_refused() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    let plan = desk.plan("delete-user");
    let asked = api.asked().len();
    let body = json!({"plan": plan["plan"], "confirmation": "delete", "user": USER, "email": EMAIL, "expect": NOW});
    for path in posts() {
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
            let answer = desk.posting(path).header("Content-Type", media_type).body(body.to_string()).send();
            let expected = (415, "the request is not the page's; load the page again".to_owned());
            assert_eq!(refusal(&answer), expected, "{path} {media_type}");
        }
        assert_eq!(refusal(&desk.posting(path).body(body.to_string()).send()).0, 415, "{path}");
    }
    assert_eq!((api.asked().len(), desk.get("jobs/0").status), (asked, 404));
    // Of the page's own type, the same body is accepted.
    assert_eq!(desk.post("resolve", &body).status, 202);
    assert_eq!(desk.ended(&plan)["outcome"]["done"], true);
}

#[test]
fn all_refusals_have_a_sentence_and_the_headers() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    let bare = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", desk.address);
    let huge = json!({"token": "x".repeat(65_536)});
    let method = desk.request("DELETE", "records/0").header("Cookie", &desk.cookie).send();
    assert_eq!(method.header("allow").as_deref(), Some("GET,HEAD"));
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                  form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
    for (status, text, answer) in [
        (
            400,
            "the request is not the page's; load the page again",
            desk.posting("find").header(JSON.0, JSON.1).body("{").send(),
        ),
        (403, "only for the support desk's own page", desk.request("POST", "find").body("{}").send()),
        (404, "there is no record of this plan; look again", desk.get("records/0")),
        (404, "this plan was not carried out; look again", desk.get("jobs/0")),
        (405, "the request is not the page's; load the page again", desk.get("find")),
        (405, "the request is not the page's; load the page again", method),
        (413, "the text is too long; paste only the token", desk.post("token", &huge)),
        (
            422,
            "the email has no @; give the player's whole email",
            desk.post("find", &json!({"email": "sue", "expect": NOW})),
        ),
    ] {
        assert_eq!(refusal(&answer), (status, text.to_owned()));
        for (name, value) in [
            ("cache-control", "no-store"),
            ("content-security-policy", policy),
            ("referrer-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{answer:?}");
        }
    }
    // A person sees these, in a browser.
    for (status, text, answer) in [
        (403, "This page is open in another browser. ", desk.request("GET", "").send()),
        (404, "There is no page of the support desk here. ", desk.get("nothing")),
        (404, "There is no page of the support desk here. ", send(desk.address, bare.as_bytes())),
    ] {
        assert_eq!((answer.status, answer.header("content-security-policy").as_deref()), (status, Some(policy)));
        assert!(answer.body.starts_with(text), "{}", answer.body);
    }
    assert!(api.asked().is_empty());
}

#[test]
fn a_cookie_that_another_page_of_this_host_sets_does_not_lock_the_browser_out() {
    let desk = start(None);
    for cookies in [format!("desk=tossed; {}", desk.cookie), format!("{}; desk=; a=b", desk.cookie)] {
        assert_eq!(desk.request("GET", "state").header("Cookie", &cookies).send().status, 200, "{cookies}");
    }
}

#[test]
fn a_pasted_token_gives_email_and_login_id_and_is_sent_and_printed_nowhere() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    let token = LoginToken::valid().mint();
    for text in [token.clone(), format!("Authorization: Bearer {token}\n"), format!("  {token}  ")] {
        let answer = desk.post("token", &json!({"token": text}));
        assert_eq!((answer.status, answer.json()), (200, json!({"email": "jane@example.com", "external_id": SUB})));
    }
    assert_eq!(refusal(&desk.post("token", &json!({"token": "not a token"}))).0, 422);
    assert!(api.asked().is_empty() && desk.records().is_empty());
    assert_eq!(desk.stop_by("TERM"), "");
}

#[test]
fn only_one_thing_is_done_at_a_time() {
    let api = DeskApi::start();
    let desk = start(Some(&api));
    // The plan shows the user, and looks for the player's present one in two brands; the check before the deletion shows the user.
    api.then([Step::Do, Step::Do, Step::Do, Step::Do, busy()]);
    let plan = desk.plan("forget-email");
    assert_eq!(desk.resolve(&plan, "delete").status, 202);
    until("refused", || desk.job(&plan)["steps"].as_array().is_some_and(|steps| steps.len() == 3));
    assert_eq!(desk.get("state").json()["running"], plan["plan"]);
    let other = desk.resolve(&desk.plan("forget-email"), "delete");
    assert_eq!(refusal(&other), (409, "something else is being done; wait for its end".to_owned()));
    let job = desk.ended(&plan);
    assert_eq!(desk.get("state").json()["running"], Value::Null);
    assert!(job["steps"][2].as_str().unwrap().contains("trying again in 3.0 s (attempt 2 of 5)"), "{job}");
    assert_eq!((&job["outcome"]["done"], api.count("DELETE")), (&json!(true), 2), "{job}");
}

#[test]
fn each_signal_that_ends_it_lets_the_work_finish() {
    for signal in ["TERM", "INT", "HUP"] {
        let api = DeskApi::start();
        let desk = start(Some(&api));
        let plan = desk.plan("delete-user");
        api.then([Step::Do, busy()]);
        assert_eq!(desk.resolve(&plan, "delete").status, 202);
        until("refused", || api.count("DELETE") == 1);
        let errors = desk.stop_by(signal);
        assert!(errors.contains("waiting for the work") && errors.contains("are deleted"), "{signal}: {errors}");
        assert_eq!((api.count("DELETE"), api.users().len()), (2, 0), "{signal}");
    }
}

#[test]
fn the_published_address_is_the_only_host_in_a_container() {
    // A port that was free a moment ago. In a container the address would be 0.0.0.0.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let folder = Folder::new();
    let mut process = Process(desk(&["--listen", &listen, "--published", "127.0.0.1:18002"], &folder).spawn().unwrap());
    let (published, home) = printed(&mut process.0);
    assert_eq!(published.port(), 18_002);
    let ask = |host: &str| {
        let request = format!("GET {home} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        send(SocketAddr::from(([127, 0, 0, 1], port)), request.as_bytes()).status
    };
    assert_eq!([listen.as_str(), "0.0.0.0:18002", "172.17.0.2:18002"].map(ask), [403; 3]);
    assert_eq!(ask("127.0.0.1:18002"), 200);
}

#[test]
fn wrong_addresses_are_usage_errors() {
    let folder = Folder::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:127.0.0.1]:0"] {
        for arguments in [&["--listen", address][..], &["--listen", "127.0.0.1:0", "--published", address]] {
            let output = desk(arguments, &folder).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            let key = arguments[arguments.len() - 2];
            assert!(errors.starts_with(&format!("{key}: must be a loopback address")), "{arguments:?}: {errors}");
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        }
    }
    let alone = desk(&["--published", "127.0.0.1:80"], &folder).output().unwrap();
    assert!(alone.status.code() == Some(2) && String::from_utf8_lossy(&alone.stderr).contains("--listen"), "{alone:?}");
    // With a published address another one is accepted; this one is of no machine (RFC 5737), so that nothing listens outside of
    // loopback.
    let output = desk(&["--listen", "192.0.2.1:80", "--published", "127.0.0.1:80"], &folder).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("--listen: can't listen on 192.0.2.1:80"), "{errors}");
}

#[test]
fn it_finds_a_free_port_and_opens_the_browser_if_there_is_one() {
    let taken = TcpListener::bind("127.0.0.1:8002");
    let folder = Folder::new();
    let script = folder.write("xdg-open", "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$0.opened\"\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let start = |path: &Path| {
        let folder = Folder::new();
        let mut command = command(&["desk"], &[]);
        command.env("PATH", path).current_dir(folder.path(""));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Desk::open(&mut command, folder)
    };
    let desk = start(&folder.path(""));
    assert!(desk.address.ip().is_loopback() && desk.address.port() != 8002);
    let opened = || fs::read_to_string(folder.path("xdg-open.opened")).unwrap_or_default();
    until("opened", || opened().ends_with('\n'));
    // Other users of the machine can read the arguments, but not the file; it was there until the page was opened.
    let file = PathBuf::from(opened().trim_end());
    assert!(file.parent() == Some(&desk.folder.path("")) && !opened().contains(&desk.home), "{file:?}");
    assert!(desk.records().is_empty(), "{:?}", desk.records());
    let without = start(Path::new("/nowhere"));
    assert_eq!(without.stop_by("INT"), "");
    drop(taken);
}

#[test]
fn an_api_that_repeats_the_keys_in_its_errors_shows_them_to_nobody() {
    let clean = |what: &str, text: &str| {
        assert!(![KEY_ID, KEY_SECRET, CHAT_TOKEN].iter().any(|secret| text.contains(secret)), "{what}: {text}");
    };
    let api = DeskApi::start();
    let desk = start(None);
    let echo = || answer(403, &error(KEY_SECRET, &format!("{KEY_ID} may not do this")));
    let echo_chat = || answer(403, &json!({"error": CHAT_TOKEN, "message": CHAT_TOKEN}));
    api.then([echo(), echo_chat()]);
    let tried = desk.post("settings", &form(&api));
    assert_eq!(tried.status, 422);
    clean("settings", &tried.body);
    assert_eq!(desk.post("settings", &form(&api)).status, 204);
    clean("settings", &desk.post("settings", &form(&api)).body);
    for (method, path) in PATHS.into_iter().filter(|(method, _)| *method == "GET") {
        let answer = desk.get(path);
        clean(&format!("{method} {path}"), &format!("{:?} {}", answer.headers, answer.body));
    }
    for (path, body) in [
        ("find", json!({"email": EMAIL, "expect": NOW})),
        ("conversations", json!({"user": USER})),
        ("messages", json!({"conversation": "c"})),
        ("plan", json!({"user": USER, "remedy": "forget-email", "expect": NOW})),
    ] {
        api.then([echo()]);
        let answer = desk.post(path, &body);
        assert_eq!(refusal(&answer).0, 502, "{path}");
        clean(path, &answer.body);
    }
    api.then([echo_chat()]);
    let visitor = desk.post("visitor", &json!({"id": "9855790-xjj3ukxyIhn6j3"}));
    assert_eq!(refusal(&visitor).0, 502);
    clean("visitor", &visitor.body);
    let plan = desk.plan("delete-user");
    clean("plan", &plan.to_string());
    api.then([Step::Do, failure(500), echo()]);
    assert_eq!(desk.resolve(&plan, "delete").status, 202);
    let job = desk.ended(&plan);
    assert_eq!((&job["outcome"]["done"], api.users().len()), (&json!(false), 1), "{job}");
    clean("job", &job.to_string());
    clean("output", &desk.stop_by("TERM"));
}
