//! User tokens: `POST /support-sdk/user-token` issues them to apps, and only `/support-sdk/token` accepts them.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use zendesk_token::config::products::{PRODUCTS, Product};
use zendesk_token::exchange::{Exchange, ExchangeError, Issued};
use zendesk_token::http::error::Reason;
use zendesk_token::http::token::path;
use zendesk_token::login::token;
use zendesk_token::login::verifier::Credentials;

use crate::access_log::requests;
use crate::app::App;
use crate::client::{Answer, Request};
use crate::harness::{LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, OTHER_PRODUCTS, SUPPORT_SDK_SECRET, usual};
use crate::inspect_issued::changed;
use crate::login_tokens::{EMAIL, LoginToken, PROJECT, SUB, now, open_at, open_for, sign};
use crate::logins::{EU_PROJECT, EU_SECRET, eu};
use crate::metrics::count;
use crate::published_keys::INVALID;
use crate::settings::{SettingsFile, load, problems, product_problems};
use crate::support_sdk;
use crate::verification::exchange;

pub const PATH: &str = "/support-sdk/user-token";
pub const HEADER: &str = r#"{"typ":"zendesk-user-token+jwt","alg":"HS256"}"#;
pub const ON: (&str, &str) = ("support_sdk.user_token_lifetime", "90d");
const DAY: i64 = 86_400;
const LIFETIME: i64 = 90 * DAY;

/// In 2025, so that dates around it have passed.
const NOW: i64 = 1_750_000_000;

fn settings<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&OTHER_PRODUCTS[..], &[ON], changes].concat()
}

fn server(changes: &[(&str, &str)]) -> App {
    App::with(&settings(changes))
}

fn user_tokens(changes: &[(&str, &str)]) -> Exchange {
    exchange(&settings(changes))
}

fn ask(server: &App) -> Request {
    server.request("POST", PATH)
}

fn user_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["user_token"].as_str().unwrap().to_owned()
}

fn post(server: &App, user_token: &str) -> Answer {
    server.request("POST", support_sdk::PATH).body(format!("user_token={user_token}")).send()
}

fn cookie(login: &str) -> Credentials {
    Credentials { bearer: None, cookies: vec![token::LoginToken::new(login)] }
}

/// The user token for a login, at `at`.
fn issue(exchange: &Exchange, login: &LoginToken, at: i64) -> String {
    let issued = exchange.issue_user_token(&cookie(&login.mint()), at).now_or_never().expect("waits");
    issued.unwrap().token.as_str().to_owned()
}

/// What `/support-sdk/token` makes of a user token at `at`.
fn run(exchange: &Exchange, user_token: &str, at: i64) -> Result<Issued, ExchangeError> {
    let credentials = Credentials { bearer: Some(token::LoginToken::new(user_token)), cookies: Vec::new() };
    exchange.run_for_app(&credentials, at).now_or_never().expect("waits")
}

/// The reason of a refusal, which has the code 00-01.
fn refusal(exchange: &Exchange, user_token: &str, at: i64) -> String {
    let error = run(exchange, user_token, at).expect_err("accepted");
    assert_eq!(Reason::from(error.clone()).error_code().code(), "00-01", "{error}");
    error.to_string()
}

