//! The table of all settings, and the checks of their values. `--help`, the documents and the example file are compared
//! with the table.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use regex_lite::Regex;
use toml::value::{Datetime, Offset};

use super::origin::{is_label, is_safe_to_call};
use super::products::CHAT_MAX_LIFETIME;
use super::secret::is_damage;

use Kind::{Checked, Choice, Date, Flag, Form, List, Number, PublicFile, Seconds, Secret, SecretFile, Text, Time};

/// Which values of a setting are right.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that the regular expression matches as a whole, and what such a text is.
    Form(&'static str, &'static str),
    /// Text that the check accepts, and what such a text is.
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
    /// An RFC 3339 date, or date and time with an offset. In a file it may be written without quotes.
    Date,
    /// Texts, separated by commas in the environment.
    List,
    /// A secret. The setting with `_file` after its key names a file that holds it.
    Secret,
    /// The path of a file with a secret in it.
    SecretFile,
    /// The path of a file that everyone may read.
    PublicFile,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file, section first: `login.secret`.
    pub key: &'static str,
    /// Which values are right.
    pub kind: Kind,
    /// The value when it is not set, written as in an environment variable.
    pub default: Option<&'static str>,
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
    /// Whether a change takes effect only after a restart: sockets, open connections, and the log.
    pub needs_restart: bool,
    /// The `provider` of the logins that have it; `None` if all have.
    pub(super) provider: Option<&'static str>,
}

/// The prefix of the environment variables.
pub(crate) const PREFIX: &str = "ZENDESK_TOKEN_";

/// What the keys of further logins begin with, before the login's name.
pub(super) const LOGINS: &str = "logins.";

/// The name of the login in `[login]`.
pub const DEFAULT_LOGIN: &str = "default";

/// The settings in `[login]` that all logins share.
const SHARED_BY_LOGINS: [&str; 4] = ["login.cookie", "login.bearer", "login.leeway", "login.max_lifetime"];

/// The environment variable that names the settings file.
pub const FILE_VARIABLE: &str = "ZENDESK_TOKEN_CONFIG";

/// The environment variable in which platforms set the port of the public listener.
pub(super) const PORT_VARIABLE: &str = "PORT";

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(24 * 365);

/// More than a million of anything would be no limit.
const COUNT: Kind = Number(1, 1_000_000);
const WAIT: Kind = Time(Duration::from_millis(100), HOUR);
const KEY_AGE: Kind = Time(Duration::from_millis(100), DAY);
const ID: &str = "an id; copy it again";
const ADDRESS: Kind = Checked(is_address, "an address and a port: 127.0.0.1:8001, 0.0.0.0:8001 or [::1]:8001");
const CLAIM: Kind =
    Checked(is_claim, "the name of a claim, or a path with a dot between two names: sub, app.player_id");
const EMAIL_DOMAIN: Kind =
    Checked(is_fallback_domain, "a domain in lower case that is yours and receives no mail: players.example.com");
const SUBDOMAIN: Kind = Form(
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    "a subdomain in lower case: only acme, if you sign in at https://acme.zendesk.com",
);
const DESK_API_URL: Kind =
    Checked(is_base_url, "https, host and path, without query: https://acme.zendesk.com/sc (http only on loopback)");

/// With clocks further apart, an expired login would be valid for too long.
const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// A revoked login still works for that long.
const MAX_REVOCATION_CACHE: Duration = Duration::from_mins(10);

