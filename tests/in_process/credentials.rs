//! Finds the login token of a request in its cookies or its Authorization header.

use crate::app::App;
use crate::client::Request;
use crate::harness::CHAT_SECRET;
use crate::login_tokens::{LoginToken, SUB, now, open};
use crate::published_keys::INVALID;

const MISSING: &str = "401 00-00";

/// The player that the issued token is for, or the refusal.
fn outcome(request: Request) -> String {
    let answer = request.send();
    if answer.status != 200 {
        return answer.refusal();
    }
    open(&answer.token(), CHAT_SECRET).1["external_id"].as_str().unwrap().to_owned()
}

/// A request with these headers.
fn request(server: &App, headers: &[(&str, &str)]) -> Request {
    headers.iter().fold(server.get("/generate/token"), |request, (name, value)| request.header(name, value))
}

fn with_cookies(server: &App, header: impl AsRef<[u8]>) -> String {
    outcome(server.get("/generate/token").header("Cookie", header))
}

/// Replaces `*` by a valid login token, and the names in angle brackets by other tokens.
fn filled(template: &str) -> String {
    let valid = LoginToken::valid;
    let tokens = [
        ("*", valid()),
        ("<later>", valid().claim("exp", now() + 90_000)),
        ("<expired>", valid().claim("exp", now() - 3600)),
        ("<eve>", valid().claim("sub", "eve")),
        ("<forged>", valid().claim("sub", "eve").secret("6f74686572206c6f67696e2073656372")),
        ("<without sub>", valid().without("sub")),
    ];
    tokens.iter().fold(template.to_owned(), |text, (name, token)| text.replace(name, &token.mint()))
}

/// Sends each Cookie header.
fn check_cookies(expected: &str, templates: &[&str]) {
    let server = App::start();
    for template in templates {
        assert_eq!(with_cookies(&server, filled(template)), expected, "{template}");
    }
}

#[test]
fn the_login_cookie_is_found_among_others() {
    check_cookies(SUB, &["token=*", "a=b; token=*", "token=*; a=b", "a=b;token=*;c=d", "a=b;  \ttoken=*\t ; c=d"]);
    check_cookies(SUB, &["token=\"*\"", "$Version=1; token=*; $Path=/", "; ;; =x; y; token=*;", "q=\"a;b\"; token=*"]);
    check_cookies(SUB, &["xtoken=1; tokenx=2; Token=3; token=*", "theme=dark=token; token=*"]);
    let (server, cookie) = (App::start(), format!("token={}", LoginToken::valid().mint()));
    assert_eq!(with_cookies(&server, [b"city=K\xf8benhavn\xff; ", cookie.as_bytes()].concat()), SUB);
    assert_eq!(outcome(request(&server, &[("Cookie", "a=b"), ("Cookie", &cookie), ("Cookie", "c=d")])), SUB);
}

#[test]
fn without_a_login_cookie_the_token_is_missing() {
    check_cookies(
        MISSING,
        &["", "a=b", "token", "=token", "token=", "token= ", "token=; a=b", "token=\"\"", "=*", "Token=*"],
    );
    check_cookies(MISSING, &["TOKEN=*", "xtoken=*", "token =*", "\u{a0}token=*", "\u{2003}token=*", "\"token\"=*"]);
    check_cookies(MISSING, &["t%6fken=*", "a=b, token=*", "a=token=*"]);
    assert_eq!(outcome(request(&App::start(), &[])), MISSING);
}

#[test]
fn a_login_cookie_outside_the_grammar_is_an_invalid_token() {
    check_cookies(
        INVALID,
        &["token= *", "token=\"*", "token=*\"", "token=*,", "token=*\u{a0}", "token==*", "token=* x"],
    );
    assert_eq!(with_cookies(&App::start(), b"token=\xff\xfe"), INVALID);
}

#[test]
fn of_several_login_cookies_of_one_player_the_latest_to_expire_counts() {
    let server = App::start();
    let [short, long] = [50, 200].map(|seconds| LoginToken::valid().claim("exp", now() + seconds).mint());
    for header in [format!("token={short}; token={long}"), format!("token={long}; token={short}")] {
        let answer = server.get("/generate/token").header("Cookie", header).send();
        let claims = open(&answer.token(), CHAT_SECRET).1;
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((51..=200).contains(&lifetime), "{lifetime}");
    }
}

