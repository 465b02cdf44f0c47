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

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01 00:00 UTC: the `NumericDate` of RFC 7519 §2, without a fraction.
pub type Timestamp = i64;

/// The current time of the system clock; 0 if the clock is before 1970, so that no login token is valid.
#[expect(clippy::disallowed_methods, reason = "the clock is read here and passed on")]
pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::try_from(since_1970.as_secs()).unwrap_or(Timestamp::MAX)
}