/// Every setting, in the order in which they are shown.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("listen", ADDRESS, "127.0.0.1:8001", "address and port of the public listener; 0.0.0.0 and the port in PORT if only PORT is set, as in the image").at_start(),
    setting("admin.listen", ADDRESS, "127.0.0.1:9001", "address and port of the admin listener: /live, /ready and /metrics").at_start(),

    setting("login.cookie", Form(r"[\w!#$%&'*+.^`|~-]+", "a cookie name: letters, digits, '-' and '_'"), "token", "name of the cookie that holds the login token"),
    setting("login.bearer", Flag, "false", "true also reads the login token from Authorization: Bearer"),
    setting("login.leeway", Seconds(Duration::ZERO, MAX_LEEWAY), "60s", "how far clocks may differ: 0s to 5m, for exp, nbf and iat"),
    setting("login.max_lifetime", Seconds(SECOND, YEAR), "", "longest exp - iat of a login token; not checked unless set"),
    setting("login.provider", Choice(&["xsolla", "oidc"]), "xsolla", "who signs the players in: xsolla, or oidc for any other OpenID Connect provider"),
    setting("login.algorithm", Choice(&["HS256", "RS256"]), "HS256", "what the login project signs with: HS256 or RS256").only_for("xsolla"),
    setting("login.secret", Secret, "", "needed for HS256: the login project's secret key, 32 bytes or more").only_for("xsolla"),
    setting("login.secret_file", SecretFile, "", "a file with the secret, instead of it; a byte order mark and one trailing newline are dropped").only_for("xsolla"),
    setting("login.previous_secret", Secret, "", "the secret before a reset, which still verifies until its last tokens have expired").only_for("xsolla"),
    setting("login.previous_secret_file", SecretFile, "", "a file with the secret, instead of it").only_for("xsolla"),
    setting("login.project_id", Text, "", "the login project's id, compared with xsolla_login_project_id if set; needed for RS256").only_for("xsolla"),
    setting("login.issuer", Text, "", "compared with iss if set; Xsolla's is https://login.xsolla.com; needed for oidc, whose keys are found there"),
    setting("login.audience", Text, "", "compared with aud if set; needed for oidc: the client id, or the API of access tokens"),
    setting("login.token_type", Choice(&["id_token", "access_token", "any"]), "id_token", "oidc: which tokens are accepted, id_token, access_token or any").only_for("oidc"),
    setting("login.check_revocation", Flag, "false", "true asks the Login API whether a login token was revoked").only_for("xsolla"),
    setting("login.revocation_cache", Time(Duration::ZERO, MAX_REVOCATION_CACHE), "30s", "how long its answer is cached: 0s to 10m").only_for("xsolla"),
    setting("login.api_url", Checked(is_safe_to_call, "https, host and port, without a path: https://login.xsolla.com (http only on loopback)"), "https://login.xsolla.com", "the Login API; https, or http on loopback").only_for("xsolla"),
    setting("login.ca_file", PublicFile, "", "CA bundle (PEM) to verify the Login API or the provider with, instead of the public authorities"),
    setting("login.keys_max_age", KEY_AGE, "10m", "age of published keys (oidc, RS256) before which they are fetched again"),
    setting("login.keys_max_stale", KEY_AGE, "1h", "age up to which published keys are used while they can't be fetched"),
    setting("login.keys_cooldown", WAIT, "30s", "least time between two fetches of published keys that unknown key ids cause"),
    setting("login.claims.external_id", CLAIM, "sub", "claim with the player's id; a name with dots is a path into objects"),
    setting("login.claims.email", CLAIM, "email", "claim with the player's email"),
    setting("login.claims.name", List, "", "claims to take the name from, instead of the name_from of each product"),
    setting("login.external_id_prefix", Form("[A-Za-z0-9._:|-]{1,64}", "letters, digits, '-', '_', '.', ':' or '|', at most 64"), "", "put before the player's id, so that ids of two logins differ: auth0-"),

    setting("cors.origins", List, "", "origins of the shop's pages and apps, exact or https://*.example.com for one label; not needed for pages of the service's own host, except for user tokens"),

    setting("chat.secret", Secret, "", "Zendesk Chat's shared secret, of Settings > Widget > Widget security"),
    setting("chat.secret_file", SecretFile, "", "a file with the secret, instead of it; a byte order mark and one trailing newline are dropped"),
    setting("chat.lifetime", Seconds(SECOND, CHAT_MAX_LIFETIME), "5m", "how long a Chat token lives, at most 7m"),
    setting("chat.name_from", List, "email", "login claims to take the name from, first non-empty one; the email when there is none"),
    setting("chat.fallback_email_domain", EMAIL_DOMAIN, "", "gives a player without an email SUB@DOMAIN instead of refusal 00-03"),

    setting("messaging.secret", Secret, "", "secret of a Messaging key, of Admin Center > End user authentication"),
    setting("messaging.secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("messaging.key_id", Form("[!-~]{1,255}", "the key's id as Zendesk shows it, without spaces: app_0123456789abcdef01234567"), "", "needed with the secret: the id of that key, which is sent in the header as kid"),
    setting("messaging.lifetime", Seconds(SECOND, DAY), "15m", "how long a Messaging token lives, at most 24h"),
    setting("messaging.outlives_login", Flag, "false", "true lets a Messaging token live for messaging.lifetime even if the login ends before"),
    setting("messaging.name_from", List, "name,username,email", "login claims to take the name from; no name when there is none"),
    setting("messaging.email", Choice(&["unverified", "verified", "omit"]), "unverified", "verified adds email_verified, which the shop must be sure of; omit sends no email, also not as a name"),
    setting("messaging.verified_types", List, "", "with email = verified: of Xsolla's logins, only those of these types (claim type) have email_verified, such as email, a code sent to the address; all unless set"),

    setting("help_center.secret", Secret, "", "shared secret of Admin Center > Channels > Classic > Web Widget > Security"),
    setting("help_center.secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("help_center.name_from", List, "name,username,email", "login claims to take the name from; the email when there is none"),
    setting("help_center.fallback_email_domain", EMAIL_DOMAIN, "", "as chat.fallback_email_domain"),

    setting("support_sdk.secret", Secret, "", "shared secret of the Mobile SDK app's settings"),
    setting("support_sdk.secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("support_sdk.name_from", List, "name,username,email", "login claims to take the name from; the email when there is none"),
    setting("support_sdk.fallback_email_domain", EMAIL_DOMAIN, "", "as chat.fallback_email_domain"),
    setting("support_sdk.user_token_lifetime", Seconds(DAY, YEAR), "", "turns on POST /support-sdk/user-token: how long the user tokens that it issues to apps live, 1d to 365d"),
    setting("support_sdk.user_tokens_valid_from", Date, "", "user tokens that were issued before this date or time are refused: 2026-01-31, or 2026-01-31T08:00:00Z"),

    setting("conversations.subdomain", SUBDOMAIN, "", "acme, if you sign in to Zendesk at https://acme.zendesk.com; for desk and conflict"),
    setting("conversations.base_url", DESK_API_URL, "", "the API itself, instead of the subdomain: https://api.smooch.io for legacy Sunshine Conversations"),
    setting("conversations.app_id", Form(r"\w+", ID), "", "needed for desk and conflict: id of the app of Messaging"),
    setting("conversations.key_id", Form("[!-9;-~]+", ID), "", "needed for desk and conflict: id of an API key of that app; it begins with app_"),
    setting("conversations.key_secret", Secret, "", "needed for desk and conflict: the API key's secret"),
    setting("conversations.key_secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("conversations.brand_id", Text, "", "brand whose users are meant, if users are separated by brand"),
    setting("conversations.ca_file", PublicFile, "", "CA bundle (PEM) to verify the API with, instead of the public authorities"),

    setting("chat_api.subdomain", SUBDOMAIN, "", "acme, if you sign in to Zendesk at https://acme.zendesk.com; for desk and visitor"),
    setting("chat_api.base_url", DESK_API_URL, "", "the API itself, instead of the subdomain, for example your own proxy"),
    setting("chat_api.token", Secret, "", "needed for desk and visitor: an OAuth access token of Chat with the scope read"),
    setting("chat_api.token_file", SecretFile, "", "a file with the token, instead of it"),
    setting("chat_api.ca_file", PublicFile, "", "CA bundle (PEM) to verify the API with, instead of the public authorities"),

    setting("tls.certificate", PublicFile, "", "file with the certificate chain in PEM; the public listener then speaks TLS"),
    setting("tls.key", SecretFile, "", "file with its private key in PEM"),

    setting("proxy.trusted", List, "", "networks of the trusted reverse proxies: 10.0.7.0/24, or one address"),

    setting("rate_limit.per_second", COUNT, "", "requests for tokens that one client may send per second; no limit unless set"),
    setting("rate_limit.burst", COUNT, "", "requests that it may send at once; as many as per_second unless set"),

    setting("limits.connections", COUNT, "4096", "connections open at once; more are closed immediately").at_start(),
    setting("limits.connections_per_client", COUNT, "256", "connections of one client; loopback and proxy.trusted are not counted").at_start(),
    setting("limits.requests_in_flight", COUNT, "1024", "requests answered at once; more get 503 00-11"),
    setting("limits.header_bytes", Number(8192, 1 << 20), "32768", "request line and headers of up to this many bytes are accepted; of twice as many get 431").at_start(),
    setting("limits.header_timeout", WAIT, "10s", "time to send the headers, from accept for the first request; with TLS from the handshake, which has the same limit").at_start(),
    setting("limits.idle_timeout", WAIT, "75s", "time between two requests; longer than the proxy's").at_start(),
    setting("limits.request_timeout", WAIT, "10s", "time for an answer; then 503 00-12"),
    setting("limits.drain", Time(Duration::ZERO, HOUR), "8s", "time to finish requests after SIGTERM or SIGINT").at_start(),
    setting("limits.drain_delay", Time(Duration::ZERO, HOUR), "0s", "time of still accepting while /ready already fails, before the drain").at_start(),

    setting("log.format", Choice(&["json", "text"]), "json", "json or text; on standard output").at_start(),
    setting("log.level", Choice(&["error", "warn", "info", "debug", "trace"]), "info", "error, warn, info, debug or trace").at_start(),

    setting("allow_weak_secrets", Flag, "false", "true accepts short, placeholder, UUID, path, modulus-like and repetitive secrets with a warning"),
];

const fn setting(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    let default = if default.is_empty() { None } else { Some(default) };
    Setting { key, kind, default, help, needs_restart: false, provider: None }
}

impl Setting {
    const fn at_start(self) -> Self {
        Self { needs_restart: true, ..self }
    }

    const fn only_for(self, provider: &'static str) -> Self {
        Self { provider: Some(provider), ..self }
    }

    /// The environment variable that sets it: `ZENDESK_TOKEN_LOGIN__SECRET`.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(self.key)
    }

    /// Whether its value must never be shown.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Secret)
    }

    /// Whether the service reads it. The others are read, and checked, by one command alone.
    pub(super) fn is_of_service(&self) -> bool {
        !self.key.starts_with("conversations.") && !self.key.starts_with("chat_api.")
    }

    /// Says what is wrong with the texts of a value: one, or those of a list.
    pub(super) fn check(&self, texts: &[String]) -> Result<(), String> {
        if !self.is_secret() && texts.iter().any(|text| text.contains('…')) {
            return Err("is a placeholder of an example (…); give the real value".to_owned());
        }
        let is_bracket = |text: &String| matches!(self.kind, List) && text.starts_with('[');
        if !self.is_secret() && texts.iter().any(|text| is_wrapped(text) || is_bracket(text)) {
            let what = "has quotes, brackets, white space or an invisible character around it, or an invisible one \
                        inside; remove them (Docker keeps the quotes of an env file)";
            return Err(what.to_owned());
        }
        self.kind.check(texts)
    }
}

impl Kind {
    /// Says what a value needs, if one of its texts is wrong, or there is none.
    fn check(self, texts: &[String]) -> Result<(), String> {
        let all = |is_right: &dyn Fn(&str) -> bool| !texts.is_empty() && texts.iter().all(|text| is_right(text));
        let is_set = all(&|text| !text.is_empty());
        let (is_right, needs) = match self {
            // Secrets have checks of their own.
            Secret => (all(&|_| true), "text, in quotes in a file".to_owned()),
            Text | SecretFile | PublicFile => (is_set, "text, in quotes in a file; or drop the setting".to_owned()),
            List => (is_set, "texts, none empty: [\"a\", \"b\"] in a file, a,b in the environment".to_owned()),
            Flag => (all(&|text| matches!(text, "true" | "false")), "true or false, without quotes".to_owned()),
            Choice(words) => {
                (all(&|text| words.contains(&text)), format!("one of {}, in quotes in a file", words.join(", ")))
            }
            Form(form, needs) => {
                let whole = Regex::new(&format!(r"\A(?:{form})\z"));
                (whole.is_ok_and(|form| all(&|text| form.is_match(text))), needs.to_owned())
            }
            Checked(is_right, needs) => (all(&is_right), needs.to_owned()),
            Number(least, most) => {
                let is_right = all(&|text| text.parse().is_ok_and(|number| (least..=most).contains(&number)));
                (is_right, format!("a whole number from {least} to {most}, without quotes"))
            }
            Time(least, most) | Seconds(least, most) => {
                let is_whole = matches!(self, Seconds(..));
                let is_time = |time: Duration| (least..=most).contains(&time) && !(is_whole && time.subsec_nanos() > 0);
                let is_right = all(&|text| humantime::parse_duration(text).is_ok_and(is_time));
                let [least, most] = [least, most].map(shown);
                let unit = if is_whole { "in whole seconds" } else { "with its unit" };
                (is_right, format!("a time from {least} to {most}, {unit}, in quotes in a file: 90s, 5m"))
            }
            Date => {
                let is_right = all(&|text| timestamp(text).is_some());
                (is_right, "a date (2026-01-31), or a time with its offset: 2026-01-31T08:00:00Z".to_owned())
            }
        };
        if is_right { Ok(()) } else { Err(format!("needs {needs}")) }
    }
}

/// Seconds since 1970 of an RFC 3339 date, at 00:00 UTC, or of a date and time with an offset, without a fraction of a second.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let Datetime { date: Some(date), time, offset } = text.parse().ok()? else { return None };
    let (time, minutes) = match (time, offset) {
        (None, None) => ("00:00:00".to_owned(), 0),
        (Some(time), Some(Offset::Z)) => (time.to_string(), 0),
        (Some(time), Some(Offset::Custom { minutes })) => (time.to_string(), minutes),
        _ => return None,
    };
    let since_1970 = humantime::parse_rfc3339(&format!("{date}T{time}Z")).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_1970.as_secs()).ok()?.checked_sub(i64::from(minutes) * 60).filter(|time| *time >= 0)
}

