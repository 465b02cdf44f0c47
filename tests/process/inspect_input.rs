//! `inspect` finds the token in pasted text.

use std::time::Instant;

use serde_json::json;

use crate::app::App;
use crate::client::Answer;
use crate::commands::CommandOutput;
use crate::harness::{CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, PATIENCE};
use crate::inspect::{LOGIN, inspect};
use crate::login_tokens::{HEADER, LoginToken, sign};

const CHAT: [(&str, &str); 1] = [("chat.secret", CHAT_SECRET)];

/// Runs `inspect` with only the login secret.
fn pasted(text: impl AsRef<[u8]>) -> CommandOutput {
    inspect(&[], &LOGIN, text)
}

/// The layers that the report lists as removed.
fn removed(output: &CommandOutput) -> Vec<&str> {
    output.out.lines().filter_map(|line| line.strip_prefix("Removed: ")).collect()
}

#[test]
fn text_copied_around_a_token_is_removed() {
    let token = LoginToken::valid().mint();
    let utf16: Vec<u8> = token.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_be: Vec<u8> = format!("token={token}\r\n").encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (text, layers) in [
        (format!(" \n{token} \r\n").into_bytes(), &[][..]),
        ([b"\xef\xbb\xbf", token.as_bytes()].concat(), &["a byte order mark"]),
        ([b"\xff\xfe", &*utf16].concat(), &["UTF-16"]),
        ([b"\xfe\xff", &*utf16_be].concat(), &["UTF-16", "the cookie's name"]),
        (utf16.clone(), &["UTF-16"]),
        (utf16_be.iter().skip(2).copied().collect(), &["UTF-16", "the cookie's name"]),
        (format!("\u{200b}{token}\u{feff}").into(), &["zero-width characters"]),
        (format!("\u{201c}{token}\u{201d}").into(), &["quotes"]),
        (format!("{token};").into(), &["the ; or , after it"]),
        (format!("\"{token}\",").into(), &["the ; or , after it", "quotes"]),
        (format!("{token}'").into(), &["quotes"]),
        (format!("token='{token}'").into(), &["the cookie's name", "quotes"]),
        (format!("Bearer {token}").into(), &["Bearer"]),
        (format!("bearer  {token}\n").into(), &["Bearer"]),
        (format!("Authorization: Bearer {token}").into(), &["Authorization:", "Bearer"]),
        (format!("token={token}").into(), &["the cookie's name"]),
        (format!("\"{token}\"").into(), &["quotes"]),
        (format!("token=\"{token}\"").into(), &["the cookie's name", "quotes"]),
        (format!("{{\"token\": \"{token}\"}}").into(), &["the JSON around it"]),
        (format!("{{\"jwt\":\"{token}\"}}\n").into(), &["the JSON around it"]),
        (format!("{{\"token_type\":\"bearer\",\"access_token\":\"{token}\"}}").into(), &["the JSON around it"]),
        (format!("https://shop.example.com/cb?state=a%20b&token={token}").into(), &["the URL or form around it"]),
        (format!("https://shop.example.com/#access_token={token}&x=y").into(), &["the URL or form around it"]),
        (format!("capacitor://localhost/#/in?id_token={token}").into(), &["the URL or form around it"]),
        (format!("user_token={token}&locale=en").into(), &["the URL or form around it"]),
    ] {
        check(&token, &text, layers);
    }
    let json = inspect(&["--json"], &LOGIN, format!("token={token}")).json();
    assert_eq!(json["taken_off"], json!(["the cookie's name"]));
    let issued = format!("{{\"token\":\"{}\"}}", sign(HEADER, "{}", CHAT_SECRET.as_bytes()));
    assert_eq!(removed(&inspect(&["--zendesk", "chat"], &CHAT, issued)), ["the JSON around it"]);
}

#[test]
fn a_token_is_found_in_header_lines_and_curl_commands() {
    let token = LoginToken::valid().mint();
    let (head, tail) = token.split_at(token.len() / 2);
    let cookies: &[&str] = &["the rest of the cookie line"];
    let split: &[&str] = &["the names of a split cookie (.0, .1)"];
    let curl: &[&str] = &["the curl command", "the rest of the cookie line"];
    for (text, layers) in [
        (format!("Cookie: a=b&c; token={token}; c=d"), cookies),
        (format!("a=b; token={token}"), cookies),
        (format!("set-cookie: token={token}; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly"), cookies),
        (format!("GET / HTTP/1.1\r\nHost: a:1\r\nCookie: a=b\r\nCookie: token={token}\r\nAccept: */*"), cookies),
        (format!("> Host: a\n> Cookie: a=b; token={token}\n>"), cookies),
        (format!("< HTTP/1.1 200 OK\n< set-cookie: token={token}; Path=/"), cookies),
        (format!("Authorization: Basic YTpi\nCookie: a=b\nCookie: token=\"{token}\""), cookies),
        (format!("Set-Cookie: token.0={head}; Path=/\nSet-Cookie: token.1={tail}; Path=/"), split),
        (format!("Cookie: token.0={head}\r\nCookie: token.1={tail}; token.9=x"), split),
        (format!("-b 'token={token}'"), curl),
        (format!("-b 'a=b; token={token}"), curl),
        (format!("-H 'Cookie: token={token}' \\"), curl),
        (
            format!("curl 'https://a/' \\\n  -H 'accept: */*' \\\n  -H $'Authorization: Bearer {token}'"),
            &["the curl command", "Authorization:", "Bearer"],
        ),
        (format!("curl ^\"https://a/^\" ^\r\n  -b ^\"token={token}; a=b^\""), curl),
        (format!("GET /cb?token={token} HTTP/1.1\r\nHost: a\r\nCookie: a=b"), &["the URL or form around it"]),
        (format!("curl 'https://a/cb?token={token}' -H 'a: b'"), &["the URL or form around it", "quotes"]),
    ] {
        check(&token, text.as_bytes(), layers);
    }
}

