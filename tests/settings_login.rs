//! Settings of the login side, and the problems with wrong ones.

use std::time::Duration;

use zendesk_token::config::login::{KeyCaching, Signature};

use crate::harness::{LOGIN_SECRET, recommended, usual};
use crate::login_tokens::PROJECT;
use crate::published_keys::rs256;
use crate::settings::{load, problems};

/// The warnings, a line each.
fn warnings(settings: &[(&str, &str)]) -> String {
    load(None, settings).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The problems of settings for RS256 with some changed.
fn rs256_problems(changes: &[(&str, &str)]) -> String {
    load(None, &rs256("https://login.xsolla.com", changes)).expect_err("taken").to_string()
}

#[test]
fn rs256_needs_a_project_and_no_secret() {
    let config = load(None, &rs256("https://login.xsolla.com", &[("login.max_lifetime", "24h")])).unwrap();
    let Signature::Published { project_id, caching } = config.login.signature else { panic!("HS256") };
    assert_eq!(project_id, PROJECT);
    let minute = Duration::from_mins(1);
    assert_eq!(caching, KeyCaching { max_age: minute * 10, max_stale: minute * 60, cooldown: minute / 2 });
    assert!(config.warnings.is_empty());

    let mut without = rs256("https://login.xsolla.com", &[]);
    without.retain(|(key, _)| *key != "login.project_id");
    let text = load(None, &without).unwrap_err().to_string();
    assert!(text.starts_with("login.project_id (ZENDESK_TOKEN_LOGIN__PROJECT_ID, not set): is needed"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");

    let settings = [rs256("https://login.xsolla.com", &[]), vec![("login.secret", LOGIN_SECRET)]].concat();
    let with_secret = warnings(&settings);
    assert!(with_secret.contains("login.secret") && with_secret.contains("is not used"), "{with_secret}");
    for odd in ["../..", "a/b", "a?b", "a b", "ä", "%2e"] {
        assert!(rs256_problems(&[("login.project_id", odd)]).contains("is not a UUID"), "{odd}");
    }
}

#[test]
fn a_missing_secret_is_reported_with_the_alternative_and_a_wrong_algorithm_alone() {
    let mut settings = usual(&[]);
    settings.retain(|(key, _)| *key != "login.secret");
    let text = load(None, &settings).unwrap_err().to_string();
    assert!(text.contains("is needed; give it, or in login.secret_file") && text.contains("RS256"), "{text}");
    settings.push(("login.algorithm", "rs256"));
    let text = load(None, &settings).unwrap_err().to_string();
    assert!(text.starts_with("login.algorithm") && text.lines().count() == 1, "{text}");
    for algorithm in ["none", "HS384", "RS512", "hs256", "HS256,RS256", ""] {
        assert!(problems(&[("login.algorithm", algorithm)]).starts_with("login.algorithm"), "{algorithm}");
    }
}

#[test]
fn a_project_id_that_is_not_a_uuid_is_reported() {
    assert!(warnings(&recommended(&[])).is_empty());
    let upper = PROJECT.to_uppercase();
    for odd in ["abc", &PROJECT[1..], upper.as_str(), &PROJECT.replace('-', "")] {
        assert!(warnings(&recommended(&[("login.project_id", odd)])).contains("is not a UUID"), "{odd}");
    }
}

#[test]
fn the_login_api_is_asked_over_https_or_on_loopback() {
    for url in ["https://login.xsolla.com", "https://login.example.com:8443", "http://127.0.0.1:8080", "http://[::1]:1"]
    {
        assert!(load(None, &usual(&[("login.api_url", url)])).is_ok(), "{url}");
    }
    assert!(load(None, &usual(&[("login.api_url", "http://localhost:8080")])).is_ok());
    for url in [
        "http://login.xsolla.com",
        "http://10.0.0.1",
        "http://x.localhost:8080",
        "https://login.xsolla.com/",
        "https://login.xsolla.com/api",
        "https://user@login.xsolla.com",
        "https://*.xsolla.com",
        "ftp://login.xsolla.com",
        "login.xsolla.com",
        "",
    ] {
        assert!(problems(&[("login.api_url", url)]).starts_with("login.api_url"), "{url}");
    }
}

#[test]
fn times_of_keys_and_answers_have_limits() {
    for (key, wrong) in [
        ("login.keys_max_age", "0s"),
        ("login.keys_max_age", "25h"),
        ("login.keys_max_stale", "10"),
        ("login.keys_cooldown", "0s"),
        ("login.keys_cooldown", "2h"),
        ("login.revocation_cache", "11m"),
        ("login.check_revocation", "yes"),
        ("login.bearer", "1"),
    ] {
        assert!(problems(&[(key, wrong)]).starts_with(key), "{key} {wrong}");
    }
    let shorter = rs256_problems(&[("login.keys_max_age", "2h")]);
    assert!(shorter.contains("is less than login.keys_max_age"), "{shorter}");
    let asking = [("login.check_revocation", "true"), ("limits.request_timeout", "5s")];
    assert!(warnings(&usual(&asking)).contains("players get 503 00-12 and not 00-07"));
    assert!(warnings(&recommended(&[("limits.request_timeout", "5s")])).is_empty());
}
