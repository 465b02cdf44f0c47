//! `GET /messaging/token`: what a Messaging token says, and to whom none is given.

use serde_json::{Value, json};
use zendesk_token::config::products::Product;

use crate::harness::{HELP_CENTER_SECRET, KEY_ID, MESSAGING_SECRET, ORIGIN, Server};
use crate::login_tokens::{EMAIL, LoginToken, SUB, now, open_for};

fn claims(server: &Server, token: &LoginToken) -> Value {
    let token = server.get("/messaging/token").cookie(token.mint()).send().token();
    let (header, claims) = open_for(Product::Messaging, &token, MESSAGING_SECRET);
    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256", "kid": KEY_ID}));
    claims
}

#[test]
fn a_login_cookie_gives_a_messaging_token() {
    let server = Server::with_all_products(&[]);
    let before = now();
    let claims = claims(&server, &LoginToken::valid());
    let (iat, jti) = (claims["iat"].as_i64().unwrap(), claims["jti"].as_str().unwrap());
    assert!((before..=now()).contains(&iat));
    let expected = json!({
        "scope": "user", "external_id": SUB, "name": "Jane Doe", "email": EMAIL, "jti": jti, "iat": iat, "exp": iat + 900,
    });
    assert_eq!(claims, expected);
}

#[test]
fn every_token_has_an_id_of_128_random_bits() {
    let server = Server::with_all_products(&[]);
    let ids: Vec<Value> = (0..20).map(|_| claims(&server, &LoginToken::valid())["jti"].clone()).collect();
    for (index, id) in ids.iter().enumerate() {
        let id = id.as_str().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(!ids[..index].contains(&id.into()), "twice");
    }
}

#[test]
fn the_email_goes_as_the_setting_says_and_is_vouched_for_only_when_that_is_set() {
    for (email, sent, vouched) in
        [("unverified", Some(EMAIL), None), ("verified", Some(EMAIL), Some(true)), ("omit", None, None)]
    {
        let server = Server::with_all_products(&[("messaging.email", email)]);
        let told = claims(&server, &LoginToken::valid());
        assert_eq!((told["email"].as_str(), told["email_verified"].as_bool()), (sent, vouched), "{email}");
        // What the login says of itself is not the shop's word.
        let claimed = claims(&server, &LoginToken::valid().claim("email_verified", true));
        assert_eq!(claimed["email_verified"].as_bool(), vouched, "{email}");
        let without = claims(&server, &LoginToken::valid().without("email"));
        assert!(without.get("email").is_none() && without.get("email_verified").is_none(), "{without}");
    }
}

#[test]
fn a_player_without_email_or_name_is_no_stranger() {
    let server = Server::with_all_products(&[]);
    for email in [json!(null), json!(""), json!(7)] {
        let told = claims(&server, &LoginToken::valid().claim("email", email));
        assert!(told.get("email").is_none());
        assert_eq!(told["name"], "Jane Doe");
    }
    let nameless = claims(&server, &LoginToken::valid().without("email").without("username"));
    assert!(nameless.get("name").is_none() && nameless.get("email").is_none(), "{nameless}");
    let by_email = claims(&server, &LoginToken::valid().without("username"));
    assert_eq!(by_email["name"], EMAIL);
    let kept_back = Server::with_all_products(&[("messaging.email", "omit")]);
    let told = claims(&kept_back, &LoginToken::valid().without("username")).to_string();
    assert!(!told.contains(EMAIL), "as a name too");
    for claim in ["username", "name"] {
        let told = claims(&kept_back, &LoginToken::valid().claim(claim, "Jane@Example.com")).to_string();
        assert!(!told.contains('@'), "under whatever claim: {told}");
    }
    assert_eq!(claims(&kept_back, &LoginToken::valid().claim("name", "@jane"))["name"], "@jane");
}

#[test]
fn what_messaging_could_not_take_is_refused() {
    let server = Server::with_all_products(&[]);
    let ask = |token: LoginToken| server.get("/messaging/token").cookie(token.mint()).send();
    for sub in [EMAIL, "+4930123456", "8".repeat(256).as_str(), "a\nb", " a"] {
        assert_eq!(ask(LoginToken::valid().claim("sub", sub)).refusal(), "422 00-04", "{sub:?}");
    }
    for sub in ["4930123456", "+49x30", "+1", SUB] {
        assert_eq!(ask(LoginToken::valid().claim("sub", sub)).status, 200, "{sub}");
    }
    for email in ["jane", "a@b@c", "jane@example.com\n", "j".repeat(256).as_str()] {
        assert_eq!(ask(LoginToken::valid().claim("email", email)).refusal(), "422 00-04", "{email:?}");
    }
    assert_eq!(ask(LoginToken::valid().claim("email", "žofie@example.com")).status, 200, "only Chat minds");
    assert_eq!(ask(LoginToken::valid().without("sub")).refusal(), "422 00-02");
    assert_eq!(ask(LoginToken::valid().secret(MESSAGING_SECRET)).refusal(), "401 00-01");
    assert_eq!(server.get("/messaging/token").send().refusal(), "401 00-00");
    let foreign =
        server.get("/messaging/token").cookie(LoginToken::valid().mint()).header("Origin", "https://evil.example");
    assert_eq!(foreign.send().refusal(), "403 00-05");
}

#[test]
fn the_lifetime_is_a_setting_and_never_outlives_the_login() {
    let server = Server::with_all_products(&[("messaging.lifetime", "24h")]);
    let lives = |token: &LoginToken| {
        let told = claims(&server, token);
        told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap()
    };
    assert_eq!(lives(&LoginToken::valid().claim("exp", now() + 90_000)), 86_400);
    assert!((590..=600).contains(&lives(&LoginToken::valid().claim("exp", now() + 600))));
}

#[test]
fn a_page_gets_it_as_json_or_text_and_may_read_every_answer() {
    let server = Server::with_all_products(&[]);
    let cookie = LoginToken::valid().mint();
    for path in ["/messaging/token", "/help-center/token"] {
        let (product, secret) = match path {
            "/messaging/token" => (Product::Messaging, MESSAGING_SECRET),
            _ => (Product::HelpCenter, HELP_CENTER_SECRET),
        };
        let answer = server.get(path).cookie(&cookie).header("Origin", ORIGIN).header("Accept", "text/plain").send();
        assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
        open_for(product, &answer.body, secret);
        let refused = server.get(path).header("Origin", ORIGIN).header("Accept", "text/plain").send();
        assert_eq!(refused.refusal(), "401 00-00");
        for answer in [answer, refused] {
            assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN), "{path}");
            assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
            assert_eq!(answer.header("vary").as_deref(), Some("Origin"));
        }
        let head = server.request("HEAD", path).cookie(&cookie).send();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(server.request("POST", path).cookie(&cookie).send().header("allow").as_deref(), Some("GET,HEAD"));
        let axios = server.get(path).cookie(&cookie).header("Accept", "application/json, text/plain, */*").send();
        assert_eq!(axios.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(axios.json().as_object().unwrap().len(), 1);
        open_for(product, &axios.token(), secret);
    }
}
