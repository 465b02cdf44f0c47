//! Fuzz targets: functions that take any bytes and check what must hold for all of them.
//!
//! `tests/fuzz` includes this file, so only its tests use the suite.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderName, HeaderValue};
use futures_util::FutureExt;
use serde_json::Value;
use zendesk_token::config::origin::OriginPattern;
use zendesk_token::config::products::Product;
use zendesk_token::config::secret::Secret;
use zendesk_token::config::{Config, ConfigError};
use zendesk_token::desk::{User, Visitor};
use zendesk_token::exchange::Exchange;
use zendesk_token::http::client_ip::client_ip;
use zendesk_token::http::credentials;
use zendesk_token::login::key_set::KeySet;
use zendesk_token::login::strict_json::Members;
use zendesk_token::login::token::LoginToken;
use zendesk_token::login::verifier::Credentials;
use zendesk_token::metrics::Metrics;
use zendesk_token::zendesk::signing_key::SigningKey;

/// A time at which the tokens of the corpus are valid.
const NOW: i64 = 1_800_000_000;

const SECRET: &str = "6c6f67696e20736563726574206f66207468652066757a7a6572207461726765";

const SETTINGS: [(&str, &str); 5] = [
    ("ZENDESK_TOKEN_LOGIN__SECRET", SECRET),
    ("ZENDESK_TOKEN_CHAT__SECRET", "6368617420736563726574206f66207468652066757a7a657220746172676574"),
    ("ZENDESK_TOKEN_MESSAGING__SECRET", "6d6573736167696e67207365637265742066757a7a6572207461726765747320"),
    ("ZENDESK_TOKEN_MESSAGING__KEY_ID", "app_1"),
    ("ZENDESK_TOKEN_CORS__ORIGINS", "https://shop.example.com"),
];

type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 9] = [
    ("cookie", cookie),
    ("token", token),
    ("claims", claims),
    ("strict_json", strict_json),
    ("origin", origin),
    ("settings", settings),
    ("client_address", client_address),
    ("key_set", key_set),
    ("desk_api", desk_api),
];

/// The target with this name.
#[must_use]
pub fn of(name: &str) -> Target {
    TARGETS.into_iter().find(|(own, _)| *own == name).unwrap().1
}

fn load(settings: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    Config::load(None, &settings.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

static EXCHANGE: LazyLock<Exchange> =
    LazyLock::new(|| Exchange::new(&load(owned(&SETTINGS)).unwrap(), &Metrics::new(), None).unwrap());

/// Whether a login token is exchanged for a token of the product.
fn exchanged(token: &[u8], product: Product) -> bool {
    let candidates = Credentials { bearer: Some(LoginToken::new(token)), cookies: Vec::new() };
    EXCHANGE.run(product, &candidates, NOW).now_or_never().unwrap().is_ok()
}

/// A `Cookie` header gives at most four tokens.
fn cookie(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers = HeaderMap::from_iter([(COOKIE, value)]);
    if let Ok(credentials) = credentials::read(&headers, "token", false) {
        assert!((1..=4).contains(&credentials.count()));
        let _ = EXCHANGE.run(Product::Chat, &credentials, NOW).now_or_never().unwrap();
    }
}

/// A login token: only one with a valid signature is exchanged.
fn token(bytes: &[u8]) {
    assert!(!exchanged(bytes, Product::Chat) || is_signed(bytes));
}

fn is_signed(token: &[u8]) -> bool {
    std::str::from_utf8(token)
        .is_ok_and(|token| zendesk_token::zendesk::signing_key::is_signed_with(SECRET.as_bytes(), token))
}

/// Signed claims: a token is issued or refused, and nothing panics.
fn claims(bytes: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Value>(bytes) else { return };
    let key = SigningKey::new(&Secret::new(SECRET.as_bytes().to_vec()), None);
    let Ok(token) = key.sign(&claims) else { return };
    for product in [Product::Chat, Product::Messaging] {
        exchanged(token.as_str().as_bytes(), product);
    }
}

/// JSON: what the strict reader accepts, `serde_json` accepts with the same texts.
fn strict_json(bytes: &[u8]) {
    if let Ok(members) = Members::read(bytes) {
        let other: serde_json::Map<String, Value> = serde_json::from_slice(bytes).unwrap();
        assert!(other.keys().all(|name| members.has(name)));
        assert!(other.iter().all(|(name, value)| members.text(name) == value.as_str()));
    }
}

/// An origin pattern: an exact one allows itself, and none allows `null` or a domain that it does not contain.
fn origin(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(pattern) = OriginPattern::parse(&text) {
        assert_eq!(pattern.allows(text.as_bytes()), pattern.is_exact());
        assert!(!pattern.allows(b"https://shop.example.com.evil.example") || text.contains("evil"));
        assert!(!pattern.allows(b"null") && !pattern.allows(b"") && !pattern.allows(b"https://"));
    }
}

/// Settings, as `KEY=value` lines: no error quotes a secret.
fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut all = owned(&SETTINGS);
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        // The fuzzer must not read files of this machine.
        if !key.contains("FILE") && !key.contains("TLS") && !key.contains("CONFIG") {
            all.push((format!("ZENDESK_TOKEN_{key}"), value.replace('\0', "")));
        }
    }
    if let Err(error) = load(all) {
        assert!(!error.to_string().contains(SECRET));
    }
}

