//! `GET /messaging/token`: the claims of a Messaging token, and refusals.

use serde_json::{Value, json};
use zendesk_token::config::products::Product;

use crate::app::App;
use crate::harness::{HELP_CENTER_SECRET, KEY_ID, MESSAGING_SECRET, ORIGIN};
use crate::login_tokens::{EMAIL, LoginToken, SUB, now, open_for};

fn claims(server: &App, token: &LoginToken) -> Value {
    let token = server.get("/messaging/token").cookie(token.mint()).send().token();
    let (header, claims) = open_for(Product::Messaging, &token, MESSAGING_SECRET);
    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256", "kid": KEY_ID}));
    claims
}

#[test]
fn a_login_cookie_gives_a_messaging_token() {
    let server = App::with_all_products(&[]);
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
    let server = App::with_all_products(&[]);
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
        let server = App::with_all_products(&[("messaging.email", email)]);
        let told = claims(&server, &LoginToken::valid());
        assert_eq!((told["email"].as_str(), told["email_verified"].as_bool()), (sent, vouched), "{email}");
        // The login's own claim does not count.
        let claimed = claims(&server, &LoginToken::valid().claim("email_verified", true));
        assert_eq!(claimed["email_verified"].as_bool(), vouched, "{email}");
        let without = claims(&server, &LoginToken::valid().without("email"));
        assert!(without.get("email").is_none() && without.get("email_verified").is_none(), "{without}");
    }
}

#[test]
fn a_player_without_email_or_name_is_no_stranger() {
    let server = App::with_all_products(&[]);
    for email in [json!(null), json!(""), json!(7)] {
        let told = claims(&server, &LoginToken::valid().claim("email", email));
        assert!(told.get("email").is_none());
        assert_eq!(told["name"], "Jane Doe");
    }
    let nameless = claims(&server, &LoginToken::valid().without("email").without("username"));
    assert!(nameless.get("name").is_none() && nameless.get("email").is_none(), "{nameless}");
    let by_email = claims(&server, &LoginToken::valid().without("username"));
    assert_eq!(by_email["name"], EMAIL);
    let kept_back = App::with_all_products(&[("messaging.email", "omit")]);
    let told = claims(&kept_back, &LoginToken::valid().without("username")).to_string();
    assert!(!told.contains(EMAIL), "as a name too");
    for claim in ["username", "name"] {
        let told = claims(&kept_back, &LoginToken::valid().claim(claim, "Jane@Example.com")).to_string();
        assert!(!told.contains('@'), "under whatever claim: {told}");
    }
    for name in [
        "@jane",
        "Jane (jane@example.com)",
        "jane\u{ff20}example.com",
        "jane\u{fe6b}example.com",
        "a@b@c",
        "ja\u{200b}ne@x",
    ] {
        let told = claims(&kept_back, &LoginToken::valid().claim("name", name));
        assert_eq!(told["name"], "Jane Doe", "nothing with an @ in it: {name}");
    }
}

