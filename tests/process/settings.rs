//! Loads settings from a file and the environment, and reports wrong ones.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use zendesk_token::config::products::Product;
use zendesk_token::config::settings::{FILE_VARIABLE, SETTINGS};
use zendesk_token::config::{Config, ConfigError, Variables};
use zendesk_token::telemetry::Format;

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, ORIGIN, OTHER_PRODUCTS, output, recommended, usual, variable};
use crate::published_keys::rs256;

/// A settings file that is deleted on drop.
pub struct SettingsFile(PathBuf);

impl SettingsFile {
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("zendesk-token-{}-{}.toml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SettingsFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub fn environment(settings: &[(&str, &str)]) -> Variables {
    settings.iter().map(|(key, value)| (variable(key).into(), value.into())).collect()
}

pub fn load(file: Option<&SettingsFile>, settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(file.map(SettingsFile::path), &environment(settings))
}

/// The settings except one.
pub fn without<'a>(key: &str, mut settings: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    settings.retain(|(set, _)| *set != key);
    settings
}

/// The problems of these settings, a line each.
pub fn errors(file: Option<&SettingsFile>, settings: &[(&str, &str)]) -> String {
    load(file, settings).expect_err("accepted").to_string()
}

/// The problems of the usual settings with some changed.
pub fn problems(changes: &[(&str, &str)]) -> String {
    errors(None, &usual(changes))
}

/// The problems of the settings of all four products with some changed.
pub fn product_problems(changes: &[(&str, &str)]) -> String {
    problems(&[&OTHER_PRODUCTS[..], changes].concat())
}

/// The warnings about these settings, a line each.
pub fn warnings(file: Option<&SettingsFile>, settings: &[(&str, &str)]) -> String {
    load(file, settings).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn minimal_file(more: &str) -> SettingsFile {
    SettingsFile::new(format!(
        "[login]\nsecret = \"{LOGIN_SECRET}\"\n[chat]\nsecret = \"{CHAT_SECRET}\"\n[cors]\norigins = [\"{ORIGIN}\"]\n{more}"
    ))
}

#[test]
fn the_environment_alone_is_enough() {
    let listen = [("listen", "127.0.0.1:8001"), ("admin.listen", "127.0.0.1:9001")];
    let config = load(None, &recommended(&listen)).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8001");
    assert_eq!(config.login_cookie, "token");
    assert_eq!(config.logins[0].leeway, Duration::from_mins(1));
    let [chat] = config.products.as_slice() else { panic!("{:?}", config.products) };
    assert_eq!((chat.product, chat.lifetime), (Product::Chat, Some(Duration::from_mins(5))));
    assert_eq!(chat.name_from, ["email"]);
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(75));
    assert_eq!(config.log.format, Format::Json);
    assert!(config.warnings.is_empty());
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = minimal_file("[limits]\nconnections = 10\ndrain = \"3s\"\n");
    let config = load(Some(&file), &[("limits.drain", "4s"), ("login.cookie", "jar")]).unwrap();
    assert_eq!((config.limits.connections, config.limits.drain), (10, Duration::from_secs(4)));
    assert_eq!(config.login_cookie, "jar");
    let environment = Variables::from([(FILE_VARIABLE.into(), file.path().into())]);
    assert_eq!(Config::load(None, &environment).unwrap().limits.connections, 10);
}