fn read(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// HKDF-SHA256 (RFC 5869 §2) for 32 bytes, by another implementation.
fn derived(secret: &str) -> Vec<u8> {
    let hmac = |key: &[u8], text: &[u8]| {
        Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
    };
    let extracted = hmac(&[0; 32], secret.as_bytes());
    hmac(&extracted, b"zendesk-token: user tokens of the Support SDK\x01")
}

/// A user token of a service with this secret.
pub fn forge_with(secret: &str, payload: &Value) -> String {
    sign(HEADER, &payload_text(payload), &derived(secret))
}

/// A user token with exactly this header and payload, and a valid signature.
pub fn forge(header: &str, payload: &str) -> String {
    sign(header, payload, &derived(SUPPORT_SDK_SECRET))
}

pub fn payload(at: i64) -> Value {
    json!({
        "external_id": SUB, "name": "Jane Doe", "email": EMAIL, "login": "default",
        "iat": (at - DAY).max(0), "exp": (at - DAY).max(0) + LIFETIME,
    })
}

#[test]
fn an_app_gets_a_user_token_that_zendesks_servers_exchange() {
    let server = server(&[("login.bearer", "true")]);
    let login = LoginToken::valid().mint();
    let answer = ask(&server).cookie(&login).header("Origin", ORIGIN).send();
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", ORIGIN),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name).as_deref(), Some(value), "{name}");
    }
    let token = user_token(&answer);
    let by_header = ask(&server).header("Authorization", format!("Bearer {login}")).body("{}").send();
    assert_eq!(user_token(&by_header), token);
    assert_eq!(URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap(), HEADER.as_bytes());
    let claims = read(&token);
    let expected = json!({"external_id": SUB, "name": "Jane Doe", "email": EMAIL, "login": "default"});
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(claims, changed(&expected, &json!({"iat": iat, "exp": exp})));
    assert!(iat <= now() && exp == iat + LIFETIME);
    assert_eq!(token, forge(HEADER, &payload_text(&claims)), "signed with the derived key");

    let mut ids = BTreeSet::new();
    for around in ["*", "Bearer+*", "*%0A"] {
        let answer = post(&server, &around.replace('*', &token));
        support_sdk::check(&answer);
        let (_, claims) = open_for(Product::SupportSdk, answer.json()["jwt"].as_str().unwrap(), SUPPORT_SDK_SECRET);
        assert_eq!((&claims["name"], &claims["email"]), (&json!("Jane Doe"), &json!(EMAIL)));
        assert!((now() - claims["iat"].as_i64().unwrap()).abs() < 60);
        ids.insert(claims["jti"].to_string());
    }
    assert_eq!(ids.len(), 3, "a new jti each time");
    support_sdk::check(&post(&server, &login));

    let lines = requests(&server.log());
    let field = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("key"), ["current", "current", "user-token", "user-token", "user-token", "current"]);
    assert_eq!(field("login"), ["default"; 6]);
    assert!(lines.iter().all(|line| line["token_sha256"].is_string() && line["sub_sha256"].is_string()));
    let metrics = server.admin("GET", "/metrics").send().body;
    for (series, expected) in [
        ("zendesk_token_exchanges_total{product=\"support-sdk-user-token\",outcome=\"issued\"}", 2),
        ("zendesk_token_exchanges_total{product=\"support-sdk\",outcome=\"issued\"}", 4),
        ("zendesk_token_verifications_total{key=\"user-token\",login=\"default\"}", 3),
        ("zendesk_token_verifications_total{key=\"current\",login=\"default\"}", 3),
    ] {
        assert_eq!(count(&metrics, series), expected, "{series}");
    }
}

/// The claims as text, in the order in which the service writes them.
pub fn payload_text(claims: &Value) -> String {
    let names = ["external_id", "name", "email", "login", "iat", "exp"];
    format!("{{{}}}", names.map(|name| format!("\"{name}\":{}", claims[name])).join(","))
}

#[test]
fn the_same_player_with_the_same_claims_gets_the_same_text_until_half_its_life_is_over() {
    let instances = [user_tokens(&[]), user_tokens(&[])];
    let half = LIFETIME / 2;
    let mut starts = BTreeSet::new();
    for player in 0..20 {
        let at_time = |at: i64| LoginToken::at(at).claim("sub", format!("{SUB}{player}"));
        let first = issue(&instances[0], &at_time(NOW), NOW);
        let (iat, exp) = (read(&first)["iat"].as_i64().unwrap(), read(&first)["exp"].as_i64().unwrap());
        assert!((NOW - half + 1..=NOW).contains(&iat) && exp == iat + LIFETIME);
        starts.insert(iat);
        for at in [iat, iat + 1, iat + half / 3, NOW, iat + half - 1] {
            for exchange in &instances {
                assert_eq!(issue(exchange, &at_time(at), at), first, "{}", at - iat);
            }
        }
        let next = issue(&instances[1], &at_time(iat + half), iat + half);
        assert_eq!((read(&next)["iat"].as_i64(), next == first), (Some(iat + half), false));
        for at in [iat, NOW, iat + half, exp - 1] {
            assert!(run(&instances[1], &first, at).is_ok(), "the old one is accepted until it expires");
        }
    }
    assert_eq!(starts.len(), 20, "not all players change at once");
    let (least, most) = (starts.first().unwrap(), starts.last().unwrap());
    assert!(most - least > half / 2, "spread over the window");
}

