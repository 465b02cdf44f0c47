//! What `inspect` takes for a token, and what it makes of odd ones.

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, Server};
use crate::inspect::{Told, inspect};
use crate::login_tokens::{LoginToken, sign};

/// Runs `inspect` with the login secret alone.
fn pasted(text: impl AsRef<[u8]>) -> Told {
    inspect(&[], &[("login.secret", LOGIN_SECRET)], text)
}

/// The lines that say what was taken off.
fn taken_off(told: &Told) -> Vec<&str> {
    told.out.lines().filter_map(|line| line.strip_prefix("Taken off: ")).collect()
}

#[test]
fn what_people_copy_around_a_token_is_taken_off() {
    let token = LoginToken::valid().mint();
    let utf16: Vec<u8> = token.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_be: Vec<u8> = format!("token={token}\r\n").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let of_bytes = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
    for (text, layers) in [
        (format!(" \n{token} \r\n").into_bytes(), &[][..]),
        (of_bytes(&[0xef, 0xbb, 0xbf], token.as_bytes()), &["a byte order mark"]),
        (of_bytes(&[0xff, 0xfe], &utf16), &["UTF-16"]),
        (of_bytes(&[0xfe, 0xff], &utf16_be), &["UTF-16", "a name and ="]),
        (format!("Bearer {token}").into(), &["Bearer"]),
        (format!("bearer  {token}\n").into(), &["Bearer"]),
        (format!("Authorization: Bearer {token}").into(), &["the name of the header", "Bearer"]),
        (format!("token={token}").into(), &["a name and ="]),
        (format!("\"{token}\"").into(), &["quotes"]),
        (format!("token=\"{token}\"").into(), &["a name and =", "quotes"]),
        (format!("{{\"token\": \"{token}\"}}").into(), &["the JSON around it"]),
        (format!("{{\"jwt\":\"{token}\"}}\n").into(), &["the JSON around it"]),
        (format!("{{\"token_type\":\"bearer\",\"access_token\":\"{token}\"}}").into(), &["the JSON around it"]),
        (format!("Cookie: a=b&c; token={token}; c=d").into(), &["the rest of a line of cookies"]),
        (format!("a=b; token={token}").into(), &["the rest of a line of cookies"]),
        (
            format!("set-cookie: token={token}; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly").into(),
            &["the rest of a line of cookies"],
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a:1\r\nCookie: a=b\r\nCookie: token={token}\r\nAccept: */*").into(),
            &["the rest of a line of cookies"],
        ),
        (format!("https://shop.example.com/cb?state=a%20b&token={token}").into(), &["the address or form around it"]),
        (format!("https://shop.example.com/#access_token={token}&x=y").into(), &["the address or form around it"]),
        (format!("capacitor://localhost/#/in?id_token={token}").into(), &["the address or form around it"]),
        (format!("user_token={token}&locale=en").into(), &["the address or form around it"]),
    ] {
        let told = pasted(&text);
        assert_eq!(told.status, Some(0), "{}: {}{}", String::from_utf8_lossy(&text), told.out, told.err);
        assert_eq!(taken_off(&told), layers, "{}", told.out);
        let signature = token.rsplit('.').next().unwrap();
        assert!(!told.out.contains(signature), "{}", told.out);
    }
    let json = inspect(&["--json"], &[("login.secret", LOGIN_SECRET)], format!("token={token}"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["taken_off"], serde_json::json!(["a name and ="]));
    let issued = sign(r#"{"alg":"HS256","typ":"JWT"}"#, "{}", CHAT_SECRET.as_bytes());
    let issued =
        inspect(&["--zendesk", "chat"], &[("chat.secret", CHAT_SECRET)], format!("{{\"token\":\"{issued}\"}}"));
    assert_eq!(taken_off(&issued), ["the JSON around it"]);
}

#[test]
fn a_cookie_that_the_service_does_not_read_is_refused_for_just_that() {
    let token = LoginToken::valid().mint();
    let (head, tail) = token.split_at(token.len() / 2);
    let percent = token.replace('.', "%2E");
    let server = Server::start();
    for (value, causes) in [
        (percent, &["the token is percent-encoded"][..]),
        (format!("%22{token}%22"), &["the token is percent-encoded"]),
        (format!("Bearer%20{token}"), &["the token is percent-encoded", "the cookie has Bearer before the token"]),
        (format!("Bearer {token}"), &["the cookie has Bearer before the token"]),
        (
            format!("s%3A{token}.c2lnbmF0dXJl%2B"),
            &["the token is percent-encoded", "the cookie is signed by Express (s:)"],
        ),
        (format!("s:{token}.c2ln"), &["the cookie is signed by Express (s:)"]),
        (
            format!("j:{{\"token\":\"{token}\"}}"),
            &["the cookie is JSON, as Express writes it (j:)", "the cookie is JSON"],
        ),
        (format!("{{\"token\":\"{token}\"}}"), &["the cookie is JSON"]),
    ] {
        let told = pasted(format!("Cookie: a=b; token={value}"));
        assert_eq!(told.status, Some(1), "{value}: {}{}", told.out, told.err);
        for cause in causes {
            assert!(told.out.contains(&format!("  {cause}\n    → ")), "{cause}: {}", told.out);
        }
        assert_eq!(told.out.matches("→").count(), causes.len(), "what is inside is good: {}", told.out);
        assert!(told.out.contains("signed with login.secret") && told.out.contains("the service answers 00-01"));
        assert_eq!(
            server.get("/generate/token").header("Cookie", format!("token={value}")).send().refusal(),
            "401 00-01"
        );
    }
    let parts = format!("token.1={tail}; x=y; token.0={head}");
    let told = pasted(format!("Cookie: {parts}"));
    assert_eq!(
        (told.status, taken_off(&told).as_slice()),
        (Some(0), &["the names of a cookie in parts"][..]),
        "{}",
        told.out
    );
    assert_eq!(server.get("/generate/token").header("Cookie", &parts).send().status, 200);
    // What is wrong inside is said as well.
    let both = pasted(format!("s%3A{}.c2ln", LoginToken::valid().without("email").mint()));
    assert!(both.out.contains("percent-encoded") && both.out.contains("claim email is absent"), "{}", both.out);
    let json = inspect(&["--json"], &[("login.secret", LOGIN_SECRET)], format!("token=%22{token}%22"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json["verdict"].as_str(), json["refusal"].as_str()), (Some("refused"), Some("00-01")));
}

#[test]
fn the_login_cookie_is_found_by_its_name() {
    let token = LoginToken::valid().mint();
    let settings = [("login.secret", LOGIN_SECRET), ("login.cookie", "jar")];
    for text in
        [format!("Cookie: token=old; jar={token}"), format!("/cb?token=old&jar={token}"), format!("jar={token}")]
    {
        let told = inspect(&[], &settings, &text);
        assert_eq!(told.status, Some(0), "{text}: {}{}", told.out, told.err);
    }
    for text in
        [format!("Cookie: token={token}"), format!("Set-Cookie: token={token}; Path=/"), format!("a=b; c={token}")]
    {
        let told = inspect(&[], &settings, &text);
        assert_eq!((told.status, told.out.as_str()), (Some(2), ""), "{text}");
        assert!(told.err.contains("none of the pasted cookies has the name in login.cookie"), "{}", told.err);
    }
}

#[test]
fn a_token_that_is_misspelt_is_told_where() {
    let token = LoginToken::valid().mint();
    let (header, rest) = token.split_once('.').unwrap();
    for text in [format!("{header}=.{rest}"), format!("Bearer {header}=.{rest}"), format!("{token}=")] {
        let told = pasted(&text);
        assert_eq!(told.status, Some(1), "{text}");
        assert!(told.out.contains("has base64 padding"), "{}", told.out);
    }
    for at in [3, token.len() / 2, token.len() - 3] {
        let (head, tail) = token.split_at(at);
        let wrapped = pasted(format!("{head}\n{tail}"));
        assert_eq!(wrapped.status, Some(1));
        assert!(wrapped.out.contains("line break inside"), "{}", wrapped.out);
    }
    let (chat, padded) = ([("chat.secret", CHAT_SECRET)], format!("{header}=.{rest}"));
    let issued = inspect(&["--zendesk", "chat"], &chat, padded);
    assert!(issued.out.contains("padding (=)"), "{}", issued.out);
}

#[test]
fn what_never_ends_is_not_unwrapped_for_ever() {
    for text in
        ["s:".repeat(1 << 19), "\"".repeat(1 << 20), "%25".repeat(1 << 18), "a=".repeat(1 << 19), "?&".repeat(1 << 19)]
    {
        assert_eq!(pasted(&text).status, Some(1), "{}", &text[..4]);
    }
    for nothing in ["\u{feff}", "\"\"", "token=;", "Authorization:", "{\"token\":\"\"}"] {
        assert_eq!(pasted(nothing).status, Some(2), "{nothing}");
    }
}

#[test]
fn odd_numbers_and_names_are_explained_and_not_stumbled_over() {
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
        let token = sign(r#"{"alg":"HS256","typ":"JWT"}"#, &claims, LOGIN_SECRET.as_bytes());
        let secrets = [("login.secret", LOGIN_SECRET), ("chat.secret", CHAT_SECRET)];
        for arguments in [&[][..], &["--json"], &["--zendesk", "chat"], &["--zendesk", "messaging"]] {
            let settings =
                if arguments.contains(&"messaging") { &[("messaging.secret", CHAT_SECRET)][..] } else { &secrets };
            let told = inspect(arguments, settings, &token);
            assert_eq!(told.status, Some(1), "{}", told.err);
        }
    }
}