#[test]
fn cookies_of_two_players_are_refused_in_either_order() {
    check_cookies(INVALID, &["token=*; token=<eve>", "token=<eve>; token=*", "token=*; token=x; token=<eve>"]);
    check_cookies(INVALID, &["token=*; token=<without sub>", "token=<without sub>; token=*"]);
    let [jane, eve] = ["token=*", "token=<eve>"].map(filled);
    assert_eq!(outcome(request(&App::start(), &[("Cookie", &jane), ("Cookie", &eve)])), INVALID);
}

#[test]
fn a_tossed_cookie_that_does_not_verify_changes_nothing() {
    for tossed in ["", "x", "\"", "<forged>", "<expired>"] {
        check_cookies(SUB, &[&format!("token={tossed}; token=*"), &format!("token=*; token={tossed}")]);
    }
    check_cookies(INVALID, &["token=<forged>; token=<expired>"]);
}

#[test]
fn more_than_four_different_login_cookies_are_refused_unread() {
    let four = "token=*; token=tossed1; token=tossed2; token=tossed3";
    check_cookies(SUB, &[four, &format!("{}token=\"*\"", "token=*; ".repeat(20))]);
    check_cookies(INVALID, &[&format!("{four}; token=tossed4")]);
}

/// The cookies of a token that is split into parts of this length.
fn split(name: &str, token: &str, length: usize) -> Vec<String> {
    let parts = token.as_bytes().chunks(length).enumerate();
    parts.map(|(index, part)| format!("{name}.{index}={}", str::from_utf8(part).unwrap())).collect()
}

#[test]
fn a_login_token_that_is_split_over_cookies_is_put_together() {
    let server = App::start();
    let token = LoginToken::valid().claim("payload", "x".repeat(4500)).mint();
    assert!((6001..=8192).contains(&token.len()));
    for length in [token.len(), 3933, 3180, token.len().div_ceil(4)] {
        let mut parts = split("token", &token, length);
        assert_eq!(with_cookies(&server, parts.join("; ")), SUB, "{length}");
        parts.reverse();
        let header = parts.join("; ");
        assert_eq!(with_cookies(&server, format!("a=b; {header}; token.sig=x")), SUB, "{length}");
        let headers: Vec<_> = parts.iter().map(|part| ("Cookie", part.as_str())).collect();
        assert_eq!(outcome(request(&server, &headers)), SUB);
        // The same value twice, an empty part and quotes are not another value.
        let again = format!("{header}; {header}; token.9=; token.0=\"{}\"", &token[..length]);
        assert_eq!(with_cookies(&server, again), SUB, "{length}");
    }
}

#[test]
fn the_name_of_the_login_cookie_is_a_setting() {
    let (server, token) = (App::with(&[("login.cookie", "__Host-token")]), LoginToken::valid().mint());
    for (name, expected) in [("__Host-token", SUB), ("token", MISSING)] {
        assert_eq!(with_cookies(&server, format!("{name}={token}")), expected, "{name}");
        assert_eq!(with_cookies(&server, split(name, &token, token.len().div_ceil(3)).join("; ")), expected, "{name}");
    }
}