#[test]
fn another_id_name_email_or_login_gives_another_text() {
    let own = user_tokens(&[]);
    let two = [("login.project_id", PROJECT), ("logins.eu.project_id", EU_PROJECT), ("logins.eu.secret", EU_SECRET)];
    let two = user_tokens(&two);
    let token = |login: LoginToken| issue(&own, &login, NOW);
    let first = token(LoginToken::at(NOW));
    // Claims that Zendesk does not get, and another login token of the same player.
    for login in [
        LoginToken::at(NOW).claim("iat", NOW).claim("exp", NOW + 60),
        LoginToken::at(NOW).claim("picture", "https://example.com/jane.png").without("groups"),
    ] {
        assert_eq!(token(login), first);
    }
    let mut others = vec![
        token(LoginToken::at(NOW).claim("sub", "another")),
        token(LoginToken::at(NOW).claim("username", "Jane")),
        token(LoginToken::at(NOW).claim("email", "jane.doe@example.com")),
        issue(
            &two,
            &LoginToken::of(&read(&eu().mint())).with(&json!({"iat": NOW, "exp": NOW + 60})).secret(EU_SECRET),
            NOW,
        ),
        issue(&user_tokens(&[("support_sdk.user_token_lifetime", "30d")]), &LoginToken::at(NOW), NOW),
        first,
    ];
    assert_eq!(others.iter().map(|token| read(token)["login"].clone()).filter(|login| login == "eu").count(), 1);
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 6);
}

#[test]
fn a_user_token_is_refused_everywhere_else() {
    let server = server(&[("login.bearer", "true")]);
    let token = user_token(&ask(&server).cookie(LoginToken::valid().mint()).send());
    let pages = PRODUCTS.into_iter().filter(|product| product.is_for_pages()).map(path);
    let routes: Vec<_> = pages.map(|path| ("GET", path)).chain([("POST", PATH)]).collect();
    for (method, path) in &routes {
        let by_cookie = server.request(method, path).cookie(&token).send();
        let by_header = server.request(method, path).header("Authorization", format!("Bearer {token}")).send();
        assert_eq!((by_cookie.refusal(), by_header.refusal()), (INVALID.to_owned(), INVALID.to_owned()), "{path}");
    }
    let log = server.log().join("\n");
    assert_eq!(
        log.matches("is a user token of the Support SDK, which only POST /support-sdk/token").count(),
        8,
        "{log}"
    );
    // Next to the player's login it counts no more than any invalid cookie.
    let both = server.get("/messaging/token").cookie(&token).cookie(LoginToken::valid().mint()).send();
    assert_eq!(both.status, 200);
}