#[test]
fn all_problems_are_reported_at_once_each_with_key_source_and_fix() {
    let file =
        SettingsFile::new("listen = 8001\n[login]\nsecret = \"short\"\nleewai = \"1s\"\n[chat]\nlifetime = \"8m\"\n");
    let text = errors(Some(&file), &[("limits.connections", "many"), ("log.level", "loud")]);
    let path = file.path().display();
    for line in [
        format!("listen ({path}:1): needs an address and a port"),
        format!("login.secret ({path}:3): has 5 bytes and is shorter than 32 bytes"),
        format!("login.leewai ({path}:4): is not a setting; did you mean login.leeway?"),
        format!("chat.lifetime ({path}:6): needs a time from 1s to 7m"),
        "chat.secret (ZENDESK_TOKEN_CHAT__SECRET, not set): is needed".to_owned(),
        "limits.connections (ZENDESK_TOKEN_LIMITS__CONNECTIONS): needs a whole number".to_owned(),
        "log.level (ZENDESK_TOKEN_LOG__LEVEL): needs one of".to_owned(),
    ] {
        assert!(text.lines().any(|text| text.starts_with(&line)), "{line}\n{text}");
    }
    assert_eq!(text.lines().count(), 7, "{text}");

    let result = output(&["serve", "--config", file.path().to_str().unwrap()], &[]);
    assert_eq!(result.status.code(), Some(2));
    assert_eq!(result.stdout, b"");
}