#[test]
fn parts_of_a_login_cookie_are_never_guessed() {
    let server = App::start();
    let jane = LoginToken::valid().claim("payload", "x".repeat(4500)).mint();
    let parts = split("token", &jane, 2100);
    let [zero, one, two, three] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    let (all, eve) = (parts.join("; "), filled("<eve>"));
    let tossed_whole = |header: &str| format!("{header}; token={eve}");
    let refused = [
        // Not complete from 0 on.
        (format!("{one}; {two}; {three}"), "part 0 is missing"),
        (format!("{zero}; {two}; {three}"), "part 1 is missing"),
        (format!("{zero}; {one}; {two}"), "login token is not three parts separated by dots"),
        // A second value of one part.
        (format!("{all}; token.1=tossed"), "two different values"),
        (tossed_whole(&format!("{all}; token.1=tossed")), "two different values"),
        // What is left of the player's own login, and a tossed whole cookie.
        (tossed_whole(one), "part 0 is missing"),
        (tossed_whole(&format!("{zero}; {two}")), "part 1 is missing"),
        // More parts than a token has.
        (split("token", &jane, 1300).join("; "), "login token is not three parts separated by dots"),
        // The player's own login, and a tossed whole cookie.
        (tossed_whole(&all), "two different players"),
        (tossed_whole(&format!("token.0={jane}; token.1=tossed")), "two different players"),
        (tossed_whole(&format!("token.0={jane}; token.2=tossed")), "part 1 is missing"),
        (split("token", &"x".repeat(8193), 3180).join("; "), "more than 8192"),
    ];
    check_refusals(&server, &refused);
    for header in
        ["token.=x", "token.00=x", "token.x=x", "token.-1=x", "token.0.0=x", "Token.0=x", "token.0=", "token.4=x"]
    {
        assert_eq!(with_cookies(&server, header), MISSING, "{header}");
    }
    let own = LoginToken::valid().mint();
    for tossed in ["token.0=tossed", "token.4=x", "token.9=x", "token.9=x; token.9=y"] {
        assert_eq!(with_cookies(&server, format!("{tossed}; token={own}")), SUB, "{tossed}");
        assert_eq!(with_cookies(&server, format!("token={own}; {tossed}")), SUB, "{tossed}");
    }
    assert_eq!(with_cookies(&server, format!("token.4=x; {all}")), SUB);
    // A client that sends its login as a bearer token is not refused for cookies.
    assert_eq!(with_bearer(&bearer_server(), &own, "token.1=tossed"), SUB);
}

/// Sends each Cookie header: its token is invalid, and the log has the cause.
fn check_refusals(server: &App, cases: &[(String, &str)]) {
    for (header, _) in cases {
        assert_eq!(with_cookies(server, header), INVALID, "{header}");
    }
    let log = server.log();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("00-01")).collect();
    assert_eq!(lines.len(), cases.len());
    for ((header, cause), line) in cases.iter().zip(lines) {
        assert!(line.contains(cause), "{header}: {line}");
        assert!(!line.contains("eyJ"), "{line}");
    }
}

#[test]
fn an_encoding_around_a_login_token_is_named_in_the_log() {
    let (server, token) = (App::start(), LoginToken::valid().mint());
    let header = token.split('.').next().unwrap();
    let cases: [(&str, &[&str]); 11] = [
        ("login token is percent-encoded", &["%*", "*%0A"]),
        ("login token is encoded as JSON", &["%22*%22", "%22%*%22", "\"\"*\"\"", "\\\"*\\\""]),
        ("login token is inside a JSON object", &["{\"token\":\"*\"}", "%7B%22token%22:%22*%22%7D"]),
        ("login token is in a JSON cookie of Express", &["j:{\"token\":\"*\"}", "j%3a%22*%22"]),
        ("login token has single quotes around it", &["'*'", "%27*%27"]),
        ("login token starts with a name and =", &["token=*"]),
        ("login token starts with the word Bearer", &["Bearer *", "Bearer:*", "bearer%20*"]),
        ("login token is in a cookie signed by Express", &["s%3A*.c2lnbmF0dXJl%2Fx", "s:*.c2lnbmF0dXJl"]),
        ("signature ends with base64 padding", &["*="]),
        // Another cause.
        ("login token is not three parts separated by dots", &["100%", "Bearer"]),
        ("header is not base64url", &["`*`"]),
    ];
    let cookie =
        |value: &str| format!("token={}", value.replace("%*", &token.replace('.', "%2E")).replace('*', &token));
    let cases = cases.iter().flat_map(|(cause, values)| values.iter().map(|value| (cookie(value), *cause)));
    let padded = (format!("token={header}=.x.y"), "header ends with base64 padding");
    check_refusals(&server, &cases.chain([padded]).collect::<Vec<_>>());
}

fn bearer_server() -> App {
    App::with(&[("login.bearer", "true")])
}

fn with_bearer(server: &App, token: &str, cookies: &str) -> String {
    outcome(request(server, &[("Authorization", &format!("Bearer {token}")), ("Cookie", cookies)]))
}

