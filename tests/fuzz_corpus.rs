//! The inputs that the fuzzer found worth keeping, as ordinary tests.

use std::fs;
use std::path::Path;

use crate::fuzzed::{TARGETS, of};

#[test]
fn every_target_holds_over_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, _) in TARGETS {
        let inputs: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(inputs.len() >= 5, "{name}: {} inputs", inputs.len());
        for input in inputs {
            of(name)(&fs::read(input).unwrap());
        }
    }
}

#[test]
fn every_target_is_one_of_the_fuzzers() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}
