//! `GET /generate/token`: requests and responses.

use serde_json::json;

use crate::app::App;
use crate::harness::{CHAT_SECRET, ORIGIN};
use crate::login_tokens::{EMAIL, LoginToken, SUB, now, open};

#[test]
fn a_login_cookie_gives_a_chat_token() {
    let server = App::start();
    let before = now();
    let answer = server.get("/generate/token").cookie(LoginToken::valid().mint()).send();
    let (header, claims) = open(&answer.token(), CHAT_SECRET);

    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256"}));
    let iat = claims["iat"].as_i64().unwrap();
    assert!((before..=now()).contains(&iat));
    let expected = json!({"name": EMAIL, "email": EMAIL, "external_id": SUB, "iat": iat, "exp": iat + 300});
    assert_eq!(claims, expected);
    assert_eq!(answer.json().as_object().unwrap().len(), 1);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
}

#[test]
fn the_references_refusals_come_to_the_letter_and_in_its_order() {
    let server = App::start();
    let ask = |cookie: Option<LoginToken>| {
        let request = server.get("/generate/token");
        let answer = cookie.map_or(server.get("/generate/token"), |token| request.cookie(token.mint())).send();
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
        (answer.status, answer.body)
    };
    let nameless = || LoginToken::valid().without("sub").without("email");
    let forged = nameless().secret("6f74686572206c6f67696e2073656372");
    let sub_only = LoginToken::valid().without("email");
    let expected = [
        (None, 401, r#"{"code":"00-00","description":"Token not passed"}"#),
        (Some(forged), 401, r#"{"code":"00-01","description":"Token is invalid"}"#),
        (Some(nameless()), 422, r#"{"code":"00-02","description":"\"sub\" claim is missed"}"#),
        (Some(sub_only), 422, r#"{"code":"00-03","description":"\"email\" claim is missed"}"#),
    ];
    for (cookie, status, body) in expected {
        assert_eq!(ask(cookie), (status, body.to_owned()));
    }
}

#[test]
fn accept_text_plain_gives_the_bare_token() {
    let server = App::start();
    let answer = server.get("/generate/token").cookie(LoginToken::valid().mint()).header("Accept", "text/plain").send();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(open(&answer.body, CHAT_SECRET).1["external_id"], SUB);
    let refusal = server.get("/generate/token").header("Accept", "text/plain").send();
    assert_eq!(refusal.refusal(), "401 00-00");
}

#[test]
fn text_is_given_only_when_it_is_preferred_by_its_weight() {
    let server = App::start();
    let cookie = LoginToken::valid().mint();
    let plain = [
        "text/plain",
        "TEXT/Plain",
        "text/*",
        "text/plain, */*;q=0.5",
        "application/json;q=0.4, text/plain;q=0.5",
        "*/*, application/json;q=0",
        "text/plain;charset=utf-8;q=1, application/json;q=0.999",
    ];
    let json = [
        "*/*",
        "application/json, text/plain, */*",
        "text/plain, application/json",
        "text/plain;q=0, application/json",
        "text/plain;q=0.3, */*",
        "text/html",
        "text/plain;q=2",
        "text/plain;q=0.1234",
        "text/plain;q=-1",
        "text/plain;q=",
        "",
        ";;;,,,/",
    ];
    let content_type = |accept| {
        let answer = server.get("/generate/token").cookie(&cookie).header("Accept", accept).send();
        assert_eq!(answer.status, 200);
        answer.header("content-type").unwrap()
    };
    for accept in plain {
        assert_eq!(content_type(accept), "text/plain; charset=utf-8", "{accept}");
    }
    for accept in json {
        assert_eq!(content_type(accept), "application/json", "{accept}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = App::start();
    let answer = server.request("HEAD", "/generate/token").cookie(LoginToken::valid().mint()).send();
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(answer.header("content-length").unwrap().parse::<usize>().unwrap() > 100);
    assert_eq!(server.request("HEAD", "/generate/token").send().status, 401);
}

#[test]
fn other_methods_are_refused_with_allow() {
    let server = App::start();
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let answer = server.request(method, "/generate/token").cookie(LoginToken::valid().mint()).send();
        assert_eq!(answer.refusal(), "405 00-09", "{method}");
        assert_eq!(answer.header("allow").as_deref(), Some("GET,HEAD"), "{method}");
    }
}

#[test]
fn other_paths_are_not_found() {
    let server = App::start();
    let paths = [
        "/",
        "/generate",
        "/generate/token/",
        "/Generate/Token",
        "//generate/token",
        "/generate/token%2f",
        "/generate/./token",
        "/live",
        "/ready",
        "/metrics",
        "/?token=x",
    ];
    for path in paths {
        let answer = server.get(path).cookie(LoginToken::valid().mint()).send();
        assert_eq!(answer.refusal(), "404 00-08", "{path}");
    }
}

#[test]
fn a_path_with_a_slash_too_many_is_told_what_is_wrong_with_it() {
    let server = App::start();
    let told = |method: &str, path: &str| {
        let answer = server.request(method, path).cookie(LoginToken::valid().mint()).send();
        assert_eq!(answer.refusal(), "404 00-08", "{path}");
        answer.json()["description"].as_str().unwrap().to_owned()
    };
    let slashes = [
        ("GET", "//generate/token"),
        ("GET", "/generate//token"),
        ("GET", "/generate/token/"),
        ("GET", "///generate///token///?x=/"),
        ("POST", "/support-sdk/token/"),
        ("POST", "//support-sdk/token"),
        ("GET", "//jwt_fn.js"),
        ("GET", "/openapi.json/"),
        ("GET", "/health/"),
    ];
    for (method, path) in slashes {
        assert_eq!(told(method, path), "Not found: the path has a doubled or trailing slash", "{path}");
    }
    for path in
        ["/", "//", "/generate/", "/generate/token/x/", "/Generate/Token/", "/generate/token%2f", "/generate/./token/"]
    {
        assert_eq!(told("GET", path), "Not found", "{path}");
    }
    let log = server.log().join("\n");
    assert_eq!(log.matches("no such route: the path has a doubled or trailing slash").count(), slashes.len(), "{log}");
}

#[test]
fn every_answer_has_the_headers_that_keep_it_safe() {
    let server = App::start();
    let cookie = LoginToken::valid().mint();
    let answers = [
        server.get("/generate/token").cookie(&cookie).send(),
        server.get("/generate/token").cookie(&cookie).header("Origin", ORIGIN).send(),
        server.get("/generate/token").send(),
        server.get("/generate/token").header("Origin", "https://evil.example").send(),
        server.get("/nowhere").send(),
        server.request("POST", "/generate/token").send(),
        server.request("OPTIONS", "/generate/token").header("Origin", ORIGIN).send(),
    ];
    for answer in answers {
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(answer.header("cross-origin-resource-policy").as_deref(), Some("same-origin"));
        assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
        assert_eq!(answer.header("x-request-id").unwrap().len(), 32);
    }
}

#[test]
fn the_name_comes_from_the_first_claim_that_is_there() {
    let server = App::with(&[("chat.name_from", "nickname, username,email")]);
    let name = |token: LoginToken| {
        let answer = server.get("/generate/token").cookie(token.mint()).send();
        open(&answer.token(), CHAT_SECRET).1["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name(LoginToken::valid()), "Jane Doe");
    assert_eq!(name(LoginToken::valid().claim("nickname", "Žofie")), "Žofie");
    assert_eq!(name(LoginToken::valid().claim("nickname", "")), "Jane Doe");
    assert_eq!(name(LoginToken::valid().claim("nickname", "  ")), "Jane Doe");
    assert_eq!(name(LoginToken::valid().claim("nickname", 7)), "Jane Doe");
    assert_eq!(name(LoginToken::valid().without("username")), EMAIL);
}

#[test]
fn the_longest_sub_and_email_that_zendesk_takes_are_taken() {
    let server = App::start();
    let email = format!("{}@{}example.com", "j".repeat(64), "example.".repeat(22) + "x.");
    assert_eq!(email.len(), 254);
    let longest = LoginToken::valid().claim("sub", "8".repeat(255)).claim("email", email.as_str());
    assert_eq!(
        open(&server.get("/generate/token").cookie(longest.mint()).send().token(), CHAT_SECRET).1["email"],
        email
    );
}

#[test]
fn a_player_without_an_email_gets_one_from_the_fallback_domain() {
    let server = App::with(&[("chat.fallback_email_domain", "players.example.com")]);
    let ask = |token: LoginToken| server.get("/generate/token").cookie(token.mint()).send();
    for token in [LoginToken::valid().without("email"), LoginToken::valid().claim("email", "")] {
        let (_, claims) = open(&ask(token).token(), CHAT_SECRET);
        let email = format!("{SUB}@players.example.com");
        assert_eq!((claims["email"].as_str(), claims["name"].as_str()), (Some(email.as_str()), Some(email.as_str())));
    }
    assert_eq!(open(&ask(LoginToken::valid()).token(), CHAT_SECRET).1["email"], EMAIL);
    assert_eq!(ask(LoginToken::valid().without("email").without("sub")).refusal(), "422 00-02");
    assert_eq!(ask(LoginToken::valid().without("email").claim("sub", "eve@evil.example")).refusal(), "422 00-04");
    assert_eq!(ask(LoginToken::valid().without("email").claim("sub", "žofie")).refusal(), "422 00-04");
}

#[test]
fn the_lifetime_is_a_setting() {
    let server = App::with(&[("chat.lifetime", "7m")]);
    let answer = server.get("/generate/token").cookie(LoginToken::valid().mint()).send();
    let (_, claims) = open(&answer.token(), CHAT_SECRET);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 420);
}

#[test]
fn the_cookies_name_is_a_setting() {
    let server = App::with(&[("login.cookie", "__Host-login")]);
    let token = LoginToken::valid().mint();
    assert_eq!(server.get("/generate/token").cookie(&token).send().refusal(), "401 00-00");
    assert_eq!(server.get("/generate/token").header("Cookie", format!("__Host-login={token}")).send().status, 200);
}
