//! Reads the `traceparent` header (W3C Trace Context §3.2): `00-<trace id>-<parent id>-<flags>`.

use axum::http::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request's `traceparent` and the trace id in it, or `None` if the header is missing, repeated or malformed. Versions
/// above 00 may have more fields after the flags.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let mut parts = value.split('-');
    let [version, trace_id, parent_id, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let is_valid = is_hexadecimal(version, 2)
        && is_hexadecimal(trace_id, 32)
        && is_hexadecimal(parent_id, 16)
        && is_hexadecimal(flags, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && [trace_id, parent_id].iter().all(|id| id.bytes().any(|digit| digit != b'0'));
    is_valid.then_some((value, trace_id))
}

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