/// Checks that a valid token is found, which layers are removed, and that the signature is not printed.
fn check(token: &str, text: &[u8], layers: &[&str]) {
    let output = pasted(text);
    assert_eq!(output.status, Some(0), "{}: {}{}", String::from_utf8_lossy(text), output.out, output.err);
    assert_eq!(removed(&output), layers, "{output:?}");
    let signature = token.rsplit('.').next().unwrap();
    assert!(!output.out.contains(signature), "{output:?}");
}

#[test]
fn an_encoded_or_wrapped_cookie_is_refused_for_that_reason() {
    let token = LoginToken::valid().mint();
    let percent = token.replace('.', "%2E");
    let (server, mut causes) = (App::start(), Vec::new());
    for (value, cause) in [
        (percent, "login token is percent-encoded"),
        (format!("%22{token}%22"), "login token is encoded as JSON"),
        (format!("\\\"{token}\\\""), "login token is encoded as JSON"),
        (format!("\"\"{token}\"\""), "login token is encoded as JSON"),
        (format!("Bearer%20{token}"), "login token starts with the word Bearer"),
        (format!("Bearer {token}"), "login token starts with the word Bearer"),
        (format!("Bearer:{token}"), "login token starts with the word Bearer"),
        (format!("s%3A{token}.c2lnbmF0dXJl%2B"), "login token is in a cookie signed by Express"),
        (format!("s:{token}.c2ln"), "login token is in a cookie signed by Express"),
        (format!("j:{{\"token\":\"{token}\"}}"), "login token is in a JSON cookie of Express"),
        (format!("j%3A%7B%22token%22%3A%22{token}%22%7D"), "login token is in a JSON cookie of Express"),
        (format!("{{\"token\":\"{token}\"}}"), "login token is inside a JSON object"),
        (format!("'{token}'"), "login token has single quotes around it"),
        (format!("token={token}"), "login token starts with a name and ="),
    ] {
        let output = pasted(format!("Cookie: a=b; token={value}"));
        assert_eq!(output.status, Some(1), "{value}: {output:?}");
        let line =
            output.out.lines().find(|line| line.contains(cause)).unwrap_or_else(|| panic!("{cause}: {output:?}"));
        assert_eq!(output.out.matches("→").count(), 1, "the token inside is valid: {output:?}");
        assert!(output.out.contains("signed with login.secret") && output.out.contains("the service answers 00-01"));
        assert!(!output.out.contains("the agent sees"), "{output:?}");
        assert_eq!(ask(&server, &format!("token={value}")).refusal(), "401 00-01");
        causes.push(line.trim().to_owned());
    }
    // The service logs the same causes.
    let log = server.log();
    for (cause, line) in causes.iter().zip(log.iter().filter(|line| line.contains("00-01"))) {
        assert!(line.contains(&serde_json::to_string(cause).unwrap()), "{cause}: {line}");
    }
    // A defect inside is reported too.
    let both = pasted(format!("s%3A{}.c2ln", LoginToken::valid().without("email").mint()));
    assert!(both.out.contains("signed by Express") && both.out.contains("claim email is missing"), "{}", both.out);
    let json = inspect(&["--json"], &LOGIN, format!("token=%22{token}%22")).json();
    assert_eq!((&json["verdict"], &json["refusal"]), (&json!("refused"), &json!("00-01")));
}

#[test]
fn other_cookies_get_the_same_verdict_as_from_the_service() {
    let token = LoginToken::valid().mint();
    let (head, tail) = token.split_at(token.len() / 2);
    let server = App::start();
    for value in
        [format!(" {token}"), format!("{token},"), format!("\u{200b}{token}"), format!("\u{201c}{token}\u{201d}")]
    {
        let output = pasted(format!("Cookie: token={value}"));
        assert_eq!(output.status, Some(1), "{value}: {output:?}");
        assert!(output.out.contains("is not base64url"), "{output:?}");
        assert_eq!(ask(&server, &format!("token={value}")).refusal(), "401 00-01");
    }
    for (cookies, cause) in [
        (format!("token.1={tail}"), "part 0 is missing"),
        (format!("token={token}; token.1={tail}"), "part 0 is missing"),
        (format!("token.0={token}; token.0={head}"), "two different values"),
    ] {
        let output = pasted(format!("Cookie: {cookies}"));
        assert!(output.status == Some(1) && output.out.contains(cause), "{output:?}");
        assert_eq!(output.out.matches("→").count(), 1, "{output:?}");
        assert_eq!(ask(&server, &cookies).refusal(), "401 00-01");
    }
    let parts = format!("token.1={tail}; x=y; token.0={head}");
    let output = pasted(format!("Cookie: {parts}"));
    assert_eq!(
        (output.status, &*removed(&output)),
        (Some(0), &["the names of a split cookie (.0, .1)"][..]),
        "{output:?}"
    );
    assert_eq!(ask(&server, &parts).status, 200);
}

