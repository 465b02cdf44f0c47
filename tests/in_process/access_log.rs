//! The access log: one line for each request.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::harness::ORIGIN;
use crate::login_tokens::{LoginToken, SUB};

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The lines of the access log.
pub fn requests(log: &[String]) -> Vec<Value> {
    let lines = log.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")));
    lines.filter(|line: &Value| line["message"] == "request").collect()
}

#[test]
fn a_success_has_one_line_without_personal_data() {
    let app = App::start();
    let ask = app.get("/generate/token?secret=query").cookie(LoginToken::valid().mint());
    let token = ask.header("Origin", ORIGIN).header("X-Request-Id", "4f-A.b_1").send().token();
    let lines = requests(&app.log());
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let expected = [
        ("level", "INFO"),
        ("request_id", "4f-A.b_1"),
        ("method", "GET"),
        ("route", "/generate/token"),
        ("client", "127.0.0.1"),
        ("origin", ORIGIN),
        ("login", "default"),
        ("key", "current"),
        ("token_sha256", &sha256(&token)),
        ("sub_sha256", &sha256(SUB)),
    ];
    for (field, value) in expected {
        assert_eq!(line[field], value, "{field}");
    }
    assert_eq!(line["status"], 200);
    assert!(line["duration_us"].is_u64());
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(line.as_object().unwrap().len(), expected.len() + 4, "{line}");
}

#[test]
fn a_refusal_has_one_line_with_its_code_and_cause() {
    let app = App::start();
    let request = || app.get("/generate/token");
    let foreign = request().header("Origin", "https://evil.example");
    let early = request().cookie(LoginToken::valid().claim("iat", 4_102_444_800_i64).mint());
    let without_email = request().cookie(LoginToken::valid().without("email").mint());
    let cases = [
        (request(), "401 00-00", "no cookie with the name in login.cookie"),
        (request().cookie("x"), "401 00-01", "not three parts separated by dots"),
        (request().cookie("a.b.c.d"), "401 00-01", "not three parts separated by dots"),
        (app.request("POST", "/generate/token"), "405 00-09", "the route does not support this method"),
        (foreign, "403 00-05", "origin is not in cors.origins"),
        (early, "401 00-01", "s in the future; check that the clocks are right"),
        (without_email, "422 00-03", "claim email is missing, empty or not a string"),
    ];
    let count = cases.len();
    for (number, (request, refusal, cause)) in cases.into_iter().enumerate() {
        let answer = request.send();
        assert_eq!(answer.refusal(), refusal);
        assert!(!answer.body.contains(cause));
        let line = &requests(&app.log())[number];
        assert_eq!(line["request_id"], answer.header("x-request-id").unwrap());
        assert_eq!(format!("{} {}", line["status"], line["refusal"].as_str().unwrap()), refusal);
        assert!(line["cause"].as_str().unwrap().contains(cause), "{line}");
        assert!(line.get("token_sha256").is_none() && line.get("sub_sha256").is_none());
        assert_eq!(line.get("key").is_some(), answer.status == 422, "the key of a token that verified");
    }
    assert_eq!(requests(&app.log()).len(), count);
}

#[test]
fn a_preflight_of_a_foreign_origin_has_a_cause() {
    let app = App::start();
    for origin in [ORIGIN, "https://evil.example"] {
        let preflight = app.request("OPTIONS", "/generate/token").header("Origin", origin);
        assert_eq!(preflight.header("Access-Control-Request-Method", "GET").send().status, 200);
    }
    let lines = requests(&app.log());
    let causes: Vec<Option<&str>> = lines.iter().map(|line| line.get("cause").and_then(Value::as_str)).collect();
    assert_eq!(causes, [None, Some("origin is not in cors.origins")]);
}

#[test]
fn the_secret_that_verified_is_named() {
    let previous = "70726576696f7573206c6f67696e2073656372657420726573657420746f6461";
    let app = App::with(&[("login.previous_secret", previous)]);
    let without_email = LoginToken::valid().without("email").secret(previous);
    for token in [LoginToken::valid(), LoginToken::valid().secret(previous), without_email] {
        app.get("/generate/token").cookie(token.mint()).send();
    }
    let lines = requests(&app.log());
    let keys: Vec<&Value> = lines.iter().map(|line| &line["key"]).collect();
    assert_eq!(keys, ["current", "previous", "previous"]);
    assert_eq!(lines[2]["refusal"], "00-03");
}

