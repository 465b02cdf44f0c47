//! `GET /help-center/token`: the claims of a Help Center token.

use serde_json::{Value, json};
use zendesk_token::config::products::Product;

use crate::app::App;
use crate::harness::{HELP_CENTER_SECRET, MESSAGING_SECRET};
use crate::login_tokens::{EMAIL, LoginToken, SUB, now, open_for};

fn claims(server: &App, token: &LoginToken) -> Value {
    let token = server.get("/help-center/token").cookie(token.mint()).send().token();
    let (header, claims) = open_for(Product::HelpCenter, &token, HELP_CENTER_SECRET);
    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256"}));
    claims
}

#[test]
fn a_login_cookie_gives_a_help_center_token() {
    let server = App::with_all_products(&[]);
    let before = now();
    let told = claims(&server, &LoginToken::valid());
    let (iat, jti) = (told["iat"].as_i64().unwrap(), told["jti"].as_str().unwrap());
    assert!((before..=now()).contains(&iat));
    assert!(jti.len() == 32 && jti.bytes().all(|byte| byte.is_ascii_hexdigit()), "{jti}");
    assert_eq!(told, json!({"name": "Jane Doe", "email": EMAIL, "jti": jti, "iat": iat}));
    assert_ne!(claims(&server, &LoginToken::valid())["jti"], told["jti"]);
}

#[test]
fn the_email_is_needed_and_is_the_name_where_there_is_no_other() {
    let server = App::with_all_products(&[]);
    let ask = |token: LoginToken| server.get("/help-center/token").cookie(token.mint()).send();
    assert_eq!(ask(LoginToken::valid().without("email")).refusal(), "422 00-03");
    assert_eq!(ask(LoginToken::valid().without("sub")).refusal(), "422 00-02");
    assert_eq!(ask(LoginToken::valid().claim("email", "jane")).refusal(), "422 00-04");
    assert_eq!(claims(&server, &LoginToken::valid().without("username"))["name"], EMAIL);
    assert_eq!(claims(&server, &LoginToken::valid().claim("name", "Jane D."))["name"], "Jane D.");
    assert_eq!(claims(&server, &LoginToken::valid().claim("email", "žofie@example.com"))["email"], "žofie@example.com");
    let fallback = App::with_all_products(&[("help_center.fallback_email_domain", "players.example.com")]);
    let email = format!("{SUB}@players.example.com");
    assert_eq!(claims(&fallback, &LoginToken::valid().without("email"))["email"], email);
    let chat = fallback.get("/generate/token").cookie(LoginToken::valid().without("email").mint()).send();
    assert_eq!(chat.refusal(), "422 00-03", "each product has its own");
}

/// Only for Chat does Zendesk forbid emails that are not ASCII; mailboxes may have such names (RFC 6531).
#[test]
fn letters_of_any_script_may_stand_before_the_at_in_their_normal_form() {
    let server = App::with_all_products(&[]);
    for email in ["žofie@example.com", "用户@example.com", "Дора.2@example.com", "a!#$%&'*+-/=?^_`{|}~z@a-1.example.co"]
    {
        assert_eq!(claims(&server, &LoginToken::valid().claim("email", email))["email"], email);
    }
    for email in [
        "z\u{30c}ofie@example.com", // the same to a reader that composes it
        "\u{212a}ate@example.com",  // KELVIN SIGN
        "ｊane@example.com",
        "jane\u{2460}@example.com",
        "\u{fb01}ona@example.com",
        "jane\u{3000}doe@example.com",
        "jane\u{301}@example.com",
        "🔥@example.com",
        "jane@пример.example",
        "jane@example.\u{440}\u{444}",
    ] {
        let answer = server.get("/help-center/token").cookie(LoginToken::valid().claim("email", email).mint()).send();
        assert_eq!(answer.refusal(), "422 00-04", "{email:?}");
    }
}

#[test]
fn nobody_claims_an_email_that_is_made_up_for_another() {
    let domain = ("chat.fallback_email_domain", "players.example.com");
    let server = App::with_all_products(&[domain]);
    for email in [format!("{SUB}@players.example.com"), "eve@Players.EXAMPLE.com".to_owned()] {
        let eve = LoginToken::valid().claim("sub", "11111111-2222-3333-4444-555555555555").claim("email", email).mint();
        for path in ["/generate/token", "/help-center/token"] {
            assert_eq!(server.get(path).cookie(&eve).send().refusal(), "422 00-04", "{path}");
        }
        let messaging = server.get("/messaging/token").cookie(&eve).send();
        let told = open_for(Product::Messaging, &messaging.token(), MESSAGING_SECRET).1;
        assert!(told.get("email").is_none() && told["name"] == "Jane Doe", "a hint is left out: {told}");
        let app = server.request("POST", "/support-sdk/token").body(format!("user_token={eve}")).send();
        assert_eq!(app.refusal(), "422 00-04");
    }
    for email in ["eve@sub.players.example.com", "eve@example.com", "players.example.com@example.com"] {
        let eve = LoginToken::valid().claim("email", email).mint();
        assert_eq!(server.get("/help-center/token").cookie(&eve).send().status, 200, "{email}");
    }
    // Parsers differ about these: one of them could read the fallback domain in it.
    let disguised = [
        "eve@players.example.com.",
        "eve@players.example.com>",
        "x<eve@players.example.com>",
        "<eve@players.example.com>",
        "mailto:eve@players.example.com",
        "eve@players.example.com (x)",
        "eve@players.example.com:25",
        "eve@players.example.com,x.yz",
        "eve@ｐｌａｙｅｒｓ.example.com",
        "eve@players.example。com",
        "eve@players\u{ad}.example.com",
        "eve@play\u{200b}ers.example.com",
        "eve@players.example.com\u{200f}",
        "\u{202e}eve@players.example.com",
        "eve＠players.example.com",
        "\"eve@players.example.com\"",
        "eve@[players.example.com]",
        "eve@players..example.com",
        "a@b.cd@players.example.com",
        "eve@players.example.com\0",
    ];
    for email in disguised {
        let eve = LoginToken::valid().claim("email", email).mint();
        for path in ["/generate/token", "/help-center/token"] {
            assert_eq!(server.get(path).cookie(&eve).send().refusal(), "422 00-04", "{path} {email:?}");
        }
        let messaging = server.get("/messaging/token").cookie(&eve).send();
        let told = open_for(Product::Messaging, &messaging.token(), MESSAGING_SECRET).1;
        assert!(told.get("email").is_none(), "{email:?}: {told}");
    }
    for email in [" eve@players.example.com", "eve@PLAYERS.example.com\t"] {
        let messaging = server.get("/messaging/token").cookie(LoginToken::valid().claim("email", email).mint()).send();
        let told = open_for(Product::Messaging, &messaging.token(), MESSAGING_SECRET).1;
        assert!(told.get("email").is_none(), "trimmed, it is of the domain: {told}");
    }
    let log = server.log().join("\n");
    assert!(log.contains("claim email has the fallback email domain"), "{log}");
}

#[test]
fn the_name_comes_from_the_claims_of_its_own_setting() {
    let server = App::with_all_products(&[("help_center.name_from", "nickname,email")]);
    assert_eq!(claims(&server, &LoginToken::valid().claim("nickname", "jd"))["name"], "jd");
    assert_eq!(claims(&server, &LoginToken::valid())["name"], EMAIL);
}
