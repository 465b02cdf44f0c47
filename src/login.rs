//! The login side: reads key sets, verifies login tokens and asks whether they were revoked.

pub(crate) mod api;
pub mod claims;
pub mod json;
pub mod key_set;
pub(crate) mod keys;
pub(crate) mod published;
pub(crate) mod revocation;
pub mod strict_json;
pub mod token;
pub mod verifier;

/// Seconds since 1970-01-01 00:00 UTC: the `NumericDate` of RFC 7519 §2, without a fraction.
pub type Timestamp = i64;