#[test]
fn values_out_of_range_are_refused() {
    let long = format!("{}example", "abc.".repeat(53));
    for (key, wrong) in [
        ("listen", vec!["", "8001", "localhost:8001", "127.0.0.1", "127.0.0.1:99999", "1.2.3.4.5:1"]),
        ("login.cookie", vec!["", "a b", "a;b", "a=b", "\"a\"", "ä", "a,b"]),
        ("login.algorithm", vec!["", "RS384", "RS512", "HS384", "none", "hs256", "HS256,RS256"]),
        ("login.issuer", vec![""]),
        ("login.project_id", vec![""]),
        ("login.leeway", vec!["", "500ms", "60", "-1s", "301s", "6m", "1 fortnight"]),
        ("login.max_lifetime", vec!["", "1s 1ms", "0s", "24"]),
        ("login.keys_max_age", vec!["0s", "25h"]),
        ("login.keys_max_stale", vec!["10"]),
        ("login.keys_cooldown", vec!["0s", "2h"]),
        ("login.revocation_cache", vec!["11m"]),
        ("login.check_revocation", vec!["yes"]),
        ("login.bearer", vec!["1"]),
        // HTTPS or loopback, and nothing after the host.
        ("login.api_url", vec!["", "http://login.xsolla.com", "http://10.0.0.1", "http://x.localhost:8080"]),
        ("login.api_url", vec!["https://login.xsolla.com/", "https://login.xsolla.com/api", "login.xsolla.com"]),
        ("login.api_url", vec!["https://user@login.xsolla.com", "https://*.xsolla.com", "ftp://login.xsolla.com"]),
        ("chat.lifetime", vec!["", "1500ms", "0s", "421s", "8m", "300"]),
        ("chat.name_from", vec!["", ",", "name,,email"]),
        ("chat.fallback_email_domain", vec!["", "x", "https://x.example", "a@b.example", "X.example", "*.b.example"]),
        ("messaging.lifetime", vec!["", "0s", "1500ms", "86401s", "25h", "900"]),
        ("messaging.outlives_login", vec!["", "24h", "yes"]),
        ("messaging.email", vec!["", "true", "Verified", "none"]),
        ("messaging.name_from", vec!["", ",", "a,,b"]),
        ("messaging.verified_types", vec!["email"]),
        ("messaging.key_id", vec!["", "app 1", "äpp", "a\tb", "\u{1b}"]),
        ("messaging.secret", vec!["", "short", "secret"]),
        ("help_center.secret", vec!["", "short"]),
        ("help_center.fallback_email_domain", vec!["", "x", "https://x.example", "X.example", "x.example.", &long]),
        ("help_center.fallback_email_domain", vec!["a_b.example", "-a.example", "ä.example", "x.1"]),
        ("help_center.name_from", vec![""]),
        ("support_sdk.secret", vec!["", "{\"keys\":[]}"]),
        ("support_sdk.fallback_email_domain", vec!["", "1.2.3.4"]),
        ("cors.origins", vec!["", ","]),
        ("limits.connections", vec!["", "0", "-1", "1.5", "1e3", "0x10", "1000001", "99999999999999999999999"]),
        ("limits.header_bytes", vec!["8191", "1048577", "32k"]),
        ("limits.header_timeout", vec!["0s", "10", "2h"]),
        ("limits.drain", vec!["-1s", "2h", "8"]),
        ("log.format", vec!["", "xml", "JSON"]),
        ("log.level", vec!["", "off", "INFO", "3"]),
        ("allow_weak_secrets", vec!["", "1", "yes", "TRUE"]),
    ] {
        for value in wrong {
            let text = product_problems(&[(key, value)]);
            assert!(text.starts_with(&format!("{key} ({}): ", variable(key))), "{key}={value}: {text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
}

#[test]
fn values_in_range_are_accepted() {
    for (key, accepted) in [
        ("listen", vec!["[::1]:8001", "0.0.0.0:8001"]),
        ("login.cookie", vec!["__Host-login"]),
        ("login.algorithm", vec!["HS256"]),
        ("login.leeway", vec!["0s", "5m"]),
        ("login.max_lifetime", vec!["1day"]),
        ("login.api_url", vec!["https://login.xsolla.com", "https://login.example.com:8443"]),
        ("login.api_url", vec!["http://127.0.0.1:8080", "http://[::1]:1", "http://localhost:8080"]),
        ("chat.lifetime", vec!["7m", "1m 30s"]),
        ("chat.fallback_email_domain", vec!["players.example.com"]),
        ("messaging.lifetime", vec!["1s", "24h"]),
        ("messaging.key_id", vec!["act_5f~!"]),
        ("limits.drain", vec!["0s"]),
        ("limits.header_bytes", vec!["8192"]),
        ("log.level", vec!["trace"]),
    ] {
        for value in accepted {
            let settings = usual(&[&OTHER_PRODUCTS[..], &[(key, value)]].concat());
            assert!(load(None, &settings).is_ok(), "{key}={value}");
        }
    }
}

#[test]
fn a_value_of_the_wrong_type_in_the_file_is_refused() {
    for (line, text) in [
        ("[limits]\nconnections = \"4096\"", "needs a whole number"),
        ("[limits]\nconnections = 4096.0", "needs a whole number"),
        ("[limits]\nconnections = 0x10", "needs a whole number"),
        ("[limits]\ndrain = 8", "needs a time from 0s to 1h, with its unit, in quotes"),
        ("[log]\nlevel = true", "needs one of error, warn, info, debug, trace, in quotes"),
        ("[log]\nlevel = 1979-05-27", "needs one of error"),
        ("[log]\nlevel = [\"info\"]", "needs one of error"),
        ("[log]\nLevel2 = 'warn'", "): is not a setting; did you mean log.level?"),
        ("[log.level]\nx = 1", "is not a setting"),
        ("\"log.level\" = 'warn'", "is not a setting"),
    ] {
        let message = errors(Some(&minimal_file(line)), &[]);
        assert!(message.contains(text) && message.lines().count() == 1, "{line}\n{message}");
    }
    for (line, text) in [
        ("\"log.level\" = 'warn'", "is not a setting; did you mean log.level?"),
        ("allow_weak_secrets = \"true\"", "needs true or false"),
        ("chat.name_from = 'email'", "needs texts"),
    ] {
        let message = errors(Some(&SettingsFile::new(line)), &usual(&[]));
        assert!(message.contains(text), "{line}\n{message}");
    }
    let replaced = SettingsFile::new("cors.origins = 'https://a.example'");
    assert!(load(Some(&replaced), &usual(&[])).is_ok(), "the environment replaces what the file says");
}

#[test]
fn no_other_setting_may_have_the_value_of_a_secret() {
    let others = SETTINGS.iter().filter(|setting| !setting.is_secret()).map(|setting| setting.key);
    for key in others {
        let text = problems(&[(key, LOGIN_SECRET)]);
        let expected = format!(
            "{key} ({}): has the value of login.secret (ZENDESK_TOKEN_LOGIN__SECRET), which must stay secret",
            variable(key)
        );
        assert!(text.lines().any(|line| line.starts_with(&expected)), "{key}: {text}");
        assert!(!text.contains(LOGIN_SECRET), "{key}: {text}");
    }
    // White space, hyphens, case, other entries of a list and text around it do not hide it.
    for (key, value) in [
        ("login.project_id", format!(" {}-{} ", LOGIN_SECRET[..20].to_uppercase(), &LOGIN_SECRET[20..])),
        ("messaging.name_from", format!("name,{LOGIN_SECRET},email")),
        ("messaging.key_id", format!("app_{LOGIN_SECRET}")),
        ("login.issuer", format!("https://login.example.com/{}/x", LOGIN_SECRET.to_uppercase())),
        ("messaging.name_from", format!("name,x{LOGIN_SECRET},email")),
    ] {
        let text = product_problems(&[(key, &value)]);
        assert!(text.contains("has the value of login.secret ("), "{text}");
        assert!(text.lines().all(|line| line.starts_with(&format!("{key} ("))), "{text}");
    }
    let short =
        [("login.secret", "login"), ("login.issuer", "https://login.xsolla.com"), ("allow_weak_secrets", "true")];
    assert!(load(None, &usual(&short)).is_ok(), "a short one may be part of a value by chance");
    let list = minimal_file(&format!("[messaging]\nname_from = ['name', '{LOGIN_SECRET}']\n"));
    let text = errors(Some(&list), &OTHER_PRODUCTS);
    let expected = format!("messaging.name_from ({}:8): has the value of login.secret (", list.path().display());
    assert!(text.starts_with(&expected), "{text}");
}

#[test]
fn a_secret_that_is_a_default_is_refused_itself() {
    for (secret, key) in [("token", "login.cookie"), ("name,username,email", "messaging.name_from")] {
        let text = problems(&[("login.secret", secret), ("allow_weak_secrets", "true")]);
        let expected =
            format!("login.secret (ZENDESK_TOKEN_LOGIN__SECRET): is the default of {key}, which everybody knows");
        assert!(text.starts_with(&expected) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn no_setting_may_have_the_value_of_any_secret_that_is_set() {
    let value = "c0ffee5e7c1b4d0e8a436f1f4f0e9a770d5f2d5e7c1b4d0e8a436f1f4f0e9a77";
    let file = SettingsFile::new(format!("{value}\n"));
    let path = file.path().to_str().unwrap();
    for key in SETTINGS.iter().filter(|setting| setting.is_secret()).map(|setting| setting.key) {
        let file_key = format!("{key}_file");
        for (from, given) in [(key, value), (&*file_key, path)] {
            for key_id in [value, &value.to_uppercase()] {
                let changes = [&OTHER_PRODUCTS[..], &[("messaging.key_id", key_id)]].concat();
                let text = errors(None, &[without(key, usual(&changes)), vec![(from, given)]].concat());
                let expected = format!(
                    "messaging.key_id (ZENDESK_TOKEN_MESSAGING__KEY_ID): has the value of {from} ({}), which must stay",
                    variable(from)
                );
                assert!(text.starts_with(&expected) && text.lines().count() == 1, "{text}");
            }
        }
    }
    // This includes secrets that RS256 does not use.
    let changes = [("login.issuer", value), ("login.previous_secret_file", path)];
    let text = errors(None, &rs256("https://login.xsolla.com", &changes));
    let expected = "has the value of login.previous_secret_file (";
    assert!(text.contains("login.issuer (") && text.contains(expected), "{text}");
}

#[test]
fn the_two_listeners_need_two_addresses() {
    let text = problems(&[("listen", "127.0.0.1:8001"), ("admin.listen", "127.0.0.1:8001")]);
    assert!(text.starts_with("admin.listen (ZENDESK_TOKEN_ADMIN__LISTEN): is the same as listen"), "{text}");
}