#[test]
fn what_messaging_could_not_take_is_refused() {
    let server = App::with_all_products(&[]);
    let ask = |token: LoginToken| server.get("/messaging/token").cookie(token.mint()).send();
    for sub in [EMAIL, "+4930123456", "8".repeat(256).as_str(), "a\nb", " a"] {
        assert_eq!(ask(LoginToken::valid().claim("sub", sub)).refusal(), "422 00-04", "{sub:?}");
    }
    for sub in ["4930123456", "+49x30", "+1", SUB] {
        assert_eq!(ask(LoginToken::valid().claim("sub", sub)).status, 200, "{sub}");
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
fn an_email_is_a_hint_that_is_trimmed_or_left_out_and_never_costs_the_player_the_token() {
    for setting in ["unverified", "verified"] {
        let server = App::with_all_products(&[("messaging.email", setting)]);
        for email in
            [" jane@example.com", "jane@example.com ", "\tjane@example.com\r\n", "\u{3000}jane@example.com\u{a0}"]
        {
            let told = claims(&server, &LoginToken::valid().claim("email", email));
            assert_eq!(told["email"], EMAIL, "{email:?}");
            assert!(told.get("email_verified").is_none(), "not what the login side confirmed: {email:?}");
        }
        for email in [
            " ",
            "jane",
            "a@b@c",
            "jane@example.com>",
            "x<jane@example.com>",
            "jane@example.com.",
            "j".repeat(256).as_str(),
        ] {
            let told = claims(&server, &LoginToken::valid().claim("email", email).without("username"));
            let left_out = ["email", "email_verified", "name"].iter().all(|name| told.get(name).is_none());
            assert!(left_out, "{email:?} is no name either: {told}");
        }
    }
}

#[test]
fn a_login_that_says_its_email_is_unconfirmed_is_not_vouched_for() {
    let server = App::with_all_products(&[("messaging.email", "verified")]);
    let odd = [json!(0.0), json!(-1), json!("no"), json!(" false"), json!([]), json!({}), json!([true])];
    for unconfirmed in [json!(false), json!("false"), json!("False"), json!(0), json!("0")].into_iter().chain(odd) {
        let token = LoginToken::valid().claim("email_verified", unconfirmed.clone());
        let told = claims(&server, &token);
        assert_eq!((told["email"].as_str(), told.get("email_verified")), (Some(EMAIL), None), "{unconfirmed}");
        // These products identify the player by email, and have no claim for an unverified one.
        let help_center = server.get("/help-center/token").cookie(token.mint()).send();
        assert_eq!(help_center.refusal(), "422 00-04", "{unconfirmed}");
        let sdk = server.request("POST", "/support-sdk/token").body(format!("user_token={}", token.mint())).send();
        assert_eq!(sdk.refusal(), "422 00-04", "{unconfirmed}");
        assert_eq!(server.get("/generate/token").cookie(token.mint()).send().status, 200, "Chat knows them by the id");
    }
    for said in [json!(true), json!(1), json!("true"), json!(null), json!("")] {
        let token = LoginToken::valid().claim("email_verified", said.clone());
        assert_eq!(claims(&server, &token)["email_verified"], true, "{said}");
        assert_eq!(server.get("/help-center/token").cookie(token.mint()).send().status, 200, "{said}");
    }
    let log = server.log().join("\n");
    assert!(log.contains("claim email_verified is not true, and this product identifies the player by email"), "{log}");
    let fallback = App::with_all_products(&[("help_center.fallback_email_domain", "players.example.com")]);
    let without = LoginToken::valid().without("email").claim("email_verified", false).mint();
    assert_eq!(fallback.get("/help-center/token").cookie(without).send().status, 200, "that email is ours");
}

#[test]
fn only_logins_of_the_types_that_are_set_are_vouched_for() {
    let settings = [("messaging.email", "verified"), ("messaging.verified_types", "email, phone")];
    let server = App::with_all_products(&settings);
    let vouched = |token: LoginToken| claims(&server, &token).get("email_verified").map(|vouched| vouched == true);
    for own in ["email", "phone"] {
        assert_eq!(vouched(LoginToken::valid().claim("type", own)), Some(true), "{own}");
        assert_eq!(vouched(LoginToken::valid().claim("type", own).claim("email_verified", false)), None, "{own}");
    }
    for other in [json!("social"), json!("xsolla_login"), json!("Email"), json!(""), json!(null), json!(["email"])] {
        assert_eq!(vouched(LoginToken::valid().claim("type", other.clone())), None, "{other}");
    }
    assert_eq!(vouched(LoginToken::valid().without("type")), None);
    assert_eq!(claims(&server, &LoginToken::valid())["email"], EMAIL, "still a hint");
}

#[test]
fn the_lifetime_is_a_setting_and_never_outlives_the_login() {
    let server = App::with_all_products(&[("messaging.lifetime", "24h")]);
    let lives = |token: &LoginToken| {
        let told = claims(&server, token);
        told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap()
    };
    assert_eq!(lives(&LoginToken::valid().claim("exp", now() + 90_000)), 86_400);
    assert!((590..=600).contains(&lives(&LoginToken::valid().claim("exp", now() + 600))));
}

#[test]
fn a_page_gets_it_as_json_or_text_and_may_read_every_answer() {
    let server = App::with_all_products(&[]);
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
