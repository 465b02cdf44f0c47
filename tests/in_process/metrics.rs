//! Metrics: what they count, and that no text from outside becomes a label.

use std::fmt::Debug;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use zendesk_token::http::error::ErrorCode;
use zendesk_token::metrics::Metrics;

use crate::app::App;
use crate::client::Answer;
use crate::harness::{ORIGIN, PATIENCE};
use crate::login_api::{LoginApi, VALIDATE_PATH};
use crate::login_tokens::LoginToken;
use crate::origins::preflight;
use crate::published_keys::{ask, ready, token, until};
use crate::stub::Reply;

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
pub fn value<T: FromStr<Err: Debug>>(text: &str, series: &str) -> T {
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

pub fn count(text: &str, series: &str) -> u64 {
    value(text, series)
}

/// The sum of all series of this name.
fn sum(text: &str, name: &str) -> u64 {
    let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<u64>().unwrap()).sum()
}

#[test]
fn every_exchange_is_counted_by_product_and_outcome_from_zero_on() {
    let server = App::with_all_products(&[]);
    let series = |product: &str, outcome: &str| {
        format!("zendesk_token_exchanges_total{{product=\"{product}\",outcome=\"{outcome}\"}}")
    };
    let before = scrape(&server);
    for product in ["chat", "messaging", "help-center", "support-sdk"] {
        for outcome in ["issued"].into_iter().chain(ErrorCode::ALL.map(ErrorCode::code)) {
            assert_eq!(count(&before, &series(product, outcome)), 0, "{product} {outcome}");
        }
    }
    let login = LoginToken::valid().mint();
    for _ in 0..3 {
        server.get("/generate/token").cookie(&login).send();
    }
    server.get("/generate/token").cookie(LoginToken::valid().without("email").mint()).send();
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
        preflight(&server, "/generate/token", origin).send();
    }
    let text = scrape(&server);
    for (product, outcome, expected) in [
        ("chat", "issued", 3),
        ("chat", "00-03", 1),
        ("chat", "00-05", 0),
        ("messaging", "00-00", 1),
        ("messaging", "issued", 1),
        ("help-center", "00-05", 1),
        ("support-sdk", "issued", 1),
        ("support-sdk", "00-09", 1),
    ] {
        assert_eq!(count(&text, &series(product, outcome)), expected, "{product} {outcome}");
    }
    assert_eq!(sum(&text, "zendesk_token_exchanges_total"), 9);
    assert_eq!(sum(&text, "zendesk_token_exchange_duration_seconds_count"), 9);
    assert_eq!(
        count(&text, "zendesk_token_verifications_total{key=\"current\",login=\"default\"}"),
        6,
        "refused logins too"
    );
    let all = "zendesk_token_exchange_duration_seconds_bucket{le=\"+Inf\",product=\"chat\"}";
    assert_eq!(count(&text, all), 4);
    assert!(value::<f64>(&text, "zendesk_token_exchange_duration_seconds_sum{product=\"chat\"}") > 0.0);
    for limit in ["0.00001", "1.0"] {
        let bucket = format!("zendesk_token_exchange_duration_seconds_bucket{{le=\"{limit}\",product=\"chat\"}}");
        assert!(text.contains(&bucket), "{bucket} in {text}");
    }
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
fn requests_in_flight_are_counted() {
    let api = LoginApi::start();
    let server = App::with(&[("login.check_revocation", "true"), ("login.api_url", &api.url())]);
    let in_flight = || count(&scrape(&server), "zendesk_token_requests_in_flight");
    assert_eq!(in_flight(), 0);
    api.reply(VALIDATE_PATH, Reply::Late(Duration::from_secs(2), 204, String::new()));
    let request = server.get("/generate/token").cookie(LoginToken::valid().mint()).start();
    until("in flight", || in_flight() == 1);
    assert_eq!(server.wait(request).status, 200);
    until("over", || in_flight() == 0);
    assert_eq!(count(&scrape(&server), "zendesk_token_revocation_calls_total{outcome=\"done\",login=\"default\"}"), 1);
}

#[test]
fn the_age_of_published_keys_is_a_metric_where_there_are_any() {
    let age = "zendesk_token_key_age_seconds";
    assert!(!scrape(&App::start()).lines().any(|line| line.starts_with(age)), "HS256 has none");
    let api = LoginApi::start();
    let server = ready(&api, &[]);
    assert_eq!(ask(&server, &token("key_a")).status, 200);
    let text = scrape(&server);
    let line = text.lines().find(|line| line.starts_with(age)).unwrap();
    let seconds: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((0.0..PATIENCE.as_secs_f64()).contains(&seconds), "{line}");
    assert_eq!(count(&text, "zendesk_token_verifications_total{key=\"published\",login=\"default\"}"), 1);
}

#[test]
fn scrapes_at_the_same_time_show_the_same_series() {
    let metrics = Metrics::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let text = metrics.text(std::iter::once(("default".into(), Some(Duration::ZERO))));
                    assert!(text.contains("zendesk_token_key_age_seconds{login=\"default\"} "), "{text}");
                }
            });
        }
    });
}
