//! Compares the time of an exchange with the time of its signatures, and counts fetches caused by unknown keys.
//!
//! `cargo bench --bench exchange`. The baseline verifies and signs the same number of bytes as the exchange, with
//! prepared keys.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at any unexpected result"
)]

#[path = "exchange/key_server.rs"]
mod key_server;

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::Criterion;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::runtime::Runtime;
use zendesk_token::config::Config;
use zendesk_token::config::products::Product;
use zendesk_token::exchange::Exchange;
use zendesk_token::login::token::LoginToken;
use zendesk_token::login::verifier::Credentials;
use zendesk_token::metrics::Metrics;

use key_server::KeyServer;

const LOGIN_SECRET: &str = "2f1d0c6b7a9e4835b6d2f0e1c3a597884d6e2b1f0a9c8d7e6f5a4b3c2d1e0f9a";
const CHAT_SECRET: &str = "9b1d7e5c3a2f4860b7c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5";
const NOW: i64 = 1_800_000_000;
const PROJECT: &str = "0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77";
const KEY_SET: &str = include_str!("../tests/fixtures/rs256/first.json");
const RS256_TOKEN: &str = include_str!("../tests/fixtures/rs256/accepted/key_a.jwt");

/// Number of rounds, of which the fastest counts, and of exchanges in each round.
const ROUNDS: usize = 60;
const EXCHANGES: u32 = 2_000;

/// Number of login tokens with unknown keys, in total and at the same time.
const UNKNOWN: usize = 10_000;
const AT_ONCE: usize = 100;

fn exchange(login: &[(&str, &str)]) -> Exchange {
    let common = [("CHAT__SECRET", CHAT_SECRET), ("CORS__ORIGINS", "https://shop.example.com")];
    let settings = login.iter().chain(&common);
    let environment = settings.map(|(name, value)| (format!("ZENDESK_TOKEN_{name}").into(), value.into())).collect();
    Exchange::new(&Config::load(None, &environment).unwrap(), &Metrics::new(), None).unwrap()
}

/// A login token like those of Xsolla Login: 12 claims, 636 bytes.
fn login_token() -> String {
    let payload = r#"{"sub":"82cd5e0c-1d9c-4a2f-9d0a-5f0d1a7b3c11","email":"jane@example.com","username":"Jane Doe","iss":"https://login.xsolla.com","iat":1799999940,"exp":1800086340,"xsolla_login_project_id":"0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77","groups":[{"id":1,"name":"default","is_default":true}],"type":"xsolla_login","publisher_id":12345,"promo_email_agreement":false,"xsolla_login_access_key":"7f3c9d1e5b7a4c2e8f6d0b1a3c5e7f9d"}"#;
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(&Key::new(HMAC_SHA256, LOGIN_SECRET.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Nanoseconds of one call in the fastest round: other load on the machine only adds time.
fn fastest(mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        (0..EXCHANGES).for_each(|_| work());
        started.elapsed().as_secs_f64() * 1e9 / f64::from(EXCHANGES)
    };
    (0..ROUNDS).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}

/// Compares the exchange of `token` with its two signatures; `verify` is the first one. Returns the exchange's nanoseconds.
fn compare(criterion: &mut Criterion, name: &str, exchange: &Exchange, token: &str, verify: impl Fn()) -> f64 {
    let candidates = Credentials { bearer: None, cookies: vec![LoginToken::new(token.as_bytes())] };
    // With keys loaded, the future never waits.
    let run = || exchange.run(Product::Chat, black_box(&candidates), NOW).now_or_never().unwrap().unwrap();
    let issued = run().token;
    let (key, signed) = (Key::new(HMAC_SHA256, CHAT_SECRET.as_bytes()), issued.as_str().rsplit_once('.').unwrap().0);
    let baseline = || {
        verify();
        black_box(sign(&key, black_box(signed.as_bytes())));
    };
    criterion.bench_function(&format!("{name}: its signatures alone"), |bencher| bencher.iter(baseline));
    criterion.bench_function(&format!("{name}: exchange"), |bencher| bencher.iter(run));
    let (alone, whole) = (
        fastest(baseline),
        fastest(|| {
            black_box(run());
        }),
    );
    println!("{name}: signatures alone {alone:.0} ns, exchange {whole:.0} ns: {:.2} times", whole / alone);
    whole
}

/// Sends tokens with unknown keys, and counts the fetches from the Login API.
async fn flood(exchange: &Exchange, server: &KeyServer) {
    let before = server.requests.load(Ordering::Relaxed);
    let payload = RS256_TOKEN.split_once('.').unwrap().1;
    let started = Instant::now();
    for first in (0..UNKNOWN).step_by(AT_ONCE) {
        let tokens = (first..first + AT_ONCE).map(|number| {
            format!("{}.{payload}", URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"unknown-{number}"}}"#)))
        });
        join_all(tokens.map(|token| async move {
            let candidates = Credentials { bearer: None, cookies: vec![LoginToken::new(token.as_bytes())] };
            assert!(exchange.run(Product::Chat, &candidates, NOW).await.is_err());
        }))
        .await;
    }
    let (fetches, took) = (server.requests.load(Ordering::Relaxed) - before, started.elapsed());
    println!(
        "{UNKNOWN} tokens with different unknown kids, {AT_ONCE} at once: {fetches} fetch(es) in {took:?}, cooldown 30s"
    );
    assert!(fetches <= 1, "more than one fetch in a cooldown");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().unwrap();

    let (secret, token) = (exchange(&[("LOGIN__SECRET", LOGIN_SECRET)]), login_token());
    let key = Key::new(HMAC_SHA256, LOGIN_SECRET.as_bytes());
    let verified = token.rsplit_once('.').unwrap().0.as_bytes();
    let hs256 = compare(&mut criterion, "HS256", &secret, &token, || {
        black_box(sign(&key, black_box(verified)));
    });

    let server = KeyServer::start(KEY_SET);
    let url = [("LOGIN__ALGORITHM", "RS256"), ("LOGIN__PROJECT_ID", PROJECT), ("LOGIN__API_URL", &server.url)];
    let published = exchange(&url);
    runtime.block_on(published.published_keys().next().unwrap().refresh()).unwrap();
    let key: Value = serde_json::from_str::<Vec<Value>>(KEY_SET).unwrap().remove(0);
    let key = RsaPublicKeyComponents { n: hex::decode(key["n"].as_str().unwrap()).unwrap(), e: vec![1, 0, 1] };
    let (message, signature) = RS256_TOKEN.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let rs256 = compare(&mut criterion, "RS256", &published, RS256_TOKEN, || {
        key.verify(&RSA_PKCS1_2048_8192_SHA256, black_box(message.as_bytes()), &signature).unwrap();
    });
    criterion.final_summary();
    println!(
        "an RS256 exchange takes {:.1} times as long as an HS256 exchange; target for HS256: at most 3 times its signatures",
        rs256 / hs256
    );
    runtime.block_on(flood(&published, &server));
}