fn ask(server: &App, cookies: &str) -> Answer {
    server.get("/generate/token").header("Cookie", cookies).send()
}

#[test]
fn the_login_cookie_is_found_by_its_name() {
    let token = LoginToken::valid().mint();
    let settings = [("login.secret", LOGIN_SECRET), ("login.cookie", "jar")];
    for text in
        [format!("Cookie: token=old; jar={token}"), format!("/cb?token=old&jar={token}"), format!("jar={token}")]
    {
        let output = inspect(&[], &settings, &text);
        assert_eq!(output.status, Some(0), "{text}: {}{}", output.out, output.err);
    }
    for text in
        [format!("Cookie: token={token}"), format!("Set-Cookie: token={token}; Path=/"), format!("a=b; c={token}")]
    {
        let output = inspect(&[], &settings, &text);
        assert_eq!((output.status, output.out.as_str()), (Some(2), ""), "{text}");
        assert!(output.err.contains("none of the pasted cookies has the name in login.cookie"), "{}", output.err);
    }
}

#[test]
fn a_malformed_token_gets_a_matching_fix() {
    let token = LoginToken::valid().mint();
    let (header, rest) = token.split_once('.').unwrap();
    for text in [format!("{header}=.{rest}"), format!("Bearer {header}=.{rest}"), format!("{token}=")] {
        let output = pasted(&text);
        assert_eq!(output.status, Some(1), "{text}");
        assert!(output.out.contains("ends with base64 padding"), "{output:?}");
    }
    for at in [3, token.len() / 2, token.len() - 3] {
        let (head, tail) = token.split_at(at);
        let wrapped = pasted(format!("{head}\n{tail}"));
        assert_eq!(wrapped.status, Some(1));
        assert!(wrapped.out.contains("line break inside"), "{}", wrapped.out);
    }
    let issued = inspect(&["--zendesk", "chat"], &CHAT, format!("{header}=.{rest}"));
    assert!(issued.out.contains("padding (=)"), "{issued:?}");
}

#[test]
fn input_with_very_many_layers_ends_in_time() {
    for text in
        ["s:".repeat(1 << 19), "\"".repeat(1 << 20), "%25".repeat(1 << 18), "a=".repeat(1 << 19), "?&".repeat(1 << 19)]
    {
        assert_eq!(pasted(&text).status, Some(1), "{}", &text[..4]);
    }
    let started = Instant::now();
    let parts: Vec<String> = (0..60_000).map(|part| format!("token.{part}=a")).collect();
    assert_eq!(pasted(format!("Cookie: {}", parts.join("; "))).status, Some(1));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    for broken in [&[0xff, 0xfe, 0x00, 0xd8, 0x61, 0x00][..], &[0xfe, 0xff, 0xdc, 0x00]] {
        let output = pasted(broken);
        assert!(output.status == Some(2) && output.err.contains("invalid UTF-16"), "{}", output.err);
    }
    for nothing in ["\u{feff}", "\"\"", "token=;", "Authorization:", "{\"token\":\"\"}"] {
        assert_eq!(pasted(nothing).status, Some(2), "{nothing}");
    }
}

#[test]
fn odd_numbers_and_names_are_explained() {
    let long = "n".repeat(70_000);
    for claims in [
        format!(r#"{{"exp":{0},"iat":{0},"nbf":{0}}}"#, i64::MIN),
        format!(r#"{{"exp":{0},"iat":{0},"nbf":{0}}}"#, i64::MAX),
        format!(r#"{{"exp":{0},"iat":-{0}}}"#, u64::MAX),
        r#"{"exp":1e300,"iat":-1e300,"nbf":0.5}"#.to_owned(),
        r#"{"exp":253402300800,"iat":-1}"#.to_owned(),
        format!(r#"{{"{long}":1}}"#),
        format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100)),
    ] {
        let token = sign(HEADER, &claims, LOGIN_SECRET.as_bytes());
        let settings = [LOGIN[0], CHAT[0], ("messaging.secret", MESSAGING_SECRET)];
        for arguments in [&[][..], &["--json"], &["--zendesk", "chat"], &["--zendesk", "messaging"]] {
            assert_eq!(inspect(arguments, &settings, &token).status, Some(1), "{arguments:?} {claims}");
        }
    }
}
