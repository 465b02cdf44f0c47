//! The OpenAPI document has every route, method, parameter and refusal of the service.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use zendesk_token::config::products::PRODUCTS;
use zendesk_token::http::error::ErrorCode;
use zendesk_token::http::openapi;
use zendesk_token::http::token::path;

use crate::app::App;
use crate::harness::ORIGIN;
use crate::readme::table;
use crate::user_tokens;

const OWN: &str = "00-11 00-12 00-14";
const LOGIN: &str = "00-00 00-01 00-02 00-04 00-05 00-07 00-08 00-10";
const ADMIN: [&str; 3] = ["/live", "/ready", "/metrics"];
const ORIGIN_AND_ID: &str = "Origin X-Request-Id";

/// Every operation with its error codes and the headers that it reads.
fn operations() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let mut all = Vec::new();
    for (path, more) in [("/generate/token", "00-03"), ("/messaging/token", ""), ("/help-center/token", "00-03")] {
        for method in ["get", "head"] {
            all.push((path, method, format!("{LOGIN} {OWN} 00-06 {more}"), ORIGIN_AND_ID));
        }
        all.push((path, "options", String::new(), "Origin Access-Control-Request-Method X-Request-Id"));
    }
    all.push((user_tokens::PATH, "post", format!("{LOGIN} {OWN} 00-03 00-06"), ORIGIN_AND_ID));
    all.push((user_tokens::PATH, "options", String::new(), "Origin Access-Control-Request-Method X-Request-Id"));
    all.push(("/support-sdk/token", "post", format!("{LOGIN} {OWN} 00-03 00-06 00-13"), "X-Request-Id"));
    for method in ["get", "head"] {
        all.extend(
            ["/jwt_fn.js", "/jwt_fn.mjs", "/jwt_fn.d.ts", "/openapi.json"]
                .map(|path| (path, method, OWN.into(), "If-None-Match X-Request-Id")),
        );
        all.push(("/health", method, "00-14".into(), "X-Request-Id"));
        all.extend(ADMIN.map(|path| (path, method, String::new(), "")));
    }
    all
}

fn document() -> Value {
    serde_json::from_str(openapi::text()).unwrap()
}

/// Follows a `$ref` inside the document.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
    document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn set(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().collect()
}

#[test]
fn the_document_has_every_operation_with_its_refusals_and_parameters() {
    let document = document();
    let mut documented: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let methods = operations.as_object().unwrap().iter().filter(|(method, _)| *method != "servers");
        documented.extend(methods.map(|(method, operation)| ((path.as_str(), method.as_str()), operation)));
    }
    for (path, method, codes, parameters) in operations() {
        let operation =
            documented.remove(&(path, method)).unwrap_or_else(|| panic!("{method} {path} is not documented"));
        let is_for_servers = path == "/support-sdk/token";
        let mut found = BTreeSet::new();
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = resolved(&document, answer);
            for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
                let has_example = content.get("example").is_some() || content.get("examples").is_some();
                assert!(has_example, "{method} {path} {status} {media_type}");
            }
            for (code, example) in examples(answer) {
                let refusal = ErrorCode::ALL.into_iter().find(|refusal| refusal.code() == code).expect(code);
                let (own, _, description) = refusal.row();
                assert_eq!(example["value"], json!({"code": code, "description": description}));
                let expected = if is_for_servers && own.is_server_error() { "503" } else { own.as_str() };
                assert_eq!(status, expected, "{method} {path} {code}");
                found.insert(code);
            }
        }
        assert_eq!(found, set(&codes), "{method} {path}");
        let names = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
            let parameter = resolved(&document, parameter);
            assert!(parameter["example"].is_string(), "{parameter}");
            parameter["name"].as_str().unwrap()
        });
        assert_eq!(names.collect::<BTreeSet<_>>(), set(parameters), "{method} {path}");
    }
    assert!(documented.is_empty(), "{:?}", documented.keys());
}

/// The refusals that an answer has as examples.
fn examples(answer: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let examples = answer.pointer("/content/application~1json/examples").and_then(Value::as_object);
    examples.into_iter().flatten().map(|(code, example)| (code.as_str(), example))
}

#[test]
fn the_document_has_exactly_the_refusals_of_the_service_and_its_release() {
    let document = document();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["info"]["summary"], env!("CARGO_PKG_DESCRIPTION"));
    let known: Vec<&str> = ErrorCode::ALL.iter().map(|refusal| refusal.code()).collect();
    assert_eq!(document["components"]["schemas"]["Error"]["properties"]["code"]["enum"], json!(known));
    let operations = operations();
    let mut codes: BTreeSet<&str> = operations.iter().flat_map(|(_, _, codes, _)| set(codes)).collect();
    assert!(codes.insert("00-09"), "only other methods answer 00-09");
    assert_eq!(codes, known.iter().copied().collect());
    let answers = document["components"]["responses"].as_object().unwrap();
    for answer in answers.values() {
        assert!(examples(answer).count() > 0 && answer["description"].is_string(), "{answer}");
    }
    let codes = answers.values().flat_map(examples).map(|(code, _)| code);
    assert_eq!(codes.collect::<BTreeSet<_>>(), known.into_iter().collect());
}

#[test]
fn the_service_answers_exactly_the_documented_operations() {
    let server = App::with_all_products(&[user_tokens::ON]);
    let operations = operations();
    let paths = PRODUCTS
        .map(path)
        .into_iter()
        .chain([user_tokens::PATH, "/jwt_fn.js", "/jwt_fn.mjs", "/jwt_fn.d.ts", "/openapi.json", "/health"])
        .chain(ADMIN);
    for path in paths {
        for method in ["get", "head", "post", "put", "delete", "patch", "trace", "options"] {
            let (method_name, is_admin) = (method.to_uppercase(), ADMIN.contains(&path));
            let request = if is_admin { server.admin(&method_name, path) } else { server.request(&method_name, path) };
            let request = request.header("Origin", ORIGIN).header("Access-Control-Request-Method", "GET");
            let status = request.send().status;
            let is_documented = operations.iter().any(|operation| (operation.0, operation.1) == (path, method));
            // The CORS layer answers OPTIONS on every public path; the document has it where browsers send it.
            let is_answered = is_documented || (method == "options" && !ADMIN.contains(&path));
            assert_eq!(status != 405, is_answered, "{method} {path}: {status}");
            assert_ne!(status, 404, "{path}");
        }
    }
    let routes: BTreeSet<String> =
        table("Route").iter().map(|row| row[0].split(['`', ' ']).nth(2).unwrap().to_owned()).collect();
    assert_eq!(routes, operations.iter().map(|(path, _, _, _)| (*path).to_owned()).collect());
}