#[test]
fn only_a_valid_request_id_is_used() {
    let app = App::start();
    for id in ["1", "0af7651916cd43dd8448eb211c80319c", "a.b-c_D", &"a".repeat(63)] {
        let answer = app.get("/generate/token").header("X-Request-Id", id).send();
        assert_eq!(answer.header("x-request-id").as_deref(), Some(id));
    }
    let [too_long, huge] = [64, 10_000].map(|length| "a".repeat(length));
    for id in ["", "a b", "a\tb", "jane@example.com", "[31m", "ä", "a\"b", "a,b", &too_long, &huge] {
        let answer = app.get("/generate/token").header("X-Request-Id", id).send();
        let new = answer.header("x-request-id").unwrap();
        assert!(new != id && new.len() == 32 && new.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id} {new}");
    }
    let twice = app.get("/generate/token").header("X-Request-Id", "a").header("X-Request-Id", "a").send();
    assert_eq!(twice.header("x-request-id").unwrap().len(), 32);
}

#[test]
fn an_origin_that_can_never_be_allowed_is_logged_as_its_scheme() {
    let app = App::start();
    let uuid = "0a6f2bd1-4a2c-4a5e-9a5c-3d1f0e2b7c11";
    let extension = format!("moz-extension://{uuid}");
    let origins = ["capacitor://localhost", "app://-", "file://", "file:///home/jane", &extension];
    for origin in origins {
        assert_eq!(app.get("/generate/token").header("Origin", origin).send().refusal(), "403 00-05");
    }
    let log = app.log();
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let named: Vec<String> = lines.filter_map(|line| Some(line["origin"].as_str()?.to_owned())).collect();
    assert_eq!(named, ["capacitor://localhost", "app://-", "file://", "file://", "moz-extension://"]);
}

#[test]
fn the_line_of_every_product_has_route_and_hashes() {
    let app = App::with_all_products(&[]);
    let token = LoginToken::valid().mint();
    let issued = [
        app.get("/messaging/token").cookie(&token).send().token(),
        app.get("/help-center/token").cookie(&token).send().token(),
        app.request("POST", "/support-sdk/token").body(format!("user_token={token}")).send().json()["jwt"]
            .as_str()
            .unwrap()
            .to_owned(),
    ];
    app.request("POST", "/support-sdk/token").body("user_token=a&user_token=b").send();
    app.get("/jwt_fn.js").send();
    app.get("/openapi.json").send();
    let lines = requests(&app.log());
    let routes: Vec<&Value> = lines.iter().map(|line| &line["route"]).collect();
    let products = ["/messaging/token", "/help-center/token", "/support-sdk/token", "/support-sdk/token"];
    assert_eq!(routes, [&products[..], &["/jwt_fn.js", "/openapi.json"]].concat());
    for (line, token) in lines.iter().zip(&issued) {
        assert_eq!((&line["token_sha256"], &line["sub_sha256"]), (&sha256(token).into(), &sha256(SUB).into()));
    }
    assert_eq!((&lines[3]["refusal"], lines[3]["status"].as_u64()), (&"00-10".into(), Some(400)));
    assert!(lines[3]["cause"].as_str().unwrap().contains("user_token, or another member, twice"));
}

#[test]
fn the_trace_id_of_a_valid_traceparent_is_logged() {
    let app = App::start();
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let good =
        [format!("00-{trace}-{parent}-01"), format!("00-{trace}-{parent}-00"), format!("cc-{trace}-{parent}-01-more")];
    let bad = [
        String::new(),
        "jane@example.com".to_owned(),
        format!("00-{trace}-{parent}"),
        format!("00-{trace}-{parent}-01-more"),
        format!("ff-{trace}-{parent}-01"),
        format!("00-{}-{parent}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("00-{}-{parent}-01", trace.to_uppercase()),
        format!("00-{trace}0-{parent}-01"),
        format!("0-{trace}-{parent}-01"),
        format!(" 00-{trace}-{parent}-01-"),
    ];
    for value in good.iter().chain(&bad) {
        app.get("/generate/token").header("traceparent", value).send();
    }
    let twice = app.get("/generate/token").header("traceparent", &good[0]);
    twice.header("traceparent", &good[0]).send();
    let lines = requests(&app.log());
    assert_eq!(lines.len(), good.len() + bad.len() + 1);
    assert!(lines[..good.len()].iter().all(|line| line["trace_id"] == trace), "{lines:?}");
    assert!(lines[good.len()..].iter().all(|line| line.get("trace_id").is_none()), "{lines:?}");
}
