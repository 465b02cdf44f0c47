//! The sources of settings: files, secret files, the environment, and the example.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zendesk_token::config::settings::SETTINGS;
use zendesk_token::config::{Config, Variables};

use crate::commands::CommandOutput;
use crate::harness::{
    CHAT_SECRET, LOGIN_SECRET, MESSAGING_SECRET, ORIGIN, Server, command, output, recommended, run_by, usual, variable,
};
use crate::reload::Folder;
use crate::settings::{SettingsFile, environment, errors, load, problems, product_problems, warnings, without};
use crate::tls::Pki;

#[test]
fn a_secret_and_its_file_together_are_refused_with_both_sources() {
    let secret_file = SettingsFile::new(format!("{LOGIN_SECRET}\n"));
    let path = secret_file.path().to_str().unwrap();
    let both = problems(&[("login.secret_file", path)]);
    let expected = "login.secret (ZENDESK_TOKEN_LOGIN__SECRET): is set and so is login.secret_file (ZENDESK_TOKEN_LOGIN__SECRET_FILE)";
    assert!(both.starts_with(expected), "{both}");

    let text = errors(None, &without("login.secret", usual(&[("login.secret_file", "/nowhere/at/all")])));
    let expected = "login.secret_file (ZENDESK_TOKEN_LOGIN__SECRET_FILE): names a file that can't be read";
    assert!(text.starts_with(expected) && text.lines().count() == 1, "{text}");
}

