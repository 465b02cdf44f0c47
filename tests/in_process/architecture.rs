//! A module uses only modules to its left in the order below, which CONTRIBUTING.md has too.

use std::fs;
use std::path::{Path, PathBuf};

const ORDER: &str =
    "telemetry metrics http_client config login zendesk exchange http server app terminal desk demo cli main";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files in a folder and its subfolders.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The top-level modules that a line names.
fn used_modules(line: &str) -> impl Iterator<Item = &str> {
    ["crate::", "zendesk_token::"].into_iter().flat_map(|root| line.split(root).skip(1)).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn the_order_is_that_of_the_house_rules() {
    let rules = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let order = rules.split_once("**Module order:** `").unwrap().1.split_once('`').unwrap().0;
    assert_eq!(order.replace('·', "").split_whitespace().collect::<Vec<_>>().join(" "), ORDER);
}

#[test]
fn a_module_uses_only_modules_to_its_left() {
    let src = root().join("src");
    let position = |module: &str| ORDER.split(' ').position(|known| known == module);
    let mut uses = 0;
    for path in rust_files(&src) {
        let file = path.strip_prefix(&src).unwrap().to_str().unwrap();
        let module = file.split(['/', '.']).next().unwrap();
        if module == "lib" {
            continue;
        }
        let own = position(module).unwrap_or_else(|| panic!("src/{file}: {module} is not in ORDER"));
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for other in used_modules(line).filter(|other| *other != module) {
                let is_left = position(other).is_some_and(|other| other < own);
                assert!(is_left, "src/{file}:{}: {module} may not use {other}", number + 1);
                uses += 1;
            }
        }
    }
    assert!(uses > 100, "found only {uses} uses");
}
