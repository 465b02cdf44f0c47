//! Runs the fuzzer's saved inputs as ordinary tests.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fuzzed::{TARGETS, of};

/// A line for each target: its name, then its inputs as base64. `tests/fuzz/run` writes it.
const CORPUS: &str = include_str!("fuzz/corpus.txt");

const MANIFEST: &str = include_str!("fuzz/Cargo.toml");

#[test]
fn every_target_holds_over_its_corpus() {
    let mut seen = BTreeSet::new();
    for line in CORPUS.lines() {
        let (name, inputs) = line.split_once(' ').unwrap();
        assert!(inputs.split(' ').count() >= 5, "{name}");
        inputs.split(' ').for_each(|input| of(name)(&STANDARD.decode(input).unwrap()));
        seen.insert(name);
    }
    assert_eq!(seen, TARGETS.map(|(name, _)| name).into());
}

#[test]
fn every_target_is_one_of_the_fuzzers() {
    for (name, _) in TARGETS {
        assert!(MANIFEST.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}
