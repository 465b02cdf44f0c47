//! The house is as the map says: `src/` read as text.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::house::{EFFECTS, FOLDERS, HOMES, ORDER};

const MAX_LINES: usize = 250;

/// Path below the folder and text of each Rust file in it.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = BTreeMap::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// Each line of code with its place, comments left out.
fn code(sources: &BTreeMap<String, String>) -> impl Iterator<Item = (String, &str, &str)> {
    sources.iter().flat_map(|(file, text)| {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        lines.map(move |(number, line)| (format!("src/{file}:{}", number + 1), file.as_str(), line))
    })
}

/// The identifiers that follow a prefix such as `crate::` in a line.
fn names_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        let is_whole = !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':');
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        is_whole.then(|| &rest[..end])
    })
}

fn module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

#[test]
fn a_module_names_only_modules_to_its_left() {
    let sources = sources("src");
    for (place, file, line) in code(&sources) {
        let Some(own) = ORDER.iter().position(|name| *name == module(file)) else {
            assert_eq!(file, "lib.rs", "{place}: no room of this name in the map");
            continue;
        };
        for named in names_after(line, "crate::").chain(names_after(line, "zendesk_token::")) {
            let other = ORDER.iter().position(|name| *name == named);
            assert!(other.is_some_and(|other| other < own), "{place}: {} may not name {named}", ORDER[own]);
        }
    }
}

#[test]
fn a_file_names_only_files_above_it_in_its_folder() {
    let sources = sources("src");
    for (place, file, line) in code(&sources) {
        let Some((folder, name)) = file.split_once('/') else { continue };
        let order = FOLDERS.iter().find(|(known, _)| *known == folder).map(|(_, order)| *order);
        let order = order.unwrap_or_else(|| panic!("{place}: no such folder in the map"));
        let own = order.iter().position(|known| format!("{known}.rs") == name);
        let own = own.unwrap_or_else(|| panic!("{place}: not in the map"));
        for named in names_after(line, "super::") {
            if let Some(other) = order.iter().position(|known| *known == named) {
                assert!(other < own, "{place}: {name} may not name {named}, which stands below it");
            }
        }
        let own_folder = format!("crate::{folder}::");
        let by_root = names_after(line, &own_folder).next();
        assert_eq!(by_root, None, "{place}: in the same folder; name it by super::");
    }
}

#[test]
fn modules_are_declared_in_the_order_of_the_map() {
    let sources = sources("src");
    let declared = |file: &str| {
        let lines =
            sources[file].lines().filter_map(|line| line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod "));
        lines.map(|line| line.trim_end_matches(';').to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(declared("lib.rs"), ORDER[..ORDER.len() - 1]);
    for (folder, order) in FOLDERS {
        assert_eq!(declared(&format!("{folder}.rs")), order, "{folder}");
    }
}

#[test]
fn one_path_for_each_item() {
    let sources = sources("src");
    for (place, file, line) in code(&sources) {
        assert!(!line.contains("pub use "), "{place}: re-exports give an item two paths");
        assert!(!line.contains("super::super"), "{place}: name it from the crate's root");
        assert!(!(line.trim_start().starts_with("use ") && line.contains('*')), "{place}: no glob imports");
        assert!(!file.ends_with("mod.rs"), "{place}: foo.rs + foo/, never mod.rs");
    }
}

#[test]
fn outside_crates_and_side_effects_stay_at_home() {
    let sources = sources("src");
    let is_home = |file: &str, homes: &[&str]| {
        homes.iter().any(|home| file == *home || file == format!("{home}.rs") || file.starts_with(&format!("{home}/")))
    };
    for (place, file, line) in code(&sources) {
        for (name, homes) in HOMES {
            let is_named = names_after(line, &format!("{name}::")).next().is_some();
            assert!(!is_named || is_home(file, homes), "{place}: {name} belongs in {homes:?}");
        }
        for (effect, homes) in EFFECTS {
            assert!(!line.contains(effect) || is_home(file, homes), "{place}: {effect} belongs in {homes:?}");
        }
    }
}

#[test]
fn every_dependency_has_a_home_and_a_reason() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let everywhere = ["thiserror", "tracing"];
    for line in section.lines().filter(|line| line.contains(" = ")) {
        let name = line.split(" = ").next().unwrap().replace('-', "_");
        let has_home = HOMES.iter().any(|(known, _)| *known == name) || everywhere.contains(&name.as_str());
        assert!(has_home, "{name} has no home");
    }
    let lines: Vec<&str> = section.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
        let is_told = pair[0].starts_with("# ") || pair[1].starts_with("serde_json");
        assert!(is_told, "{}: say above it what it is for", pair[1]);
    }
}

#[test]
fn files_are_short_and_begin_with_their_question() {
    for folder in ["src", "tests", "benches"] {
        for (file, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{folder}/{file}: {lines} lines, at most {MAX_LINES}");
            assert!(text.starts_with("//! "), "{folder}/{file}: the first line says which question the file answers");
        }
    }
    assert!(sources("src")["main.rs"].lines().count() <= 20);
}

#[test]
fn names_are_the_projects_own() {
    let banned = [
        "get_", "handle_", "process_", "manage", "util", "helper", "common", "core", "manager", "service", "data",
        "info",
    ];
    let sources = sources("src");
    for (place, _, line) in code(&sources) {
        for name in ["fn ", "struct ", "enum ", "mod "].into_iter().flat_map(|kind| names_after(line, kind)) {
            assert!(!banned.iter().any(|banned| name.starts_with(banned)), "{place}: {name} says nothing");
        }
    }
}
