//! The login token in a header instead of a cookie.

use crate::app::App;
use crate::client::{Answer, Request};
use crate::harness::ORIGIN;
use crate::login_tokens::{LoginToken, now};

fn server() -> App {
    App::with(&[("login.bearer", "true")])
}

fn ask(server: &App) -> Request {
    server.get("/generate/token")
}

fn bearer(server: &App, token: &str) -> Answer {
    ask(server).header("Authorization", format!("Bearer {token}")).send()
}

fn another() -> String {
    LoginToken::valid().claim("sub", "another").mint()
}

#[test]
fn a_bearer_token_is_taken_when_the_settings_say_so() {
    let token = LoginToken::valid().mint();
    let server = server();
    assert_eq!(bearer(&server, &token).status, 200);
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        assert_eq!(ask(&server).header("Authorization", format!("{scheme} {token}")).send().status, 200, "{scheme}");
    }
    assert_eq!(ask(&server).cookie(&token).send().status, 200, "the cookie alone still does");
    assert_eq!(ask(&server).send().refusal(), "401 00-00");

    let without = App::start();
    assert_eq!(bearer(&without, &token).refusal(), "401 00-00", "nobody looks at the header");
    assert_eq!(ask(&without).header("Authorization", "Basic eA==").cookie(&token).send().status, 200);
    assert_eq!(ask(&without).send().refusal(), "401 00-00");
    let log = [server, without].map(|server| server.log().join("\n"));
    assert!(log[0].contains("neither a cookie with the name in login.cookie nor an Authorization header"), "{log:?}");
    assert!(log[1].contains("login.bearer is off"), "{log:?}");
    assert!(log[1].contains("no cookie with the name in login.cookie\""), "{log:?}");
}

#[test]
fn an_authorization_that_is_not_one_bearer_token_is_invalid_and_not_missing() {
    let (server, token) = (server(), LoginToken::valid().mint());
    for value in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("Bearer{token}"),
        format!("Bearer\t{token}"),
        "Basic".to_owned(),
        format!("{token} x"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} x"),
        format!("Bearer \"{token}\""),
        format!("Bearer token={token}"),
        "Bearer garbage".to_owned(),
    ] {
        assert_eq!(ask(&server).header("Authorization", &value).send().refusal(), "401 00-01", "{value}");
        // A valid cookie changes nothing: the client named a player, and it is unknown which one.
        let beside = ask(&server).header("Authorization", &value).cookie(&token).send();
        assert_eq!(beside.refusal(), "401 00-01", "{value}");
    }
    let header = format!("Bearer {token}");
    let twice = ask(&server).header("Authorization", &header).header("Authorization", &header);
    assert_eq!(twice.send().refusal(), "401 00-01");
    let not_ascii = ask(&server).header("Authorization", [b"Bearer ".as_slice(), &[0xe9, 0xff]].concat());
    assert_eq!(not_ascii.send().refusal(), "401 00-01");
}

#[test]
fn another_scheme_than_bearer_is_no_login_token_and_the_cookie_counts() {
    let (server, token) = (server(), LoginToken::valid().mint());
    for value in [
        "Basic dXNlcjpwYXNz".to_owned(),
        "basic Og==".to_owned(),
        "Negotiate YIIJvwYGKwYB".to_owned(),
        "Digest username=\"staging\", realm=\"shop\"".to_owned(),
        format!("Token {token}"),
    ] {
        let header = |request: Request| request.header("Authorization", &value);
        assert_eq!(header(ask(&server)).cookie(&token).send().status, 200, "{value}");
        assert_eq!(header(ask(&server)).cookie("garbage").send().refusal(), "401 00-01", "{value}");
        assert_eq!(header(ask(&server)).send().refusal(), "401 00-00", "{value}");
    }
    let twice = ask(&server).header("Authorization", "Basic eA==").header("Authorization", format!("Bearer {token}"));
    assert_eq!(twice.cookie(&token).send().refusal(), "401 00-01", "nobody knows which of the two is meant");
    let log = server.log().join("\n");
    assert_eq!(log.matches("an Authorization header, but its scheme is not Bearer").count(), 5, "{log}");
}

#[test]
fn header_and_cookie_must_name_one_player() {
    let (server, token) = (server(), LoginToken::valid().mint());
    let both = |header: &str, cookies: &str| {
        ask(&server).header("Authorization", format!("Bearer {header}")).header("Cookie", cookies).send()
    };
    let later = LoginToken::valid().claim("exp", now() + 90_000).mint();
    for (header, cookies, status) in [
        (&token, format!("token={token}"), 200),
        (&token, format!("token={later}"), 200),
        (&later, format!("token={token}"), 200),
        (&token, format!("token={}", another()), 401),
        (&another(), format!("token={token}"), 401),
        (&token, format!("token={token}; token={}", another()), 401),
        // An invalid cookie is ignored, as next to another cookie.
        (&token, "token=garbage".to_owned(), 200),
        (&token, format!("token={}", LoginToken::valid().claim("exp", 1_500_000_000).mint()), 200),
        // An invalid header is not ignored: the client means that token.
        (&"garbage".to_owned(), format!("token={token}"), 401),
        (&LoginToken::valid().claim("exp", 1_500_000_000).mint(), format!("token={token}"), 401),
        (&token, "token.1=part; token.3=part".to_owned(), 200),
        (&token, "token.1=part; token.1=tossed".to_owned(), 401),
        (&token, "token=1; token=2; token=3; token=4; token=5".to_owned(), 401),
    ] {
        let answer = both(header, &cookies);
        assert_eq!(answer.status, status, "{cookies}");
        if status == 401 {
            assert_eq!(answer.code(), "00-01", "{cookies}");
        }
    }
}

#[test]
fn preflights_allow_any_header_of_an_allowed_page() {
    for server in [server(), App::start()] {
        let preflight = server
            .request("OPTIONS", "/generate/token")
            .header("Origin", ORIGIN)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "authorization,baggage,traceparent");
        let answer = preflight.send();
        assert_eq!(answer.status, 200);
        let allowed = answer.header("access-control-allow-headers");
        assert_eq!(allowed.as_deref(), Some("authorization,baggage,traceparent"));
    }
    let (server, token) = (server(), LoginToken::valid().mint());
    let foreign =
        ask(&server).header("Authorization", format!("Bearer {token}")).header("Origin", "https://evil.example");
    assert_eq!(foreign.send().refusal(), "403 00-05");
}
