//! The kinds of settings, and the checks of their values.

use std::net::SocketAddr;
use std::time::Duration;

use super::origin::{is_label, is_safe_to_call};

use Kind::{Checked, Choice, Flag, List, Number, PublicFile, Seconds, Secret, SecretFile, Text, Time};

/// Which values of a setting are right.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that the check accepts, and what to say of any other.
    Checked(fn(&str) -> bool, &'static str),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number, the least and the most.
    Number(usize, usize),
    /// A duration with its unit, the least and the most.
    Time(Duration, Duration),
    /// The same without a fraction of a second.
    Seconds(Duration, Duration),
    /// Texts, separated by commas in the environment.
    List,
    /// A secret. The setting with `_file` after its key names a file that holds it.
    Secret,
    /// The path of a file with a secret in it.
    SecretFile,
    /// The path of a file that everyone may read.
    PublicFile,
}

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// Longest leeway. With clocks further apart, an expired login would be valid for too long.
pub(super) const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// Longest time for which an answer about revocation is cached: a revoked login still works for that long.
pub(super) const MAX_REVOCATION_CACHE: Duration = Duration::from_mins(10);

/// Longest lifetime of a Messaging token: a day, as a login has by default. Zendesk sets no limit, but a stolen token can
/// be used for that long.
pub(super) const MESSAGING_MAX_LIFETIME: Duration = Duration::from_hours(24);

/// Most bytes of a fallback domain: an email has at most 254 (RFC 5321 §4.5.3.1.3), of which the player's id, a UUID,
/// and the at sign take 37.
const MAX_FALLBACK_DOMAIN: usize = 254 - 37;

pub(super) const ADDRESS: Kind = Checked(
    |text| text.parse::<SocketAddr>().is_ok(),
    "needs an address and a port: 127.0.0.1:8001, 0.0.0.0:8001 or [::1]:8001",
);
pub(super) const LOGIN_API_URL: Kind = Checked(
    is_safe_to_call,
    "needs https, host and port, without a path: https://login.xsolla.com (http only on loopback)",
);
pub(super) const DESK_API_URL: Kind = Checked(
    is_base_url,
    "needs https, host and path, without query: https://acme.zendesk.com/sc (http only on loopback)",
);
pub(super) const EMAIL_DOMAIN: Kind =
    Checked(is_fallback_domain, "needs a domain in lower case that is yours and receives no mail: players.example.com");
pub(super) const KEY_ID: Kind =
    Checked(is_key_id, "needs the key's id as Zendesk shows it, without spaces: app_0123456789abcdef01234567");
pub(super) const SUBDOMAIN: Kind = Checked(
    |text| is_label(text.as_bytes(), |_| false),
    "is not a subdomain; give only acme, in lower case, if you sign in at https://acme.zendesk.com",
);
/// More than a million of anything would be no limit.
pub(super) const COUNT: Kind = Number(1, 1_000_000);
pub(super) const WAIT: Kind = Time(Duration::from_millis(100), HOUR);
pub(super) const KEY_AGE: Kind = Time(Duration::from_millis(100), Duration::from_hours(24));

impl Kind {
    /// Says what is wrong with a value, if anything. It is one text, or those of a list.
    pub(super) fn check(self, texts: &[&str]) -> Result<(), String> {
        let text = texts.first().copied().unwrap_or_default();
        let time = || humantime::parse_duration(text);
        Err(match self {
            List if texts.is_empty() || texts.contains(&"") => {
                "needs a list of texts, none empty: [\"a\", \"b\"], or a,b in the environment".to_owned()
            }
            Flag if !matches!(text, "true" | "false") => "needs true or false, without quotes".to_owned(),
            Number(least, most) if !text.parse().is_ok_and(|number| (least..=most).contains(&number)) => {
                format!("needs a whole number from {least} to {most}, without quotes")
            }
            _ if text.is_empty() => "is empty; give a value, or drop the setting".to_owned(),
            Checked(is_right, needs) if !is_right(text) => needs.to_owned(),
            Choice(words) if !words.contains(&text) => format!("needs to be one of {}", words.join(", ")),
            Time(least, most) | Seconds(least, most) if !time().is_ok_and(|time| (least..=most).contains(&time)) => {
                let [least, most] = [least, most].map(humantime::format_duration);
                format!("needs a time from {least} to {most}, with its unit: 90s, 5m")
            }
            Seconds(..) if time().is_ok_and(|time| time.subsec_nanos() > 0) => {
                "needs whole seconds, the unit of claims".to_owned()
            }
            Text | Checked(..) | Choice(_) | Flag | Number(..) | Time(..) | Seconds(..) | List | Secret
            | SecretFile | PublicFile => return Ok(()),
        })
    }
}

/// Whether a text is a token of RFC 9110 §5.6.2, as RFC 6265 §4.1.1 requires of a cookie's name.
pub(super) fn is_cookie_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a text can be the domain of fallback emails: not too long, and in lower case, to be compared byte for byte.
fn is_fallback_domain(text: &str) -> bool {
    is_email_domain(text) && text.len() <= MAX_FALLBACK_DOMAIN && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether a text can be a key id, which is sent in the header of every token. Zendesk's have 28 bytes.
fn is_key_id(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn is_app_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a text can be the user name of HTTP's Basic scheme, which ends at a colon (RFC 7617 §2).
pub(super) fn is_user_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
}

/// Whether a text is the base URL of an API: scheme, host, port and path.
fn is_base_url(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let end_of_host = text.match_indices('/').nth(2).map_or(text.len(), |(index, _)| index);
    let (host, path) = text.split_at(end_of_host);
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~' | b'.');
    is_safe_to_call(host) && !path.contains("//") && !path.contains("/.") && path.bytes().all(is_right)
}

/// Whether a text can be the domain of an email: `Domain` (RFC 5321 §4.1.2) with two labels or more. The last has a
/// letter, or it would be an IPv4 address (RFC 1123 §2.1). Internationalized names are only accepted in their ASCII
/// form (RFC 5890 §2.3.2.1), which can be compared as it is.
pub(crate) fn is_email_domain(text: &str) -> bool {
    let has_letter = |label: &str| label.bytes().any(|byte| byte.is_ascii_alphabetic());
    text.split('.').all(|label| is_label(label.as_bytes(), |byte| byte.is_ascii_uppercase()))
        && text.rsplit_once('.').is_some_and(|(_, last)| has_letter(last))
}