/// A limit of a time, without the fractions of months and years.
fn shown(time: Duration) -> String {
    let days = time.as_secs() / DAY.as_secs();
    if days > 1 { format!("{days}days") } else { humantime::format_duration(time).to_string() }
}

/// The settings that each login has of its own, with their keys for this one.
pub(super) fn of_login(name: &str) -> impl Iterator<Item = (String, &'static Setting)> {
    let own = SETTINGS.iter().filter(|setting| !SHARED_BY_LOGINS.contains(&setting.key));
    own.filter_map(move |setting| Some((login_key(name, setting.key.strip_prefix("login.")?), setting)))
}

/// The key of a login's setting: `login.secret`, or `logins.eu.secret`.
pub(super) fn login_key(name: &str, own: &str) -> String {
    if name == DEFAULT_LOGIN { format!("login.{own}") } else { format!("{LOGINS}{name}.{own}") }
}

/// The key of the setting that names the file of a secret.
pub(super) fn file_key(key: &str) -> String {
    format!("{key}_file")
}

/// The name of the login and the rest of a key of `[logins.NAME]`.
pub(super) fn named_login(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(LOGINS)?.split_once('.')
}

/// The environment variable that sets `key`.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").replace('-', "_").to_uppercase())
}

/// The key that an environment variable sets, if there is such a setting.
pub(super) fn key_of_variable(name: &str) -> String {
    let key = name.strip_prefix(PREFIX).unwrap_or(name).replace("__", ".").to_lowercase();
    with_login_name(key, |name| name.replace('_', "-"))
}

