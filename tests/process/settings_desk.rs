//! The settings of `conflict` and `visitor`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use zendesk_token::config::ConfigError;
use zendesk_token::desk::settings::{ChatApi, Conversations};

use crate::harness::{CHAT_SECRET, output, usual, variable};
use crate::settings::{SettingsFile, environment};

const CONVERSATIONS: [(&str, &str); 4] = [
    ("conversations.subdomain", "acme"),
    ("conversations.app_id", "5d8cff3cd55b040010928b5b"),
    ("conversations.key_id", "app_1"),
    ("conversations.key_secret", "short"),
];

fn conversations(changes: &[(&str, &str)]) -> Result<String, ConfigError> {
    let replaces = |changed: &str, key: &str| {
        changed == key || (changed, key) == ("conversations.base_url", "conversations.subdomain")
    };
    let kept = CONVERSATIONS.into_iter().filter(|(key, _)| !changes.iter().any(|(changed, _)| replaces(changed, key)));
    let settings: Vec<_> = kept.chain(changes.iter().copied()).collect();
    Conversations::load(None, &environment(&settings)).map(|settings| settings.endpoint.url)
}

/// The URL of the Chat API with this subdomain or base URL and token.
fn chat_api(key: &str, value: &str, token: &str) -> Result<String, ConfigError> {
    let settings = [(key, value), ("chat_api.token", token)];
    ChatApi::load(None, &environment(&settings)).map(|settings| settings.endpoint.url)
}