#[test]
fn only_unknown_variables_that_look_like_settings_cause_a_warning() {
    let check = |name: &str| {
        let mut command = command(&["check"], &recommended(&[]));
        let output = command.env(name, "true").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = check("ZENDESK_TOKEN_LOGIN__CHECK_REVOCATON");
    let warning = "Warning: login.check_revocaton (ZENDESK_TOKEN_LOGIN__CHECK_REVOCATON): is not a setting; did you mean ZENDESK_TOKEN_LOGIN__CHECK_REVOCATION?";
    assert!(text.contains(warning) && text.ends_with("1 warning(s).\n"), "{text}");
    assert!(check("ZENDESK_TOKEN_XYZ__QQQ").contains("(ZENDESK_TOKEN_XYZ__QQQ): is not a setting; drop it"));
    let text = check("ZENDESK_TOKEN_LOGIN_SECRET");
    let warning = "Warning: login.secret (ZENDESK_TOKEN_LOGIN_SECRET): is not read from this variable; did you mean ZENDESK_TOKEN_LOGIN__SECRET?";
    assert!(text.contains(warning) && text.ends_with("1 warning(s).\n"), "{text}");
    let kubernetes = ["ZENDESK_TOKEN_PORT_8001_TCP", "ZENDESK_TOKEN_SERVICE_HOST", "ZENDESK_TOKEN_LOGIN_SERVICE_HOST"];
    for other in kubernetes.into_iter().chain(["LISTEN", "OTHER__THING", "zendesk_token_a__b"]) {
        assert!(check(other).ends_with(" 0 warning(s).\n"), "{other}");
    }
    let odd = check("ZENDESK_TOKEN_A__\u{1b}[31mA");
    assert!(odd.contains("a key (a variable): is not a setting"), "{odd}");
}

#[test]
fn a_misspelled_variable_is_named_next_to_the_setting_that_is_missing() {
    for name in ["ZENDESK_TOKEN_LOGIN__SECRT", "ZENDESK_TOKEN_LOGIN_SECRET"] {
        let settings = without("login.secret", usual(&[]));
        let problems = load_with(None, &settings, name, LOGIN_SECRET).unwrap_err();
        let [missing, misspelled] = problems.lines().collect::<Vec<_>>()[..] else { panic!("{problems}") };
        assert!(missing.starts_with("login.secret (ZENDESK_TOKEN_LOGIN__SECRET, not set): is needed"), "{missing}");
        let hint = format!("({name}): ");
        assert!(misspelled.contains(&hint) && misspelled.ends_with("did you mean ZENDESK_TOKEN_LOGIN__SECRET?"));
    }
}

/// Loads settings with one more environment variable.
fn load_with(
    file: Option<&SettingsFile>,
    settings: &[(&str, &str)],
    name: &str,
    value: impl Into<OsString>,
) -> Result<Config, String> {
    let mut environment = environment(settings);
    environment.insert(name.into(), value.into());
    Config::load(file.map(SettingsFile::path), &environment).map_err(|error| error.to_string())
}

#[test]
fn port_is_used_when_listen_is_not_set() {
    let set = recommended(&[("admin.listen", "127.0.0.1:9001")]);
    let settings = without("listen", set.clone());
    for (port, listen) in [("8080", "0.0.0.0:8080"), ("1", "0.0.0.0:1"), ("65535", "0.0.0.0:65535")] {
        let config = load_with(None, &settings, "PORT", port).unwrap();
        assert_eq!(config.listen.to_string(), listen);
        let row = config.effective.iter().find(|row| row.key == "listen").unwrap();
        assert_eq!((row.value.as_str(), row.source.to_string().as_str()), (listen, "PORT"));
    }
    let broken = OsString::from_vec(vec![0xff, 0xfe]);
    let wrong = ["", "0", " 8080", "+8080", "-1", "65536", "8080/tcp", "tcp://10.0.0.1:80", "0x50", "eighty"]
        .map(OsString::from);
    for port in wrong.into_iter().chain([broken]) {
        let text = load_with(None, &settings, "PORT", port.clone()).unwrap_err();
        assert!(text.starts_with("listen (PORT): is not a port number; give one"), "{port:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        // It is ignored when the environment or the file sets listen.
        assert_eq!(load_with(None, &set, "PORT", port.clone()).unwrap().listen.to_string(), "127.0.0.1:0");
        let file = SettingsFile::new("listen = \"127.0.0.1:8123\"\n");
        assert_eq!(load_with(Some(&file), &settings, "PORT", port).unwrap().listen.to_string(), "127.0.0.1:8123");
    }
    let mut check = command(&["check"], &settings);
    let report = String::from_utf8(check.env("PORT", "8080").output().unwrap().stdout).unwrap();
    let line = report.lines().find(|line| line.trim_start().starts_with("listen ")).unwrap();
    assert!(line.contains("0.0.0.0:8080") && line.ends_with("(PORT)"), "{line}");
    assert!(report.contains("http://0.0.0.0:8080/generate/token") && report.contains(" 0 warning(s)"), "{report}");
    // The health check asks the admin listener, which has an address of its own.
    let mut health = command(&["healthcheck"], &[("admin.listen", "127.0.0.1:1")]);
    let text = String::from_utf8(health.env("PORT", "none").output().unwrap().stderr).unwrap();
    assert!(text.contains("no answer from 127.0.0.1:1"), "{text}");
}

#[test]
fn a_variable_that_is_not_utf8_is_refused_by_name() {
    let broken = OsString::from_vec(vec![0xff, 0xfe]);
    let text = load_with(None, &usual(&[]), &variable("login.cookie"), broken).unwrap_err();
    assert!(text.starts_with("login.cookie (ZENDESK_TOKEN_LOGIN__COOKIE): is not UTF-8"), "{text}");
}

#[test]
fn a_file_that_is_not_a_settings_file_is_refused_with_path_and_line() {
    let missing =
        Config::load(Some(Path::new("/nowhere/zendesk-token.toml")), &Variables::new()).unwrap_err().to_string();
    assert!(missing.contains("config file (/nowhere/zendesk-token.toml): can't be read"), "{missing}");
    for (bytes, text) in [
        (b"[login\nsecret = 1".to_vec(), ":1): is not TOML here"),
        (b"[login]\n\nsecret = abc".to_vec(), ":3): is not TOML here"),
        (b"[login]\ncookie = 'a'\ncookie = 'b'".to_vec(), ":3): is not TOML here"),
        (vec![0xff, 0xfe], "): is not UTF-8 text"),
        (
            b"[\0l\0o\0g\0]\0".to_vec(),
            "): is not UTF-8 text; if it is UTF-16, as PowerShell writes files, save it as UTF-8",
        ),
        (vec![b' '; (1 << 20) + 1], "): is larger than 1024 KiB"),
    ] {
        let error = errors(Some(&SettingsFile::new(bytes)), &usual(&[]));
        assert!(error.lines().next().unwrap().contains(text), "{text}\n{error}");
    }
    assert!(Config::load(Some(Path::new("/")), &Variables::new()).is_err());
    // Problems of the environment are reported too, but not what an incomplete file seems to lack.
    let broken = SettingsFile::new("[login\nsecret = 1");
    let both = errors(Some(&broken), &[("log.level", "loud")]);
    assert!(both.contains(":1): is not TOML here") && both.contains("ZENDESK_TOKEN_LOG__LEVEL"), "{both}");
    assert_eq!(both.lines().filter(|line| !line.starts_with("config file (")).count(), 1, "{both}");
}

#[test]
fn a_byte_order_mark_before_the_settings_is_dropped() {
    let file = SettingsFile::new("\u{feff}[login]\r\ncookie = \"jar\"\r\n");
    assert_eq!(load(Some(&file), &usual(&[])).unwrap().login_cookie, "jar");
}

#[test]
fn quotes_and_invisible_characters_around_a_text_are_refused() {
    assert!(problems(&[("login.project_id", "…")]).contains("is a placeholder of an example (…)"));
    let url = "https://login.xsolla.com";
    let quoted = [("\"", "\""), ("'", "'"), ("`", "`"), ("“", "”"), ("‘", "’"), ("\u{ff02}", "\u{ff02}")]
        .map(|(before, after)| format!("{before}{url}{after}"));
    let others = [format!("{url}\u{200b}"), format!("{url}\r"), format!("\"{url}"), format!("{url}'")];
    let issuers = quoted.iter().chain(&others).map(|issuer| ("login.issuer", &**issuer));
    for (key, value) in issuers.chain([
        ("login.issuer", "https://login.xsolla\u{200b}.com"),
        ("login.cookie", "'token'"),
        ("login.project_id", "\"0d5f2d5e-7c1b-4d0e-8a43-6f1f4f0e9a77\""),
        ("login.project_id", "0d5f2d5e-7c1b-4d0e\u{ad}-8a43-6f1f4f0e9a77"),
        ("login.algorithm", "\"HS256\""),
        ("login.leeway", "\"60s\""),
        ("login.ca_file", "\"/etc/ssl/private-ca.pem\""),
        ("messaging.key_id", "\"app_5f0d1a7b3c11\""),
        ("messaging.name_from", "\"name,email\""),
        ("messaging.name_from", "name,'email'"),
        ("messaging.name_from", "name,na\u{feff}me"),
        ("chat.name_from", "“email”"),
        ("cors.origins", "\"https://shop.example.com\""),
        ("proxy.trusted", "'127.0.0.1'"),
    ]) {
        let text = product_problems(&[(key, value)]);
        let expected =
            format!("{key} ({}): has quotes, brackets, white space or an invisible character around it", variable(key));
        assert!(text.starts_with(&expected) && text.lines().count() == 1, "{key}={value}: {text}");
    }
    let file = SettingsFile::new("[chat]\nname_from = ['name', \"'email'\"]\n[login]\nissuer = \"'x'\"\n");
    let text = errors(Some(&file), &usual(&[]));
    assert_eq!(text.matches("has quotes, brackets").count(), 2, "{text}");
}

#[test]
fn a_list_of_toml_in_the_environment_is_refused() {
    for (key, value) in [
        ("chat.name_from", r#"["name","email"]"#),
        ("chat.name_from", " ['name', 'email']"),
        ("chat.name_from", "[name,email]"),
        ("cors.origins", r#"["https://shop.example.com"]"#),
    ] {
        let text = problems(&[(key, value)]);
        let expected =
            format!("{key} ({}): has quotes, brackets, white space or an invisible character around it", variable(key));
        assert!(text.starts_with(&expected) && text.lines().count() == 1, "{key}={value}: {text}");
    }
}

/// A secret file with this mode.
fn secret_file(folder: &Folder, text: &str, mode: u32) -> PathBuf {
    let path = folder.write("secret", text);
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_secret_file_that_others_can_read_or_change_causes_a_warning() {
    let (folder, key) = (Folder::new(), "login.secret_file");
    let link = folder.path("link");
    symlink("secret", &link).unwrap();
    let settings = without("login.secret", recommended(&[(key, link.to_str().unwrap())]));
    for mode in [0o400, 0o600, 0o440, 0o640, 0o660, 0o604, 0o444, 0o602, 0o666] {
        // Only a new file can be written whatever the mode of the old one.
        let _ = fs::remove_file(folder.path("secret"));
        secret_file(&folder, LOGIN_SECRET, mode);
        let text = warnings(None, &settings);
        let expected = match mode & 0o006 {
            0 => String::new(),
            4 => format!("{key} ({}): the file can be read by every user of this machine", variable(key)),
            _ => format!("{key} ({}): the file can be changed by every user of this machine", variable(key)),
        };
        assert!(text.starts_with(&expected) && text.lines().count() <= 1, "{mode:o}: {text}");
        assert_eq!(text.is_empty(), expected.is_empty(), "{mode:o}: {text}");
    }
}

#[test]
fn a_settings_file_causes_a_warning_if_others_can_change_it_or_read_secrets_in_it() {
    let plain = "[login]\ncookie = 'jar'\n".to_owned();
    let with_secret = format!("[login]\nprevious_secret = '{MESSAGING_SECRET}'\n");
    let with_key = "[conversations]\nkey_secret = 'k3yS3cr3t'\n".to_owned();
    for (text, mode, does) in [
        (&plain, 0o644, None),
        (&plain, 0o646, Some("changed")),
        (&with_secret, 0o640, None),
        (&with_secret, 0o644, Some("read")),
        (&with_secret, 0o602, Some("changed")),
        (&with_key, 0o644, Some("read")),
    ] {
        let file = SettingsFile::new(text);
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        let text = warnings(Some(&file), &recommended(&[]));
        let expected =
            does.map(|does| format!("config file ({}): the file can be {does} by every user", file.path().display()));
        assert!(text.starts_with(&expected.clone().unwrap_or_default()), "{mode:o}: {text}");
        assert_eq!(text.lines().count(), usize::from(expected.is_some()), "{mode:o}: {text}");
    }
}

#[test]
fn secret_files_of_the_support_desk_are_checked_too() {
    let (folder, key) = (Folder::new(), "conversations.key_secret_file");
    let path = secret_file(&folder, "k3yS3cr3t", 0o644);
    let text = warnings(None, &recommended(&[(key, path.to_str().unwrap())]));
    assert!(text.starts_with(&format!("{key} (")), "{text}");
}

#[test]
fn certificates_may_be_read_by_others_and_their_key_may_not() {
    let Some(pki) = Pki::new() else { return };
    let [certificate, key] = ["first.pem", "first.key"].map(|name| pki.path(name));
    let settings = recommended(&[
        ("tls.certificate", certificate.to_str().unwrap()),
        ("tls.key", key.to_str().unwrap()),
        ("login.ca_file", certificate.to_str().unwrap()),
    ]);
    for (certificate_mode, key_mode, keys) in [
        (0o644, 0o600, vec![]),
        (0o644, 0o644, vec!["tls.key"]),
        (0o646, 0o640, vec!["login.ca_file", "tls.certificate"]),
    ] {
        fs::set_permissions(&certificate, Permissions::from_mode(certificate_mode)).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(key_mode)).unwrap();
        let config = load(None, &settings).unwrap();
        assert_eq!(config.warnings.iter().map(|warning| &*warning.key).collect::<Vec<_>>(), keys);
    }
}

#[test]
fn warnings_about_files_are_in_check_and_in_the_log() {
    let folder = Folder::new();
    let secret = secret_file(&folder, LOGIN_SECRET, 0o644);
    let settings = without("login.secret", recommended(&[("login.secret_file", secret.to_str().unwrap())]));
    let report = String::from_utf8(command(&["check"], &settings).output().unwrap().stdout).unwrap();
    assert!(report.contains("Warning: login.secret_file (") && report.ends_with("1 warning(s).\n"), "{report}");
    let log = Server::run(command(&["serve"], &settings)).stop().log;
    assert_eq!(log.iter().filter(|line| line.contains("by every user of this machine")).count(), 1, "{log:?}");
}

#[test]
fn check_reads_a_settings_file_that_is_a_pipe() {
    let service = format!("[login]\nsecret = \"{LOGIN_SECRET}\"\n[chat]\nsecret = \"{CHAT_SECRET}\"\n");
    let desk = "[chat_api]\nsubdomain = \"acme\"\ntoken = \"0authT0kenOfTheChatApi\"\n";
    for (text, report) in [(&*service, "No errors, "), (desk, "Support desk: Chat API https://acme.zendesk.com")] {
        let mut command = command(&["check", "--config", "/dev/stdin"], &[]);
        let mut check = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = CommandOutput::from(check.wait_with_output().unwrap());
        assert!(output.status == Some(0) && output.out.contains(report), "{output:?}");
    }
}

#[test]
fn check_does_not_wait_for_a_pipe_as_secret_file() {
    let folder = Folder::new();
    let pipe = folder.path("key");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let settings = recommended(&[("conversations.key_secret_file", pipe.to_str().unwrap())]);
    let status = run_by("timeout", &["10"], &command(&["check"], &settings)).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn the_schema_file_is_that_of_the_settings() {
    let read =
        |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)).unwrap();
    assert!(read("example.toml").starts_with("#:schema ./schema.json\n"));
    let printed = String::from_utf8(output(&["schema"], &[]).stdout).unwrap();
    assert!(printed == read("schema.json"), "zendesk-token schema >config/schema.json");
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    for setting in SETTINGS {
        let place = format!("/properties/{}", setting.key.replace('.', "/properties/"));
        assert_eq!(schema.pointer(&place).unwrap()["description"], setting.help, "{place}");
    }
}

#[test]
fn the_example_file_has_every_setting_with_its_default() {
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml")).unwrap();
    let defaults = load(None, &usual(&[("listen", "127.0.0.1:8001"), ("admin.listen", "127.0.0.1:9001")]));
    let shown = |config: Config| config.effective.into_iter().map(|row| (row.key, row.value)).collect::<Vec<_>>();

    // Unchanged, it needs the two secrets and the origins.
    let needed = [("login.secret", LOGIN_SECRET), ("chat.secret", CHAT_SECRET), ("cors.origins", ORIGIN)];
    let unchanged = load(Some(&SettingsFile::new(&example)), &needed).unwrap();
    assert_eq!(shown(unchanged), shown(defaults.unwrap()));

    // Without the comment signs, it has every setting.
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix("#").filter(|rest| !rest.starts_with([' ', ':'])).unwrap_or(line))
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
