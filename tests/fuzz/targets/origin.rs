//! Fuzzes `origin` of `tests/in_process/fuzzed.rs`.

#![no_main]

#[path = "../../in_process/fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::of("origin")(bytes));
