//! Settings of the login side, and the problems with wrong ones.

use std::time::Duration;

use zendesk_token::config::login::{KeyCaching, KeyLocation, Signature};

use crate::harness::{LOGIN_SECRET, recommended, usual};
use crate::login_tokens::PROJECT;
use crate::published_keys::rs256;
use crate::settings::{errors, load, warnings, without};

const API_URL: &str = "https://login.xsolla.com";

#[test]
fn rs256_needs_a_project_and_no_secret() {
    let config = load(None, &rs256(API_URL, &[("login.max_lifetime", "24h")])).unwrap();
    let Signature::Published { keys, caching } = &config.logins[0].signature else { panic!("HS256") };
    assert_eq!(*keys, KeyLocation::Project(PROJECT.to_owned()));
    let minute = Duration::from_mins(1);
    assert_eq!(*caching, KeyCaching { max_age: minute * 10, max_stale: minute * 60, cooldown: minute / 2 });
    assert!(config.warnings.is_empty());

    let text = errors(None, &without("login.project_id", rs256(API_URL, &[])));
    assert!(text.starts_with("login.project_id (ZENDESK_TOKEN_LOGIN__PROJECT_ID, not set): is needed"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");

    let with_secret = warnings(None, &[rs256(API_URL, &[]), vec![("login.secret", LOGIN_SECRET)]].concat());
    assert!(with_secret.contains("login.secret") && with_secret.contains("is not used"), "{with_secret}");
    for odd in ["../..", "a/b", "a?b", "a b", "ä", "%2e"] {
        assert!(errors(None, &rs256(API_URL, &[("login.project_id", odd)])).contains("is not a UUID"), "{odd}");
    }
}

#[test]
fn a_missing_secret_is_reported_with_the_alternative_and_a_wrong_algorithm_alone() {
    let mut settings = without("login.secret", usual(&[]));
    let text = errors(None, &settings);
    assert!(text.contains("is needed, unless login.algorithm is RS256; give it, or in login.secret_file"), "{text}");
    settings.push(("login.algorithm", "rs256"));
    let text = errors(None, &settings);
    assert!(text.starts_with("login.algorithm") && text.lines().count() == 1, "{text}");
}

#[test]
fn an_empty_issuer_of_a_provider_is_reported_once() {
    let changes = [("login.provider", "oidc"), ("login.issuer", ""), ("login.audience", "shop")];
    let text = errors(None, &without("login.secret", usual(&changes)));
    assert!(text.starts_with("login.issuer (") && text.lines().count() == 1, "{text}");
}

#[test]
fn a_project_id_that_is_not_a_uuid_is_reported() {
    assert!(warnings(None, &recommended(&[])).is_empty());
    let upper = PROJECT.to_uppercase();
    for odd in ["abc", &PROJECT[1..], upper.as_str(), &PROJECT.replace('-', "")] {
        assert!(warnings(None, &recommended(&[("login.project_id", odd)])).contains("is not a UUID"), "{odd}");
    }
}

#[test]
fn times_that_contradict_each_other_are_reported() {
    let shorter = errors(None, &rs256(API_URL, &[("login.keys_max_age", "2h")]));
    assert!(shorter.contains("is less than login.keys_max_age"), "{shorter}");
    let asking = [("login.check_revocation", "true"), ("limits.request_timeout", "5s")];
    assert!(warnings(None, &usual(&asking)).contains("players get 503 00-12 and not 00-07"));
    assert!(warnings(None, &recommended(&[("limits.request_timeout", "5s")])).is_empty());
}