/// The key whose variable this would be with two underscores for its dot.
pub(super) fn key_of_single_underscores(name: &str) -> Option<&'static str> {
    let is_meant = |key: &&str| key.contains('.') && variable(key).replace("__", "_") == name;
    SETTINGS.iter().map(|setting| setting.key).find(is_meant)
}

/// The key with the login's name, if it has one, changed.
pub(super) fn with_login_name(key: String, change: impl Fn(&str) -> String) -> String {
    let changed = named_login(&key).map(|(name, own)| format!("{LOGINS}{}.{own}", change(name)));
    changed.unwrap_or(key)
}

/// The row of a key: that of `login.secret` for `logins.NAME.secret`.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    let Some((name, _)) = named_login(key) else { return SETTINGS.iter().find(|setting| setting.key == key) };
    of_login(name).find(|(own, _)| is_login_name(name) && own == key).map(|(_, setting)| setting)
}

/// Whether a further login may have this name.
pub(super) fn is_login_name(name: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(is_right) && name != DEFAULT_LOGIN
}

/// Whether a key of `[logins.NAME]` is one that only `[login]` has.
pub(super) fn is_shared_by_logins(key: &str) -> bool {
    named_login(key).is_some_and(|(_, own)| SHARED_BY_LOGINS.contains(&login_key(DEFAULT_LOGIN, own).as_str()))
}

