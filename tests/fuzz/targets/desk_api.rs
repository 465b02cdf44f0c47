//! Fuzzes `desk_api` of `tests/fuzzed.rs`.

#![no_main]

#[path = "../../fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::of("desk_api")(bytes));
