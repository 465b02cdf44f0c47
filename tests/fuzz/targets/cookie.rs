//! Fuzzes `cookie` of `tests/fuzzed.rs`.

#![no_main]

#[path = "../../fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::of("cookie")(bytes));
