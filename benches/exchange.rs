//! What does an exchange cost beside the two HMACs that it can't do without?
//!
//! `cargo bench --bench exchange`. The yardstick signs as many bytes as the exchange verifies and
//! signs, with keys made beforehand.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that meets the unexpected stops")]

use std::ffi::OsString;
use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::Criterion;
use futures_util::FutureExt;
use zendesk_token::config::Config;
use zendesk_token::exchange::Exchange;
use zendesk_token::login::token::LoginToken;
use zendesk_token::login::verifier::Candidates;
use zendesk_token::metrics::Metrics;

const LOGIN_SECRET: &str = "2f1d0c6b7a9e4835b6d2f0e1c3a597884d6e2b1f0a9c8d7e6f5a4b3c2d1e0f9a";
const CHAT_SECRET: &str = "9b1d7e5c3a2f4860b7c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5";
const NOW: i64 = 1_800_000_000;

/// Rounds of which the fastest counts, and exchanges in each.
const ROUNDS: usize = 60;
const EXCHANGES: u32 = 5_000;

fn exchange() -> Exchange {
    let settings = [
        ("ZENDESK_TOKEN_LOGIN__SECRET", LOGIN_SECRET),
        ("ZENDESK_TOKEN_CHAT__SECRET", CHAT_SECRET),
        ("ZENDESK_TOKEN_CORS__ORIGINS", "https://shop.example.com"),
    ];
    let environment = settings.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Exchange::new(&Config::load(None, environment).unwrap(), &Metrics::new(), None).unwrap()
}

/// A login token as Xsolla Login issues it: 12 claims, 700 bytes.
fn login_token() -> String {
    let payload = r#"{"sub":"82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11","email":"jane@example.com","username":"Jane Doe","iss":"https://login.xsolla.com","iat":1799999940,"exp":1800086340,"xsolla_login_project_id":"0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77","groups":[{"id":1,"name":"default","is_default":true}],"type":"xsolla_login","publisher_id":12345,"promo_email_agreement":false,"xsolla_login_access_key":"7f3c9d1e5b7a4c2e8f6d0b1a3c5e7f9d"}"#;
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(&Key::new(HMAC_SHA256, LOGIN_SECRET.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Nanoseconds that one call takes in the fastest of all rounds: the noise of a shared machine only adds.
fn fastest(rounds: usize, mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        (0..EXCHANGES).for_each(|_| work());
        started.elapsed().as_secs_f64() * 1e9 / f64::from(EXCHANGES)
    };
    (0..rounds).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let (exchange, token) = (exchange(), login_token());
    let candidates = Candidates { bearer: None, cookies: vec![LoginToken::new(token.as_bytes())] };
    let issued = exchange.run(&candidates, NOW).now_or_never().unwrap().unwrap().token;
    let keys = [LOGIN_SECRET, CHAT_SECRET].map(|secret| Key::new(HMAC_SHA256, secret.as_bytes()));
    let verified = token.rsplit_once('.').unwrap().0.as_bytes();
    let signed = issued.as_str().rsplit_once('.').unwrap().0.as_bytes();
    let two_hmacs = || {
        black_box(sign(&keys[0], black_box(verified)));
        black_box(sign(&keys[1], black_box(signed)));
    };
    let one_exchange = || {
        black_box(exchange.run(black_box(&candidates), NOW).now_or_never().unwrap().unwrap());
    };

    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("two HMACs", |bencher| bencher.iter(two_hmacs));
    criterion.bench_function("exchange", |bencher| bencher.iter(one_exchange));
    criterion.final_summary();

    let (yardstick, exchange) = (fastest(ROUNDS, two_hmacs), fastest(ROUNDS, one_exchange));
    println!(
        "two HMACs {yardstick:.0} ns, exchange {exchange:.0} ns: {:.2} times, aim at most 6",
        exchange / yardstick
    );
}
