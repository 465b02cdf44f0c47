//! `inspect` explains login tokens.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, command};
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture};
use crate::login_tokens::{EMAIL, LoginToken, PROJECT, SUB, now, sign};
use crate::stub::Reply;
use crate::verification::fixtures;

const PREVIOUS: &str = "70726576696f7573206c6f67696e2073656372657420726573657420746f6461";

/// Exit status and output of a command.
pub struct CommandOutput {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `inspect` with a token on standard input.
pub fn inspect(arguments: &[&str], settings: &[(&str, &str)], token: impl AsRef<[u8]>) -> CommandOutput {
    let mut command = command(&[&["inspect"], arguments].concat(), settings);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that stops before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(token.as_ref());
    child.wait_with_output().unwrap().into()
}

fn with_secret(changes: &[(&str, &str)], token: &LoginToken) -> CommandOutput {
    inspect(&[], &[&[("login.secret", LOGIN_SECRET)], changes].concat(), token.mint())
}

#[test]
fn a_valid_token_is_explained_with_times_in_words_and_what_the_agent_sees() {
    let output = with_secret(&[("chat.name_from", "username")], &LoginToken::at(now() - 3 * 3600));
    assert_eq!(output.status, Some(0), "{}{}", output.out, output.err);
    for line in [
        "  alg  \"HS256\"",
        "issued 3 hours ago",
        "expires in 20 hours",
        "Accepted as a login token",
        "  signed with login.secret",
        "  chat: the agent sees name \"Jane Doe\"",
        &format!("  chat: the agent sees external_id \"{SUB}\""),
    ] {
        assert!(output.out.contains(line), "{line}\n{}", output.out);
    }
    let previous = with_secret(&[("login.previous_secret", PREVIOUS)], &LoginToken::valid().secret(PREVIOUS));
    assert!(previous.out.contains("signed with login.previous_secret"), "{}", previous.out);
    assert_eq!(previous.status, Some(0));
}

#[test]
fn a_refused_token_gets_a_cause_and_a_fix() {
    let other_project = "11111111-2222-3333-4444-555555555555";
    let token = LoginToken::valid;
    let previous: &[_] = &[("login.previous_secret", PREVIOUS)];
    for (settings, token, code, cause, fix) in [
        (&[][..], token().claim("exp", now() - 3 * 3600 - 5), "00-01", "expired 3 hours ago", "sign in again"),
        (&[], token().claim("iat", now() + 400), "00-01", "claim iat is 6 minutes in the future", "clock"),
        (&[], token().secret(PREVIOUS), "00-01", "not signed with login.secret", &format!("login project {PROJECT} (")),
        (
            previous,
            token().secret(CHAT_SECRET),
            "00-01",
            "signed with neither login.secret nor login.previous_secret",
            &format!("login project {PROJECT} ("),
        ),
        (
            &[],
            token().secret(CHAT_SECRET).claim("external_id", SUB),
            "00-01",
            "not signed with login.secret",
            "--zendesk",
        ),
        (&[], token().without("email"), "00-03", "claim email is missing", "fields=email"),
        (&[], token().without("sub"), "00-02", "claim sub is missing", "which program created it"),
        (&[], token().claim("email", "žofie@example.com"), "00-04", "not ASCII", "another email"),
        (
            &[],
            token().claim("email", "jane@example.com."),
            "00-04",
            "not a valid email address",
            "correct it in the player's account",
        ),
        (&[], token().claim("request_type", "gateway_token"), "00-01", "has the claim request_type", "user token"),
        (&[], token().claim("events", true), "00-01", "has the claim events", "user token"),
        (&[], token().without("exp"), "00-01", "claim exp is missing", "which program created it"),
        (&[], token().claim("exp", (now() + 60) * 1000), "00-01", "exp is not a time", "which program created it"),
        (
            &[("login.issuer", "https://other.example")],
            token(),
            "00-01",
            "issued by https://login.xsolla.com, but",
            "login.issuer",
        ),
        (
            &[("login.project_id", other_project)],
            token(),
            "00-01",
            &format!("issued for login project {PROJECT}, but"),
            "login.project_id",
        ),
        (&[("login.max_lifetime", "1h")], token(), "00-01", "valid for 24 hours", "login.max_lifetime"),
    ] {
        let output = with_secret(settings, &token);
        assert_eq!(output.status, Some(1), "{cause}: {}{}", output.out, output.err);
        assert!(output.out.contains("Refused as a login token"), "{}", output.out);
        let verdict = output.out.lines().skip_while(|line| !line.starts_with("Refused"));
        let finding = verdict.skip_while(|line| !line.contains(cause)).take(2).collect::<Vec<_>>().join("\n");
        assert!(finding.contains(fix), "{cause} / {fix}\n{}", output.out);
        assert!(output.out.contains(&format!("the service answers {code}")), "{}", output.out);
    }
}

#[test]
fn a_short_login_gets_a_warning_with_any_verdict() {
    let lives = |seconds: i64| LoginToken::valid().claim("iat", now() - 10).claim("exp", now() - 10 + seconds);
    for (seconds, in_words) in
        [(299, Some("4 minutes")), (60, Some("60 seconds")), (899, Some("14 minutes")), (900, None), (3600, None)]
    {
        let output = with_secret(&[], &lives(seconds));
        assert_eq!(output.status, Some(0), "a warning does not refuse the token: {}", output.out);
        let warning = in_words.map(|words| {
            format!(
                "  Warning: the login lasts only {words}; Zendesk tokens expire with it, so players become anonymous\n    \
                 → increase the token lifetime in the login project"
            )
        });
        assert!(warning.as_ref().is_none_or(|warning| output.out.contains(warning)), "{}", output.out);
        assert_eq!(output.out.contains("Warning"), warning.is_some(), "{}", output.out);
        let json = inspect(&["--json"], &[("login.secret", LOGIN_SECRET)], lives(seconds).mint());
        let json: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(json["warnings"].as_array().unwrap().len(), usize::from(in_words.is_some()));
    }
    let expired = with_secret(&[], &LoginToken::valid().claim("iat", now() - 900).claim("exp", now() - 600));
    assert_eq!(expired.status, Some(1));
    assert!(expired.out.contains("Warning: the login lasts only 5 minutes"), "{}", expired.out);
    for odd in [now() - 10, now() - 60] {
        let output = with_secret(&[], &LoginToken::valid().claim("iat", now() - 10).claim("exp", odd));
        assert!(!output.out.contains("Warning"), "{}", output.out);
    }
    assert!(!with_secret(&[], &LoginToken::valid().without("iat").claim("exp", now() + 60)).out.contains("Warning"));
}

#[test]
fn a_claim_with_a_lone_surrogate_is_shown_as_null() {
    let payload = format!(r#"{{"sub":"{SUB}","email":"{EMAIL}","exp":{},"name":"\ud800"}}"#, now() + 3600);
    let output =
        inspect(&[], &[("login.secret", LOGIN_SECRET)], sign(r#"{"alg":"HS256"}"#, &payload, LOGIN_SECRET.as_bytes()));
    assert_eq!(output.status, Some(0), "{}", output.out);
    assert!(output.out.contains("  name   null\n"), "{}", output.out);
}

#[test]
fn the_verdict_equals_that_of_the_service_for_every_fixture() {
    for (name, token) in fixtures("accepted") {
        let output = inspect(&["--json"], &[("login.secret", LOGIN_SECRET)], &token);
        let json: Value = serde_json::from_str(&output.out).unwrap();
        assert_eq!((output.status, json["verdict"].as_str()), (Some(0), Some("accepted")), "{name}");
        assert_eq!(json["signed_with"], "current");
    }
    for (name, token) in fixtures("refused") {
        let output = inspect(&["--json"], &[("login.secret", LOGIN_SECRET)], &token);
        if token.trim_ascii().is_empty() {
            assert_eq!(output.status, Some(2), "{name}");
            continue;
        }
        let json: Value = serde_json::from_str(&output.out).unwrap();
        let code = name.split_once('_').unwrap().0;
        assert_eq!((output.status, json["refusal"].as_str()), (Some(1), Some(code)), "{name}: {}", output.out);
        let finding = &json["findings"][0];
        assert!(finding["cause"].as_str().unwrap().len() > 5 && finding["fix"].as_str().unwrap().len() > 10, "{name}");
    }
}

#[test]
fn the_signature_is_never_printed_and_nothing_moves_the_cursor() {
    let evil = "\u{1b}[31m\u{202e}\u{200b}\u{9b}2J\r";
    let token = LoginToken::valid().claim("email", format!("{evil}{EMAIL}")).claim(evil, evil).mint();
    let odd_header = sign(&format!("{{\"alg\":\"{}\"}}", "\\u001b[31m\u{202e}"), "{}", LOGIN_SECRET.as_bytes());
    for (token, settings) in [
        (LoginToken::valid().mint(), vec![("login.secret", LOGIN_SECRET)]),
        (LoginToken::valid().secret(PREVIOUS).mint(), vec![("login.secret", LOGIN_SECRET)]),
        (token, vec![("login.secret", LOGIN_SECRET)]),
        (odd_header, vec![("login.secret", LOGIN_SECRET)]),
        (fixture("accepted/key_a.jwt"), vec![("login.secret", LOGIN_SECRET)]),
    ] {
        let signature = token.rsplit('.').next().unwrap();
        for arguments in [&[][..], &["--json"]] {
            let output = inspect(arguments, &settings, format!("\n {token} \r\n"));
            let printed = format!("{}{}", output.out, output.err);
            assert!(!printed.contains(signature) && !printed.contains(&signature[..16]), "the signature is printed");
            assert!(!printed.contains(LOGIN_SECRET));
            let is_safe = |c: char| !c.is_control() || c == '\n';
            assert!(printed.chars().all(is_safe) && !printed.contains(['\u{202e}', '\u{200b}']), "{printed:?}");
            assert!(arguments.is_empty() || serde_json::from_str::<Value>(&output.out).is_ok(), "{printed:?}");
        }
    }
}

#[test]
fn rs256_keys_and_revocation_come_from_the_login_api() {
    let api = LoginApi::start();
    let url = api.url();
    let rs256 = [("login.algorithm", "RS256"), ("login.project_id", PROJECT), ("login.api_url", url.as_str())];
    let good = inspect(&[], &rs256, fixture("accepted/key_a.jwt"));
    assert_eq!(good.status, Some(0), "{}{}", good.out, good.err);
    assert!(good.out.contains("the login project's published key that the token's kid names"), "{}", good.out);
    let hs256 = inspect(&[], &rs256, LoginToken::valid().mint());
    assert!(hs256.out.contains("HS256, but login.algorithm is RS256"), "{}", hs256.out);
    let other = inspect(&[], &[("login.secret", LOGIN_SECRET)], fixture("accepted/key_a.jwt"));
    assert!(other.out.contains("RS256, but login.algorithm is HS256"), "{}", other.out);
    let unknown = inspect(&[], &rs256, fixture("refused/kid_unknown.jwt"));
    assert!(unknown.out.contains("header kid names a key that the login project does not publish"), "{}", unknown.out);

    let revocation =
        [("login.secret", LOGIN_SECRET), ("login.check_revocation", "true"), ("login.api_url", url.as_str())];
    assert_eq!(inspect(&[], &revocation, LoginToken::valid().mint()).status, Some(0));
    let refusal = r#"{"error":{"code":"003-061","description":"x"}}"#;
    api.reply(VALIDATE_PATH, Reply::Answer(401, refusal.to_owned()));
    let revoked = inspect(&[], &revocation, LoginToken::valid().mint());
    assert_eq!(revoked.status, Some(1));
    assert!(
        revoked.out.contains("refuses the token (003-061)") && revoked.out.contains("signed out"),
        "{}",
        revoked.out
    );

    drop(api);
    for (settings, token) in [(&rs256, fixture("accepted/key_a.jwt")), (&revocation, LoginToken::valid().mint())] {
        let output = inspect(&["--json"], settings, token);
        let json: Value = serde_json::from_str(&output.out).unwrap();
        assert_eq!((output.status, json["verdict"].as_str()), (Some(1), Some("unknown")), "{}", output.out);
        assert_eq!(json["refusal"], "00-07");
    }
}

#[test]
fn it_needs_the_login_settings_and_no_others() {
    let token = LoginToken::valid().mint();
    assert_eq!(inspect(&[], &[("login.secret", LOGIN_SECRET), ("limits.drain", "x")], &token).status, Some(0));
    let without = inspect(&[], &[], &token);
    assert_eq!(without.status, Some(2));
    assert!(
        without.err.starts_with("login.secret (ZENDESK_TOKEN_LOGIN__SECRET, not set): is needed"),
        "{}",
        without.err
    );
    assert_eq!(without.err.lines().count(), 1);
    for arguments in [&["--config", "/nowhere/at/all"][..], &["--config", "/nowhere/at/all", "--zendesk", "chat"]] {
        let output = inspect(arguments, &[], &token);
        assert!(
            output.err.starts_with("config file (/nowhere/at/all)") && output.err.lines().count() == 1,
            "{}",
            output.err
        );
    }
    for (input, arguments) in [("", &[][..]), (" \n", &[]), (&token, &["--zendesk", "sso"]), (&token, &[&token])] {
        let output = inspect(arguments, &[("login.secret", LOGIN_SECRET)], input);
        assert_eq!(output.status, Some(2), "{}{}", output.out, output.err);
    }
    let huge = inspect(&[], &[("login.secret", LOGIN_SECRET)], "x".repeat(3 << 20));
    assert_eq!(huge.status, Some(1), "{}", huge.out);
    assert_eq!(inspect(&[], &[("login.secret", LOGIN_SECRET)], [0xff, 0xfe, b'.', 0, b'.', 1]).status, Some(1));
}
