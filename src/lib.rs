//! A login token comes in, is verified, becomes an identity, and leaves as a Zendesk token.
//!
//! The modules stand in the order of that sentence, between what all of them need (base64url, log, metrics,
//! calls to others, settings) and the edges (HTTP, sockets, commands). A module names only modules that stand above it
//! here; `tests/architecture.rs` holds them to it.

pub mod base64url;

pub mod telemetry;

pub mod metrics;

pub mod remote;

pub mod config;

pub mod login;

pub mod zendesk;

pub mod exchange;

pub mod http;

pub mod server;

pub mod cli;
