//! README and the book match the code, and their links resolve.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex_lite::Regex;
use zendesk_token::config::settings::SETTINGS;
use zendesk_token::http::error::ErrorCode;
use zendesk_token::metrics::Metrics;

use crate::access_log::requests;
use crate::app::App;
use crate::harness::ORIGIN;
use crate::login_tokens::LoginToken;
use crate::user_tokens;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rows of the reference's table with this first heading, as cells.
pub fn table(heading: &str) -> Vec<Vec<String>> {
    let reference = read("docs/reference.md");
    let lines = reference.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |"))).skip(2);
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
fn the_table_of_error_codes_is_the_one_in_the_code() {
    let code: Vec<Vec<String>> = ErrorCode::ALL
        .into_iter()
        .map(|refusal| {
            let (status, code, description) = refusal.row();
            vec![format!("`{code}`"), status.as_u16().to_string(), format!("`{description}`")]
        })
        .collect();
    let documented = table("Code");
    assert_eq!(documented.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>(), code);
    assert!(documented.iter().all(|row| row[3].len() > 10), "each code has its fix");
}

#[test]
fn the_table_of_log_fields_is_what_is_logged() {
    let app = App::start();
    app.get("/generate/token").cookie(LoginToken::valid().mint()).header("Origin", ORIGIN).send();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    app.get("/generate/token").header("traceparent", trace).send();
    let lines = requests(&app.log());
    let mut written: Vec<String> = lines.iter().flat_map(|line| line.as_object().unwrap().keys().cloned()).collect();
    written.retain(|field| !matches!(field.as_str(), "timestamp" | "level" | "message"));
    written.sort();
    written.dedup();
    let cells = table("Field").into_iter().flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>());
    let mut documented: Vec<String> = cells.map(|cell| cell.trim_matches('`').to_owned()).collect();
    documented.sort();
    assert_eq!(documented, written);
}

#[test]
fn the_table_of_routes_is_what_is_served() {
    let app = App::with_all_products(&[user_tokens::ON]);
    let token = LoginToken::valid().mint();
    for row in table("Route") {
        let (method, path) = row[0].trim_matches('`').split_once(' ').unwrap();
        let request = if row[1] == "admin" { app.admin(method, path) } else { app.request(method, path) };
        let request = if method == "POST" { request.body(format!("user_token={token}")) } else { request };
        assert_eq!(request.cookie(&token).send().status, 200, "{path}");
    }
}

#[test]
fn the_table_of_metrics_is_what_is_counted() {
    let metrics = Metrics::new();
    metrics.set_certificate_expiry(1);
    metrics.init_exchanges(&["chat"], &["issued"]);
    metrics.init_login("default", &["current"]);
    metrics.init_connections("public");
    let text = metrics.text(std::iter::once(("default".into(), Some(Duration::ZERO))));
    let comments = |prefix: &str| -> Vec<(String, String)> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once(' '));
        lines.map(|(name, value)| (name.to_owned(), value.trim_end_matches('.').to_owned())).collect()
    };
    let kinds = comments("# TYPE ");
    let mut counted: Vec<[String; 3]> = Vec::new();
    for (name, help) in comments("# HELP ") {
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
    let mut documented: Vec<[String; 3]> = table("Metric").into_iter().map(|row| row.try_into().unwrap()).collect();
    documented.sort();
    assert_eq!(documented, counted);
}

#[test]
fn the_first_commands_of_the_readme_are_the_demo_and_all_tests() {
    assert_eq!(read("README.md").split("```").nth(3).unwrap(), "sh\ncargo run --release -- demo\ntests/all\n");
    assert!(read(".ci/run").trim_end().ends_with("exec tests/all"));
}

#[test]
fn every_link_resolves_and_every_page_is_in_the_book() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_folder = |folder: &str| {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<PathBuf>>()
    };
    let book = root.join("docs").canonicalize().unwrap();
    let pages = [in_folder("docs"), in_folder("docs/logins"), in_folder("docs/widgets")].concat();
    let link = Regex::new(r#"\]\(([^)]+)\)|(?:src|srcset)="([^"]+)""#).unwrap();
    for page in pages.iter().chain(&in_folder(".")).chain(&in_folder(".github")) {
        let text = fs::read_to_string(page).unwrap();
        for (_, [target]) in link.captures_iter(&text).map(|found| found.extract()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            // A path on the shop's host, or another site.
            if path.starts_with('/') || path.contains("://") {
                continue;
            }
            let file = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(file.exists(), "{}: {target}", page.display());
            let is_in_book = !pages.contains(page) || file.canonicalize().unwrap().starts_with(&book);
            assert!(is_in_book, "{}: {target} is not in the book", page.display());
            assert!(anchor.is_empty() || anchors(&file).contains(&anchor.to_owned()), "{}: {target}", page.display());
        }
    }
    let summary = read("docs/SUMMARY.md");
    let mut names = pages.iter().map(|page| page.strip_prefix(root.join("docs")).unwrap().to_str().unwrap());
    assert!(names.all(|name| name == "SUMMARY.md" || summary.contains(&format!("({name})"))), "{summary}");
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' '));
    let anchor =
        |heading: &str| heading.to_lowercase().replace(|c: char| !c.is_alphanumeric() && !"-_ ".contains(c), "");
    headings.map(|heading| anchor(heading).replace(' ', "-")).collect()
}
