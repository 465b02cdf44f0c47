//! The login side: providers, key sets, a login token to verified claims, revocation.

pub mod strict_json;
pub mod json;
pub mod key_set;
pub mod api;
pub mod published;
pub mod keys;
pub mod claims;
pub mod token;
pub mod revocation;
pub mod verifier;

/// Seconds since 1970-01-01 00:00 UTC: the `NumericDate` of RFC 7519 §2 without its fraction.
pub type Timestamp = i64;
