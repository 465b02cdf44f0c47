//! Settings of the support desk's APIs: `[conversations]` and `[chat_api]`.

use crate::http_client::ca_bundle;

use super::origin::{is_label, is_safe_to_call};
use super::problem::Problem;
use super::reader::{FILE_KEY, Reader};
use super::secret::{Secret, TOKEN, Weakness};

/// `[conversations]`: the app of Zendesk Messaging, in the Sunshine Conversations API.
#[derive(Debug)]
pub struct Conversations {
    /// The API.
    pub endpoint: Endpoint,
    pub(crate) app_id: String,
    pub(crate) key_id: String,
    pub(crate) key_secret: Secret,
    /// The brand whose users are meant, where users are separated by brand.
    pub(crate) brand_id: Option<String>,
    pub(crate) warnings: Vec<Problem>,
}

/// `[chat_api]`: the account of Zendesk Chat, in the Chat API.
#[derive(Debug)]
pub struct ChatApi {
    /// The API.
    pub endpoint: Endpoint,
    /// An OAuth access token with the scope `read`.
    pub(crate) token: Secret,
    pub(crate) warnings: Vec<Problem>,
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

/// Reads `[conversations]`.
pub(super) fn conversations(reader: &mut Reader) -> Conversations {
    let keys = ["conversations.base_url", "conversations.subdomain", "conversations.ca_file"];
    Conversations {
        endpoint: endpoint(reader, keys, "/sc"),
        app_id: id(reader, "conversations.app_id"),
        key_id: id(reader, "conversations.key_id"),
        key_secret: api_key(reader, ["conversations.key_secret", "conversations.key_secret_file"]),
        brand_id: reader.get("conversations.brand_id"),
        warnings: warnings(reader, "conversations."),
    }
}

/// Reads `[chat_api]`.
pub(super) fn chat_api(reader: &mut Reader) -> ChatApi {
    let keys = ["chat_api.base_url", "chat_api.subdomain", "chat_api.ca_file"];
    ChatApi {
        endpoint: endpoint(reader, keys, "/api/v2/chat"),
        token: api_key(reader, ["chat_api.token", "chat_api.token_file"]),
        warnings: warnings(reader, "chat_api."),
    }
}

/// Checks what has been read, and returns the warnings of one section and of the settings file.
fn warnings(reader: &mut Reader, section: &str) -> Vec<Problem> {
    reader.refuse_shown_secrets();
    reader.warn_of_open_files();
    let is_own = |warning: &&Problem| warning.key.starts_with(section) || warning.key == FILE_KEY;
    reader.warnings.iter().filter(is_own).cloned().collect()
}

/// Reads where an API is; `path` is its path on a host of Zendesk.
fn endpoint(reader: &mut Reader, [url_key, subdomain_key, ca_key]: [&'static str; 3], path: &str) -> Endpoint {
    let base_url: Option<String> = reader.get(url_key);
    let subdomain: Option<String> = reader.get(subdomain_key);
    if !reader.has_both(url_key, subdomain_key) && !reader.has(url_key) && !reader.has(subdomain_key) {
        let what = format!("is needed: acme, if you sign in at https://acme.zendesk.com; or give {url_key}");
        reader.reject(subdomain_key, what);
    }
    let url = base_url.map(|url| with_path(&url, path));
    let url = url.or_else(|| Some(format!("https://{}.zendesk.com{path}", subdomain?)));
    let pem = reader.file(ca_key);
    if pem.is_some() && ca_bundle(pem.as_deref()).is_err() {
        reader.reject(ca_key, "is not a certificate in PEM; give those of the certificate authorities");
    }
    Endpoint { url: url.unwrap_or_default(), ca_bundle: pem }
}

/// A host alone gets the path that is known for it.
fn with_path(base_url: &str, zendesk_path: &str) -> String {
    let base_url = base_url.strip_suffix('/').unwrap_or(base_url);
    let (host, path) = split_path(base_url);
    let legacy = LEGACY.into_iter().find(|(legacy, _)| *legacy == host).map(|(_, path)| path);
    let known = legacy.or_else(|| host.ends_with(".zendesk.com").then_some(zendesk_path));
    format!("{host}{}", known.filter(|_| path.is_empty()).unwrap_or(path))
}

fn split_path(url: &str) -> (&str, &str) {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or(0, |(_, path)| path.len() + 1);
    url.split_at_checked(url.len() - path).unwrap_or((url, ""))
}

/// Whether a text is the base URL of an API: scheme, host, port and path.
pub(super) fn is_base_url(text: &str) -> bool {
    let (host, path) = split_path(text.strip_suffix('/').unwrap_or(text));
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~' | b'.');
    is_safe_to_call(host) && !path.contains("//") && !path.contains("/.") && path.bytes().all(is_right)
}

/// One label of a domain name.
pub(super) fn is_subdomain(text: &str) -> bool {
    is_label(text.as_bytes(), |_| false)
}

fn id(reader: &mut Reader, key: &str) -> String {
    if !reader.has(key) {
        reader.reject(key, "is needed; Admin Center > Apps and integrations > Conversations API shows it with the key");
    }
    reader.value(key)
}

/// Reads a key that the API itself gave out; only errors of copying are looked for.
fn api_key(reader: &mut Reader, keys: [&'static str; 2]) -> Secret {
    let secret = reader.required_secret(keys, "", "");
    let Some(key) = reader.read_from(keys) else { return secret };
    // An access token may be a JWT.
    let is_wrong = |weakness: &Weakness| !weakness.may_be_allowed && weakness.text != TOKEN;
    if let Some(weakness) = secret.weakness().filter(is_wrong) {
        reader.reject(key, weakness.text);
    } else if secret.has_wrapping() || !secret.bytes().iter().all(u8::is_ascii_graphic) {
        reader.reject(key, "has white space, quotes or characters that no key has; copy it again");
    }
    secret
}
