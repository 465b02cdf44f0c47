//! Settings of the login side: `[login]`.

use std::time::Duration;

use super::reader::Reader;
use super::secret::Secret;

/// The setting that holds the login project's secret, and the one that names a file instead.
pub(super) const SECRET: [&str; 2] = ["login.secret", "login.secret_file"];
/// The same for the secret before a reset.
pub(super) const PREVIOUS_SECRET: [&str; 2] = ["login.previous_secret", "login.previous_secret_file"];

/// `[login]`: how login tokens are received and verified.
#[derive(Debug)]
pub struct Login {
    /// Name of the cookie that holds the login token.
    pub cookie: String,
    pub(crate) bearer: bool,
    /// What login tokens are signed with.
    pub signature: Signature,
    pub(crate) project_id: Option<String>,
    pub(crate) issuer: Option<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    /// How long an answer about revocation is cached; nothing if the Login API is not asked.
    pub(crate) revocation_cache: Option<Duration>,
    pub(crate) api: Api,
}

/// `login.algorithm` and the settings that depend on it.
#[derive(Debug)]
pub enum Signature {
    /// HS256: a secret that both sides know.
    Secret {
        /// The login project's secret.
        current: Secret,
        /// The secret before a reset.
        previous: Option<Secret>,
    },
    /// RS256: keys that the Login API publishes.
    Published {
        /// The login project that the keys belong to.
        project_id: String,
        /// How long the keys are used.
        caching: KeyCaching,
    },
}

/// How long published keys are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCaching {
    /// Age at which they are fetched again.
    pub max_age: Duration,
    /// Age up to which they are used while the API is down.
    pub max_stale: Duration,
    /// Least time between two fetches that unknown key ids cause.
    pub cooldown: Duration,
}

/// The Login API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Scheme, host and port.
    pub(crate) url: String,
    /// In PEM, instead of the public authorities.
    pub(crate) ca_bundle: Option<Vec<u8>>,
    /// Most requests that wait for keys at once, and most that wait for an answer about revocation.
    pub(crate) most_waiting: usize,
}

impl Login {
    /// Whether the settings need the Login API.
    pub(crate) const fn asks_api(&self) -> bool {
        self.revocation_cache.is_some() || matches!(self.signature, Signature::Published { .. })
    }
}

/// Reads `[login]`. `requests_in_flight` is the most requests that are answered at once.
pub(super) fn read(reader: &mut Reader, requests_in_flight: usize) -> Login {
    let project_id: Option<String> = reader.get("login.project_id");
    if project_id.as_ref().is_some_and(|id| !is_uuid(id)) {
        let what = "is not a UUID in lower case, as the ids of login projects are; is it copied whole?";
        reader.warn("login.project_id", what);
    }
    if !reader.has("login.max_lifetime") {
        let what = "login tokens of any lifetime are accepted; set the longest that the login project issues: 24h";
        reader.warn("login.max_lifetime", what);
    }
    let [revocation_cache, max_lifetime] =
        ["login.revocation_cache", "login.max_lifetime"].map(|key| reader.has(key).then(|| reader.time(key)));
    Login {
        cookie: reader.value("login.cookie"),
        bearer: reader.value("login.bearer"),
        signature: signature(reader, project_id.clone()),
        project_id,
        issuer: reader.get("login.issuer"),
        leeway: reader.time("login.leeway"),
        max_lifetime,
        revocation_cache: revocation_cache.filter(|_| reader.value("login.check_revocation")),
        api: Api {
            url: reader.value("login.api_url"),
            ca_bundle: reader.file("login.ca_file"),
            // While the API is slow, requests that do not need it must still be served.
            most_waiting: (requests_in_flight / 4).max(1),
        },
    }
}

fn signature(reader: &mut Reader, project_id: Option<String>) -> Signature {
    let algorithm: Option<String> = reader.get("login.algorithm");
    let caching = caching(reader);
    if algorithm.as_deref() == Some("RS256") {
        return published(reader, project_id, caching);
    }
    let current = if algorithm.is_some() {
        let otherwise = "; for a project that signs with RS256 set login.algorithm instead";
        reader.required_secret(SECRET, "", otherwise)
    } else {
        // A wrong algorithm does not say whether a secret is needed.
        reader.secret(SECRET).unwrap_or_default()
    };
    if !reader.has("login.project_id") {
        let what = "tokens of any login project with the same secret are accepted; set the login project's id";
        reader.warn("login.project_id", what);
    }
    Signature::Secret { current, previous: reader.secret(PREVIOUS_SECRET) }
}

fn published(reader: &mut Reader, project_id: Option<String>, caching: KeyCaching) -> Signature {
    for key in [SECRET, PREVIOUS_SECRET].into_iter().flatten() {
        if reader.has(key) {
            reader.warn(key, "is not used, since login.algorithm is RS256; drop it");
        }
    }
    // It becomes part of a path.
    let is_plain = |id: &String| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !reader.has("login.project_id") {
        reader.reject("login.project_id", "is needed to fetch the keys of RS256; it is the login project's UUID");
    } else if !project_id.as_ref().is_none_or(is_plain) {
        reader.reject("login.project_id", "is not a UUID; copy the login project's id");
    }
    Signature::Published { project_id: project_id.unwrap_or_default(), caching }
}

fn caching(reader: &mut Reader) -> KeyCaching {
    let caching = KeyCaching {
        max_age: reader.time("login.keys_max_age"),
        max_stale: reader.time("login.keys_max_stale"),
        cooldown: reader.time("login.keys_cooldown"),
    };
    if caching.max_stale < caching.max_age && caching.max_stale > Duration::ZERO {
        let what = "is less than login.keys_max_age, so keys would expire before they are fetched again; raise it, or \
                    lower that";
        reader.reject("login.keys_max_stale", what);
    }
    caching
}

/// 32 hexadecimal digits in lower case, in groups of 8, 4, 4, 4 and 12 (RFC 9562 §4).
fn is_uuid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || is_digit(byte))
}

/// A token of RFC 9110 §5.6.2, as RFC 6265 §4.1.1 requires of a cookie's name.
pub(super) fn is_cookie_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
