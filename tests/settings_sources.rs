//! Where settings come from: files, secret files, the environment, and the example.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use zendesk_token::config::Config;
use zendesk_token::config::login::Signature;
use zendesk_token::config::settings::SETTINGS;

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, ORIGIN, OTHER_PRODUCTS, command, recommended, usual, variable};
use crate::settings::{SettingsFile, load, problems};

#[test]
fn a_secret_and_its_file_together_are_refused_with_both_places() {
    let secret_file = SettingsFile::new(format!("{LOGIN_SECRET}\n"));
    let path = secret_file.path().to_str().unwrap();
    let both = problems(&[("login.secret_file", path)]);
    let expected = "login.secret (ZENDESK_TOKEN_LOGIN__SECRET): is set and so is login.secret_file (ZENDESK_TOKEN_LOGIN__SECRET_FILE)";
    assert!(both.starts_with(expected), "{both}");

    let mut settings = usual(&[("login.secret_file", path)]);
    settings.retain(|(key, _)| *key != "login.secret");
    let Signature::Secret { current, .. } = load(None, &settings).unwrap().login.signature else { panic!("RS256") };
    assert_eq!(current.bytes(), LOGIN_SECRET.as_bytes());
    settings.retain(|(key, _)| *key != "login.secret_file");
    settings.push(("login.secret_file", "/nowhere/at/all"));
    let told = load(None, &settings).unwrap_err().to_string();
    assert!(
        told.contains("login.secret_file (ZENDESK_TOKEN_LOGIN__SECRET_FILE): names a file that can't be read"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn strange_variables_are_not_read() {
    let strays = [
        ("ZENDESK_TOKEN_SERVICE_HOST", "10.0.0.1"),
        ("ZENDESK_TOKEN_PORT_8001_TCP", "tcp://10.0.0.1:8001"),
        ("ZENDESK_TOKEN_LOGIN_SECRET", "single underscore"),
        ("zendesk_token_listen", "lower case"),
        ("LISTEN", "127.0.0.1:1"),
    ];
    let known = usual(&[]).into_iter().map(|(key, value)| (OsString::from(variable(key)), OsString::from(value)));
    let environment = known.chain(strays.into_iter().map(|(name, value)| (name.into(), value.into())));
    assert!(Config::load(None, environment).is_ok());
}

#[test]
fn a_variable_that_looks_like_a_setting_and_is_none_is_told() {
    let check = |name: &str| {
        let mut command = command(&["check"], &recommended(&[]));
        let output = command.env(name, "true").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = check("ZENDESK_TOKEN_LOGIN__CHECK_REVOCATON");
    let warning = "Warning: environment (ZENDESK_TOKEN_LOGIN__CHECK_REVOCATON): is not a setting; did you mean ZENDESK_TOKEN_LOGIN__CHECK_REVOCATION?";
    assert!(told.contains(warning) && told.ends_with("1 warning(s).\n"), "{told}");
    assert!(check("ZENDESK_TOKEN_XYZ__QQQ").contains("(ZENDESK_TOKEN_XYZ__QQQ): is not a setting; drop it"));
    for stray in ["ZENDESK_TOKEN_PORT_8001_TCP", "ZENDESK_TOKEN_SERVICE_HOST", "OTHER__THING", "zendesk_token_a__b"] {
        assert!(check(stray).ends_with(" 0 warning(s).\n"), "{stray}");
    }
    let odd = check("ZENDESK_TOKEN_A__\u{1b}[31mA");
    assert!(odd.contains("environment (a variable): is not a setting"), "{odd}");
}

#[test]
fn a_variable_that_is_not_utf8_is_refused_by_name() {
    let broken = (OsString::from(variable("login.cookie")), OsString::from_vec(vec![0xff, 0xfe]));
    let known = usual(&[]).into_iter().map(|(key, value)| (OsString::from(variable(key)), OsString::from(value)));
    let told = Config::load(None, known.chain([broken])).unwrap_err().to_string();
    assert!(told.starts_with("login.cookie (ZENDESK_TOKEN_LOGIN__COOKIE): is not UTF-8"), "{told}");
}

#[test]
fn a_file_that_is_no_settings_file_is_refused_with_its_place() {
    let missing = Config::load(Some(Path::new("/nowhere/zendesk-token.toml")), []).unwrap_err().to_string();
    assert!(missing.contains("config file (/nowhere/zendesk-token.toml): can't be read"), "{missing}");
    for (bytes, told) in [
        (b"[login\nsecret = 1".to_vec(), ":1): is not TOML here"),
        (b"[login]\n\nsecret = abc".to_vec(), ":3): is not TOML here"),
        (b"[login]\ncookie = 'a'\ncookie = 'b'".to_vec(), ":3): is not TOML here"),
        (vec![0xff, 0xfe], "): is not UTF-8 text"),
        (
            b"[\0l\0o\0g\0]\0".to_vec(),
            "): is not UTF-8 text; if it is UTF-16, as PowerShell writes files, save it as UTF-8",
        ),
        (vec![b' '; (1 << 20) + 1], "): is larger than 1 MiB"),
    ] {
        let error = load(Some(&SettingsFile::new(bytes)), &usual(&[])).unwrap_err().to_string();
        assert!(error.lines().next().unwrap().contains(told), "{told}\n{error}");
    }
    assert!(Config::load(Some(Path::new("/")), []).is_err());
    // What the environment has wrong is told beside it; what a half-read file seems to lack is not.
    let broken = SettingsFile::new("[login\nsecret = 1");
    let both = load(Some(&broken), &[("log.level", "loud")]).unwrap_err().to_string();
    assert!(both.contains(":1): is not TOML here") && both.contains("ZENDESK_TOKEN_LOG__LEVEL"), "{both}");
    assert_eq!(both.lines().filter(|line| !line.starts_with("config file (")).count(), 1, "{both}");
}

#[test]
fn a_byte_order_mark_before_the_settings_is_dropped() {
    let file = SettingsFile::new("\u{feff}[login]\r\ncookie = \"jar\"\r\n");
    assert_eq!(load(Some(&file), &usual(&[])).unwrap().login.cookie, "jar");
}

#[test]
fn quotes_and_invisible_characters_around_a_text_are_refused() {
    for (key, value) in [
        ("login.issuer", "\"https://login.xsolla.com\""),
        ("login.issuer", "'https://login.xsolla.com'"),
        ("login.issuer", "“https://login.xsolla.com”"),
        ("login.issuer", "‘https://login.xsolla.com’"),
        ("login.issuer", "https://login.xsolla.com\u{200b}"),
        ("login.issuer", "https://login.xsolla.com\r"),
        ("login.cookie", "'token'"),
        ("login.project_id", "\"0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77\""),
        ("login.algorithm", "\"HS256\""),
        ("login.leeway", "\"60s\""),
        ("messaging.key_id", "\"app_5f0d1a7b3c11\""),
        ("messaging.name_from", "\"name,email\""),
        ("messaging.name_from", "name,'email'"),
        ("chat.name_from", "“email”"),
        ("cors.origins", "\"https://shop.example.com\""),
        ("proxy.trusted", "'127.0.0.1'"),
        ("login.ca_file", "\"/etc/ssl/private-ca.pem\""),
    ] {
        let told = problems(&[&OTHER_PRODUCTS[..], &[(key, value)]].concat());
        let expected =
            format!("{key} ({}): has quotes, white space or an invisible character around it", variable(key));
        assert!(told.starts_with(&expected) && told.lines().count() == 1, "{key}={value}: {told}");
    }
    let file = SettingsFile::new("[chat]\nname_from = ['name', \"'email'\"]\n[login]\nissuer = \"'x'\"\n");
    let told = load(Some(&file), &usual(&[])).unwrap_err().to_string();
    assert_eq!(told.matches("has quotes, white space").count(), 2, "{told}");
}

#[test]
fn the_example_file_shows_every_setting_with_its_default() {
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml")).unwrap();
    let defaults =
        load(None, &[usual(&[]), vec![("listen", "127.0.0.1:8001"), ("admin.listen", "127.0.0.1:9001")]].concat());
    let shown = |config: Config| config.effective.into_iter().map(|row| (row.key, row.value)).collect::<Vec<_>>();

    // As it stands it needs the two secrets and the origins.
    let needed = [("login.secret", LOGIN_SECRET), ("chat.secret", CHAT_SECRET), ("cors.origins", ORIGIN)];
    let as_it_stands = load(Some(&SettingsFile::new(&example)), &needed).unwrap();
    assert_eq!(shown(as_it_stands), shown(defaults.unwrap()));

    // With every comment sign before a setting taken away, every setting is there.
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix("#").filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let table: toml::Table = uncommented.join("\n").parse().unwrap();
    for setting in SETTINGS {
        let value = setting
            .key
            .split('.')
            .try_fold(&toml::Value::Table(table.clone()), |value, name| value.get(name))
            .is_some();
        assert!(value, "{} is not in config/example.toml", setting.key);
    }
}
