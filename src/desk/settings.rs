//! Settings of the support desk: `[conversations]` and `[chat_api]`.

use std::path::Path;

use crate::config::reader::{FILE_KEY, Reader};
use crate::config::secret::{Secret, TOKEN, Weakness};
use crate::config::{ConfigError, Problem, Variables, load_section};

/// `[conversations]`: the app of Zendesk Messaging, in the Sunshine Conversations API.
#[derive(Debug)]
pub struct Conversations {
    /// The API.
    pub endpoint: Endpoint,
    pub(crate) app_id: String,
    pub(super) key_id: String,
    pub(super) key_secret: Secret,
    /// The brand whose users are meant, where users are separated by brand.
    pub(super) brand_id: Option<String>,
    pub(crate) warnings: Vec<Problem>,
}

/// `[chat_api]`: the account of Zendesk Chat, in the Chat API.
#[derive(Debug)]
pub struct ChatApi {
    /// The API.
    pub endpoint: Endpoint,
    /// An OAuth access token with the scope `read`.
    pub(super) token: Secret,
    pub(crate) warnings: Vec<Problem>,
}

/// Which settings are there.
pub(crate) struct Sections {
    pub(crate) conversations: bool,
    pub(crate) chat_api: bool,
    /// Any of the service.
    pub(crate) service: bool,
    /// What is not a setting or not UTF-8. A wrong `PORT`, which sets `listen`, may be meant for another program.
    pub(crate) unknown: Vec<Problem>,
}

/// Where an API is, and how its certificate is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port, and the path before the API's own; no slash at the end.
    pub url: String,
    /// In PEM, instead of the public authorities.
    pub ca_bundle: Option<Vec<u8>>,
}

/// Hosts of the APIs outside of zendesk.com, and their paths.
const LEGACY: [(&str, &str); 3] =
    [("https://api.smooch.io", ""), ("https://api.eu-1.smooch.io", ""), ("https://www.zopim.com", "/api/v2")];

impl Sections {
    /// Looks which sections are set; their values are not checked.
    pub(crate) fn of(merged: Reader) -> Result<Self, ConfigError> {
        let is_desk = |key: &str| key.starts_with("conversations.") || key.starts_with("chat_api.");
        let sections = |reader: &mut Reader| Self {
            conversations: reader.has_any(|key| key.starts_with("conversations.")),
            chat_api: reader.has_any(|key| key.starts_with("chat_api.")),
            service: reader.has_any(|key| !is_desk(key)),
            unknown: reader.problems().iter().filter(|problem| problem.key != "listen").cloned().collect(),
        };
        merged.load(sections, |_| false)
    }
}

impl Conversations {
    /// Loads `[conversations]` alone.
    ///
    /// # Errors
    /// What is wrong with that section or the settings file.
    pub fn load(file: Option<&Path>, environment: &Variables) -> Result<Self, ConfigError> {
        Self::of(Reader::merge(file, environment))
    }

    /// The same, of settings that are merged already.
    pub(crate) fn of(merged: Reader) -> Result<Self, ConfigError> {
        load_section(merged, "conversations.", |reader| Self {
            endpoint: endpoint(reader, "conversations", "/sc"),
            app_id: id(reader, "conversations.app_id"),
            key_id: id(reader, "conversations.key_id"),
            key_secret: api_key(reader, "conversations.key_secret"),
            brand_id: reader.get("conversations.brand_id"),
            warnings: warnings(reader, "conversations."),
        })
    }
}

impl ChatApi {
    /// Loads `[chat_api]` alone.
    ///
    /// # Errors
    /// What is wrong with that section or the settings file.
    pub fn load(file: Option<&Path>, environment: &Variables) -> Result<Self, ConfigError> {
        Self::of(Reader::merge(file, environment))
    }

    /// The same, of settings that are merged already.
    pub(crate) fn of(merged: Reader) -> Result<Self, ConfigError> {
        load_section(merged, "chat_api.", |reader| Self {
            endpoint: endpoint(reader, "chat_api", "/api/v2/chat"),
            token: api_key(reader, "chat_api.token"),
            warnings: warnings(reader, "chat_api."),
        })
    }
}

/// Reads where an API is; `path` is its path on a host of Zendesk.
fn endpoint(reader: &mut Reader, section: &str, path: &str) -> Endpoint {
    let [url_key, subdomain_key, ca_key] = ["base_url", "subdomain", "ca_file"].map(|name| format!("{section}.{name}"));
    let base_url: Option<String> = reader.get(&url_key);
    let subdomain: Option<String> = reader.get(&subdomain_key);
    if !reader.has_both(&url_key, &subdomain_key) && !reader.has(&url_key) && !reader.has(&subdomain_key) {
        let what = format!("is needed: acme, if you sign in at https://acme.zendesk.com; or give {url_key}");
        reader.reject(&subdomain_key, what);
    }
    let url = base_url.map(|url| with_path(&url, path));
    let url = url.or_else(|| Some(format!("https://{}.zendesk.com{path}", subdomain?)));
    Endpoint { url: url.unwrap_or_default(), ca_bundle: reader.ca_bundle(&ca_key) }
}

/// Adds the path that is known for a host to a base URL without one.
fn with_path(base_url: &str, zendesk_path: &str) -> String {
    let base_url = base_url.strip_suffix('/').unwrap_or(base_url);
    let has_path = base_url.matches('/').count() > 2;
    let legacy = LEGACY.into_iter().find(|(host, _)| *host == base_url).map(|(_, path)| path);
    let path = legacy.or_else(|| (!has_path && base_url.ends_with(".zendesk.com")).then_some(zendesk_path));
    format!("{base_url}{}", path.unwrap_or_default())
}

fn id(reader: &mut Reader, key: &str) -> String {
    if !reader.has(key) {
        reader.reject(
            key,
            "is needed; Admin Center > Apps and integrations > APIs > Conversations API shows it with the key",
        );
    }
    reader.value(key)
}

/// Reads a key that the API itself gave out; only errors of copying are looked for.
fn api_key(reader: &mut Reader, key: &str) -> Secret {
    let secret = reader.required_secret(key, "");
    // `key`, or that of the file.
    let Some((key, _)) = reader.secrets.last().cloned() else { return secret };
    // An access token may be a JWT.
    let is_wrong = |weakness: &&Weakness| !weakness.may_be_allowed && weakness.text != TOKEN;
    if let Some(weakness) = secret.weakness().filter(is_wrong) {
        reader.reject(&key, weakness.text);
    } else if secret.is_odd() || !secret.bytes().iter().all(u8::is_ascii_graphic) {
        reader.reject(&key, "has white space, quotes or characters that no key has; copy it again");
    }
    secret
}

/// Checks what has been read, and returns the warnings of one section and of the settings file.
fn warnings(reader: &mut Reader, section: &str) -> Vec<Problem> {
    reader.refuse_shown_secrets();
    reader.warn_of_open_files();
    let is_own = |warning: &&Problem| warning.key.starts_with(section) || warning.key == FILE_KEY;
    reader.warnings.iter().filter(is_own).cloned().collect()
}
