//! The table of all settings.
//!
//! The reader goes by it, `--help` prints it, and tests hold the README and `config/example.toml` against it.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file, section first: `login.secret`.
    pub key: &'static str,
    /// What holds when nobody sets it, written as in an environment variable.
    pub default: Option<&'static str>,
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
}

impl Setting {
    /// The environment variable that sets it: `ZENDESK_TOKEN_LOGIN__SECRET`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.replace('.', "__").to_uppercase())
    }
}

/// What every environment variable of ours starts with.
pub const PREFIX: &str = "ZENDESK_TOKEN_";

/// The environment variable that names the settings file.
pub const FILE_VARIABLE: &str = "ZENDESK_TOKEN_CONFIG";

const fn setting(key: &'static str, default: Option<&'static str>, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// Every setting, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    setting("listen", Some("127.0.0.1:8001"), "address and port of the public listener; the image sets 0.0.0.0:8001"),
    setting(
        "admin.listen",
        Some("127.0.0.1:9001"),
        "address and port of the admin listener: /live, /ready and /metrics",
    ),
    setting("login.cookie", Some("token"), "name of the cookie that holds the login token"),
    setting("login.bearer", Some("false"), "true takes the login token from Authorization: Bearer too"),
    setting("login.algorithm", Some("HS256"), "what the login project signs with: HS256 or RS256"),
    setting("login.secret", None, "needed for HS256: the login project's secret key, 32 bytes or more"),
    setting("login.secret_file", None, "instead of it a file that holds it; one trailing newline is dropped"),
    setting("login.previous_secret", None, "the secret before a reset; it still verifies while the reset spreads"),
    setting("login.previous_secret_file", None, "instead of it a file that holds it"),
    setting(
        "login.project_id",
        None,
        "the login project's id, checked against xsolla_login_project_id when set; needed for RS256",
    ),
    setting("login.issuer", None, "checked against iss when set; Xsolla's is https://login.xsolla.com"),
    setting("login.leeway", Some("60s"), "how far clocks may differ: 0s to 5m, on exp, nbf and iat"),
    setting("login.max_lifetime", None, "longest exp - iat of a login token; not checked unless set"),
    setting("login.check_revocation", Some("false"), "true asks the Login API whether a login token was revoked"),
    setting("login.revocation_cache", Some("30s"), "how long its answer is remembered: 0s to 10m"),
    setting("login.api_url", Some("https://login.xsolla.com"), "the Login API; https, or http on loopback"),
    setting("login.ca_file", None, "certificates in PEM that the Login API is checked against, not the public ones"),
    setting("login.keys_max_age", Some("10m"), "RS256: age by which the published keys are fetched again"),
    setting("login.keys_max_stale", Some("1h"), "RS256: age up to which they serve while the Login API is down"),
    setting("login.keys_cooldown", Some("30s"), "RS256: least time between two fetches caused by unknown key ids"),
    setting(
        "cors.origins",
        None,
        "needed unless only apps ask: origins of the shop's pages, exact or https://*.example.com for one label",
    ),
    setting("chat.secret", None, "Zendesk Chat's shared secret, of Settings > Widget > Widget security"),
    setting("chat.secret_file", None, "instead of it a file that holds it; one trailing newline is dropped"),
    setting("chat.lifetime", Some("5m"), "how long a Chat token lives, at most 7m"),
    setting(
        "chat.name_from",
        Some("email"),
        "login claims to take the name from, first non-empty one; the email when there is none",
    ),
    setting("chat.fallback_email_domain", None, "gives a player without an email SUB@DOMAIN instead of refusal 00-03"),
    setting("messaging.secret", None, "secret of a Messaging key, of Admin Center > End user authentication"),
    setting("messaging.secret_file", None, "instead of it a file that holds it"),
    setting(
        "messaging.key_id",
        None,
        "needed beside the secret: the id of that key, which goes into the header as kid",
    ),
    setting("messaging.lifetime", Some("15m"), "how long a Messaging token lives, at most 24h"),
    setting(
        "messaging.name_from",
        Some("name,username,email"),
        "login claims to take the name from; no name when there is none",
    ),
    setting(
        "messaging.email",
        Some("unverified"),
        "verified adds email_verified, for which the shop vouches; omit keeps the email back, as a name too",
    ),
    setting("help_center.secret", None, "shared secret of Admin Center > Channels > Classic > Web Widget > Security"),
    setting("help_center.secret_file", None, "instead of it a file that holds it"),
    setting(
        "help_center.name_from",
        Some("name,username,email"),
        "login claims to take the name from; the email when there is none",
    ),
    setting("help_center.fallback_email_domain", None, "as chat.fallback_email_domain"),
    setting("support_sdk.secret", None, "shared secret of the Mobile SDK app's settings"),
    setting("support_sdk.secret_file", None, "instead of it a file that holds it"),
    setting(
        "support_sdk.name_from",
        Some("name,username,email"),
        "login claims to take the name from; the email when there is none",
    ),
    setting("support_sdk.fallback_email_domain", None, "as chat.fallback_email_domain"),
    setting(
        "conversations.subdomain",
        None,
        "acme, if you sign in to Zendesk at https://acme.zendesk.com; for conflict",
    ),
    setting(
        "conversations.base_url",
        None,
        "instead of it the API itself, as https://api.smooch.io for legacy Sunshine Conversations",
    ),
    setting("conversations.app_id", None, "needed for conflict: id of the app of Messaging"),
    setting("conversations.key_id", None, "needed for conflict: id of an API key of that app; it begins with app_"),
    setting("conversations.key_secret", None, "needed for conflict: the API key's secret"),
    setting("conversations.key_secret_file", None, "instead of it a file that holds it"),
    setting("conversations.brand_id", None, "brand whose users are meant, where users are kept apart by brand"),
    setting("conversations.ca_file", None, "certificate authorities (PEM) to believe instead of the public ones"),
    setting("chat_api.subdomain", None, "acme, if you sign in to Zendesk at https://acme.zendesk.com; for visitor"),
    setting("chat_api.base_url", None, "instead of it the API itself, as https://www.zopim.com"),
    setting("chat_api.token", None, "needed for visitor: an OAuth access token of Chat with the scope read"),
    setting("chat_api.token_file", None, "instead of it a file that holds it"),
    setting("chat_api.ca_file", None, "certificate authorities (PEM) to believe instead of the public ones"),
    setting("tls.certificate", None, "file with the certificate chain in PEM; the public listener then speaks TLS"),
    setting("tls.key", None, "file with its private key in PEM"),
    setting("proxy.trusted", None, "networks of the reverse proxies that are believed: 10.0.7.0/24, or one address"),
    setting("rate_limit.per_second", None, "requests a second that one client may ask for tokens; no limit unless set"),
    setting("rate_limit.burst", None, "requests that it may ask for at once; as many as per_second unless set"),
    setting("limits.connections", Some("4096"), "connections open at once; more are closed at once"),
    setting(
        "limits.connections_per_client",
        Some("256"),
        "of them one client's at most; loopback and proxy.trusted are not counted",
    ),
    setting("limits.requests_in_flight", Some("1024"), "requests answered at once; more get 503 00-11"),
    setting("limits.header_bytes", Some("32768"), "most bytes of request line and headers; 431 beyond"),
    setting(
        "limits.header_timeout",
        Some("10s"),
        "to the end of the headers, from accept for the first request; with TLS from the handshake, which has as long",
    ),
    setting("limits.idle_timeout", Some("75s"), "between two requests; longer than the proxy's"),
    setting("limits.request_timeout", Some("10s"), "for an answer; 503 00-12 beyond"),
    setting("limits.drain", Some("8s"), "to finish what is in flight after SIGTERM or SIGINT"),
    setting("limits.drain_delay", Some("0s"), "still accepting while /ready already says no, before the drain"),
    setting("log.format", Some("json"), "json or text; on standard output"),
    setting("log.level", Some("info"), "error, warn, info, debug or trace"),
    setting("allow_weak_secrets", Some("false"), "true lets short and placeholder secrets pass with a warning"),
];

