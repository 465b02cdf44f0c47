//! Settings of the login side: `[login]`.

use std::time::Duration;

use super::origin::may_be_called;
use super::reader::Reader;
use super::secret::Secret;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The setting that holds the login project's secret, and the one that names a file instead.
pub(super) const SECRET: [&str; 2] = ["login.secret", "login.secret_file"];
/// The same of the secret before a reset.
pub(super) const PREVIOUS_SECRET: [&str; 2] = ["login.previous_secret", "login.previous_secret_file"];

/// Longest leeway. Clocks further apart are broken, and an ended login would live on too long.
const MAX_LEEWAY: Duration = Duration::from_mins(5);

/// Longest time for which an answer about revocation is remembered: a player who signed out
/// everywhere stays in as long.
const MAX_REVOCATION_CACHE: Duration = Duration::from_mins(10);

/// `[login]`: how login tokens are received and verified.
#[derive(Debug)]
pub struct Login {
    /// Name of the cookie that holds the login token.
    pub cookie: String,
    /// Whether `Authorization: Bearer` is read too.
    pub bearer: bool,
    /// What login tokens are signed with.
    pub signature: Signature,
    /// Checked against `xsolla_login_project_id` when set.
    pub project_id: Option<String>,
    /// Checked against `iss` when set.
    pub issuer: Option<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Longest `exp - iat`.
    pub max_lifetime: Option<Duration>,
    /// How long the Login API's answer about a token is remembered; nothing when it is not asked.
    pub revocation_cache: Option<Duration>,
    /// The Login API.
    pub api: Api,
}

impl Login {
    /// Whether the Login API is asked anything.
    #[must_use]
    pub const fn asks_api(&self) -> bool {
        self.revocation_cache.is_some() || matches!(self.signature, Signature::Published { .. })
    }
}

/// `login.algorithm` and what goes with it.
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
        /// The login project whose keys they are.
        project_id: String,
        /// For how long they serve.
        caching: KeyCaching,
    },
}

/// For how long published keys serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCaching {
    /// Age by which they are fetched again.
    pub max_age: Duration,
    /// Age up to which they serve while the API is down.
    pub max_stale: Duration,
    /// Least time between two fetches that unknown key ids cause.
    pub cooldown: Duration,
}

/// Where the Login API is, and which certificate authorities it is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Scheme, host and port.
    pub url: String,
    /// The certificate authorities to believe, in PEM, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
    /// Most requests that wait for keys at once, and most that wait for an answer about revocation.
    pub most_waiting: usize,
}

/// Reads `[login]`, where so many requests are answered at once.
pub(super) fn read(reader: &mut Reader, requests_in_flight: usize) -> Login {
    let project_id = reader.text("login.project_id");
    if project_id.as_ref().is_some_and(|id| !is_uuid(id)) {
        let what = "is no UUID in lower case, as the ids of login projects are; is it copied whole?";
        reader.warn("login.project_id", what);
    }
    let checks_revocation = reader.flag("login.check_revocation");
    let revocation_cache = reader.duration("login.revocation_cache", Duration::ZERO..=MAX_REVOCATION_CACHE);
    let has_max_lifetime = reader.has("login.max_lifetime");
    if !has_max_lifetime {
        let what = "login tokens of any lifetime are accepted; set the longest that the login project issues: 24h";
        reader.warn("login.max_lifetime", what);
    }
    let cookie_needs = "is no cookie name; use letters, digits, '-' and '_'";
    Login {
        cookie: reader.checked("login.cookie", cookie_needs, is_cookie_name).unwrap_or_default(),
        bearer: reader.flag("login.bearer"),
        signature: signature(reader, project_id.clone()),
        project_id,
        issuer: reader.text("login.issuer"),
        leeway: reader.seconds("login.leeway", Duration::ZERO..=MAX_LEEWAY),
        max_lifetime: has_max_lifetime.then(|| reader.seconds("login.max_lifetime", SECOND..=DAY * 365)),
        revocation_cache: checks_revocation.then_some(revocation_cache),
        api: api(reader, requests_in_flight),
    }
}

/// 32 hexadecimal digits in lower case, in groups of 8, 4, 4, 4 and 12 (RFC 9562 §4).
fn is_uuid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || is_digit(byte))
}

/// A token of RFC 9110 §5.6.2, which RFC 6265 §4.1.1 asks a cookie's name to be.
fn is_cookie_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn signature(reader: &mut Reader, project_id: Option<String>) -> Signature {
    let is_published = reader.parsed("login.algorithm", |text| match text {
        "HS256" => Ok(false),
        "RS256" => Ok(true),
        _ => Err("needs to be HS256 or RS256, whichever the login project signs with".to_owned()),
    });
    let caching = caching(reader);
    let current = match is_published {
        Some(true) => return published(reader, project_id, caching),
        Some(false) => {
            let otherwise = "; for a project that signs with RS256 set login.algorithm instead";
            reader.required_secret(SECRET, "", otherwise)
        }
        // Whether a secret is needed is for a right algorithm to say.
        None => reader.secret(SECRET).unwrap_or_default(),
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
        reader.reject("login.project_id", "is no UUID; copy the login project's id");
    }
    Signature::Published { project_id: project_id.unwrap_or_default(), caching }
}

fn caching(reader: &mut Reader) -> KeyCaching {
    let least = SECOND / 10;
    let caching = KeyCaching {
        max_age: reader.duration("login.keys_max_age", least..=DAY),
        max_stale: reader.duration("login.keys_max_stale", least..=DAY),
        cooldown: reader.duration("login.keys_cooldown", least..=HOUR),
    };
    if caching.max_stale < caching.max_age && caching.max_stale > Duration::ZERO {
        let what =
            "is less than login.keys_max_age, so keys would end before they are renewed; raise it, or lower that";
        reader.reject("login.keys_max_stale", what);
    }
    caching
}

fn api(reader: &mut Reader, requests_in_flight: usize) -> Api {
    let needs = "needs https, host and port and no more: https://login.xsolla.com (http only on loopback)";
    Api {
        url: reader.checked("login.api_url", needs, may_be_called).unwrap_or_default(),
        authorities: reader.file("login.ca_file"),
        // While the API is slow, requests that need nothing of it must still find a place.
        most_waiting: (requests_in_flight / 4).max(1),
    }
}
