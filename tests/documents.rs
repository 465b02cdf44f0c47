//! The documents that anybody may read and keep: the script, and what tools are told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha384};
use zendesk_token::http::openapi;
use zendesk_token::http::refusal::REFUSALS;

use crate::harness::{ORIGIN, Server, output, usual};

const SCRIPT: &str = include_str!("../src/http/script/jwt_fn.js");

fn integrity(text: &str) -> String {
    format!("sha384-{}", STANDARD.encode(Sha384::digest(text)))
}

#[test]
fn the_documents_are_served_to_anybody_and_kept() {
    let server = Server::start();
    for (path, text, content_type) in
        [("/jwt_fn.js", SCRIPT, "text/javascript; charset=utf-8"), ("/openapi.json", openapi::TEXT, "application/json")]
    {
        let etag = format!("\"{}\"", integrity(text));
        for origin in [None, Some(ORIGIN), Some("https://evil.example"), Some("null")] {
            let request = server.get(path);
            let answer = origin.map_or(server.get(path), |origin| request.header("Origin", origin)).send();
            assert_eq!((answer.status, answer.body.as_str()), (200, text), "{origin:?}");
            for (name, value) in [
                ("content-type", content_type),
                ("cache-control", "public, max-age=300"),
                ("etag", &etag),
                ("access-control-allow-origin", "*"),
                ("cross-origin-resource-policy", "cross-origin"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
            }
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert_eq!(answer.header("vary"), None, "the same for every origin");
            assert_eq!(answer.header("x-request-id"), None, "and for every request");
        }
        let head = server.request("HEAD", path).send();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), Some(text.len().to_string()));
    }
}

#[test]
fn a_copy_that_is_still_right_is_not_sent_again() {
    let server = Server::start();
    let tag = integrity(SCRIPT);
    for (tags, status) in [
        (format!("\"{tag}\""), 304),
        (format!("W/\"{tag}\""), 304),
        (format!("\"x\", \"{tag}\""), 304),
        ("*".to_owned(), 304),
        (format!("\"{tag}x\""), 200),
        (tag.clone(), 200),
        (String::new(), 200),
        (",,\"".to_owned(), 200),
    ] {
        let answer = server.get("/jwt_fn.js").header("If-None-Match", &tags).send();
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.header("etag"), Some(format!("\"{tag}\"")));
        assert_eq!(answer.header("cache-control").as_deref(), Some("public, max-age=300"));
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[test]
fn what_is_refused_of_a_document_is_kept_by_nobody() {
    let server = Server::start();
    for path in ["/jwt_fn.js", "/openapi.json"] {
        let answer = server.request("POST", path).header("Origin", ORIGIN).send();
        assert_eq!((answer.refusal().as_str(), answer.header("allow").as_deref()), ("405 00-09", Some("GET,HEAD")));
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(server.get(&format!("{path}/")).send().refusal(), "404 00-08");
    }
}

#[test]
fn the_script_is_small_and_check_prints_its_hash() {
    assert!(SCRIPT.len() < 3000, "{} bytes", SCRIPT.len());
    let report = String::from_utf8(output(&["check"], &usual(&[])).stdout).unwrap();
    assert!(report.contains(&format!("integrity=\"{}\"", integrity(SCRIPT))), "{report}");
}

#[test]
fn openapi_prints_the_document_and_takes_no_settings() {
    let printed = output(&["openapi"], &[("login.secret", "nonsense")]);
    assert_eq!((printed.status.code(), printed.stdout.as_slice()), (Some(0), openapi::TEXT.as_bytes()));
    assert_eq!(output(&["openapi", "--config", "/nowhere.toml"], &[]).status.code(), Some(2));
}

/// Follows a `$ref` inside the document.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
    document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

#[test]
fn the_openapi_document_tells_every_refusal_as_it_is() {
    let document: Value = serde_json::from_str(openapi::TEXT).unwrap();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["info"]["summary"], env!("CARGO_PKG_DESCRIPTION"));
    let known: Vec<&str> = REFUSALS.iter().map(|refusal| refusal.wire().1).collect();
    assert_eq!(document["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"], serde_json::json!(known));
    let mut told = Vec::new();
    let mut examine = |status: Option<&str>, on_app_route: bool, answer: &Value| {
        let examples = answer.pointer("/content/application~1json/examples").and_then(Value::as_object);
        for (code, example) in examples.into_iter().flatten() {
            let refusal = REFUSALS.into_iter().find(|refusal| refusal.wire().1 == code).expect(code);
            let (real, _, description) = refusal.wire();
            assert_eq!(example["value"], serde_json::json!({"code": code, "description": description}));
            let softened = on_app_route && (real.is_server_error() || real == 408);
            let expected = if softened { "503" } else { real.as_str() };
            assert!(status.is_none_or(|status| status == expected), "{code} as {status:?}");
            told.push(code.clone());
        }
    };
    for answer in document["components"]["responses"].as_object().unwrap().values() {
        examine(None, false, answer);
    }
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap().iter().filter(|(method, _)| *method != "servers") {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(resolved(&document, parameter).get("example").is_some(), "{path}: {parameter}");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let answer = resolved(&document, answer);
                examine(Some(status), path == "/support-sdk/token", answer);
                for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
                    let has_example = content.get("example").is_some() || content.get("examples").is_some();
                    assert!(has_example, "{method} {path} {status} {media_type}");
                }
            }
        }
    }
    for code in known {
        assert!(told.iter().any(|told| told == code), "{code} is not told");
    }
}

#[test]
fn the_openapi_document_tells_every_route_and_method() {
    let server = Server::with_all_products(&[]);
    let document: Value = serde_json::from_str(openapi::TEXT).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let is_admin = operations["servers"].is_array();
        let address = if is_admin { server.admin } else { server.public };
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let status = crate::client::Request::new(address, method, path).send().status;
            let is_told = operations.get(method.to_lowercase()).is_some() || is_admin && method == "HEAD";
            assert_eq!(status != 405, is_told, "{method} {path}: {status}");
            assert_ne!(status, 404, "{path}");
        }
    }
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = readme.lines().skip_while(|line| !line.starts_with("| Route |")).skip(2);
    for row in table.take_while(|line| line.starts_with('|')) {
        let (method, path) = row.split('`').nth(1).unwrap().split_once(' ').unwrap();
        assert!(document["paths"][path].get(method.to_lowercase()).is_some(), "{row}");
    }
}
