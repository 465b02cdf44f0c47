//! What `inspect` takes for a token, and what it makes of odd ones.

use crate::harness::{CHAT_SECRET, LOGIN_SECRET};
use crate::inspect::inspect;
use crate::login_tokens::{LoginToken, sign};

#[test]
fn what_people_copy_around_a_token_is_taken_off() {
    let token = LoginToken::valid().mint();
    for text in [
        format!("Bearer {token}"),
        format!("bearer  {token}\n"),
        format!("token={token}"),
        format!("\"{token}\""),
        format!("token=\"{token}\""),
        format!("{{\"token\": \"{token}\"}}"),
        format!("{{\"jwt\":\"{token}\"}}\n"),
    ] {
        let told = inspect(&[], &[("login.secret", LOGIN_SECRET)], &text);
        assert_eq!(told.status, Some(0), "{text}: {}{}", told.out, told.err);
    }
    let (header, rest) = token.split_once('.').unwrap();
    let padded = inspect(&[], &[("login.secret", LOGIN_SECRET)], format!("{header}=.{rest}"));
    assert!(padded.out.contains("header has base64 padding"), "{}", padded.out);
    let (head, tail) = token.split_at(token.len() / 2);
    let wrapped = inspect(&[], &[("login.secret", LOGIN_SECRET)], format!("{head}\n{tail}"));
    assert_eq!(wrapped.status, Some(1));
    assert!(wrapped.out.contains("line break inside"), "{}", wrapped.out);
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
