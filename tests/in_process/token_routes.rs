//! The routes that pages call: methods, paths, content types, headers and refusals.

use zendesk_token::config::products::Product;
use zendesk_token::http::token::path;

use crate::app::App;
use crate::harness::{CHAT_SECRET, MESSAGING_SECRET, ORIGIN};
use crate::login_tokens::{LoginToken, open_for};
use crate::published_keys::INVALID;
use crate::token_claims::{ask, secret};

const PAGES: [Product; 3] = [Product::Chat, Product::Messaging, Product::HelpCenter];

#[test]
fn the_token_comes_as_json_or_plain_text_and_the_page_may_read_it() {
    let server = App::with_all_products(&[]);
    let cookie = LoginToken::valid().mint();
    for product in PAGES {
        let ask = |accept: &str| {
            let request = server.get(path(product)).cookie(&cookie).header("Origin", ORIGIN);
            request.header("Accept", accept).send()
        };
        let plain = ask("text/plain");
        assert_eq!((plain.status, plain.header("content-type").as_deref()), (200, Some("text/plain; charset=utf-8")));
        open_for(product, &plain.body, secret(product));
        let json = ask("application/json, text/plain, */*");
        assert_eq!(json.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(json.json().as_object().unwrap().len(), 1);
        open_for(product, &json.token(), secret(product));
        let refusal = server.get(path(product)).header("Origin", ORIGIN).header("Accept", "text/plain").send();
        assert_eq!(refusal.refusal(), "401 00-00");
        for answer in [plain, json, refusal] {
            assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN), "{product:?}");
        }
    }
}

#[test]
fn plain_text_is_sent_only_when_it_has_the_highest_weight() {
    let server = App::start();
    let cookie = LoginToken::valid().mint();
    let plain = "text/plain|TEXT/Plain|text/*|text/plain, */*;q=0.5|application/json;q=0.4, text/plain;q=0.5|\
                 */*, application/json;q=0|text/plain;charset=utf-8;q=1, application/json;q=0.999";
    let json = "*/*|application/json, text/plain, */*|text/plain, application/json|text/plain;q=0, application/json|\
                text/plain;q=0.3, */*|text/html|text/plain;q=2|text/plain;q=0.1234|text/plain;q=-1|text/plain;q=||\
                ;;;,,,/";
    let with_type = |list: &'static str, content_type| list.split('|').map(move |accept| (accept, content_type));
    for (accept, content_type) in
        with_type(plain, "text/plain; charset=utf-8").chain(with_type(json, "application/json"))
    {
        let answer = server.get("/generate/token").cookie(&cookie).header("Accept", accept).send();
        assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some(content_type)), "{accept}");
    }
}

#[test]
fn the_first_four_refusals_are_those_of_the_reference_in_its_order() {
    let server = App::start();
    let without_ids = || LoginToken::valid().without("sub").without("email");
    let forged = without_ids().secret("6f74686572206c6f67696e2073656372");
    for (cookie, status, body) in [
        (None, 401, r#"{"code":"00-00","description":"Token not passed"}"#),
        (Some(forged), 401, r#"{"code":"00-01","description":"Token is invalid"}"#),
        (Some(without_ids()), 422, r#"{"code":"00-02","description":"\"sub\" claim is missed"}"#),
        (
            Some(LoginToken::valid().without("email")),
            422,
            r#"{"code":"00-03","description":"\"email\" claim is missed"}"#,
        ),
    ] {
        let request = server.get("/generate/token");
        let answer = match cookie {
            Some(token) => request.cookie(token.mint()).send(),
            None => request.send(),
        };
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    }
}

#[test]
fn each_page_route_answers_get_and_head_and_refuses_other_methods_and_origins() {
    let server = App::with_all_products(&[]);
    let cookie = LoginToken::valid().mint();
    for product in PAGES {
        let head = server.request("HEAD", path(product)).cookie(&cookie).send();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 100);
        assert_eq!(server.request("HEAD", path(product)).send().status, 401);
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let answer = server.request(method, path(product)).cookie(&cookie).send();
            assert_eq!(answer.refusal(), "405 00-09", "{method}");
            assert_eq!(answer.header("allow").as_deref(), Some("GET,HEAD"), "{method}");
        }
        let foreign = server.get(path(product)).cookie(&cookie).header("Origin", "https://evil.example").send();
        assert_eq!(foreign.refusal(), "403 00-05");
        assert_eq!(ask(&server, product, &LoginToken::valid().without("sub")).refusal(), "422 00-02");
        for product_secret in [CHAT_SECRET, MESSAGING_SECRET] {
            assert_eq!(ask(&server, product, &LoginToken::valid().secret(product_secret)).refusal(), INVALID);
        }
    }
}

#[test]
fn other_paths_are_not_found_and_a_slash_too_many_is_named() {
    let server = App::start();
    let slashes = "GET //generate/token,GET /generate//token,GET /generate/token/,GET ///generate///token///?x=/,\
                   POST /support-sdk/token/,POST //support-sdk/token,GET //jwt_fn.js,GET /openapi.json/,GET /health/";
    let others = "GET /,GET //,GET /?token=x,GET /generate,GET /generate/,GET /generate/token/x/,GET /Generate/Token,\
                  GET /Generate/Token/,GET /generate/token%2f,GET /generate/./token,GET /generate/./token/,GET /live,\
                  GET /ready,GET /metrics";
    for (requests, description) in
        [(slashes, "Not found: the path has a doubled or trailing slash"), (others, "Not found")]
    {
        for (method, path) in requests.split(',').filter_map(|request| request.split_once(' ')) {
            let answer = server.request(method, path).cookie(LoginToken::valid().mint()).send();
            assert_eq!(answer.refusal(), "404 00-08", "{path}");
            assert_eq!(answer.json()["description"], description, "{path}");
        }
    }
    let log = server.log().join("\n");
    let count = log.matches("no such route: the path has a doubled or trailing slash").count();
    assert_eq!(count, slashes.split(',').count(), "{log}");
}

#[test]
fn every_answer_has_the_security_headers() {
    let server = App::with_all_products(&[]);
    let cookie = LoginToken::valid().mint();
    let answers = PAGES.into_iter().map(path).flat_map(|path| {
        [
            server.get(path).cookie(&cookie).send(),
            server.get(path).cookie(&cookie).header("Origin", ORIGIN).send(),
            server.get(path).send(),
            server.get(path).header("Origin", "https://evil.example").send(),
            server.request("POST", path).send(),
            server.request("OPTIONS", path).header("Origin", ORIGIN).send(),
        ]
    });
    for answer in answers.chain([server.get("/nowhere").send()]) {
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-resource-policy").as_deref(), Some("same-origin"));
        assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
        assert_eq!(answer.header("x-request-id").unwrap().len(), 32);
    }
}
