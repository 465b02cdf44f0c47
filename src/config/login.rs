//! Settings of the login side: `[login]`.

use std::time::Duration;

use super::reader::Reader;
use super::secret::Secret;

const SECRET: &str = "login.secret";
const PREVIOUS_SECRET: &str = "login.previous_secret";
const PROJECT_ID: &str = "login.project_id";

/// `[login]`: how login tokens are received and verified.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are the settings of these names, which the table describes")]
pub struct Login {
    pub cookie: String,
    pub(crate) bearer: bool,
    pub signature: Signature,
    pub(crate) project_id: Option<String>,
    pub(crate) issuer: Option<String>,
    pub leeway: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    /// `None` if the Login API is not asked about revocation.
    pub(crate) revocation_cache: Option<Duration>,
    pub(crate) api: Api,
}

/// What login tokens are signed with: `login.algorithm` and the settings that depend on it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the variants say what their fields are")]
pub enum Signature {
    /// HS256: a secret that both sides know, and the one before a reset.
    Secret { current: Secret, previous: Option<Secret> },
    /// RS256: the keys that the Login API publishes for a login project.
    Published { project_id: String, caching: KeyCaching },
}

/// How long published keys are used: the settings `login.keys_` and these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of settings describes them")]
pub struct KeyCaching {
    pub max_age: Duration,
    pub max_stale: Duration,
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
    if !reader.has("login.max_lifetime") {
        let what = "login tokens of any lifetime are accepted; set the longest that the login project issues: 24h";
        reader.warn("login.max_lifetime", what);
    }
    let algorithm: Option<String> = reader.get("login.algorithm");
    let is_published = algorithm.as_deref() == Some("RS256");
    let project_id = project_id(reader, is_published);
    let caching = caching(reader);
    let signature = if is_published {
        for key in [SECRET, "login.secret_file", PREVIOUS_SECRET, "login.previous_secret_file"] {
            if reader.has(key) {
                reader.warn(key, "is not used, since login.algorithm is RS256; drop it");
            }
        }
        Signature::Published { project_id: project_id.clone().unwrap_or_default(), caching }
    } else {
        let current = match algorithm {
            Some(_) => reader.required_secret(SECRET, ", unless login.algorithm is RS256"),
            // A wrong algorithm does not say whether a secret is needed.
            None => reader.secret(SECRET).unwrap_or_default(),
        };
        Signature::Secret { current, previous: reader.secret(PREVIOUS_SECRET) }
    };
    let checks_revocation = reader.value("login.check_revocation");
    Login {
        cookie: reader.value("login.cookie"),
        bearer: reader.value("login.bearer"),
        signature,
        project_id,
        issuer: reader.get("login.issuer"),
        leeway: reader.time("login.leeway"),
        max_lifetime: reader.get_time("login.max_lifetime"),
        revocation_cache: reader.get_time("login.revocation_cache").filter(|_| checks_revocation),
        api: Api {
            url: reader.value("login.api_url"),
            ca_bundle: reader.file("login.ca_file"),
            // While the API is slow, requests that do not need it must still be served.
            most_waiting: (requests_in_flight / 4).max(1),
        },
    }
}

/// Reads the project's id, which published keys need: it becomes part of the path of a request for them.
fn project_id(reader: &mut Reader, is_published: bool) -> Option<String> {
    let id: Option<String> = reader.get(PROJECT_ID);
    let is_plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match &id {
        Some(id) if is_uuid(id) => {}
        Some(id) if is_published && !is_plain(id) => {
            reader.reject(PROJECT_ID, "is not a UUID; copy the login project's id");
        }
        Some(_) => {
            reader
                .warn(PROJECT_ID, "is not a UUID in lower case, as the ids of login projects are; is it copied whole?");
        }
        None if reader.has(PROJECT_ID) => {}
        None if is_published => {
            reader.reject(PROJECT_ID, "is needed to fetch the keys of RS256; it is the login project's UUID");
        }
        None => {
            let what = "tokens of any login project with the same secret are accepted; set the login project's id";
            reader.warn(PROJECT_ID, what);
        }
    }
    id
}

fn caching(reader: &mut Reader) -> KeyCaching {
    let [max_age, max_stale, cooldown] =
        ["login.keys_max_age", "login.keys_max_stale", "login.keys_cooldown"].map(|key| reader.time(key));
    if max_stale < max_age && max_stale > Duration::ZERO {
        let what = "is less than login.keys_max_age, so keys would expire before they are fetched again; raise it, or \
                    lower that";
        reader.reject("login.keys_max_stale", what);
    }
    KeyCaching { max_age, max_stale, cooldown }
}

/// 32 hexadecimal digits in lower case, in groups of 8, 4, 4, 4 and 12 (RFC 9562 §4).
fn is_uuid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || is_digit(byte))
}
