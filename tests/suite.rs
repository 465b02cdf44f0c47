//! All tests, in one binary: linking is most of a build.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected fails, and its name is its document"
)]

mod client;
mod desk_api;
mod harness;
mod login_api;
mod login_tokens;
mod stub;

mod architecture;
mod bearer;
mod check_online;
mod client_ip;
mod commands;
mod conflict;
mod conflict_resolve;
mod cookies;
mod demo;
mod desk_deletions;
mod desk_failures;
mod differential;
mod documents;
mod drain;
mod full_house;
mod fuzz_corpus;
mod fuzzed;
mod generate_token;
mod help_center;
mod hostile_clients;
mod hostile_json;
mod inspect;
mod inspect_input;
mod inspect_issued;
mod inspect_products;
mod key_sets;
mod keys_unavailable;
mod leaks;
mod log_lines;
mod log_readers;
mod messaging;
mod names;
mod metrics;
mod openapi;
mod origins;
mod properties;
mod properties_products;
mod published_keys;
mod rate_limit;
mod readme;
mod reload;
mod reload_keys;
mod reload_products;
mod reload_settings;
mod requests;
mod revocation;
mod revocation_memory;
mod secrets;
mod settings;
mod settings_desk;
mod settings_login;
mod settings_products;
mod settings_sources;
mod support_sdk;
mod support_sdk_trouble;
mod threats;
mod threats_tokens;
mod tls;
mod verification;
mod visitor;
mod wycheproof;