#[test]
fn a_bearer_token_is_read_only_when_the_setting_allows_it() {
    let token = LoginToken::valid().mint();
    let cookie = format!("token={token}");
    let (server, without) = (bearer_server(), App::start());
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        assert_eq!(outcome(request(&server, &[("Authorization", &format!("{scheme} {token}"))])), SUB, "{scheme}");
    }
    assert_eq!(with_cookies(&server, &cookie), SUB);
    assert_eq!(outcome(request(&server, &[])), MISSING);
    let foreign = [("Origin", "https://evil.example"), ("Authorization", &*format!("Bearer {token}"))];
    assert_eq!(outcome(request(&server, &foreign)), "403 00-05");
    assert_eq!(with_bearer(&without, &token, ""), MISSING);
    assert_eq!(with_bearer(&without, "garbage", &cookie), SUB);
    assert_eq!(outcome(request(&without, &[])), MISSING);
    let log = [server, without].map(|server| server.log().join("\n"));
    assert!(log[0].contains("neither a cookie with the name in login.cookie nor an Authorization header"), "{log:?}");
    assert!(log[1].contains("login.bearer is off"), "{log:?}");
    assert!(log[1].contains("no cookie with the name in login.cookie\""), "{log:?}");
}

#[test]
fn a_malformed_authorization_header_is_invalid_even_with_a_valid_cookie() {
    let (server, token) = (bearer_server(), LoginToken::valid().mint());
    let cookie = ("Cookie", &*format!("token={token}"));
    let values = "|Bearer|Bearer |*|Bearer*|Bearer\t*|Basic|* x|Bearer *, Bearer *|Bearer * x|Bearer \"*\"|\
                  Bearer token=*|Bearer garbage";
    for value in values.split('|') {
        let header = ("Authorization", &*value.replace('*', &token));
        assert_eq!(outcome(request(&server, &[header])), INVALID, "{value}");
        assert_eq!(outcome(request(&server, &[header, cookie])), INVALID, "{value}");
    }
    let header = ("Authorization", &*format!("Bearer {token}"));
    assert_eq!(outcome(request(&server, &[header, header])), INVALID);
    assert_eq!(outcome(request(&server, &[("Authorization", "Basic eA=="), header, cookie])), INVALID);
    assert_eq!(outcome(request(&server, &[]).header("Authorization", b"Bearer \xe9\xff")), INVALID);
}

#[test]
fn with_another_scheme_than_bearer_the_cookie_counts() {
    let (server, token) = (bearer_server(), LoginToken::valid().mint());
    let digest = "Digest username=\"staging\", realm=\"shop\"";
    for value in ["Basic dXNlcjpwYXNz", "basic Og==", "Negotiate YIIJvwYGKwYB", digest, "Token *"] {
        let header = ("Authorization", &*value.replace('*', &token));
        assert_eq!(outcome(request(&server, &[header]).cookie(&token)), SUB, "{value}");
        assert_eq!(outcome(request(&server, &[header]).cookie("garbage")), INVALID, "{value}");
        assert_eq!(outcome(request(&server, &[header])), MISSING, "{value}");
    }
    let log = server.log().join("\n");
    assert_eq!(log.matches("an Authorization header, but its scheme is not Bearer").count(), 5, "{log}");
}

#[test]
fn bearer_token_and_cookie_must_be_of_one_player() {
    let server = bearer_server();
    for (bearer, cookies, expected) in [
        ("*", "token=*", SUB),
        ("*", "token=<later>", SUB),
        ("<later>", "token=*", SUB),
        ("*", "token=<eve>", INVALID),
        ("<eve>", "token=*", INVALID),
        ("*", "token=*; token=<eve>", INVALID),
        // An invalid cookie is ignored, as next to another cookie.
        ("*", "token=garbage", SUB),
        ("*", "token=<expired>", SUB),
        // An invalid bearer token is not ignored: the client means that token.
        ("<expired>", "token=*", INVALID),
        ("*", "token.1=part; token.3=part", SUB),
        ("*", "token.1=part; token.1=tossed", INVALID),
        ("*", "token=1; token=2; token=3; token=4; token=5", INVALID),
    ] {
        assert_eq!(with_bearer(&server, &filled(bearer), &filled(cookies)), expected, "{bearer} {cookies}");
    }
}
