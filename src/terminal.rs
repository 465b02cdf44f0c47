//! Prints the output of commands: text, times and JSON, safe for a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::login::Timestamp;
use crate::login::claims::MAX_TIMESTAMP;

/// Exit status for wrong arguments or settings; clap uses the same for wrong arguments.
pub(crate) const EXIT_USAGE: u8 = 2;

/// The arguments have the right form, but a value or an input is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) &'static str);

/// Runs a future to its end. Does not wait for DNS lookups that it left running, since they can't be cancelled.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Runtime::new()?;
    let output = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(output)
}

/// Prints to standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_ref()).context("can't write to standard output")
}

/// A duration in its largest suitable unit: `3 hours`.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        172_800..63_072_000 => (seconds / 86_400, "day"),
        _ => (seconds / 31_536_000, "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// What a time claim means at `now`: `expired 3 hours ago`. `None` for other claims.
pub(crate) fn time_claim(name: &str, at: Timestamp, now: Timestamp) -> Option<String> {
    let distance = span(at.saturating_sub(now));
    Some(match (name, at <= now) {
        ("exp", true) => format!("expired {distance} ago"),
        ("exp", false) => format!("expires in {distance}"),
        ("iat", true) => format!("issued {distance} ago"),
        ("iat", false) => format!("issued {distance} in the future"),
        ("nbf", true) => format!("valid since {distance} ago"),
        ("nbf", false) => format!("valid only in {distance}"),
        _ => return None,
    })
}

/// A time in RFC 3339 format, in UTC; `None` outside of the years 1970 to 9999.
pub(crate) fn date(at: Timestamp) -> Option<String> {
    let since_1970 = u64::try_from(at).ok().filter(|_| at <= MAX_TIMESTAMP)?;
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(since_1970))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

/// Untrusted text, safe on a terminal: characters that are invisible, move the cursor, or change colours or
/// the writing direction are escaped.
pub(crate) fn printable(text: &str) -> String {
    let escape = |c: char| if is_invisible(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Like [`printable`], with the escapes of JSON.
fn printable_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_invisible(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Pretty-printed JSON with a final newline.
///
/// # Errors
/// The value can't be serialized; input can't cause this.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(printable_json(&serde_json::to_string_pretty(value)?) + "\n")
}

/// Whether a character is invisible, or changes how others are displayed.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        // Line and paragraph separators, a blank pattern of Braille, and marks of annotations.
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}')
}
