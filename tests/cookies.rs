//! Which cookie is the login cookie, and what happens when there are several.

use crate::harness::{CHAT_SECRET, Server};
use crate::login_tokens::{LoginToken, SUB, now, open};

fn ask(server: &Server, cookies: &[&[u8]]) -> Result<serde_json::Value, String> {
    let request =
        cookies.iter().fold(server.get("/generate/token"), |request, cookie| request.header("Cookie", cookie));
    let answer = request.send();
    if answer.status == 200 { Ok(open(&answer.token(), CHAT_SECRET).1) } else { Err(answer.code()) }
}

fn player(server: &Server, cookie: &str) -> Result<serde_json::Value, String> {
    ask(server, &[cookie.as_bytes()]).map(|claims| claims["external_id"].clone())
}

#[test]
fn the_login_cookie_is_found_among_others() {
    let server = Server::start();
    let token = LoginToken::valid().mint();
    let headers = [
        format!("token={token}"),
        format!("a=b; token={token}"),
        format!("token={token}; a=b"),
        format!("a=b;token={token};c=d"),
        format!("a=b;  \ttoken={token}\t ; c=d"),
        format!("token=\"{token}\""),
        format!("$Version=1; token={token}; $Path=/"),
        format!("; ;; =x; y; token={token};"),
        format!("xtoken=1; tokenx=2; Token=3; token={token}"),
        format!("q=\"a;b\"; token={token}"),
        format!("theme=dark=token; token={token}"),
    ];
    for header in headers {
        assert_eq!(player(&server, &header), Ok(SUB.into()), "{header}");
    }
    let foreign = [b"city=K\xf8benhavn\xff; token=".as_slice(), token.as_bytes()].concat();
    assert!(ask(&server, &[&foreign]).is_ok());
    assert!(ask(&server, &[b"a=b", format!("token={token}").as_bytes(), b"c=d"]).is_ok());
}

#[test]
fn no_login_cookie_is_a_missing_token() {
    let server = Server::start();
    let token = LoginToken::valid().mint();
    let headers = [
        String::new(),
        "a=b".to_owned(),
        "token".to_owned(),
        "=token".to_owned(),
        "token=".to_owned(),
        "token= ".to_owned(),
        "token=; a=b".to_owned(),
        "token=\"\"".to_owned(),
        format!("={token}"),
        format!("Token={token}"),
        format!("TOKEN={token}"),
        format!("xtoken={token}"),
        format!("token ={token}"),
        format!("\u{a0}token={token}"),
        format!("\u{2003}token={token}"),
        format!("\"token\"={token}"),
        format!("t%6fken={token}"),
        format!("a=b, token={token}"),
        format!("a=token={token}"),
    ];
    for header in headers {
        assert_eq!(player(&server, &header), Err("00-00".to_owned()), "{header}");
    }
    assert_eq!(ask(&server, &[]), Err("00-00".to_owned()));
}

#[test]
fn a_login_cookie_outside_the_grammar_is_an_invalid_token() {
    let server = Server::start();
    let token = LoginToken::valid().mint();
    let headers = [
        format!("token= {token}"),
        format!("token=\"{token}"),
        format!("token={token}\""),
        format!("token=\"\"{token}\"\""),
        format!("token='{token}'"),
        format!("token={token},"),
        format!("token={token}\u{a0}"),
        format!("token={}", token.replace('.', "%2E")),
        format!("token=={token}"),
        format!("token={token} x"),
    ];
    for header in headers {
        assert_eq!(player(&server, &header), Err("00-01".to_owned()), "{header}");
    }
    assert_eq!(ask(&server, &[b"token=\xff\xfe"]), Err("00-01".to_owned()));
}

#[test]
fn cookies_of_one_player_settle_on_the_latest_to_end() {
    let server = Server::start();
    let ends = |seconds: i64| LoginToken::valid().claim("exp", now() + seconds).mint();
    let (short, long) = (ends(50), ends(200));
    for header in [format!("token={short}; token={long}"), format!("token={long}; token={short}")] {
        let claims = ask(&server, &[header.as_bytes()]).unwrap();
        let lives = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((190..=200).contains(&lives), "{lives}");
    }
}

#[test]
fn cookies_of_two_players_are_refused_in_either_order() {
    let server = Server::start();
    let (jane, eve) = (LoginToken::valid().mint(), LoginToken::valid().claim("sub", "eve").mint());
    let nobody = LoginToken::valid().without("sub").mint();
    for header in [
        format!("token={jane}; token={eve}"),
        format!("token={eve}; token={jane}"),
        format!("token={jane}; token={nobody}"),
        format!("token={nobody}; token={jane}"),
        format!("token={jane}; token=x; token={eve}"),
    ] {
        assert_eq!(player(&server, &header), Err("00-01".to_owned()));
    }
    let headers = [format!("token={jane}"), format!("token={eve}")];
    assert_eq!(ask(&server, &[headers[0].as_bytes(), headers[1].as_bytes()]), Err("00-01".to_owned()));
}

#[test]
fn a_tossed_cookie_that_does_not_verify_changes_nothing() {
    let server = Server::start();
    let jane = LoginToken::valid().mint();
    let forged = LoginToken::valid().claim("sub", "eve").secret("6f74686572206c6f67696e2073656372").mint();
    let stale = LoginToken::valid().claim("exp", now() - 3600).mint();
    for tossed in ["", "x", "\"", &forged, &stale] {
        for header in [format!("token={tossed}; token={jane}"), format!("token={jane}; token={tossed}")] {
            assert_eq!(player(&server, &header), Ok(SUB.into()), "{header}");
        }
    }
    assert_eq!(player(&server, &format!("token={forged}; token={stale}")), Err("00-01".to_owned()));
}

#[test]
fn more_than_four_different_login_cookies_are_refused_unread() {
    let server = Server::start();
    let jane = LoginToken::valid().mint();
    let toss =
        |count: usize| (1..count).fold(format!("token={jane}"), |header, n| format!("{header}; token=tossed{n}"));
    assert_eq!(player(&server, &toss(4)), Ok(SUB.into()));
    assert_eq!(player(&server, &toss(5)), Err("00-01".to_owned()));
    let same = vec![format!("token={jane}"); 20].join("; ");
    assert_eq!(player(&server, &same), Ok(SUB.into()));
    let same_quoted = format!("{same}; token=\"{jane}\"");
    assert_eq!(player(&server, &same_quoted), Ok(SUB.into()));
}
