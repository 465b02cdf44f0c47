//! Settings of the support desk's APIs: `[conversations]` and `[chat_api]`.

use crate::http_client::ca_bundle;

use super::origin::may_be_called;
use super::problem::Problem;
use super::reader::{PROBLEM_KEY, Reader};
use super::secret::{Secret, Weakness};

/// `[conversations]`: the app of Zendesk Messaging, in the Sunshine Conversations API.
#[derive(Debug)]
pub struct Conversations {
    /// The API.
    pub place: Place,
    /// The app whose users they are.
    pub app_id: String,
    /// Id of the API key.
    pub key_id: String,
    /// The API key's secret.
    pub key_secret: Secret,
    /// The brand whose users they are, where users are separated by brand.
    pub brand_id: Option<String>,
    /// What a person should know and may leave as it is.
    pub warnings: Vec<Problem>,
}

/// `[chat_api]`: the account of Zendesk Chat, in the Chat API.
#[derive(Debug)]
pub struct ChatApi {
    /// The API.
    pub place: Place,
    /// An OAuth access token with the scope `read`.
    pub token: Secret,
    /// What a person should know and may leave as it is.
    pub warnings: Vec<Problem>,
}

/// Where an API is, and which certificate authorities it is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Scheme, host and port, and the path before the API's own; no slash at the end.
    pub url: String,
    /// The certificate authorities to believe, in PEM, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
}

/// Hosts from before the APIs were at Zendesk's own, and their path.
const LEGACY: [(&str, &str); 3] =
    [("https://api.smooch.io", ""), ("https://api.eu-1.smooch.io", ""), ("https://www.zopim.com", "/api/v2")];

/// Reads `[conversations]`.
pub(super) fn conversations(reader: &mut Reader) -> Conversations {
    let place_keys = ["conversations.base_url", "conversations.subdomain", "conversations.ca_file"];
    let mut conversations = Conversations {
        place: place(reader, place_keys, "/sc"),
        app_id: id(reader, "conversations.app_id", |byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        // The user name of HTTP's Basic scheme ends at a colon (RFC 7617 §2).
        key_id: id(reader, "conversations.key_id", |byte| byte.is_ascii_graphic() && byte != b':'),
        key_secret: api_key(reader, ["conversations.key_secret", "conversations.key_secret_file"]),
        brand_id: reader.text("conversations.brand_id"),
        warnings: Vec::new(),
    };
    reader.refuse_shown_secrets();
    conversations.warnings = warnings(reader, "conversations.");
    conversations
}

/// Reads `[chat_api]`.
pub(super) fn chat_api(reader: &mut Reader) -> ChatApi {
    let place_keys = ["chat_api.base_url", "chat_api.subdomain", "chat_api.ca_file"];
    let mut chat_api = ChatApi {
        place: place(reader, place_keys, "/api/v2/chat"),
        token: api_key(reader, ["chat_api.token", "chat_api.token_file"]),
        warnings: Vec::new(),
    };
    reader.refuse_shown_secrets();
    chat_api.warnings = warnings(reader, "chat_api.");
    chat_api
}

/// The warnings of one section, and of the settings file.
fn warnings(reader: &mut Reader, section: &str) -> Vec<Problem> {
    reader.warn_of_open_files();
    let is_own = |warning: &&Problem| warning.key.starts_with(section) || warning.key == PROBLEM_KEY;
    reader.warnings.iter().filter(is_own).cloned().collect()
}

/// Reads where an API is; `path` is its own on a host of Zendesk's.
fn place(reader: &mut Reader, [url_key, subdomain_key, ca_key]: [&'static str; 3], path: &str) -> Place {
    let base_url = reader.parsed(url_key, |text| base_url(text, path));
    let needs = "is no subdomain; give only acme, in lower case, if you sign in at https://acme.zendesk.com";
    let subdomain = reader.checked(subdomain_key, needs, is_subdomain);
    if !reader.is_set_twice(url_key, subdomain_key) && !reader.has(url_key) && !reader.has(subdomain_key) {
        let what = format!("is needed: acme, if you sign in at https://acme.zendesk.com; or give {url_key}");
        reader.reject(subdomain_key, what);
    }
    let url = base_url.or_else(|| Some(format!("https://{}.zendesk.com{path}", subdomain?)));
    let pem = reader.file(ca_key);
    if pem.is_some() && ca_bundle(pem.as_deref()).is_err() {
        reader.reject(ca_key, "is no certificate, or one that can't be read; give the authority's in PEM");
    }
    Place { url: url.unwrap_or_default(), authorities: pem }
}

/// One label of a domain name (RFC 1123 §2.1).
fn is_subdomain(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 63 && text.bytes().all(is_letter) && !text.starts_with('-') && !text.ends_with('-')
}

/// A base URL with its path; a host alone gets the path that it is known for.
fn base_url(text: &str, zendesk_path: &str) -> Result<String, String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let authority = text.find("://").map_or(0, |at| at + "://".len());
    let end = text.get(authority..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| authority + at);
    let (host, path) = text.split_at_checked(end).unwrap_or((text, ""));
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~' | b'.');
    if !may_be_called(host) || path.contains("//") || path.contains("/.") || !path.bytes().all(is_letter) {
        let needs = "needs https, host and path and no more: https://acme.zendesk.com/sc (http only on loopback)";
        return Err(needs.to_owned());
    }
    if !path.is_empty() {
        return Ok(text.to_owned());
    }
    let legacy = LEGACY.into_iter().find(|(legacy, _)| *legacy == host).map(|(_, path)| path);
    let known = legacy.or_else(|| host.ends_with(".zendesk.com").then_some(zendesk_path));
    Ok(format!("{host}{}", known.unwrap_or_default()))
}

/// An id that has to be there, of letters that it may have.
fn id(reader: &mut Reader, key: &'static str, is_letter: fn(u8) -> bool) -> String {
    if !reader.has(key) {
        reader.reject(key, "is needed; Admin Center > Apps and integrations > Conversations API shows it with the key");
    }
    let id = reader.checked(key, "is no id; copy it again, alone", |text| text.bytes().all(is_letter));
    id.unwrap_or_default()
}

/// A key that the API itself gave out: only checked for slips in copying.
fn api_key(reader: &mut Reader, keys: [&'static str; 2]) -> Secret {
    let secret = reader.required_secret(keys, "", "");
    if let Some(key) = reader.read_from(keys) {
        // An access token may well be a JWT.
        let is_no_key = |weakness: &Weakness| !weakness.may_be_allowed() && *weakness != Weakness::Token;
        match secret.weakness().filter(is_no_key) {
            Some(weakness) => reader.reject(key, weakness.to_string()),
            None if secret.has_wrapping() || !secret.bytes().iter().all(u8::is_ascii_graphic) => {
                reader.reject(
                    key,
                    "has white space or letters that no key has, or quotes around it; copy it again, alone",
                );
            }
            None => {}
        }
    }
    secret
}
