//! `POST /support-sdk/token`: requests of Zendesk's servers, and the responses.

use std::time::Duration;

use serde_json::json;
use zendesk_token::config::products::Product;

use crate::app::App;
use crate::client::{Answer, Request};
use crate::harness::{ORIGIN, OTHER_PRODUCTS, SUPPORT_SDK_SECRET, usual};
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture, keys_path};
use crate::login_tokens::{LoginToken, SUB, now, open_for};
use crate::published_keys::{ask, ready, token, until};
use crate::stub::Reply;

pub const PATH: &str = "/support-sdk/token";
pub const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn server() -> App {
    App::with_all_products(&[])
}

fn post(server: &App, content_type: &str, body: impl AsRef<[u8]>) -> Request {
    server.request("POST", PATH).header("Content-Type", content_type).body(body)
}

fn post_token(server: &App, token: &str) -> Answer {
    server.request("POST", PATH).body(format!("user_token={token}")).send()
}

pub fn form(token: &LoginToken) -> String {
    format!("user_token={}", token.mint())
}

/// The answer has a valid JWT of the player as its only member.
pub fn check(answer: &Answer) {
    assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some(JSON)), "{answer:?}");
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let (_, claims) = open_for(Product::SupportSdk, body["jwt"].as_str().unwrap(), SUPPORT_SDK_SECRET);
    assert_eq!(claims["external_id"], SUB);
}

#[test]
fn a_form_or_a_json_object_gives_a_jwt() {
    let server = server();
    let token = LoginToken::valid().mint();
    let escaped = token.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    for (content_type, body) in [
        (FORM, format!("user_token={token}")),
        ("Application/X-WWW-Form-URLencoded ; charset=UTF-8", format!("a=b&user_token={token}&&c")),
        (FORM, format!("user%5Ftoken={}", &escaped)),
        (JSON, json!({"user_token": token}).to_string()),
        ("APPLICATION/json;charset=utf-8", format!(" {{\"other\": null, \"user\\u005ftoken\": \"{token}\"}}\n")),
    ] {
        check(&post(&server, content_type, body).send());
    }
    // Without a content type, the first character decides.
    for body in [format!("user_token={token}"), format!("\n {}", json!({"user_token": token}))] {
        check(&server.request("POST", PATH).body(&body).send());
        check(&post(&server, "", &body).send());
    }
    // Accept and cookies do not count.
    let other = LoginToken::valid().claim("sub", "11111111-2222-3333-4444-555555555555").mint();
    check(&post(&server, FORM, form(&LoginToken::valid())).header("Accept", "text/plain").cookie(other).send());
}

