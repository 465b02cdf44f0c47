//! A login token comes in, is verified, becomes an identity, and leaves as a Zendesk token.
//!
//! The modules are in the order of dependency: each uses only modules above it. `tests/in_process/architecture.rs` checks that.

pub mod telemetry;

pub mod metrics;

mod http_client;

pub mod config;

pub mod login;

pub mod zendesk;

pub mod exchange;

pub mod http;

pub mod server;

mod app;

mod terminal;

#[cfg(feature = "desk")]
pub mod desk;

#[cfg(feature = "demo")]
mod demo;

pub mod cli;