/// Settings that a reload can't change: sockets, connections that are open, and the log.
const NEED_RESTART: [&str; 11] = [
    "listen",
    "admin.listen",
    "limits.connections",
    "limits.connections_per_client",
    "limits.header_bytes",
    "limits.header_timeout",
    "limits.idle_timeout",
    "limits.drain",
    "limits.drain_delay",
    "log.format",
    "log.level",
];

/// Whether a changed value counts from the next start only.
#[must_use]
pub fn needs_restart(key: &str) -> bool {
    NEED_RESTART.contains(&key)
}

/// Whether its value must never be shown.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    key.ends_with("secret") || key == "chat_api.token"
}

/// Whether the service reads it; the others are read, and judged, by one command alone.
#[must_use]
pub fn is_of_service(key: &str) -> bool {
    !key.starts_with("conversations.") && !key.starts_with("chat_api.")
}

/// The row of a key.
#[must_use]
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The setting whose key is most like an unknown one, when it is like enough to be a slip.
#[must_use]
pub fn nearest(key: &str) -> Option<&'static Setting> {
    let likeness = |setting: &Setting| strsim::jaro_winkler(key, setting.key);
    let near = SETTINGS.iter().map(|setting| (likeness(setting), setting)).filter(|(likeness, _)| *likeness > 0.8);
    near.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, setting)| setting)
}
