//! `check --online` asks the Login API.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::commands::run;
use crate::harness::{Process, usual};
use crate::login_api::{LoginApi, VALIDATE_PATH, fixture, keys_path};
use crate::login_tokens::PROJECT;
use crate::published_keys::rs256;
use crate::stub::Reply;
use crate::tls::Pki;

/// Exit status and all output.
fn check(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let result = run(&["check", "--online"], settings);
    (result.status, result.out + &result.err)
}

#[test]
fn check_online_counts_the_keys_and_compares_the_clocks() {
    let api = LoginApi::start();
    let url = api.url();
    let (status, report) = check(&rs256(&url, &[]));
    assert_eq!(status, Some(0), "{report}");
    assert!(
        report.contains(&format!("Login default: Login API {url}\n  2 usable key(s) (key-a, key-b), 8 ignored\n")),
        "{report}"
    );
    assert!(report.contains("this machine's clock agrees with it"), "{report}");
    for (ahead, text, expected) in
        [(30, "s behind it", 0), (-30, "s ahead of it", 0), (300, "s behind it", 1), (-300, "s ahead of it", 1)]
    {
        api.set_clock_ahead(ahead);
        let (status, report) = check(&rs256(&url, &[]));
        assert_eq!(status, Some(expected), "{report}");
        let line = report.lines().find(|line| line.contains(text)).unwrap();
        let seconds: i64 = line.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
        assert!((seconds - i64::abs(ahead)).abs() <= 5, "{line}");
        assert_eq!(report.contains("off by more than login.leeway"), expected == 1, "{report}");
    }
    api.put_behind_a_cache();
    let (status, report) = check(&rs256(&url, &[]));
    assert_eq!(status, Some(0), "{report}");
    assert!(report.contains("comes from a cache, so the clocks can't be compared"), "{report}");
}

#[test]
fn with_a_secret_only_the_clocks_are_compared() {
    let api = LoginApi::start();
    let url = api.url();
    let (status, report) = check(&usual(&[("login.api_url", &url)]));
    assert_eq!(status, Some(0), "{report}");
    assert!(report.contains("answers\n  this machine's clock agrees with it"), "{report}");
    assert_eq!(api.asked(&keys_path()), 0);
    assert_eq!(api.asked(VALIDATE_PATH), 0);
    for (status, body, expected_text) in [
        (401, r#"{"error":{"code":"003-061","description":""}}"#, "answers revocation checks"),
        (500, "", "revocation check of an empty token: the login service answered with status 500"),
    ] {
        api.reply(VALIDATE_PATH, Reply::Answer(status, body.to_owned()));
        let (status, report) = check(&usual(&[("login.api_url", &url), ("login.check_revocation", "true")]));
        assert_eq!(status, Some(0), "{report}");
        assert!(report.contains(expected_text), "{report}");
        assert_eq!(api.last(VALIDATE_PATH), ("POST".to_owned(), r#"{"token":""}"#.to_owned()));
    }
}

#[test]
fn an_unusable_login_api_fails_the_check_with_its_cause() {
    let api = LoginApi::start();
    let url = api.url();
    for (reply, cause) in [
        (Reply::Answer(404, String::new()), "status 404"),
        (Reply::Answer(200, fixture("nothing_fit.json")), "none of the 8 keys"),
        (Reply::Redirect("http://127.0.0.1:1/".to_owned()), "status 302"),
        (Reply::HangUp, "is incomplete"),
    ] {
        api.reply(&keys_path(), reply);
        let (status, report) = check(&rs256(&url, &[]));
        assert_eq!(status, Some(1), "{report}");
        assert!(report.contains("login.api_url: ") && report.contains(cause), "{report}");
    }
    drop(api);
    for url in ["https://foo.0x1", "https://xn--a"] {
        let (status, report) = check(&rs256(url, &[]));
        assert!(status == Some(2) && report.starts_with("login.api_url"), "{report}");
    }
    assert!(check(&rs256(&url, &[])).1.contains("can't be reached"));
    assert_eq!(check(&[("login.algorithm", "RS256")]).0, Some(2));
}

/// Serves the first key set with `openssl s_server`, at this port.
fn serve_with_tls(pki: &Pki) -> (Process, u16) {
    let keys = pki.path("api/projects").join(PROJECT);
    fs::create_dir_all(&keys).unwrap();
    let set = fixture("first.json");
    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", set.len());
    fs::write(keys.join("keys"), head + &set).unwrap();
    let arguments = ["s_server", "-accept", "127.0.0.1:0", "-cert", "first.pem", "-key", "first.key", "-HTTP"];
    let mut server = Command::new("openssl");
    server.args(arguments).current_dir(pki.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process(server.spawn().unwrap());
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok()).unwrap();
    // A full pipe would block it.
    std::thread::spawn(move || lines.for_each(drop));
    (process, port)
}

#[test]
fn a_private_ca_is_trusted_only_if_it_is_configured() {
    let Some(pki) = Pki::new() else { return };
    let (_process, port) = serve_with_tls(&pki);
    let ca_file = pki.path("ca.pem");
    let ca_file = ca_file.to_str().unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}");
        let (status, report) = check(&rs256(&url, &[("login.ca_file", ca_file)]));
        assert_eq!(status, Some(0), "{report}");
        assert!(report.contains("2 usable key(s)") && report.contains("has no Date"), "{report}");
        let (status, report) = check(&rs256(&url, &[]));
        assert_eq!(status, Some(1), "{report}");
        assert!(report.contains("certificate is not trusted"), "{report}");
    }
    let url = format!("https://127.0.0.2:{port}");
    assert_eq!(check(&rs256(&url, &[("login.ca_file", ca_file)])).0, Some(1));

    let garbage = pki.path("garbage.pem");
    for text in [
        "",
        "no certificate",
        "It begins with -----BEGIN CERTIFICATE-----, they say.",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        fs::write(&garbage, text).unwrap();
        // Reported even if no request to the API is needed yet.
        let result = run(&["check"], &usual(&[("login.ca_file", garbage.to_str().unwrap())]));
        let problem = "login.ca_file (ZENDESK_TOKEN_LOGIN__CA_FILE): is not a certificate in PEM; ";
        assert!(result.status == Some(2) && result.err.starts_with(problem), "{text}: {}", result.err);
    }
}
