//! The entries of `cors.origins`: exact origins of pages and apps, and wildcards for one label.

use std::net::IpAddr;

use addr::dns::Name;
use url::{Host, Url};

/// One entry of `cors.origins`, as written: an origin as browsers send it (RFC 6454 §6.2), or `https://*.example.com`
/// for all hosts one label below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(String);

/// Most bytes of a scheme. Those of apps have 24 at most; the access log shows them.
const MAX_SCHEME: usize = 40;

impl OriginPattern {
    /// Parses one entry.
    ///
    /// # Errors
    /// Says why browsers never send such an origin, or why it must not be allowed, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(domain) = text.strip_prefix("https://*.") {
            let url = parse_exact(&format!("https://{domain}"))?;
            if !url.domain().is_some_and(|domain| domain.contains('.') && !is_public_suffix(domain)) {
                return Err(
                    "is a wildcard over a top-level domain or public suffix, where anyone can get a host; name \
                            the shop's own domain, as in https://*.example.com, or list each origin",
                );
            }
        } else {
            parse_exact(text)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether an `Origin` header with these bytes is allowed, compared byte for byte.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        let Some((scheme, domain)) = self.0.split_once('*') else { return origin == self.0.as_bytes() };
        let label = origin.strip_prefix(scheme.as_bytes()).and_then(|rest| rest.strip_suffix(domain.as_bytes()));
        label.is_some_and(|label| is_label(label, |byte| byte == b'_'))
    }

    /// Whether this is one origin and not a wildcard.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether tokens would cross a network unencrypted: plain HTTP to another machine.
    #[must_use]
    pub fn is_unencrypted(&self) -> bool {
        let url = Url::parse(&self.0).ok().filter(|url| url.scheme() == "http");
        let Some(host) = url.as_ref().and_then(Url::host_str) else { return false };
        let is_local_address = host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        !is_local_address && host != "localhost" && !host.ends_with(".localhost")
    }
}

/// Whether secrets of ours may be sent to this origin: over https, or over http on loopback.
#[must_use]
pub fn is_safe_to_call(origin: &str) -> bool {
    let is_web = origin.starts_with("https://") || origin.starts_with("http://");
    let is_safe = |pattern: OriginPattern| pattern.is_exact() && !pattern.is_unencrypted();
    // Browsers resolve names below localhost themselves; we would ask a resolver, which may give any address.
    is_web && OriginPattern::parse(origin).is_ok_and(is_safe) && !origin.contains(".localhost")
}

/// What the access log may show of an origin: nothing, unless it is written as browsers write one. Of some only the
/// scheme: the rest is a path, or identifies one browser.
pub(crate) fn shown(origin: &str) -> Option<&str> {
    if origin == "null" || OriginPattern::parse(origin).is_ok_and(|pattern| pattern.is_exact()) {
        return Some(origin);
    }
    let personal = ["file://", "content://", "moz-extension://", "safari-web-extension://"];
    personal.into_iter().find(|scheme| origin.starts_with(scheme))
}

/// One label of a domain name (RFC 1035 §2.3.4): 1 to 63 letters in lower case, digits, hyphens and other bytes that
/// `is_allowed`, without a hyphen at either end.
pub(super) fn is_label(label: &[u8], is_allowed: impl Fn(u8) -> bool) -> bool {
    let is_right = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-' || is_allowed(*byte);
    (1..=63).contains(&label.len()) && label.iter().all(is_right) && !label.starts_with(b"-") && !label.ends_with(b"-")
}

/// Parses an origin without a wildcard. It must be written as browsers write it (WHATWG URL §3.5).
fn parse_exact(text: &str) -> Result<Url, &'static str> {
    refuse_mistakes(text)?;
    let not_as_sent = "is not written as browsers send it: a scheme, a host in a-z, 0-9, '-', '_' and '.' (other letters \
                       as xn--…) and a port only if it is not the default; in lower case, without user name and without \
                       a slash at the end: https://shop.example.com or capacitor://localhost";
    let url = Url::parse(text).map_err(|_| not_as_sent)?;
    let host = url.host_str().unwrap_or_default();
    let is_host = match (url.scheme(), url.host()) {
        // Names must also fit DNS.
        ("https" | "http", Some(Host::Domain(name))) => {
            name.split('.').all(|label| is_label(label.as_bytes(), |byte| byte == b'_'))
        }
        ("https" | "http", address) => address.is_some(),
        _ => host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte)),
    };
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let is_as_sent = text == format!("{}://{host}{port}", url.scheme()) && port != ":0";
    if !is_host || !is_as_sent || !(1..=253).contains(&host.len()) || url.scheme().len() > MAX_SCHEME {
        return Err(not_as_sent);
    }
    let is_id = host.len() == 32 && host.bytes().all(|byte| matches!(byte, b'a'..=b'p'));
    if url.scheme() == "chrome-extension" && !is_id {
        return Err("has an extension id that is not 32 letters from a to p; chrome://extensions shows the right one");
    }
    Ok(url)
}

/// Refuses what must not be listed, and what is never an origin, each with the reason.
fn refuse_mistakes(text: &str) -> Result<(), &'static str> {
    Err(match text.split_once(':').map_or(text, |(scheme, _)| scheme) {
        "file" | "content" => {
            "is the origin of every local file, also of downloaded ones; load the app's pages from https:// or from a \
             scheme of its own, as capacitor://localhost"
        }
        "moz-extension" | "safari-web-extension" => {
            "is different on every machine, since the browser invents the host when the extension is installed; have a \
             page of the shop fetch the token"
        }
        "about" | "data" | "javascript" | "blob" | "filesystem" | "ftp" | "ws" | "wss" => {
            "is never the origin of a page: browsers send that of the page that made it, or 'null'; list the origins \
             of the shop's pages"
        }
        "null" => "is 'null', which every sandboxed page and local file sends; list a real origin",
        _ if text == "*" => "is '*', which would give tokens to every site; list the shop's origins",
        _ if text.contains('*') => {
            "has '*', which is safe only as the whole first label after https://, as in https://*.example.com; list \
             each origin"
        }
        _ => return Ok(()),
    })
}

/// Whether anyone can register a name below a domain, or below each of its labels, by the public suffix list.
fn is_public_suffix(domain: &str) -> bool {
    let is_suffix = |domain: &str| {
        // A name that is too long for DNS is an error; no suffix is that long.
        let name = addr::parse_dns_name(domain).ok().filter(Name::has_known_suffix);
        name.is_some_and(|name| name.suffix() == Some(domain))
    };
    // A rule like *.ck makes every label below a domain a suffix, but not the domain itself.
    is_suffix(domain) || is_suffix(&format!("any-name.{domain}"))
}
