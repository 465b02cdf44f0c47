//! The table of all settings. `--help`, the documents and the example file are compared with it.

use std::time::Duration;

use super::kind::{
    ADDRESS, COUNT, DESK_API_URL, EMAIL_DOMAIN, HOUR, KEY_AGE, KEY_ID, Kind, LOGIN_API_URL, MAX_LEEWAY,
    MAX_REVOCATION_CACHE, MESSAGING_MAX_LIFETIME, SECOND, SUBDOMAIN, WAIT, is_app_id, is_cookie_name, is_user_name,
};
use super::products::CHAT_MAX_LIFETIME;

use Kind::{Checked, Choice, Flag, List, Number, PublicFile, Seconds, Secret, SecretFile, Text, Time};

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
}

/// The prefix of the environment variables.
pub(super) const PREFIX: &str = "ZENDESK_TOKEN_";

/// The environment variable that names the settings file.
pub const FILE_VARIABLE: &str = "ZENDESK_TOKEN_CONFIG";

/// The environment variable in which platforms set the port of the public listener.
pub(super) const PORT_VARIABLE: &str = "PORT";

/// Every setting, in the order in which they are shown.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("listen", ADDRESS, "127.0.0.1:8001", "address and port of the public listener; 0.0.0.0 and the port in PORT if only PORT is set, as in the image").at_start(),
    setting("admin.listen", ADDRESS, "127.0.0.1:9001", "address and port of the admin listener: /live, /ready and /metrics").at_start(),

    setting("login.cookie", Checked(is_cookie_name, "is not a cookie name; use letters, digits, '-' and '_'"), "token", "name of the cookie that holds the login token"),
    setting("login.bearer", Flag, "false", "true also reads the login token from Authorization: Bearer"),
    setting("login.algorithm", Choice(&["HS256", "RS256"]), "HS256", "what the login project signs with: HS256 or RS256"),
    setting("login.secret", Secret, "", "needed for HS256: the login project's secret key, 32 bytes or more"),
    setting("login.secret_file", SecretFile, "", "a file with the secret, instead of it; a byte order mark and one trailing newline are dropped"),
    setting("login.previous_secret", Secret, "", "the secret before a reset, which still verifies until its last tokens have expired"),
    setting("login.previous_secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("login.project_id", Text, "", "the login project's id, compared with xsolla_login_project_id if set; needed for RS256"),
    setting("login.issuer", Text, "", "compared with iss if set; Xsolla's is https://login.xsolla.com"),
    setting("login.leeway", Seconds(Duration::ZERO, MAX_LEEWAY), "60s", "how far clocks may differ: 0s to 5m, for exp, nbf and iat"),
    setting("login.max_lifetime", Seconds(SECOND, Duration::from_hours(24 * 365)), "", "longest exp - iat of a login token; not checked unless set"),
    setting("login.check_revocation", Flag, "false", "true asks the Login API whether a login token was revoked"),
    setting("login.revocation_cache", Time(Duration::ZERO, MAX_REVOCATION_CACHE), "30s", "how long its answer is cached: 0s to 10m"),
    setting("login.api_url", LOGIN_API_URL, "https://login.xsolla.com", "the Login API; https, or http on loopback"),
    setting("login.ca_file", PublicFile, "", "CA bundle (PEM) to verify the Login API with, instead of the public authorities"),
    setting("login.keys_max_age", KEY_AGE, "10m", "RS256: age at which the published keys are fetched again"),
    setting("login.keys_max_stale", KEY_AGE, "1h", "RS256: age up to which they are used while the Login API is down"),
    setting("login.keys_cooldown", WAIT, "30s", "RS256: least time between two fetches caused by unknown key ids"),

    setting("cors.origins", List, "", "origins of the shop's pages and apps, exact or https://*.example.com for one label; not needed for pages of the service's own host"),

    setting("chat.secret", Secret, "", "Zendesk Chat's shared secret, of Settings > Widget > Widget security"),
    setting("chat.secret_file", SecretFile, "", "a file with the secret, instead of it; a byte order mark and one trailing newline are dropped"),
    setting("chat.lifetime", Seconds(SECOND, CHAT_MAX_LIFETIME), "5m", "how long a Chat token lives, at most 7m"),
    setting("chat.name_from", List, "email", "login claims to take the name from, first non-empty one; the email when there is none"),
    setting("chat.fallback_email_domain", EMAIL_DOMAIN, "", "gives a player without an email SUB@DOMAIN instead of refusal 00-03"),

    setting("messaging.secret", Secret, "", "secret of a Messaging key, of Admin Center > End user authentication"),
    setting("messaging.secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("messaging.key_id", KEY_ID, "", "needed with the secret: the id of that key, which is sent in the header as kid"),
    setting("messaging.lifetime", Seconds(SECOND, MESSAGING_MAX_LIFETIME), "15m", "how long a Messaging token lives, at most 24h"),
    setting("messaging.name_from", List, "name,username,email", "login claims to take the name from; no name when there is none"),
    setting("messaging.email", Choice(&["unverified", "verified", "omit"]), "unverified", "verified adds email_verified, which the shop must be sure of; omit sends no email, also not as a name"),
    setting("messaging.verified_types", List, "", "with email = verified: adds email_verified only for logins of these types (claim type), such as email, a code sent to the address; for all unless set"),

    setting("help_center.secret", Secret, "", "shared secret of Admin Center > Channels > Classic > Web Widget > Security"),
    setting("help_center.secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("help_center.name_from", List, "name,username,email", "login claims to take the name from; the email when there is none"),
    setting("help_center.fallback_email_domain", EMAIL_DOMAIN, "", "as chat.fallback_email_domain"),

    setting("support_sdk.secret", Secret, "", "shared secret of the Mobile SDK app's settings"),
    setting("support_sdk.secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("support_sdk.name_from", List, "name,username,email", "login claims to take the name from; the email when there is none"),
    setting("support_sdk.fallback_email_domain", EMAIL_DOMAIN, "", "as chat.fallback_email_domain"),

    setting("conversations.subdomain", SUBDOMAIN, "", "acme, if you sign in to Zendesk at https://acme.zendesk.com; for conflict"),
    setting("conversations.base_url", DESK_API_URL, "", "the API itself, instead of the subdomain: https://api.smooch.io for legacy Sunshine Conversations"),
    setting("conversations.app_id", Checked(is_app_id, "is not an id; copy it again"), "", "needed for conflict: id of the app of Messaging"),
    setting("conversations.key_id", Checked(is_user_name, "is not an id; copy it again"), "", "needed for conflict: id of an API key of that app; it begins with app_"),
    setting("conversations.key_secret", Secret, "", "needed for conflict: the API key's secret"),
    setting("conversations.key_secret_file", SecretFile, "", "a file with the secret, instead of it"),
    setting("conversations.brand_id", Text, "", "brand whose users are meant, if users are separated by brand"),
    setting("conversations.ca_file", PublicFile, "", "CA bundle (PEM) to verify the API with, instead of the public authorities"),

    setting("chat_api.subdomain", SUBDOMAIN, "", "acme, if you sign in to Zendesk at https://acme.zendesk.com; for visitor"),
    setting("chat_api.base_url", DESK_API_URL, "", "the API itself, instead of the subdomain: https://www.zopim.com"),
    setting("chat_api.token", Secret, "", "needed for visitor: an OAuth access token of Chat with the scope read"),
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
    setting("limits.header_bytes", Number(8192, 1 << 20), "32768", "most bytes of request line and headers; more get 431").at_start(),
    setting("limits.header_timeout", WAIT, "10s", "time to send the headers, from accept for the first request; with TLS from the handshake, which has the same limit").at_start(),
    setting("limits.idle_timeout", WAIT, "75s", "time between two requests; longer than the proxy's").at_start(),
    setting("limits.request_timeout", WAIT, "10s", "time for an answer; then 503 00-12"),
    setting("limits.drain", Time(Duration::ZERO, HOUR), "8s", "time to finish requests after SIGTERM or SIGINT").at_start(),
    setting("limits.drain_delay", Time(Duration::ZERO, HOUR), "0s", "time of still accepting while /ready already fails, before the drain").at_start(),

    setting("log.format", Choice(&["json", "text"]), "json", "json or text; on standard output").at_start(),
    setting("log.level", Choice(&["error", "warn", "info", "debug", "trace"]), "info", "error, warn, info, debug or trace").at_start(),

    setting("allow_weak_secrets", Flag, "false", "true accepts short, placeholder, UUID, path and modulus-like secrets with a warning"),
];

const fn setting(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    let default = if default.is_empty() { None } else { Some(default) };
    Setting { key, kind, default, help, needs_restart: false }
}

impl Setting {
    const fn at_start(self) -> Self {
        Self { needs_restart: true, ..self }
    }

    /// The environment variable that sets it: `ZENDESK_TOKEN_LOGIN__SECRET`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.replace('.', "__").to_uppercase())
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
}

/// The key of the setting that names the file of a secret.
pub(super) fn file_key(key: &str) -> &'static str {
    find(&format!("{key}_file")).map_or("", |setting| setting.key)
}

/// The row of a key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The setting whose key is most like an unknown one, if it is like enough to be a typing error.
pub(super) fn nearest(key: &str) -> Option<&'static Setting> {
    let likeness = |setting: &Setting| strsim::jaro_winkler(key, setting.key);
    let near = SETTINGS.iter().map(|setting| (likeness(setting), setting)).filter(|(likeness, _)| *likeness > 0.8);
    near.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, setting)| setting)
}
