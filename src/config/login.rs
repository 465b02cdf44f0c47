//! Settings of the login side: `[login]` and `[logins.NAME]`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::reader::Reader;
use super::secret::Secret;
use super::settings::{DEFAULT_LOGIN, is_base_url, login_key, of_login};

/// The issuer of all login tokens of Xsolla.
pub(crate) const XSOLLA_ISSUER: &str = "https://login.xsolla.com";

/// The claim with the id of the login project, in login tokens of Xsolla.
pub(crate) const PROJECT_CLAIM: &str = "xsolla_login_project_id";

/// Claims that do not identify a player: only `iss` and `sub` together do (OpenID Connect Core 1.0 §5.7).
const CHANGING: [&str; 8] =
    ["email", "name", "nickname", "phone_number", "preferred_username", "unique_name", "upn", "username"];

/// One login: who signs players in, and how its login tokens are verified.
#[derive(Debug)]
#[expect(missing_docs, reason = "most fields are the settings of these names, which the table describes")]
pub struct Login {
    pub name: LoginName,
    pub signature: Signature,
    pub(crate) project_id: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    /// `None` for Xsolla, whose login tokens are of one type.
    pub(crate) token_type: Option<TokenType>,
    pub leeway: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    /// `None` if the Login API is not asked about revocation.
    pub(crate) revocation_cache: Option<Duration>,
    pub(crate) api: Api,
    pub(crate) player: Arc<PlayerClaims>,
}

/// A login's name in the settings: `default` for `[login]`, `eu` for `[logins.eu]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoginName(Cow<'static, str>);

/// What login tokens are signed with.
#[derive(Debug)]
#[expect(missing_docs, reason = "the variants say what their fields are")]
pub enum Signature {
    /// HS256: a secret that both sides know, and the one before a reset.
    Secret { current: Secret, previous: Option<Secret> },
    /// Keys that are published.
    Published { keys: KeyLocation, caching: KeyCaching },
}

/// Where the keys of a login are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyLocation {
    /// In the Login API, for the project with this id: RS256.
    Project(String),
    /// Where the provider's discovery document says.
    Discovery,
}

/// `token_type`: which tokens of an OpenID Connect provider are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    Id,
    Access,
    Any,
}

/// How long published keys are used: the settings `keys_` and these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of settings describes them")]
pub struct KeyCaching {
    pub max_age: Duration,
    pub max_stale: Duration,
    pub cooldown: Duration,
}

/// The Login API, or an OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    pub(crate) login: LoginName,
    /// Of the Login API: scheme, host and port. Of a provider: its issuer.
    pub(crate) url: String,
    /// The setting that holds the URL.
    pub(crate) url_key: String,
    /// In PEM, instead of the public authorities.
    pub(crate) ca_bundle: Option<Vec<u8>>,
    /// Most requests that wait for keys at once, and most that wait for an answer about revocation.
    pub(crate) most_waiting: usize,
}

/// `claims` and `external_id_prefix`: which claims say who the player is.
#[derive(Debug)]
pub(crate) struct PlayerClaims {
    pub(crate) external_id: Arc<str>,
    pub(crate) email: Arc<str>,
    /// `None` if each product's `name_from` is used.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) external_id_prefix: String,
}

impl PlayerClaims {
    /// Whether the email is that of the claim `email`: a provider's `email_verified` and Xsolla's type of login are about it.
    pub(crate) fn uses_email_claim(&self) -> bool {
        *self.email == *"email"
    }
}

impl LoginName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a label of metrics.
    pub(crate) fn label(&self) -> Cow<'static, str> {
        self.0.clone()
    }

    /// The key of one of its settings: `logins.eu.secret`.
    pub(crate) fn key(&self, own: &str) -> String {
        login_key(&self.0, own)
    }
}

impl Login {
    /// Whether the settings need the Login API or the provider.
    pub(crate) const fn asks_api(&self) -> bool {
        self.revocation_cache.is_some() || matches!(self.signature, Signature::Published { .. })
    }

    /// Whether Xsolla Login signs the players in.
    pub(crate) const fn is_xsolla(&self) -> bool {
        self.token_type.is_none()
    }

