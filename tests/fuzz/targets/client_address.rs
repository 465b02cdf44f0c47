//! Does `client_address` hold for any bytes?

#![no_main]

#[path = "../../fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::of("client_address")(bytes));
