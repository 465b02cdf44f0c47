//! All tests, in one binary, because linking takes most of a build.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails on anything unexpected, and its name documents it"
)]

mod app;
mod client;
mod desk_api;
mod harness;
mod login_api;
mod login_tokens;
mod provider;
mod stub;

use in_process::*;
use process::*;

/// Tests without a process or a socket of the service: `tests/quick` runs these.
mod in_process {
    pub mod access_log;
    pub mod architecture;
    pub mod client_ip;
    pub mod credentials;
    pub mod differential;
    pub mod documents;
    pub mod emails;
    pub mod fuzzed;
    pub mod key_sets;
    pub mod login_attacks;
    pub mod logins;
    pub mod metrics;
    pub mod middleware;
    pub mod names;
    pub mod oidc;
    pub mod openapi;
    pub mod origins;
    pub mod properties;
    pub mod published_keys;
    pub mod rate_limit;
    pub mod readme;
    pub mod revocation;
    pub mod settings_login;
    pub mod settings_logins;
    pub mod support_sdk;
    pub mod threats;
    pub mod threats_tokens;
    pub mod token_claims;
    pub mod token_routes;
    pub mod user_tokens;
    pub mod verification;
    pub mod wycheproof;
}

/// Tests of connections, TLS, signals, the log's writer and commands.
mod process {
    pub mod check_desk;
    pub mod check_online;
    pub mod commands;
    pub mod conflict;
    pub mod connection_limits;
    pub mod demo;
    pub mod desk_answers;
    pub mod desk_failures;
    pub mod desk_form;
    pub mod desk_page;
    pub mod drain;
    pub mod hostile_clients;
    pub mod hostile_json;
    pub mod inspect;
    pub mod inspect_input;
    pub mod inspect_issued;
    pub mod leaks;
    pub mod log_output;
    pub mod merge;
    pub mod metrics_process;
    pub mod reload;
    pub mod reload_settings;
    pub mod revocation_memory;
    pub mod secrets;
    pub mod settings;
    pub mod settings_desk;
    pub mod settings_products;
    pub mod settings_sources;
    pub mod several_logins;
    pub mod support_sdk_bodies;
    pub mod tls;
    pub mod visitor;
}
