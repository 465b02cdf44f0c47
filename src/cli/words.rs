//! Words for a person: times, and texts from outside made safe to show.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::login::Timestamp;
use crate::login::claims::MAX_TIMESTAMP;

/// A length of time in its largest fitting unit: `3 hours`.
#[must_use]
pub fn span(seconds: i64) -> String {
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

/// What a time claim says at `now`: `expired 3 hours ago`. Nothing for claims that are no times.
#[must_use]
pub fn time_claim(name: &str, at: Timestamp, now: Timestamp) -> Option<String> {
    let distance = span(at.saturating_sub(now));
    Some(match (name, at <= now) {
        ("exp", true) => format!("expired {distance} ago"),
        ("exp", false) => format!("expires in {distance}"),
        ("iat", true) => format!("issued {distance} ago"),
        ("iat", false) => format!("issued {distance} from now"),
        ("nbf", true) => format!("valid since {distance} ago"),
        ("nbf", false) => format!("not valid before {distance} from now"),
        _ => return None,
    })
}

/// A time as RFC 3339 writes it, in UTC; nothing when it is none between 1970 and 9999.
#[must_use]
pub fn date(at: Timestamp) -> Option<String> {
    let since_1970 = u64::try_from(at).ok().filter(|_| at <= MAX_TIMESTAMP)?;
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(since_1970))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

/// A text that nobody vouches for, safe on a terminal: what would move the cursor, change colours, turn
/// the direction of writing or not be seen is written as an escape.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |letter: char| if is_unseen(letter) { letter.escape_unicode().to_string() } else { letter.to_string() };
    text.chars().map(shown).collect()
}

/// A text as one word of a command that a person may copy (POSIX shells; PowerShell too, but for quotes in it).
#[must_use]
pub fn shell_word(text: &str) -> String {
    let text = printable(text);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+=".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// As [`printable`], for JSON, whose own escapes it uses.
fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_unseen(letter) && letter != '\n' {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// One JSON object, for scripts.
///
/// # Errors
/// None that a person could cause.
pub fn json(told: &impl Serialize) -> serde_json::Result<String> {
    Ok(printable_json(&serde_json::to_string_pretty(told)?) + "\n")
}

/// What does not show, or changes how other letters show.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
