//! Metrics: what they count, and that no text from outside becomes a label.

use std::time::Duration;

use zendesk_token::http::error::ErrorCode;

use crate::app::App;
use crate::client::Answer;
use crate::harness::ORIGIN;
use crate::login_api::LoginApi;
use crate::login_tokens::LoginToken;
use crate::published_keys::{ask, ready, token, until};

fn scrape(server: &App) -> String {
    read(server.admin("GET", "/metrics").send())
}

/// The text of the metrics.
pub fn read(answer: Answer) -> String {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some(content_type)));
    assert!(answer.body.ends_with("# EOF\n"));
    answer.body
}

/// The value of the one series of this name and these labels.
pub fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

#[test]
fn every_exchange_is_counted_by_product_and_outcome_from_zero_on() {
    let server = App::with_all_products(&[]);
    let before = scrape(&server);
    for product in ["chat", "messaging", "help-center", "support-sdk"] {
        for outcome in ["issued"].into_iter().chain(ErrorCode::ALL.map(ErrorCode::code)) {
            let series = format!("zendesk_token_exchanges_total{{product=\"{product}\",outcome=\"{outcome}\"}}");
            assert!(value(&before, &series).abs() < 0.5, "{series}");
        }
    }
    let login = LoginToken::valid().mint();
    let nameless = LoginToken::valid().without("email").mint();
    for _ in 0..3 {
        server.get("/generate/token").cookie(&login).send();
    }
    server.get("/generate/token").cookie(&nameless).send();
    server.get("/messaging/token").send();
    server.request("HEAD", "/messaging/token").cookie(&login).send();
    server.get("/help-center/token").header("Origin", "https://evil.example").send();
    server.request("POST", "/support-sdk/token").body(format!("user_token={login}")).send();
    server.request("DELETE", "/support-sdk/token").send();
    // None of these is an exchange.
    for path in ["/nowhere", "/jwt_fn.js", "/openapi.json"] {
        server.get(path).cookie(&login).send();
    }
    for origin in [ORIGIN, "https://evil.example"] {
        let preflight = server.request("OPTIONS", "/generate/token").header("Origin", origin);
        preflight.header("Access-Control-Request-Method", "GET").send();
    }
    let text = scrape(&server);
    for (product, outcome, count) in [
        ("chat", "issued", 3.0),
        ("chat", "00-03", 1.0),
        ("chat", "00-05", 0.0),
        ("messaging", "00-00", 1.0),
        ("messaging", "issued", 1.0),
        ("help-center", "00-05", 1.0),
        ("support-sdk", "issued", 1.0),
        ("support-sdk", "00-09", 1.0),
    ] {
        let series = format!("zendesk_token_exchanges_total{{product=\"{product}\",outcome=\"{outcome}\"}}");
        assert!((value(&text, &series) - count).abs() < 0.5, "{series}");
    }
    let counted = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert!((counted("zendesk_token_exchanges_total") - 9.0).abs() < 0.5);
    assert!((counted("zendesk_token_exchange_duration_seconds_count") - 9.0).abs() < 0.5);
    assert!((counted("zendesk_token_verifications_total{key=\"current\"}") - 6.0).abs() < 0.5, "refused logins too");
    let all = "zendesk_token_exchange_duration_seconds_bucket{le=\"+Inf\",product=\"chat\"}";
    assert!((value(&text, all) - 4.0).abs() < 0.5);
    assert!(value(&text, "zendesk_token_exchange_duration_seconds_sum{product=\"chat\"}") > 0.0);
    let longest = |line: &str| line.split("le=\"").nth(1)?.split('"').next()?.parse::<f64>().ok();
    let ends: Vec<f64> = text.lines().filter(|line| line.contains("product=\"chat\"")).filter_map(longest).collect();
    assert!(ends.contains(&0.000_01) && ends.contains(&1.0), "10 µs to 1 s: {ends:?}");
}

#[test]
fn no_text_from_outside_becomes_a_label() {
    let server = App::with_all_products(&[]);
    let before = scrape(&server).lines().count();
    for path in ["/marker", "/generate/token/marker", "/generate/token?marker"] {
        let request = server.request("MARKER", path).header("Origin", "https://marker.example").cookie("marker");
        request.header("X-Request-Id", "marker").header("User-Agent", "marker").send();
    }
    let text = scrape(&server);
    assert!(!text.contains("marker"), "{text}");
    assert_eq!(text.lines().count(), before, "as many series as before");
}

#[test]
fn requests_under_way_are_counted() {
    let api = LoginApi::start();
    let url = api.url();
    let server = App::with(&[("login.check_revocation", "true"), ("login.api_url", &url)]);
    let in_flight = || value(&scrape(&server), "zendesk_token_requests_in_flight");
    assert!(in_flight().abs() < 0.5);
    let late = crate::stub::Reply::Late(Duration::from_secs(2), 204, String::new());
    api.reply(crate::login_api::VALIDATE_PATH, late);
    let request = server.get("/generate/token").cookie(LoginToken::valid().mint());
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| request.send().status);
        until("under way", || (in_flight() - 1.0).abs() < 0.5);
        assert_eq!(asked.join().unwrap(), 200);
    });
    until("over", || in_flight().abs() < 0.5);
    assert!((value(&scrape(&server), "zendesk_token_revocation_calls_total{outcome=\"done\"}") - 1.0).abs() < 0.5);
}

#[test]
fn the_age_of_published_keys_is_told_where_there_are_any() {
    let age = "zendesk_token_key_age_seconds";
    assert!(!scrape(&App::start()).lines().any(|line| line.starts_with(age)), "HS256 has none");
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    let text = scrape(&server);
    let line = text.lines().find(|line| line.starts_with(age)).unwrap();
    let seconds: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((0.0..60.0).contains(&seconds), "{line}");
    assert!((value(&text, "zendesk_token_verifications_total{key=\"published\"}") - 1.0).abs() < 0.5);
}