#[test]
fn a_login_that_is_missing_or_invalid_is_a_401() {
    let server = server();
    let token = LoginToken::valid().mint();
    let refusal = |content_type: &str, body: &str| post(&server, content_type, body).send().refusal();
    for body in ["", "other=1", "user_tokens=1", "User_Token=1", "%", "{}", "user token=1"] {
        assert_eq!(refusal(FORM, body), "401 00-00", "{body}");
    }
    for body in ["user_token", "user_token=", "user_token=+%0A"] {
        assert_eq!(refusal(FORM, body), "401 00-01", "{body}");
    }
    assert_eq!(refusal(JSON, "{}"), "401 00-00");
    assert_eq!(refusal(JSON, r#"{"user_token":""}"#), "401 00-01");
    // Only the body counts.
    let elsewhere = server.request("POST", &format!("{PATH}?user_token={token}"));
    let elsewhere = elsewhere.cookie(&token).header("Authorization", format!("Bearer {token}"));
    assert_eq!(elsewhere.send().refusal(), "401 00-00");
    for (token, expected) in [
        (LoginToken::valid().claim("exp", now() - 3600), "401 00-01"),
        (LoginToken::valid().secret(SUPPORT_SDK_SECRET), "401 00-01"),
        (LoginToken::valid().without("exp"), "401 00-01"),
        (LoginToken::valid().without("sub"), "422 00-02"),
        (LoginToken::valid().without("email"), "422 00-03"),
        (LoginToken::valid().claim("email", "x"), "422 00-04"),
    ] {
        assert_eq!(refusal(FORM, &form(&token)), expected);
    }
}

/// A 401 deletes the player's requests from the phone.
#[test]
fn spaces_and_the_word_bearer_around_a_login_token_are_ignored() {
    let server = server();
    let token = LoginToken::valid().mint();
    for around in ["*%0A", "+*", "*+", "*%0D%0A", "%09%20*%20%0A", "Bearer+*", "bearer++*%0A", "+BEARER+*"] {
        check(&post(&server, FORM, format!("user_token={}", around.replace('*', &token))).send());
    }
    for around in ["*\n", " *", "Bearer *", "\r\nBearer  * "] {
        check(&post(&server, JSON, json!({"user_token": around.replace('*', &token)}).to_string()).send());
    }
    // It still has to verify.
    let expired = LoginToken::valid().claim("exp", now() - 3600).mint();
    assert_eq!(post(&server, FORM, format!("user_token=Bearer+{expired}%0A")).send().refusal(), "401 00-01");
}

/// Such a text is not a login, so the app must not forget the player.
#[test]
fn a_text_that_is_not_a_login_token_is_malformed_and_the_log_has_the_cause() {
    let server = server();
    let token = LoginToken::valid().mint();
    let parts: Vec<&str> = token.split('.').collect();
    let escaped = |bytes: &str| bytes.bytes().map(|byte| format!("%25{byte:02X}")).collect::<Vec<_>>().concat();
    let values = [
        ("x".to_owned(), "not three parts"),
        ("null".to_owned(), "not three parts"),
        ("82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11".to_owned(), "not three parts"),
        (format!("{token}.x"), "not three parts"),
        ("Bearer".to_owned(), "not three parts"),
        ("..".to_owned(), "header is not valid JSON"),
        ("a.b.c".to_owned(), "header is not base64url"),
        (format!("{}.{}.{}", parts[1].replace('e', "%2B"), parts[1], parts[2]), "header is not"),
        (format!("{}.%5B%5D.{}", parts[0], parts[2]), "payload is not base64url"),
        (format!("{token}%3D"), "signature ends with base64 padding"),
        (format!("{}+{}", &token[..50], &token[50..]), "is not base64url"),
        (format!("{token}%C2%A0"), "signature is not base64url"),
        (format!("Bearer+Bearer+{token}"), "starts with the word Bearer"),
        ("%FF%00".to_owned(), "not three parts"),
        (format!("%EF%BB%BF{token}"), "byte order mark"),
        (escaped(&token), "user_token is malformed: login token is percent-encoded"),
        (format!("{}.{}.{}", parts[0], "A".repeat(9000), parts[2]), "more than 8192"),
    ];
    let json = json!({"user_token": token}).to_string();
    let bodies = [
        (FORM, format!("\u{feff}user_token={token}"), "byte order mark"),
        (JSON, format!("\u{feff}{json}"), "byte order mark"),
        (JSON, json!({"user_token": format!("\u{feff}{token}")}).to_string(), "byte order mark"),
        (FORM, format!("user_token%3D{token}"), "the form is percent-encoded twice"),
        (FORM, escaped(&format!("user_token={token}")).replace("%25", "%"), "the form is percent-encoded twice"),
        (FORM, json, "the body is JSON, but its Content-Type is"),
        ("", format!("[\"{token}\"]"), "the body is not a JSON object"),
        ("", format!("\"{token}\""), "the body is not a JSON object"),
    ];
    let values = values.map(|(value, cause)| (FORM, format!("user_token={value}"), cause));
    let cases: Vec<_> = values.into_iter().chain(bodies).collect();
    for (content_type, body, _) in &cases {
        let answer = post(&server, content_type, body).send();
        assert_eq!((answer.refusal().as_str(), answer.header("www-authenticate")), ("400 00-10", None), "{body}");
    }
    let log = server.log();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("\"message\":\"request\"")).collect();
    assert_eq!(lines.len(), cases.len());
    for (line, (_, _, cause)) in lines.into_iter().zip(cases) {
        assert!(line.contains(cause) && !line.contains(parts[1]), "{cause}: {line}");
    }
}

#[test]
fn a_body_that_contradicts_itself_is_malformed() {
    let server = server();
    let token = LoginToken::valid().mint();
    for (content_type, body) in [
        (FORM, format!("user_token={token}&user_token={token}")),
        (FORM, format!("user_token={token}&user%5ftoken=")),
        (JSON, format!(r#"{{"user_token":"{token}","user_token":"{token}"}}"#)),
        (JSON, format!(r#"{{"user_token":"{token}","user\u005ftoken":"x"}}"#)),
        (JSON, r#"{"user_token":null}"#.to_owned()),
        (JSON, r#"{"user_token":7}"#.to_owned()),
        (JSON, format!(r#"{{"user_token":["{token}"]}}"#)),
        (JSON, format!(r#"["{token}"]"#)),
        (JSON, format!("user_token={token}")),
        (JSON, "[".repeat(9000)),
        (JSON, String::new()),
        ("text/plain", format!("user_token={token}")),
        ("multipart/form-data; boundary=x", format!("--x\r\n\r\n{token}\r\n--x--\r\n")),
        ("application/jsonp", format!(r#"{{"user_token":"{token}"}}"#)),
    ] {
        assert_eq!(post(&server, content_type, &body).send().refusal(), "400 00-10", "{content_type} {body:.40}");
    }
    assert_eq!(post(&server, JSON, b"{\"user_token\":\"\xff\"}").send().refusal(), "400 00-10");
}

#[test]
fn a_failure_of_the_login_api_is_never_a_401() {
    let api = LoginApi::start();
    let settings =
        [("login.check_revocation", "true"), ("login.api_url", &api.url()), ("login.revocation_cache", "0s")];
    let server = App::with_all_products(&settings);
    for (reply, expected) in [
        (Reply::Answer(500, String::new()), "503 00-07"),
        (Reply::Answer(200, "?".to_owned()), "503 00-07"),
        (Reply::Answer(401, r#"{"error":{"code":"003-061","description":"revoked"}}"#.to_owned()), "401 00-01"),
    ] {
        api.reply(VALIDATE_PATH, reply);
        assert_eq!(post(&server, FORM, form(&LoginToken::valid())).send().refusal(), expected);
    }
}

#[test]
fn an_unknown_key_is_a_503_during_the_cooldown_of_key_fetches() {
    let api = LoginApi::start();
    api.publish("first.json");
    let server = ready(&api, &[&OTHER_PRODUCTS[..], &[("login.keys_cooldown", "3s")]].concat());
    let unknown = fixture("refused/kid_unknown.jwt");
    assert_eq!(post_token(&server, &unknown).refusal(), "401 00-01", "a fetch did not find the key");
    api.publish("rotated.json");
    let rotated = token("key_c");
    assert_eq!(post_token(&server, &rotated).refusal(), "503 00-07");
    assert_eq!(ask(&server, &rotated).refusal(), "401 00-01", "a page asks again later");
    until("out of the cooldown", || post_token(&server, &rotated).status == 200);
    let log = server.log().join("\n");
    assert!(log.contains("delays the next fetch; Zendesk's servers may try again"), "{log}");
}

#[test]
fn an_unknown_key_is_a_503_when_a_fetch_began_before_the_request() {
    let api = LoginApi::start();
    api.publish("first.json");
    let server = ready(&api, &OTHER_PRODUCTS);
    let fetches = api.asked(&keys_path());
    api.reply(&keys_path(), Reply::Late(Duration::from_secs(2), 200, fixture("first.json")));
    let first = server.request("POST", PATH).body(format!("user_token={}", fixture("refused/kid_unknown.jwt"))).start();
    until("fetched", || api.asked(&keys_path()) > fetches);
    // The answer under way may be older than this key.
    assert_eq!(post_token(&server, &token("key_c")).refusal(), "503 00-07");
    server.wait(first);
}

#[test]
fn a_login_that_begins_later_is_a_503() {
    let server = server();
    for claim in ["iat", "nbf"] {
        let early = LoginToken::valid().claim(claim, now() + 120).mint();
        let answer = post_token(&server, &early);
        assert_eq!((answer.refusal().as_str(), answer.header("retry-after").as_deref()), ("503 00-07", Some("1")));
        assert_eq!(server.get("/messaging/token").cookie(&early).send().refusal(), "401 00-01");
    }
    let forged = LoginToken::valid().claim("iat", now() + 120).secret("6f74686572206c6f67696e2073656372").mint();
    assert_eq!(post_token(&server, &forged).refusal(), "401 00-01");
}

#[test]
fn no_answer_has_cors_headers_and_other_methods_are_refused() {
    let server = server();
    let answer = post(&server, FORM, form(&LoginToken::valid())).header("Origin", ORIGIN).send();
    check(&answer);
    let preflight = server.request("OPTIONS", PATH).header("Origin", ORIGIN);
    let preflight = preflight.header("Access-Control-Request-Method", "POST").send();
    assert_eq!(preflight.status, 200);
    let foreign = post(&server, FORM, form(&LoginToken::valid())).header("Origin", "https://evil.example").send();
    assert_eq!(foreign.refusal(), "403 00-05");
    for answer in [answer, preflight, foreign] {
        let cors = answer.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
        assert_eq!(cors, None);
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
    }
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let answer = server.request(method, PATH).send();
        assert_eq!((answer.status, answer.header("allow").as_deref()), (405, Some("POST")), "{method}");
    }
}

#[test]
fn without_other_products_it_needs_no_origins() {
    let mut settings = usual(&[("support_sdk.secret", SUPPORT_SDK_SECRET)]);
    settings.retain(|(key, _)| !matches!(*key, "cors.origins" | "chat.secret"));
    let server = App::of(&settings);
    check(&post(&server, FORM, form(&LoginToken::valid())).send());
    assert_eq!(server.get("/generate/token").cookie(LoginToken::valid().mint()).send().refusal(), "404 00-08");
    let refused = post(&server, FORM, form(&LoginToken::valid())).header("Origin", ORIGIN).send();
    assert_eq!(refused.refusal(), "403 00-05");
}