#[test]
fn another_token_is_never_taken_for_a_user_token() {
    let server = server(&[]);
    let at = now();
    let payload = payload_text(&payload(at));
    let jwt = r#"{"typ":"JWT","alg":"HS256"}"#;
    support_sdk::check(&post(&server, &forge(HEADER, &payload)));
    let key = derived(SUPPORT_SDK_SECRET);
    let raw = |secret: &str| sign(HEADER, &payload, secret.as_bytes());
    for (what, token) in [
        ("the derived key, another typ", sign(jwt, &payload, &key)),
        ("the derived key, a login's claims", sign(jwt, &LoginToken::valid().payload(), &key)),
        ("no typ", sign(r#"{"alg":"HS256"}"#, &payload, &key)),
        ("an access token's typ", sign(r#"{"typ":"at+jwt","alg":"HS256"}"#, &payload, &key)),
        ("a login's claims under the typ", sign(HEADER, &LoginToken::valid().payload(), &key)),
        ("a login token under the typ", sign(HEADER, &LoginToken::valid().payload(), LOGIN_SECRET.as_bytes())),
        ("the login's secret", raw(LOGIN_SECRET)),
        ("the product's secret", raw(SUPPORT_SDK_SECRET)),
        ("another product's secret", raw(MESSAGING_SECRET)),
        ("the key of another product's secret", sign(HEADER, &payload, &derived(MESSAGING_SECRET))),
        ("an empty secret", raw("")),
        ("the key of an empty secret", sign(HEADER, &payload, &derived(""))),
        ("none", sign(r#"{"typ":"zendesk-user-token+jwt","alg":"none"}"#, &payload, &key)),
        ("HS512", sign(r#"{"typ":"zendesk-user-token+jwt","alg":"HS512"}"#, &payload, &key)),
        ("no alg", sign(r#"{"typ":"zendesk-user-token+jwt"}"#, &payload, &key)),
        ("another spelling", sign(r#"{"typ":"Zendesk-User-Token+JWT","alg":"HS256"}"#, &payload, &key)),
        ("crit", sign(r#"{"typ":"zendesk-user-token+jwt","alg":"HS256","crit":["exp"]}"#, &payload, &key)),
    ] {
        assert_eq!(post(&server, &token).refusal(), INVALID, "{what}");
    }
}

#[test]
fn a_changed_user_token_is_refused() {
    let exchange = user_tokens(&[]);
    let token = issue(&exchange, &LoginToken::at(NOW), NOW);
    assert!(run(&exchange, &token, NOW).is_ok());
    for index in 0..token.len() {
        for other in ["A", "z", "-", "."] {
            let changed = format!("{}{other}{}", &token[..index], &token[index + 1..]);
            assert!(changed == token || run(&exchange, &changed, NOW).is_err(), "{index} {other}");
        }
        assert!(run(&exchange, &token[..index], NOW).is_err(), "{index}");
    }
    for odd in [format!("{token}="), format!("{token}.x"), format!("{token} "), format!("\n{token}")] {
        assert!(run(&exchange, &odd, NOW).is_err(), "{odd:?}");
    }
}

#[test]
fn a_user_token_that_expired_is_refused_and_the_end_of_the_login_does_not_count() {
    let exchange = user_tokens(&[]);
    let token = issue(&exchange, &LoginToken::at(NOW).claim("exp", NOW + 60), NOW);
    let exp = read(&token)["exp"].as_i64().unwrap();
    let issued = run(&exchange, &token, exp - 1).unwrap();
    assert_eq!(issued.external_id, SUB);
    let (_, claims) = open_at(exp - 1, Product::SupportSdk, issued.token.as_str(), SUPPORT_SDK_SECRET);
    assert_eq!(claims["iat"], exp - 1);
    assert_eq!(refusal(&exchange, &token, exp), "user token: expired 0 s ago");
    assert_eq!(refusal(&exchange, &token, exp + 100), "user token: expired 100 s ago");
    // A shorter lifetime is for new tokens.
    let shorter = user_tokens(&[("support_sdk.user_token_lifetime", "1d")]);
    assert!(run(&shorter, &token, exp - 1).is_ok());
    assert_eq!(read(&issue(&shorter, &LoginToken::at(NOW), NOW))["exp"].as_i64().unwrap() / DAY, NOW / DAY + 1);
}

#[test]
fn a_date_revokes_the_user_tokens_from_before_it_and_new_ones_are_accepted_at_once() {
    let before = user_tokens(&[]);
    let login = || LoginToken::at(NOW);
    let old = issue(&before, &login(), NOW);
    let iat = read(&old)["iat"].as_i64().unwrap();
    let from = |time: i64| user_tokens(&[("support_sdk.user_tokens_valid_from", &date(time))]);
    // The same text until half of its life is over, then the next, counted from that time.
    for time in [0, iat - 1, iat] {
        assert!(run(&from(time), &old, NOW).is_ok());
    }
    for time in [iat + 1, NOW - 1, NOW] {
        let after = from(time);
        assert_eq!(refusal(&after, &old, NOW), "user token: issued before support_sdk.user_tokens_valid_from");
        let new = issue(&after, &login(), NOW);
        assert_eq!((read(&new)["iat"].as_i64(), new == old), (Some(time), false));
        for at in [NOW, NOW + 1, time + LIFETIME - 1] {
            assert!(run(&after, &new, at).is_ok(), "{at}");
        }
        let end = time + LIFETIME / 2;
        assert_eq!(issue(&after, &LoginToken::at(end - 1), end - 1), new);
        let next = issue(&after, &LoginToken::at(end), end);
        assert_eq!(read(&next)["iat"].as_i64(), Some(end));
        assert!(run(&after, &next, end).is_ok());
    }
    let server = server(&[("support_sdk.user_tokens_valid_from", &date(now()))]);
    assert_eq!(post(&server, &issue(&before, &LoginToken::at(now() - DAY), now() - DAY)).refusal(), INVALID);
    support_sdk::check(&post(&server, &user_token(&ask(&server).cookie(LoginToken::valid().mint()).send())));
}

fn date(at: i64) -> String {
    DateTime::from_timestamp(at, 0).unwrap().to_rfc3339()
}

#[test]
fn another_secret_of_the_product_ends_every_user_token() {
    let token = issue(&user_tokens(&[]), &LoginToken::at(NOW), NOW);
    let other =
        user_tokens(&[("support_sdk.secret", "c0ffee5e7c1b4d0e8a436f1f4f0e9a770d5f2d5e7c1b4d0e8a436f1f4f0e9a77")]);
    assert_eq!(
        refusal(&other, &token, NOW),
        "user token: not signed with the key that is derived from support_sdk.secret"
    );
    // The login's secret does not count.
    let login = user_tokens(&[("login.secret", EU_SECRET)]);
    assert!(run(&login, &token, NOW).is_ok());
}

#[test]
fn the_login_of_a_user_token_must_still_exist() {
    let two = [("login.project_id", PROJECT), ("logins.eu.project_id", EU_PROJECT), ("logins.eu.secret", EU_SECRET)];
    let app = server(&two);
    let [token, of_eu] = [LoginToken::valid(), eu()].map(|login| user_token(&ask(&app).cookie(login.mint()).send()));
    for token in [&token, &of_eu] {
        support_sdk::check(&post(&app, token));
    }
    let logins: Vec<_> = requests(&app.log()).iter().map(|line| line["login"].clone()).collect();
    assert_eq!(logins, ["default", "eu", "default", "eu"]);
    let without = server(&two[..1]);
    assert_eq!(post(&without, &of_eu).refusal(), INVALID);
    support_sdk::check(&post(&without, &token));
    let log = without.log().join("\n");
    assert!(log.contains("user token: its login is not in the settings any more"), "{log}");
    assert!(!log.contains("\"login\":\"eu\""), "{log}");
}

/// The email could be the one that is made from another player's id.
#[test]
fn a_user_token_from_before_a_fallback_domain_was_set_has_no_email_of_it() {
    let with = |id: &str, email: &str| {
        let claims = changed(&payload(NOW), &json!({"external_id": id, "email": email}));
        forge(HEADER, &payload_text(&claims))
    };
    let (own, another) = (with("7", "7@players.example.com"), with("7", "8@PLAYERS.example.com"));
    let without = user_tokens(&[]);
    assert!(run(&without, &own, NOW).is_ok() && run(&without, &another, NOW).is_ok());
    for key in ["support_sdk.fallback_email_domain", "chat.fallback_email_domain"] {
        let exchange = user_tokens(&[(key, "players.example.com")]);
        assert!(run(&exchange, &own, NOW).is_ok() && run(&exchange, &with("7", EMAIL), NOW).is_ok());
        let error = run(&exchange, &another, NOW).expect_err("accepted");
        assert_eq!(error.to_string(), "claim email has the fallback email domain");
        assert_eq!(Reason::from(error).error_code().code(), "00-04", "not a 401, which would delete requests");
    }
}

#[test]
fn hostile_json_in_a_user_token_is_refused() {
    let exchange = user_tokens(&[]);
    let good = payload_text(&payload(NOW));
    assert!(run(&exchange, &forge(HEADER, &good), NOW).is_ok());
    let with = |change: Value| forge(HEADER, &changed(&payload(NOW), &change).to_string());
    let mut tokens = vec![
        forge(HEADER, &good.replacen('{', &format!("{{\"email\":\"{EMAIL}\","), 1)),
        forge(HEADER, &good.replacen('{', "{\"\\u0065mail\":\"x@example.com\",", 1)),
        forge(HEADER, &good.replacen('{', "{\"x\":{\"a\":1,\"a\":2},", 1)),
        forge(HEADER, &format!("{good}x")),
        forge(HEADER, &format!("[{good}]")),
        forge(HEADER, &good.replacen("Jane", "\\ud800", 1)),
        forge(HEADER, &"{\"a\":".repeat(200)),
        forge(r#"{"typ":"zendesk-user-token+jwt","typ":"zendesk-user-token+jwt","alg":"HS256"}"#, &good),
        forge(r#"{"typ":["zendesk-user-token+jwt"],"alg":"HS256"}"#, &good),
        forge(HEADER, "null"),
        forge(HEADER, ""),
        forge(HEADER, &changed(&payload(NOW), &json!({"x": "x".repeat(8192)})).to_string()),
        with(json!({"email": "jane"})),
        with(json!({"email": "jane@example.com\n"})),
    ];
    for name in ["external_id", "name", "email", "login"] {
        let wrong = [json!(null), json!(""), json!(7), json!(true), json!([EMAIL]), json!({})];
        tokens.extend(wrong.map(|value| with(json!({name: value}))));
    }
    for name in ["iat", "exp"] {
        let number = format!("\"{name}\":{}", payload(NOW)[name]);
        let wrong = "1.5 -1 1e300 1e999 18446744073709551615 253402300800 NaN \"1750000000\" null true [] {} 01";
        tokens.extend(wrong.split(' ').map(|value| {
            let payload = good.replacen(&number, &format!("\"{name}\":{value}"), 1);
            assert_ne!(payload, good);
            forge(HEADER, &payload)
        }));
    }
    for token in tokens {
        let reason = refusal(&exchange, &token, NOW);
        assert!(!reason.contains(EMAIL) && !reason.contains("Jane"), "{reason}");
    }
}

/// A 401 would delete the player's requests from the phone.
#[test]
fn a_user_token_from_an_instance_whose_clock_is_ahead_is_never_a_401() {
    let server = server(&[]);
    let ahead = |seconds: i64| forge(HEADER, &payload_text(&payload(now() + DAY + seconds)));
    support_sdk::check(&post(&server, &ahead(250)));
    assert_eq!(post(&server, &ahead(1000)).refusal(), "503 00-07");
    // Text that is no token at all is malformed, as without user tokens.
    assert_eq!(post(&server, "x").refusal(), "400 00-10");
}

#[test]
fn without_the_setting_there_are_no_user_tokens() {
    let token = issue(&user_tokens(&[]), &LoginToken::valid(), now());
    let server = App::with_all_products(&[]);
    for method in ["POST", "GET", "DELETE"] {
        let answer = server.request(method, PATH).cookie(LoginToken::valid().mint()).header("Origin", ORIGIN).send();
        assert_eq!(answer.refusal(), "404 00-08", "{method}");
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN));
    }
    assert_eq!(post(&server, &token).refusal(), INVALID);
    let log = server.log().join("\n");
    assert!(log.contains("support_sdk.user_token_lifetime is not set"), "{log}");
    let without_product = App::start();
    assert_eq!(ask(&without_product).cookie(LoginToken::valid().mint()).send().refusal(), "404 00-08");
}

#[test]
fn a_user_token_is_issued_only_for_a_login_that_the_support_sdk_accepts() {
    let server = server(&[]);
    let refused = |login: LoginToken| ask(&server).cookie(login.mint()).send().refusal();
    assert_eq!(ask(&server).send().refusal(), "401 00-00");
    for (login, expected) in [
        (LoginToken::valid().claim("exp", now() - 3600), INVALID),
        (LoginToken::valid().secret(SUPPORT_SDK_SECRET), INVALID),
        (LoginToken::valid().without("sub"), "422 00-02"),
        (LoginToken::valid().without("email"), "422 00-03"),
        (LoginToken::valid().claim("email", "x"), "422 00-04"),
        (LoginToken::valid().claim("email_verified", false), "422 00-04"),
    ] {
        assert_eq!(refused(login), expected);
    }
    // A login token in the body does not count: that is what Zendesk's servers send.
    let body = format!("user_token={}", LoginToken::valid().mint());
    assert_eq!(ask(&server).body(body).send().refusal(), "401 00-00");
}

#[test]
fn the_route_has_the_checks_of_page_routes() {
    let server = server(&[("rate_limit.per_second", "1"), ("rate_limit.burst", "3")]);
    let login = LoginToken::valid().mint();
    let preflight = server.request("OPTIONS", PATH).header("Origin", ORIGIN);
    let preflight = preflight.header("Access-Control-Request-Method", "POST").send();
    assert_eq!(preflight.header("access-control-allow-origin").as_deref(), Some(ORIGIN));
    assert_eq!(preflight.header("access-control-allow-methods").as_deref(), Some("POST"));
    assert_eq!(preflight.header("access-control-allow-credentials").as_deref(), Some("true"));
    for origin in ["https://evil.example", "null"] {
        let foreign = ask(&server).cookie(&login).header("Origin", origin).send();
        assert_eq!((foreign.refusal().as_str(), foreign.header("access-control-allow-origin")), ("403 00-05", None));
    }
    assert_eq!(ask(&server).cookie(&login).header("Sec-Fetch-Mode", "no-cors").send().refusal(), "403 00-05");
    for method in ["GET", "HEAD"] {
        let answer = server.request(method, PATH).cookie(&login).send();
        assert_eq!((answer.status, answer.header("allow").as_deref()), (405, Some("POST")), "{method}");
    }
    let answers: Vec<_> = (0..10).map(|_| ask(&server).cookie(&login).send().status).collect();
    assert!(answers.contains(&429) && answers.iter().all(|status| [200, 429].contains(status)), "{answers:?}");
    let slash = server.request("POST", "/support-sdk/user-token/").send();
    assert_eq!(slash.json()["description"], "Not found: the path has a doubled or trailing slash");
}

#[test]
fn the_settings_of_user_tokens_are_checked() {
    let from = "support_sdk.user_tokens_valid_from";
    for date in ["2025-01-31", "2025-01-31T08:00:00Z", "2025-01-31t08:00:00.5+09:30", "1970-01-01"] {
        assert!(load(None, &usual(&settings(&[(from, date)]))).is_ok(), "{date}");
        let file = SettingsFile::new(format!("{from} = {date}\n"));
        assert!(load(Some(&file), &usual(&settings(&[]))).is_ok(), "{date} without quotes");
    }
    let wrong = "yesterday 2025-02-30 2025-13-01 31.01.2025 2025-01-31T08:00:00 08:00:00 1738310400 2025-01-31T25:00:00Z \
                 1969-12-31 1970-01-01T00:00:00+01:00";
    for date in wrong.split(' ') {
        let text = product_problems(&[ON, (from, date)]);
        assert!(
            text.starts_with(from) && text.contains("needs a date (2026-01-31), or a time with its offset"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    for future in [date(now() + 3600), "9999-12-31".to_owned()] {
        let text = product_problems(&[ON, (from, &future)]);
        assert!(text.contains("is in the future") && text.lines().count() == 1, "{text}");
    }
    let alone = product_problems(&[(from, "2025-01-31")]);
    assert!(alone.contains("has no effect without support_sdk.user_token_lifetime"), "{alone}");
    for lifetime in ["23h", "366d", "90", "1d 1ms", ""] {
        let text = product_problems(&[("support_sdk.user_token_lifetime", lifetime)]);
        assert!(text.contains("needs a time from 1day to 365days, in whole seconds"), "{text}");
    }
    for lifetime in ["1d", "365d"] {
        assert!(load(None, &usual(&settings(&[("support_sdk.user_token_lifetime", lifetime)]))).is_ok(), "{lifetime}");
    }
    let weak = product_problems(&[ON, ("support_sdk.secret", "a short one"), ("allow_weak_secrets", "true")]);
    assert!(weak.starts_with(ON.0) && weak.contains("that can't be guessed") && weak.lines().count() == 1, "{weak}");
    let without_secret = problems(&[ON]);
    assert!(
        without_secret.contains("support_sdk.secret (") && without_secret.contains("is needed"),
        "{without_secret}"
    );
}
