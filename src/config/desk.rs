//! Where are the APIs of the support desk, and what opens them?

use crate::http_client::authorities;

use super::load::Reader;
use super::origin::may_be_called;
use super::secret::Secret;

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
}

/// `[chat_api]`: the account of Zendesk Chat, in the Chat API.
#[derive(Debug)]
pub struct ChatApi {
    /// The API.
    pub place: Place,
    /// An OAuth access token with the scope `read`.
    pub token: Secret,
}

/// Where an API is, and whom to believe that it is the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Scheme, host and port, and the path before the API's own; no slash at the end.
    pub url: String,
    /// The certificate authorities to believe, in PEM, instead of the public ones.
    pub authorities: Option<Vec<u8>>,
}

/// The settings that say where an API is.
struct PlaceKeys {
    base_url: &'static str,
    subdomain: &'static str,
    ca_file: &'static str,
    /// The API's path on a host of Zendesk's.
    path: &'static str,
}

const CONVERSATIONS: PlaceKeys = PlaceKeys {
    base_url: "conversations.base_url",
    subdomain: "conversations.subdomain",
    ca_file: "conversations.ca_file",
    path: "/sc",
};

const CHAT_API: PlaceKeys = PlaceKeys {
    base_url: "chat_api.base_url",
    subdomain: "chat_api.subdomain",
    ca_file: "chat_api.ca_file",
    path: "/api/v2/chat",
};

/// Hosts from before the APIs were at Zendesk's own, and their path.
const LEGACY: [(&str, &str); 3] =
    [("https://api.smooch.io", ""), ("https://api.eu-1.smooch.io", ""), ("https://www.zopim.com", "/api/v2")];

/// Reads `[conversations]`.
pub fn conversations(reader: &mut Reader) -> Conversations {
    Conversations {
        place: place(reader, &CONVERSATIONS),
        app_id: id(reader, "conversations.app_id", |byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        // The user name of HTTP's Basic scheme ends at a colon (RFC 7617 §2).
        key_id: id(reader, "conversations.key_id", |byte| byte.is_ascii_graphic() && byte != b':'),
        key_secret: api_key(reader, ["conversations.key_secret", "conversations.key_secret_file"]),
        brand_id: reader.parsed("conversations.brand_id", |text| Ok(text.to_owned())),
    }
}

/// Reads `[chat_api]`.
pub fn chat_api(reader: &mut Reader) -> ChatApi {
    ChatApi { place: place(reader, &CHAT_API), token: api_key(reader, ["chat_api.token", "chat_api.token_file"]) }
}

fn place(reader: &mut Reader, keys: &PlaceKeys) -> Place {
    let base_url = reader.parsed(keys.base_url, |text| base_url(text, keys));
    let subdomain = reader.parsed(keys.subdomain, subdomain);
    if reader.has(keys.base_url) && reader.has(keys.subdomain) {
        let other = reader.source(keys.subdomain);
        reader.reject(keys.base_url, format!("is set and so is {} ({other}); keep one of the two", keys.subdomain));
    } else if !reader.has(keys.base_url) && !reader.has(keys.subdomain) {
        let what = format!("is needed: acme, if you sign in at https://acme.zendesk.com; or give {}", keys.base_url);
        reader.reject(keys.subdomain, what);
    }
    let url = base_url.or_else(|| Some(format!("https://{}.zendesk.com{}", subdomain?, keys.path)));
    let pem = reader.file(keys.ca_file);
    if pem.is_some() && authorities(pem.as_deref()).is_err() {
        reader.reject(keys.ca_file, "is no certificate, or one that can't be read; give the authority's in PEM");
    }
    Place { url: url.unwrap_or_default(), authorities: pem }
}

/// One label of a domain name (RFC 1123 §2.1).
fn subdomain(text: &str) -> Result<String, String> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = text.len() <= 63 && text.bytes().all(is_letter) && !text.starts_with('-') && !text.ends_with('-');
    let mend = "is no subdomain; give only acme, in lower case, if you sign in at https://acme.zendesk.com";
    if is_label { Ok(text.to_owned()) } else { Err(mend.to_owned()) }
}

/// A base URL with its path; a host alone gets the path that it is known for.
fn base_url(text: &str, keys: &PlaceKeys) -> Result<String, String> {
    let needs = "needs https, host and path and no more: https://acme.zendesk.com/sc (http only on loopback)";
    let text = text.strip_suffix('/').unwrap_or(text);
    let authority = text.find("://").map_or(0, |at| at + "://".len());
    let end = text.get(authority..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| authority + at);
    let (host, path) = text.split_at_checked(end).unwrap_or((text, ""));
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~' | b'.');
    if !may_be_called(host) || path.contains("//") || path.contains("/.") || !path.bytes().all(is_letter) {
        return Err(needs.to_owned());
    }
    let known = LEGACY.into_iter().find(|(legacy, _)| *legacy == host).map(|(_, path)| path);
    let known = known.or_else(|| host.ends_with(".zendesk.com").then_some(keys.path));
    Ok(if path.is_empty() { format!("{host}{}", known.unwrap_or_default()) } else { text.to_owned() })
}

/// An id that has to be there, of letters that it may have.
fn id(reader: &mut Reader, key: &'static str, is_letter: fn(u8) -> bool) -> String {
    if !reader.has(key) {
        reader.reject(key, "is needed; Admin Center > Apps and integrations > Conversations API shows it with the key");
    }
    let plain = |text: &str| {
        let is_plain = text.bytes().all(is_letter);
        if is_plain { Ok(text.to_owned()) } else { Err("is no id; copy it again, alone".to_owned()) }
    };
    reader.parsed(key, plain).unwrap_or_default()
}

/// A key that the API itself gave out: it is only looked at for slips in copying.
fn api_key(reader: &mut Reader, keys: [&'static str; 2]) -> Secret {
    let secret = reader.required_secret(keys, "");
    if let Some(key) = reader.read_from(keys) {
        if secret.bytes().is_empty() {
            reader.reject(key, "is empty; give the key, or drop the setting");
        } else if !secret.bytes().iter().all(u8::is_ascii_graphic) {
            reader.reject(key, "has white space or letters that no key has; copy it again, alone");
        }
    }
    secret
}