#[test]
fn an_api_is_configured_by_subdomain_or_base_url() {
    assert_eq!(conversations(&[]).unwrap(), "https://acme.zendesk.com/sc");
    assert_eq!(chat_api("chat_api.subdomain", "acme", "t").unwrap(), "https://acme.zendesk.com/api/v2/chat");
    for (written, url) in [
        ("https://api.smooch.io", "https://api.smooch.io"),
        ("https://api.eu-1.smooch.io/", "https://api.eu-1.smooch.io"),
        ("https://acme.zendesk.com", "https://acme.zendesk.com/sc"),
        ("https://acme.zendesk.com/sc/", "https://acme.zendesk.com/sc"),
        ("https://proxy.example.com:8443/zendesk/sc", "https://proxy.example.com:8443/zendesk/sc"),
        ("http://127.0.0.1:8080/sc", "http://127.0.0.1:8080/sc"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost:1/sc", "http://localhost:1/sc"),
    ] {
        assert_eq!(conversations(&[("conversations.base_url", written)]).unwrap(), url);
    }
    for (written, url) in [
        ("https://www.zopim.com", "https://www.zopim.com/api/v2"),
        ("https://www.zopim.com/api/v2", "https://www.zopim.com/api/v2"),
        ("https://acme.zendesk.com", "https://acme.zendesk.com/api/v2/chat"),
    ] {
        assert_eq!(chat_api("chat_api.base_url", written, "t").unwrap(), url);
    }
}

#[test]
fn each_problem_is_reported_with_key_source_and_fix() {
    let url = "needs https, host and path, without query";
    for (key, wrong, fix) in [
        ("conversations.subdomain", vec!["acme.zendesk.com", "https://acme.zendesk.com", "-acme"], "only acme"),
        ("conversations.subdomain", vec![""], "only acme"),
        ("conversations.base_url", vec!["http://acme.zendesk.com/sc", "http://evil.localhost/sc"], url),
        ("conversations.base_url", vec!["https://user:password@acme.zendesk.com/sc", "https://*.zendesk.com"], url),
        ("conversations.base_url", vec!["https://acme.zendesk.com/sc?x=1", "https://acme.zendesk.com/sc#x"], url),
        ("conversations.base_url", vec!["https://acme.zendesk.com/../sc", "https://acme.zendesk.com//sc"], url),
        ("conversations.base_url", vec!["https://acme.zendesk.com/%2e%2e/sc", "acme.zendesk.com"], url),
        ("conversations.base_url", vec!["ftp://acme.zendesk.com"], url),
        ("conversations.app_id", vec!["a/b"], "needs an id"),
        ("conversations.key_id", vec!["a:b"], "needs an id"),
        (
            "conversations.key_secret",
            vec!["a b", "a\n", "\"k3yS3cr3t\""],
            "has white space, quotes or characters that no",
        ),
        ("conversations.key_secret", vec![""], "is empty"),
        ("conversations.key_secret", vec!["“k3yS3cr3t”"], "invisible or typographic character"),
        ("conversations.key_secret", vec!["${KEY_SECRET}", "op://desk/zendesk/key"], "is a reference"),
        ("conversations.key_id", vec!["short"], "has the value of conversations.key_secret ("),
        ("conversations.app_id", vec!["SHORT"], "has the value of conversations.key_secret ("),
        ("conversations.brand_id", vec!["\"brand\""], "has quotes"),
        ("conversations.key_secret_file", vec!["/no/such/file"], "is set"),
        ("conversations.ca_file", vec!["/no/such/file"], "names a file that"),
        ("conversations.ca_file", vec!["/dev/null"], "is not a certificate"),
    ] {
        for value in wrong {
            let error = conversations(&[(key, value)]).expect_err(value).to_string();
            assert!(error.starts_with("conversations.") && error.contains(fix), "{key}={value}: {error}");
            assert!(error.lines().count() == 1 && !error.contains("password"), "{error}");
        }
    }
    let both =
        conversations(&[("conversations.base_url", "https://api.smooch.io"), ("conversations.subdomain", "acme")]);
    assert!(both.unwrap_err().to_string().contains("keep one of the two"));
    let published = [("chat.secret", CHAT_SECRET), ("conversations.key_id", CHAT_SECRET)];
    let error = conversations(&published).unwrap_err().to_string();
    assert!(error.starts_with("conversations.key_id (") && error.contains("has the value of chat.secret ("), "{error}");
    // A byte order mark is dropped, and an access token may be a JWT.
    for token in ["\u{feff}t0ken", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"] {
        assert!(chat_api("chat_api.subdomain", "acme", token).is_ok(), "{token}");
    }
    for token in ["a b", "é", ""] {
        let error = chat_api("chat_api.subdomain", "acme", token).expect_err(token).to_string();
        assert!(error.starts_with("chat_api.token (ZENDESK_TOKEN_CHAT_API__TOKEN): "), "{error}");
    }
}

#[test]
fn readable_secret_files_cause_a_warning_on_standard_error() {
    let key = SettingsFile::new("k3yS3cr3t");
    fs::set_permissions(key.path(), Permissions::from_mode(0o644)).unwrap();
    let path = key.path().to_str().unwrap();
    let url = "http://127.0.0.1:1";
    let conflict = [
        ("conversations.base_url", url),
        ("conversations.app_id", "5d8cff3cd55b040010928b5b"),
        ("conversations.key_id", "app_1"),
        ("conversations.key_secret_file", path),
        ("login.secret_file", path),
    ];
    let visitor = [("chat_api.base_url", url), ("chat_api.token_file", path)];
    for (arguments, settings, file_key) in [
        (&["conflict", "show", "1"], &conflict[..], "conversations.key_secret_file"),
        (&["visitor", "show", "1"], &visitor[..], "chat_api.token_file"),
    ] {
        let error = String::from_utf8(output(arguments, settings).stderr).unwrap();
        let warning = format!("Warning: {file_key} ({}): the file can be read by every user", variable(file_key));
        assert!(error.starts_with(&warning) && error.matches("Warning: ").count() == 1, "{error}");
    }
}

#[test]
fn missing_settings_are_reported_one_by_one() {
    let unrelated = [("listen", "nonsense"), ("chat.secret", "short")];
    for (arguments, needed) in [
        (
            &["conflict", "find", "--email", "a@b"][..],
            &["conversations.subdomain", "conversations.app_id", "conversations.key_id", "conversations.key_secret"][..],
        ),
        (&["visitor", "show", "1.a"], &["chat_api.subdomain", "chat_api.token"]),
    ] {
        let output = output(arguments, &unrelated);
        let error = String::from_utf8(output.stderr).unwrap();
        let keys: Vec<&str> = error.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!((&*keys, output.status.code()), (needed, Some(2)), "{error}");
    }
}

#[test]
fn a_typo_in_a_section_name_is_reported() {
    let file = SettingsFile::new("[conversation]\nsubdomain = \"acme\"\n[lgin]\nsecret = \"x\"\n");
    let output = output(&["conflict", "show", "x", "--config", file.path().to_str().unwrap()], &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("conversation.subdomain (") && !error.contains("lgin"), "{error}");
    assert!(error.contains("did you mean conversations.subdomain?"), "{error}");
}

#[test]
fn check_shows_no_key_of_an_api() {
    let settings = [("conversations.key_secret", "k3yS3cr3t"), ("chat_api.token", "t0ken")];
    let report = String::from_utf8(output(&["check"], &usual(&settings)).stdout).unwrap();
    assert!(report.contains("conversations.key_secret"), "{report}");
    assert!(!report.contains("k3yS3cr3t") && !report.contains("t0ken"), "{report}");
}
