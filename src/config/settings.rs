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

/// The setting of the public listener's address.
pub const LISTEN: &str = "listen";

/// The environment variable by which platforms name the one port that they send requests to; followed where [`LISTEN`]
/// is not set.
pub const PORT_VARIABLE: &str = "PORT";

/// A setting without a default.
const fn setting(key: &'static str, help: &'static str) -> Setting {
    Setting { key, default: None, help }
}

/// A setting that has a default.
const fn preset(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default: Some(default), help }
}

/// Every setting, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    preset(
        LISTEN,
        "127.0.0.1:8001",
        "address and port of the public listener; 0.0.0.0 and the port in PORT where only that is set, as in the image",
    ),
    preset("admin.listen", "127.0.0.1:9001", "address and port of the admin listener: /live, /ready and /metrics"),
    preset("login.cookie", "token", "name of the cookie that holds the login token"),
    preset("login.bearer", "false", "true takes the login token from Authorization: Bearer too"),
    preset("login.algorithm", "HS256", "what the login project signs with: HS256 or RS256"),
    setting("login.secret", "needed for HS256: the login project's secret key, 32 bytes or more"),
    setting(
        "login.secret_file",
        "instead of it a file that holds it; a byte order mark and one trailing newline are dropped",
    ),
    setting("login.previous_secret", "the secret before a reset; it still verifies while the reset spreads"),
    setting("login.previous_secret_file", "instead of it a file that holds it"),
    setting(
        "login.project_id",
        "the login project's id, checked against xsolla_login_project_id when set; needed for RS256",
    ),
    setting("login.issuer", "checked against iss when set; Xsolla's is https://login.xsolla.com"),
    preset("login.leeway", "60s", "how far clocks may differ: 0s to 5m, on exp, nbf and iat"),
    setting("login.max_lifetime", "longest exp - iat of a login token; not checked unless set"),
    preset("login.check_revocation", "false", "true asks the Login API whether a login token was revoked"),
    preset("login.revocation_cache", "30s", "how long its answer is remembered: 0s to 10m"),
    preset("login.api_url", "https://login.xsolla.com", "the Login API; https, or http on loopback"),
    setting("login.ca_file", "certificates in PEM that the Login API is checked against, not the public ones"),
    preset("login.keys_max_age", "10m", "RS256: age by which the published keys are fetched again"),
    preset("login.keys_max_stale", "1h", "RS256: age up to which they serve while the Login API is down"),
    preset("login.keys_cooldown", "30s", "RS256: least time between two fetches caused by unknown key ids"),
    setting(
        "cors.origins",
        "origins of the shop's pages and apps, exact or https://*.example.com for one label; pages of the service's \
         own host need none",
    ),
    setting("chat.secret", "Zendesk Chat's shared secret, of Settings > Widget > Widget security"),
    setting(
        "chat.secret_file",
        "instead of it a file that holds it; a byte order mark and one trailing newline are dropped",
    ),
    preset("chat.lifetime", "5m", "how long a Chat token lives, at most 7m"),
    preset(
        "chat.name_from",
        "email",
        "login claims to take the name from, first non-empty one; the email when there is none",
    ),
    setting("chat.fallback_email_domain", "gives a player without an email SUB@DOMAIN instead of refusal 00-03"),
    setting("messaging.secret", "secret of a Messaging key, of Admin Center > End user authentication"),
    setting("messaging.secret_file", "instead of it a file that holds it"),
    setting("messaging.key_id", "needed beside the secret: the id of that key, which goes into the header as kid"),
    preset("messaging.lifetime", "15m", "how long a Messaging token lives, at most 24h"),
    preset(
        "messaging.name_from",
        "name,username,email",
        "login claims to take the name from; no name when there is none",
    ),
    preset(
        "messaging.email",
        "unverified",
        "verified adds email_verified, for which the shop vouches; omit keeps the email back, as a name too",
    ),
    setting(
        "messaging.verified_types",
        "with email = verified: vouches only for logins of these types (claim type), such as email, a code sent to the \
         address; all unless set",
    ),
    setting("help_center.secret", "shared secret of Admin Center > Channels > Classic > Web Widget > Security"),
    setting("help_center.secret_file", "instead of it a file that holds it"),
    preset(
        "help_center.name_from",
        "name,username,email",
        "login claims to take the name from; the email when there is none",
    ),
    setting("help_center.fallback_email_domain", "as chat.fallback_email_domain"),
    setting("support_sdk.secret", "shared secret of the Mobile SDK app's settings"),
    setting("support_sdk.secret_file", "instead of it a file that holds it"),
    preset(
        "support_sdk.name_from",
        "name,username,email",
        "login claims to take the name from; the email when there is none",
    ),
    setting("support_sdk.fallback_email_domain", "as chat.fallback_email_domain"),
    setting("conversations.subdomain", "acme, if you sign in to Zendesk at https://acme.zendesk.com; for conflict"),
    setting(
        "conversations.base_url",
        "instead of it the API itself, as https://api.smooch.io for legacy Sunshine Conversations",
    ),
    setting("conversations.app_id", "needed for conflict: id of the app of Messaging"),
    setting("conversations.key_id", "needed for conflict: id of an API key of that app; it begins with app_"),
    setting("conversations.key_secret", "needed for conflict: the API key's secret"),
    setting("conversations.key_secret_file", "instead of it a file that holds it"),
    setting("conversations.brand_id", "brand whose users are meant, where users are kept apart by brand"),
    setting("conversations.ca_file", "certificate authorities (PEM) to believe instead of the public ones"),
    setting("chat_api.subdomain", "acme, if you sign in to Zendesk at https://acme.zendesk.com; for visitor"),
    setting("chat_api.base_url", "instead of it the API itself, as https://www.zopim.com"),
    setting("chat_api.token", "needed for visitor: an OAuth access token of Chat with the scope read"),
    setting("chat_api.token_file", "instead of it a file that holds it"),
    setting("chat_api.ca_file", "certificate authorities (PEM) to believe instead of the public ones"),
    setting("tls.certificate", "file with the certificate chain in PEM; the public listener then speaks TLS"),
    setting("tls.key", "file with its private key in PEM"),
    setting("proxy.trusted", "networks of the reverse proxies that are believed: 10.0.7.0/24, or one address"),
    setting("rate_limit.per_second", "requests a second that one client may ask for tokens; no limit unless set"),
    setting("rate_limit.burst", "requests that it may ask for at once; as many as per_second unless set"),
    preset("limits.connections", "4096", "connections open at once; more are closed at once"),
    preset(
        "limits.connections_per_client",
        "256",
        "of them one client's at most; loopback and proxy.trusted are not counted",
    ),
    preset("limits.requests_in_flight", "1024", "requests answered at once; more get 503 00-11"),
    preset("limits.header_bytes", "32768", "most bytes of request line and headers; 431 beyond"),
    preset(
        "limits.header_timeout",
        "10s",
        "to the end of the headers, from accept for the first request; with TLS from the handshake, which has as long",
    ),
    preset("limits.idle_timeout", "75s", "between two requests; longer than the proxy's"),
    preset("limits.request_timeout", "10s", "for an answer; 503 00-12 beyond"),
    preset("limits.drain", "8s", "to finish what is in flight after SIGTERM or SIGINT"),
    preset("limits.drain_delay", "0s", "still accepting while /ready already says no, before the drain"),
    preset("log.format", "json", "json or text; on standard output"),
    preset("log.level", "info", "error, warn, info, debug or trace"),
    preset(
        "allow_weak_secrets",
        "false",
        "true lets short, placeholder, UUID, path and modulus-like secrets pass with a warning",
    ),
];

/// Whether a changed value counts from the next start only: sockets, connections that are open, and the log.
#[must_use]
pub fn needs_restart(key: &str) -> bool {
    let by_reload = ["limits.requests_in_flight", "limits.request_timeout"];
    let is_of_process = ["limits.", "log."].iter().any(|section| key.starts_with(section));
    matches!(key, LISTEN | "admin.listen") || is_of_process && !by_reload.contains(&key)
}

/// Whether its value must never be shown.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    key.ends_with("secret") || key == "chat_api.token"
}

/// Whether its value is the path of a file.
#[must_use]
pub fn names_file(key: &str) -> bool {
    key.ends_with("_file") || matches!(key, "tls.certificate" | "tls.key")
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
