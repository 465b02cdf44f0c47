//! Wycheproof's JWS vectors (github.com/C2SP/wycheproof), which test only the signature.

use std::collections::BTreeSet;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use wycheproof_ng_kdf_jose::json_web::{Test, TestName, TestSet};
use zendesk_token::exchange::{Exchange, ExchangeError};
use zendesk_token::login::key_set::KeySet;
use zendesk_token::login::token::VerifyError;
use zendesk_token::login::verifier::LoginError;

use crate::harness::usual;
use crate::provider::Provider;
use crate::reload::Folder;
use crate::settings::without;
use crate::verification::{NOW, exchange_with, run};

/// Vectors with a wrong label: two labelled invalid have no defect, two labelled valid have a character that base64url does not
/// have.
const WRONG_LABELS: [usize; 4] = [367, 370, 372, 373];

/// Whether the signature is valid; the payloads are not claims, so a later check may fail.
fn has_valid_signature(exchange: &Exchange, token: &str) -> bool {
    match run(exchange, token.as_bytes(), NOW) {
        Ok(_) => true,
        Err(ExchangeError::Login(LoginError::Verify(error, _))) => {
            matches!(error, VerifyError::NotStrictJson("payload", _) | VerifyError::Claims(_))
        }
        Err(other) => panic!("{other}"),
    }
}

/// Counts the tests, and adds those whose verdict is not that of their label.
fn judge(exchange: &Exchange, tests: Vec<Test>, differing: &mut BTreeSet<usize>) -> usize {
    let count = tests.len();
    for test in tests {
        let jws = test.jws.unwrap();
        let token = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
        if has_valid_signature(exchange, &token) == test.result.must_fail() {
            differing.insert(test.tc_id);
        }
    }
    count
}

#[test]
fn every_hmac_vector_gets_the_verdict_of_its_label_except_four_wrong_labels() {
    let folder = Folder::new();
    let secret = folder.path("secret");
    let changes = [("login.secret_file", secret.to_str().unwrap()), ("allow_weak_secrets", "true")];
    let settings = without("login.secret", usual(&changes));
    let (mut seen, mut differing) = (0, BTreeSet::new());
    for group in TestSet::load(TestName::JsonWebSignature).unwrap().test_groups {
        let Some(key) = group.private_key.filter(|key| key["kty"] == "oct") else { continue };
        assert_eq!(key["alg"], "HS256");
        fs::write(&secret, URL_SAFE_NO_PAD.decode(key["k"].as_str().unwrap()).unwrap()).unwrap();
        let exchange = exchange_with(&settings);
        seen += judge(&exchange, group.tests, &mut differing);
    }
    assert!(seen >= 40, "{seen}");
    assert_eq!(differing, BTreeSet::from(WRONG_LABELS));
}

#[test]
fn every_vector_of_a_published_key_gets_the_verdict_of_its_label_if_its_algorithm_is_accepted() {
    let provider = Provider::start();
    let (mut seen, mut differing) = (0, BTreeSet::new());
    for group in TestSet::load(TestName::JsonWebSignature).unwrap().test_groups {
        let Some(key) = group.public_key else { continue };
        let is_accepted = ["RS256", "PS256", "ES256"].iter().any(|alg| key["alg"] == *alg);
        let is_usable = KeySet::read_jwks(json!({"keys": [key]}).to_string().as_bytes()).is_ok();
        assert_eq!(is_usable, is_accepted, "{key}");
        provider.publish(std::slice::from_ref(&key));
        let Some(exchange) = is_usable.then(|| provider.exchange(&[])) else { continue };
        seen += judge(&exchange, group.tests, &mut differing);
    }
    assert_eq!(
        (seen, differing),
        (322, BTreeSet::from([346, 350])),
        "Figure 20 of RFC 7520 has PS384 with a key for PS256"
    );
}
