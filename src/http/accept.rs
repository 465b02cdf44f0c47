//! Selects the format of a token by the `Accept` header.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;

/// The format of a token in a response.
#[derive(Clone, Copy)]
pub(super) enum TokenFormat {
    /// `{"token":"…"}`, as in Xsolla's reference.
    Json,
    /// The bare token, as in Zendesk's example.
    PlainText,
}

impl<S: Sync> FromRequestParts<S> for TokenFormat {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(if prefers_plain_text(&parts.headers) { Self::PlainText } else { Self::Json })
    }
}

/// Whether `text/plain` has a higher weight than `application/json` (RFC 9110 §12.5.1). At equal weights JSON wins, since
/// axios sends `application/json, text/plain, */*` by default. Malformed ranges are ignored.
fn prefers_plain_text(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range<'_>> = ranges.flat_map(|value| value.split(',')).filter_map(Range::read).collect();
    weight(&ranges, "text", "plain") > weight(&ranges, "application", "json")
}

/// A media range and its weight in thousandths.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(Self { kind, subtype, weight: weight.map_or(Some(1000), thousandths)? })
    }

    /// How specifically the range matches a media type: 3 as `text/plain`, 2 as `text/*`, 1 as `*/*`.
    fn specificity(&self, kind: &str, subtype: &str) -> Option<u8> {
        match (self.kind, self.subtype) {
            ("*", "*") => Some(1),
            (a, "*") if a.eq_ignore_ascii_case(kind) => Some(2),
            (a, b) if a.eq_ignore_ascii_case(kind) && b.eq_ignore_ascii_case(subtype) => Some(3),
            _ => None,
        }
    }
}

/// The weight of the most specific range that matches; 0 if none does.
fn weight(ranges: &[Range<'_>], kind: &str, subtype: &str) -> u16 {
    let matching = ranges.iter().filter_map(|range| Some((range.specificity(kind, subtype)?, range.weight)));
    matching.max().map_or(0, |(_, weight)| weight)
}

/// A `qvalue`: 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_short = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let decimals: u16 = format!("{decimals:0<3}").parse().ok().filter(|_| is_short)?;
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1000),
        _ => None,
    }
}
