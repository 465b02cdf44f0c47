//! The README, the example file and the scripts say what the code does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use zendesk_token::config::settings::SETTINGS;
use zendesk_token::http::error::ErrorCode;
use zendesk_token::metrics::Metrics;

use crate::harness::{CHAT_SECRET, LOGIN_SECRET, ORIGIN, Server, output};
use crate::login_tokens::{LoginToken, PROJECT};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rows of the table whose first column has this heading, as cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let lines = readme.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |"))).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

#[test]
fn the_table_of_settings_is_the_one_in_the_code() {
    let code: Vec<Vec<String>> = SETTINGS
        .iter()
        .map(|setting| {
            let default = setting.default.map_or(String::new(), |default| format!("`{default}`"));
            vec![format!("`{}`", setting.key), default, setting.help.to_owned()]
        })
        .collect();
    assert_eq!(table("Key"), code);
}

#[test]
fn the_table_of_refusals_is_the_one_in_the_code() {
    let code: Vec<Vec<String>> = ErrorCode::ALL
        .into_iter()
        .map(|refusal| {
            let (status, code, description) = refusal.row();
            vec![format!("`{code}`"), status.as_u16().to_string(), format!("`{description}`")]
        })
        .collect();
    let readme = table("Code");
    assert_eq!(readme.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>(), code);
    assert!(readme.iter().all(|row| row[3].len() > 10), "each refusal has its mend");
}

#[test]
fn the_table_of_log_fields_is_what_a_line_has() {
    let server = Server::start();
    server.get("/generate/token").cookie(LoginToken::valid().mint()).header("Origin", ORIGIN).send();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    server.get("/generate/token").header("traceparent", trace).send();
    let log = server.stop().log;
    let mut written: Vec<String> = Vec::new();
    for line in log.iter().filter(|line| line.contains("duration_us")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        written.extend(line.as_object().unwrap().keys().cloned());
    }
    written.retain(|field| !matches!(field.as_str(), "timestamp" | "level" | "message"));
    written.sort();
    written.dedup();
    let cells = table("Field").into_iter().flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>());
    let mut told: Vec<String> = cells.map(|cell| cell.trim_matches('`').to_owned()).collect();
    told.sort();
    assert_eq!(told, written);
}

#[test]
fn the_table_of_routes_is_what_is_served() {
    let server = Server::with_all_products(&[]);
    let token = LoginToken::valid().mint();
    for row in table("Route") {
        let (method, path) = row[0].trim_matches('`').split_once(' ').unwrap();
        let address = if row[1] == "admin" { server.admin } else { server.public };
        let request = crate::client::Request::new(address, method, path);
        let request =
            if method == "POST" { request.body(format!("user_token={token}")) } else { request.cookie(&token) };
        assert_eq!(request.send().status, 200, "{path}");
    }
}

#[test]
fn the_table_of_metrics_is_what_is_counted() {
    let metrics = Metrics::new();
    metrics.set_key_age(Some(Duration::ZERO));
    metrics.set_certificate_expiry(1);
    metrics.expect_exchanges(&["chat"], &["issued"], &["current"]);
    metrics.expect_connections("public");
    let text = metrics.text();
    let of = |word: &str| -> Vec<(String, String)> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(word)?.split_once(' '));
        lines.map(|(name, what)| (name.to_owned(), what.trim_end_matches('.').to_owned())).collect()
    };
    let kinds = of("# TYPE ");
    let mut counted: Vec<[String; 3]> = Vec::new();
    for (name, help) in of("# HELP ") {
        let kind = kinds.iter().find(|(known, _)| *known == name).map(|(_, kind)| kind.as_str());
        let suffix = match kind {
            Some("counter") => "_total",
            Some("info") => "_info",
            _ => "",
        };
        let line = text.lines().find(|line| line.starts_with(&name)).unwrap_or_default();
        let labels = line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
        let labels: Vec<String> = labels
            .split(',')
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| *label != "le")
            .map(|label| format!("`{label}`"))
            .collect();
        counted.push([format!("`{name}{suffix}`"), labels.join(", "), help]);
    }
    counted.sort();
    let mut told: Vec<[String; 3]> = table("Metric").into_iter().map(|row| row.try_into().unwrap()).collect();
    told.sort();
    assert_eq!(told, counted);
}

#[test]
fn the_environment_file_of_the_readme_is_enough() {
    let readme = read("README.md");
    let block = readme.split("`zendesk-token.env`, without quotes").nth(1).unwrap().split("```").nth(1).unwrap();
    let lines = block.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let settings: Vec<(String, String)> = lines
        .map(|(name, value)| {
            let value = value.split_whitespace().next().unwrap();
            let secret = match name {
                "ZENDESK_TOKEN_LOGIN__SECRET" => LOGIN_SECRET,
                "ZENDESK_TOKEN_LOGIN__PROJECT_ID" => PROJECT,
                _ => CHAT_SECRET,
            };
            let key = name.strip_prefix("ZENDESK_TOKEN_").unwrap().replace("__", ".").to_lowercase();
            (key, if value == "…" { secret.to_owned() } else { value.to_owned() })
        })
        .collect();
    assert_eq!(settings.len(), 5);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let result = output(&["check"], &settings);
    assert_eq!(result.status.code(), Some(0), "{}", String::from_utf8_lossy(&result.stderr));
    let report = String::from_utf8(result.stdout).unwrap();
    assert!(
        report.ends_with("No errors, 0 warning(s).\n") && report.contains("only by the shop's own host"),
        "{report}"
    );
}

#[test]
fn files_that_the_readme_names_are_there() {
    for path in ["tests/all", ".ci/run", "config/example.toml", "CHANGELOG.md", "LICENSE", "Dockerfile"] {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path}");
    }
    let readme = read("README.md");
    let second_command = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(second_command, "cargo run --release -- demo\ntests/all\n");
    assert!(read(".ci/run").trim_end().ends_with("exec tests/all"));
}
