//! A login token comes in, is verified, becomes an identity, and leaves as a Zendesk token.
//!
//! The modules stand in the order of that sentence, between what all of them need (metrics, calls to
//! others, log, settings) and the edges (HTTP, sockets, commands). A module names only modules that stand above it
//! here; `tests/architecture.rs` holds them to it.

pub mod telemetry;

pub mod metrics;

mod http_client;

pub mod config;

pub mod login;

pub mod zendesk;

pub mod exchange;

pub mod http;

pub mod server;

pub mod cli;
