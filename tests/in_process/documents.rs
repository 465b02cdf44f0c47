//! The script and the OpenAPI document: public, cacheable, the same for every client.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha384};
use zendesk_token::http::openapi;

use crate::app::App;
use crate::harness::ORIGIN;

/// The module of the npm package.
const PACKAGE: &str = include_str!("../../client/index.js");

fn etag(text: &str) -> String {
    format!("\"sha384-{}\"", STANDARD.encode(Sha384::digest(text)))
}

#[test]
fn the_documents_are_public_and_cacheable() {
    let app = App::start();
    let [script, module, types] = ["/jwt_fn.js", "/jwt_fn.mjs", "/jwt_fn.d.ts"].map(|path| app.get(path).send().body);
    let (create, _) = PACKAGE.split_once("\nexport ").unwrap();
    assert!(
        script.starts_with("(() => {\n\"use strict\";\n") && script.contains(create) && !script.contains("export ")
    );
    assert_eq!(module, PACKAGE.replace("create();", "create(import.meta.url);"));
    assert!(types.contains("export function signedIn(): void;") && types.contains("zendeskToken: Readonly<"));
    for (path, text, content_type) in [
        ("/jwt_fn.js", script.as_str(), "text/javascript; charset=utf-8"),
        ("/jwt_fn.mjs", &module, "text/javascript; charset=utf-8"),
        ("/jwt_fn.d.ts", &types, "text/plain; charset=utf-8"),
        ("/openapi.json", openapi::text(), "application/json"),
    ] {
        let etag = etag(text);
        for origin in [None, Some(ORIGIN), Some("https://evil.example"), Some("null")] {
            let answer = origin.iter().fold(app.get(path), |request, origin| request.header("Origin", origin)).send();
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
            assert_eq!(answer.header("vary"), None, "the same answer for every origin");
            assert_eq!(answer.header("x-request-id"), None, "the same answer for every request");
        }
        let head = app.request("HEAD", path).send();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), Some(text.len().to_string()));
    }
}

#[test]
fn an_unchanged_document_is_answered_with_304() {
    let app = App::start();
    let tag = etag(&app.get("/jwt_fn.js").send().body);
    for (tags, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"x\", {tag}"), 304),
        ("*".to_owned(), 304),
        (tag.replace("sha384-", "sha384-x"), 200),
        (tag.trim_matches('"').to_owned(), 200),
        (String::new(), 200),
        (",,\"".to_owned(), 200),
    ] {
        let answer = app.get("/jwt_fn.js").header("If-None-Match", &tags).send();
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.header("etag"), Some(tag.clone()));
        assert_eq!(answer.header("cache-control").as_deref(), Some("public, max-age=300"));
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[test]
fn a_refusal_of_a_document_is_not_cacheable() {
    let app = App::start();
    for path in ["/jwt_fn.js", "/jwt_fn.mjs", "/openapi.json"] {
        let answer = app.request("POST", path).header("Origin", ORIGIN).send();
        assert_eq!((answer.refusal().as_str(), answer.header("allow").as_deref()), ("405 00-09", Some("GET,HEAD")));
        for (name, value) in
            [("cache-control", "no-store"), ("vary", "Origin"), ("access-control-allow-origin", ORIGIN)]
        {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
        }
        assert!(answer.header("x-request-id").is_some());
        let foreign = app.request("POST", path).header("Origin", "https://evil.example").send();
        assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (405, None));
        assert_eq!(app.get(&format!("{path}/")).send().refusal(), "404 00-08");
    }
}