    /// The claims that select the login, each with its value if the settings have one.
    const fn selectors(&self) -> [(&'static str, Option<&String>); 3] {
        [("iss", self.issuer.as_ref()), (PROJECT_CLAIM, self.project_id.as_ref()), ("aud", self.audience.as_ref())]
    }

    /// The claims that select the login, for a person.
    pub(crate) fn selected_by(&self) -> String {
        let claims = self.selectors().into_iter().filter_map(|(claim, value)| Some(format!("{claim} {}", value?)));
        claims.collect::<Vec<_>>().join(", ")
    }

    /// Whether it has what selects it among other logins.
    const fn is_complete(&self) -> bool {
        self.is_xsolla() || self.issuer.is_some() && self.audience.is_some()
    }

    /// Whether one token could be for this login and for the other.
    fn overlaps(&self, other: &Self) -> bool {
        let mut pairs = self.selectors().into_iter().zip(other.selectors());
        pairs.all(|((_, own), (_, other))| own.is_none() || other.is_none() || own == other)
    }
}

/// Reads `[logins.NAME]`, and `[login]` if it has settings of a login or is the only one. `requests_in_flight` is the most
/// requests that are answered at once.
pub(super) fn read(reader: &mut Reader, requests_in_flight: usize) -> Vec<Login> {
    if !reader.has("login.max_lifetime") {
        let what = "login tokens of any lifetime are accepted; set the longest that the login project issues: 24h";
        reader.warn("login.max_lifetime", what);
    }
    let further = reader.logins();
    let mut names: Vec<LoginName> = Vec::new();
    if further.is_empty() || of_login(DEFAULT_LOGIN).any(|(key, _)| reader.is_set(&key)) {
        names.push(LoginName(DEFAULT_LOGIN.into()));
    }
    names.extend(further.into_iter().map(|name| LoginName(name.into())));
    // While an API is slow, requests that do not need it must still be served.
    let most_waiting = (requests_in_flight / 4 / names.len()).max(1);
    let logins: Vec<Login> = names.into_iter().map(|name| login(reader, name, most_waiting)).collect();
    for (index, login) in logins.iter().enumerate() {
        for other in logins.iter().take(index) {
            check_pair(reader, login, other);
        }
    }
    logins
}

/// Refuses two logins that one token could be for, and warns of two that may give two players the same id.
fn check_pair(reader: &mut Reader, login: &Login, other: &Login) {
    let other_name = other.name.as_str();
    if login.overlaps(other) && login.is_complete() && other.is_complete() {
        let fix = match [login, other].into_iter().find(|login| login.issuer.is_none()) {
            Some(xsolla) if login.is_xsolla() != other.is_xsolla() => {
                format!("set {} = \"{XSOLLA_ISSUER}\"", xsolla.name.key("issuer"))
            }
            _ => "set project_id, issuer or audience in both, to different values".to_owned(),
        };
        let what = format!("a token could be for this login and for {other_name}; {fix}");
        reader.reject(&login.name.key("issuer"), what);
    }
    // Xsolla's own ids are UUIDs.
    let has_own_ids = |login: &Login| !login.is_xsolla() || *login.player.external_id != *"sub";
    if !has_own_ids(login) || !has_own_ids(other) {
        return;
    }
    let what = match (login.player.external_id_prefix.as_str(), other.player.external_id_prefix.as_str()) {
        ("", "") => format!(
            "neither this login nor {other_name} has a prefix, so two players with the same id would be one in \
             Zendesk; give each login one, or both the same if they sign in the same players"
        ),
        ("", _) | (_, "") => return,
        (own, others) if own != others && is_prefix_of_other(own, others) => format!(
            "this prefix or that of {other_name} begins with the other, so two players may get the same id; change one"
        ),
        _ => return,
    };
    reader.warn(&login.name.key("external_id_prefix"), what);
}

/// Whether one of two texts begins with the other. Case does not count, as in Zendesk's external ids (developer.zendesk.com,
/// *Using external ID with profiles*).
fn is_prefix_of_other(own: &str, other: &str) -> bool {
    own.bytes().zip(other.bytes()).all(|(own, other)| own.eq_ignore_ascii_case(&other))
}

fn login(reader: &mut Reader, name: LoginName, most_waiting: usize) -> Login {
    let key = |own: &str| name.key(own);
    let provider: Option<String> = reader.get(&key("provider"));
    let issuer: Option<String> = reader.get(&key("issuer"));
    // A wrong provider does not say which settings are needed.
    if let Some(provider) = &provider {
        check_provider(reader, &name, provider, issuer.as_deref());
    }
    let is_xsolla = provider.as_deref() == Some("xsolla");
    let caching = caching(reader, &name);
    let (signature, project_id) = if is_xsolla {
        xsolla_signature(reader, &name, caching)
    } else {
        (Signature::Published { keys: KeyLocation::Discovery, caching }, None)
    };
    let checks_revocation = is_xsolla && reader.value(&key("check_revocation"));
    let url_key = key(if is_xsolla { "api_url" } else { "issuer" });
    let url = if is_xsolla { reader.value(&url_key) } else { issuer.clone().unwrap_or_default() };
    let text = |reader: &mut Reader, own| Arc::from(reader.value::<String>(&key(own)));
    let external_id: Arc<str> = text(reader, "claims.external_id");
    check_external_id(reader, &key("claims.external_id"), &external_id, is_xsolla);
    Login {
        signature,
        project_id,
        issuer,
        audience: reader.get(&key("audience")),
        token_type: (!is_xsolla).then(|| match reader.value::<String>(&key("token_type")).as_str() {
            "access_token" => TokenType::Access,
            "any" => TokenType::Any,
            _ => TokenType::Id,
        }),
        leeway: reader.time("login.leeway"),
        max_lifetime: reader.get_time("login.max_lifetime"),
        revocation_cache: reader.get_time(&key("revocation_cache")).filter(|_| checks_revocation),
        player: Arc::new(PlayerClaims {
            external_id,
            email: text(reader, "claims.email"),
            names: reader.has(&key("claims.name")).then(|| reader.list(&key("claims.name"))),
            external_id_prefix: reader.value(&key("external_id_prefix")),
        }),
        api: Api { login: name.clone(), url, url_key, ca_bundle: reader.ca_bundle(&key("ca_file")), most_waiting },
        name,
    }
}

/// Warns if the claim with the player's id is one that players choose or that changes, and refuses one that is not unique.
fn check_external_id(reader: &mut Reader, key: &str, claim: &str, is_xsolla: bool) {
    if is_xsolla && claim == "id" {
        let what = "is the player's id in a social network, and two networks can have the same; use sub";
        reader.reject(key, what);
    }
    let name = claim.rsplit('.').next().unwrap_or_default();
    if CHANGING.contains(&name) {
        let what = "is a claim that changes, or that players may choose: whoever gets the value of another player reads \
                    their conversations; use sub, or another claim with an id that is never given to anyone else";
        reader.warn(key, what);
    }
}

/// Refuses settings that only the other provider has, and checks those that `oidc` needs.
fn check_provider(reader: &mut Reader, name: &LoginName, provider: &str, issuer: Option<&str>) {
    for (key, setting) in of_login(name.as_str()) {
        if setting.provider.is_some_and(|own| own != provider) && reader.is_set(&key) {
            reader.reject(&key, format!("is not a setting of a login with provider {provider}; drop it"));
        }
    }
    if provider != "oidc" {
        return;
    }
    let (issuer_key, audience_key) = (name.key("issuer"), name.key("audience"));
    if issuer.is_some_and(|issuer| !is_base_url(issuer)) {
        let what = "is not an issuer of OpenID Connect: https, host and path, without query (http only on loopback)";
        reader.reject(&issuer_key, what);
    } else if !reader.has(&issuer_key) {
        reader.reject(&issuer_key, "is needed for oidc: the iss of its tokens, as https://shop.eu.auth0.com/");
    }
    if !reader.has(&audience_key) {
        reader.reject(&audience_key, "is needed for oidc: the aud of its tokens; in ID tokens that is the client id");
    }
}

/// Reads what a login of Xsolla signs with, and its project's id.
fn xsolla_signature(reader: &mut Reader, name: &LoginName, caching: KeyCaching) -> (Signature, Option<String>) {
    let [secret_key, previous_key] = ["secret", "previous_secret"].map(|own| name.key(own));
    let algorithm: Option<String> = reader.get(&name.key("algorithm"));
    let is_published = algorithm.as_deref() == Some("RS256");
    let project_id = project_id(reader, &name.key("project_id"), is_published);
    let signature = if is_published {
        for key in ["secret", "secret_file", "previous_secret", "previous_secret_file"].map(|own| name.key(own)) {
            if reader.has(&key) {
                reader.warn(&key, format!("is not used, since {} is RS256; drop it", name.key("algorithm")));
            }
        }
        Signature::Published { keys: KeyLocation::Project(project_id.clone().unwrap_or_default()), caching }
    } else {
        let current = match algorithm {
            Some(_) => reader.required_secret(&secret_key, &format!(", unless {} is RS256", name.key("algorithm"))),
            // A wrong algorithm does not say whether a secret is needed.
            None => reader.secret(&secret_key).unwrap_or_default(),
        };
        Signature::Secret { current, previous: reader.secret(&previous_key) }
    };
    (signature, project_id)
}

/// Reads the project's id, which published keys need: it becomes part of the path of a request for them.
fn project_id(reader: &mut Reader, key: &str, is_published: bool) -> Option<String> {
    let id: Option<String> = reader.get(key);
    let is_plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match &id {
        Some(id) if is_uuid(id) => {}
        Some(id) if is_published && !is_plain(id) => reader.reject(key, "is not a UUID; copy the login project's id"),
        Some(_) => {
            reader.warn(key, "is not a UUID in lower case, as the ids of login projects are; is it copied whole?");
        }
        None if reader.has(key) => {}
        None if is_published => {
            reader.reject(key, "is needed to fetch the keys of RS256; it is the login project's UUID");
        }
        None => {
            let what = "tokens of any login project with the same secret are accepted; set the login project's id";
            reader.warn(key, what);
        }
    }
    id
}

fn caching(reader: &mut Reader, name: &LoginName) -> KeyCaching {
    let [age_key, stale_key, cooldown_key] =
        ["keys_max_age", "keys_max_stale", "keys_cooldown"].map(|own| name.key(own));
    let [max_age, max_stale, cooldown] = [&age_key, &stale_key, &cooldown_key].map(|key| reader.time(key));
    if max_stale < max_age && max_stale > Duration::ZERO {
        let what = format!(
            "is less than {age_key}, so keys would expire before they are fetched again; raise it, or lower that"
        );
        reader.reject(&stale_key, what);
    }
    KeyCaching { max_age, max_stale, cooldown }
}

/// 32 hexadecimal digits in lower case, in groups of 8, 4, 4, 4 and 12 (RFC 9562 §4).
fn is_uuid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || is_digit(byte))
}
