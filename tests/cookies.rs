//! Which cookie is the login cookie, and what happens when there are several.

use crate::app::App;
use crate::harness::CHAT_SECRET;
use crate::login_tokens::{LoginToken, SUB, now, open};

fn ask(server: &App, cookies: &[&[u8]]) -> Result<serde_json::Value, String> {
    let request =
        cookies.iter().fold(server.get("/generate/token"), |request, cookie| request.header("Cookie", cookie));
    let answer = request.send();
    if answer.status == 200 { Ok(open(&answer.token(), CHAT_SECRET).1) } else { Err(answer.code()) }
}

fn player(server: &App, cookie: &str) -> Result<serde_json::Value, String> {
    ask(server, &[cookie.as_bytes()]).map(|claims| claims["external_id"].clone())
}

#[test]
fn the_login_cookie_is_found_among_others() {
    let server = App::start();
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
    let server = App::start();
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
    let server = App::start();
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
    let server = App::start();
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
    let server = App::start();
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
    let server = App::start();
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
    let server = App::start();
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

/// The token in parts of this many letters, as a Cookie header.
fn split(name: &str, token: &str, letters: usize) -> Vec<String> {
    let parts = token.as_bytes().chunks(letters).enumerate();
    parts.map(|(index, part)| format!("{name}.{index}={}", str::from_utf8(part).unwrap())).collect()
}

#[test]
fn a_login_token_that_was_split_over_cookies_is_put_together() {
    let server = App::start();
    let token = LoginToken::valid().claim("payload", "x".repeat(4500)).mint();
    assert!((6001..=8192).contains(&token.len()));
    for letters in [token.len(), 3933, 3180, token.len().div_ceil(4)] {
        let mut parts = split("token", &token, letters);
        assert_eq!(player(&server, &parts.join("; ")), Ok(SUB.into()), "{letters}");
        parts.reverse();
        assert_eq!(player(&server, &format!("a=b; {}; token.sig=x", parts.join("; "))), Ok(SUB.into()), "{letters}");
        let headers: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
        assert!(ask(&server, &headers).is_ok());
        // The same value twice, an empty part, and quotes are no other value.
        let again = format!("{0}; {0}; token.9=; token.0=\"{1}\"", parts.join("; "), &token[..letters]);
        assert_eq!(player(&server, &again), Ok(SUB.into()), "{letters}");
    }
    let prefixed = App::with(&[("login.cookie", "__Host-token")]);
    assert_eq!(player(&prefixed, &split("__Host-token", &token, 3180).join("; ")), Ok(SUB.into()));
    assert_eq!(player(&prefixed, &split("token", &token, 3180).join("; ")), Err("00-00".to_owned()));
}

#[test]
fn parts_of_a_login_cookie_are_never_guessed() {
    let server = App::start();
    let jane = LoginToken::valid().claim("payload", "x".repeat(4500)).mint();
    let eve = LoginToken::valid().claim("sub", "eve").mint();
    let parts = split("token", &jane, 2100);
    let [zero, one, two, three] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    let whole = |header: &str| format!("{header}; token={eve}");
    let refused = [
        // Not complete from 0 on.
        (format!("{one}; {two}; {three}"), "part 0 is missing"),
        (format!("{zero}; {two}; {three}"), "part 1 is missing"),
        (format!("{zero}; {one}; {two}"), "login token is not three parts separated by dots"),
        // A second value of one part, whatever comes with it.
        (format!("{}; token.1=tossed", parts.join("; ")), "two different values"),
        (whole(&format!("{}; token.1=tossed", parts.join("; "))), "two different values"),
        // The rest of the player's own login, next to a whole cookie that was tossed.
        (whole(one), "part 0 is missing"),
        (whole(&format!("{zero}; {two}")), "part 1 is missing"),
        // More parts than a token has.
        (split("token", &jane, 1300).join("; "), "login token is not three parts separated by dots"),
        // A whole cookie that was tossed, and whatever breaks the player's own.
        (whole(&parts.join("; ")), "two different players"),
        (whole(&format!("{}; token.1=tossed", split("token", &jane, jane.len())[0])), "two different players"),
        (whole(&format!("{}; token.2=tossed", split("token", &jane, jane.len())[0])), "part 1 is missing"),
        (split("token", &"x".repeat(8193), 3180).join("; "), "more than 8192"),
    ];
    for (header, _) in &refused {
        assert_eq!(player(&server, header), Err("00-01".to_owned()), "{header}");
    }
    let nothing = ["token.=x", "token.00=x", "token.x=x", "token.-1=x", "token.0.0=x", "Token.0=x", "token.0="];
    for header in nothing {
        assert_eq!(player(&server, header), Err("00-00".to_owned()), "{header}");
    }
    let own = LoginToken::valid().mint();
    for stray in ["token.0=tossed", "token.4=x", "token.9=x", "token.9=x; token.9=y"] {
        assert_eq!(player(&server, &format!("{stray}; token={own}")), Ok(SUB.into()), "{stray}");
        assert_eq!(player(&server, &format!("token={own}; {stray}")), Ok(SUB.into()), "{stray}");
    }
    assert_eq!(player(&server, &format!("token.4=x; {}", parts.join("; "))), Ok(SUB.into()));
    assert_eq!(player(&server, "token.4=x"), Err("00-00".to_owned()));
    // A client that names its login outright is not refused for cookies.
    let bearer = App::with(&[("login.bearer", "true")]);
    let request = bearer.get("/generate/token").header("Authorization", format!("Bearer {own}"));
    assert_eq!(request.header("Cookie", "token.1=tossed").send().status, 200);
    let log = server.log();
    for ((_, cause), line) in refused.iter().zip(log.iter().filter(|line| line.contains("00-01"))) {
        assert!(line.contains(cause), "{cause}: {line}");
    }
}

#[test]
fn what_stands_around_a_login_token_is_named_in_the_log() {
    let server = App::start();
    let token = LoginToken::valid().mint();
    let encoded = token.replace('.', "%2E");
    let cases = [
        (encoded.clone(), "login token is percent-encoded"),
        (format!("{token}%0A"), "login token is percent-encoded"),
        (format!("%22{token}%22"), "login token is encoded as JSON"),
        (format!("%22{encoded}%22"), "login token is encoded as JSON"),
        (format!("\"\"{token}\"\""), "login token is encoded as JSON"),
        (format!("\\\"{token}\\\""), "login token is encoded as JSON"),
        (format!("{{\"token\":\"{token}\"}}"), "login token is inside a JSON object"),
        (format!("%7B%22token%22:%22{token}%22%7D"), "login token is inside a JSON object"),
        (format!("j:{{\"token\":\"{token}\"}}"), "login token is in a JSON cookie of Express"),
        (format!("j%3a%22{token}%22"), "login token is in a JSON cookie of Express"),
        (format!("'{token}'"), "login token has single quotes around it"),
        (format!("%27{token}%27"), "login token has single quotes around it"),
        (format!("token={token}"), "login token starts with a name and ="),
        (format!("Bearer {token}"), "login token starts with the word Bearer"),
        (format!("Bearer:{token}"), "login token starts with the word Bearer"),
        (format!("bearer%20{token}"), "login token starts with the word Bearer"),
        (format!("s%3A{token}.c2lnbmF0dXJl%2Fx"), "login token is in a cookie signed by Express"),
        (format!("s:{token}.c2lnbmF0dXJl"), "login token is in a cookie signed by Express"),
        (format!("{}=.x.y", token.split('.').next().unwrap()), "header ends with base64 padding"),
        (format!("{token}="), "signature ends with base64 padding"),
        // Nothing of the kind.
        ("100%".to_owned(), "login token is not three parts separated by dots"),
        ("Bearer".to_owned(), "login token is not three parts separated by dots"),
        (format!("`{token}`"), "header is not base64url"),
    ];
    for (value, _) in &cases {
        assert_eq!(player(&server, &format!("token={value}")), Err("00-01".to_owned()), "{value}");
    }
    let log = server.log();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("00-01")).collect();
    assert_eq!(lines.len(), cases.len());
    for ((value, cause), line) in cases.iter().zip(lines) {
        assert!(line.contains(cause), "{value}: {line}");
        assert!(!line.contains(&token[..20]), "{line}");
    }
}