/// The key that is most like an unknown one, if it is like enough to be a typing error.
pub(super) fn nearest(key: &str) -> Option<String> {
    let keys: Vec<String> = match named_login(key) {
        Some((name, _)) => of_login(name).map(|(own, _)| own).collect(),
        None => SETTINGS.iter().map(|setting| setting.key.to_owned()).collect(),
    };
    let near = keys.into_iter().map(|near| (strsim::jaro_winkler(key, &near), near));
    let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|left, right| left.0.total_cmp(&right.0));
    near.map(|(_, near)| near)
}

fn is_claim(text: &str) -> bool {
    text.contains("://") || !text.split('.').any(str::is_empty)
}

fn is_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
}

/// Whether a text can be the domain of fallback emails: in lower case, to be compared byte for byte, and not too long. An
/// email has at most 254 bytes (RFC 5321 §4.5.3.1.3), of which the player's id, a UUID, and the at sign take 37.
fn is_fallback_domain(text: &str) -> bool {
    is_email_domain(text) && text.len() <= 254 - 37 && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether a text is the base URL of an API: scheme, host, port and path.
pub(super) fn is_base_url(text: &str) -> bool {
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

/// Whether there are quotes or white space at an end of a text, or a character that copying added anywhere.
fn is_wrapped(text: &str) -> bool {
    let is_around = |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '`');
    text.starts_with(is_around) || text.ends_with(is_around) || text.contains(is_damage)
}