/// An `X-Forwarded-For` header: only the part that a trusted proxy added counts.
fn client_address(bytes: &[u8]) {
    static PROXY: LazyLock<Config> = LazyLock::new(|| {
        let more = [("ZENDESK_TOKEN_PROXY__TRUSTED", "10.0.0.0/8")];
        load(owned(&[&SETTINGS[..], &more].concat())).unwrap()
    });
    const NAME: HeaderName = HeaderName::from_static("x-forwarded-for");
    let (own, real) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::from_iter([(NAME, value)]);
    assert_eq!(client_ip(&headers, real, &PROXY.proxy), real);
    let _ = client_ip(&headers, own, &PROXY.proxy);
    headers.append(NAME, HeaderValue::from_static("192.0.2.1"));
    assert_eq!(client_ip(&headers, own, &PROXY.proxy), real, "the line that the proxy added counts");
}

/// A key set from the Login API.
fn key_set(bytes: &[u8]) {
    let _ = KeySet::read(bytes);
    let _ = KeySet::read_jwks(bytes);
}

/// Answers of the support desk's APIs.
fn desk_api(bytes: &[u8]) {
    if let Ok(user) = serde_json::from_slice::<User>(bytes) {
        assert!(user.emails().count() <= user.identities.len());
    }
    let _ = serde_json::from_slice::<Visitor>(bytes);
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::sample::{Index, select};

    use super::{TARGETS, of};
    use crate::properties::check;

    const MANIFEST: &str = include_str!("../fuzz/Cargo.toml");

    /// Each target's name and inputs in the corpus, which has a line for each target, with the inputs as base64.
    /// `tests/fuzz/run` writes it.
    fn corpus() -> Vec<(&'static str, Vec<Vec<u8>>)> {
        let inputs = |line: &'static str| line.split(' ').map(|input| STANDARD.decode(input).unwrap()).collect();
        let lines = include_str!("../fuzz/corpus.txt").lines().map(|line| line.split_once(' ').unwrap());
        lines.map(|(name, line)| (name, inputs(line))).collect()
    }

    #[test]
    fn every_target_holds_over_its_corpus() {
        let mut names = TARGETS.map(|(name, _)| name);
        names.sort_unstable();
        assert_eq!(corpus().iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
        for (name, inputs) in corpus() {
            assert!(MANIFEST.contains(&format!("name = \"{name}\"\n")), "{name} is not a fuzzer");
            assert!(inputs.len() >= 5, "{name}");
            for input in &inputs {
                of(name)(input);
            }
        }
    }

    #[test]
    fn every_target_holds_over_random_changes_of_its_corpus() {
        let change = (select(corpus()), any::<Index>(), any::<Index>(), 0..4_usize, vec(any::<u8>(), 0..4));
        check(5000, &change, |((name, inputs), input, at, removed, added)| {
            let mut input = input.get(&inputs).clone();
            let start = at.index(input.len() + 1);
            input.splice(start..(start + removed).min(input.len()), added);
            of(name)(&input);
        });
    }
}
