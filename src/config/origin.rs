//! The entries of `cors.origins`: exact origins of pages and apps, and wildcards for one label.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use url::Host;

/// One entry of `cors.origins`: an origin as browsers write it (RFC 6454 §6.2), or all hosts one label below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// `https://shop.example.com` or `capacitor://localhost`, or `https://` before the label of a wildcard.
    head: String,
    /// `.example.com` with the port if any: what must follow the one label of a wildcard.
    tail: Option<String>,
}

const HOST: &str = "has a host that is neither a domain name (non-ASCII ones as xn--…) nor an address";

const NO_SCHEME: &str = "does not start with https://, http:// or an app's scheme; write it as \
                         https://shop.example.com or capacitor://localhost";

const APP_WILDCARD: &str = "has '*' in an app's origin, where anyone can use any host; list each origin";

/// Most bytes of a scheme. Those of apps have 24 at most; the access log shows them.
const MAX_SCHEME: usize = 40;

/// Schemes with origins of which the access log shows the scheme alone: the rest is a path, or identifies one browser.
const PERSONAL_SCHEMES: [&str; 4] = ["file", "content", "moz-extension", "safari-web-extension"];

impl OriginPattern {
    /// Parses one entry.
    ///
    /// # Errors
    /// Says why browsers never send such an origin, or why it must not be allowed, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        refuse(text, scheme)?;
        let authority = rest.strip_prefix("//").filter(|_| is_scheme(scheme)).ok_or(NO_SCHEME)?;
        if authority.contains('@') {
            return Err("has a user name or password; write scheme, host and port only");
        }
        if authority.contains(['/', '?', '#', '\\']) {
            return Err("has more than host and port; drop everything from the slash on");
        }
        let (host, port) = split_port(authority)?;
        if matches!((scheme, port), ("https", Some(443)) | ("http", Some(80))) {
            return Err("has the scheme's default port, which browsers leave out; drop it");
        }
        if let Some(domain) = host.strip_prefix("*.") {
            check_wildcard(scheme, domain)?;
            let tail = authority.strip_prefix('*').map(str::to_owned);
            return Ok(Self { head: format!("{scheme}://"), tail });
        }
        if is_web(scheme) {
            check_host(host)?;
        } else {
            check_app_host(scheme, host)?;
        }
        Ok(Self { head: text.to_owned(), tail: None })
    }

    /// Whether an `Origin` header with these bytes is allowed, compared byte for byte.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        let Some(tail) = &self.tail else { return origin == self.head.as_bytes() };
        origin
            .strip_prefix(self.head.as_bytes())
            .and_then(|rest| rest.strip_suffix(tail.as_bytes()))
            .is_some_and(|label| is_label(label, |byte| byte == b'_'))
    }

    /// Whether this is one origin and not a wildcard.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.tail.is_none()
    }

    /// Whether tokens would cross a network unencrypted: plain HTTP to another machine.
    #[must_use]
    pub fn is_unencrypted(&self) -> bool {
        let Some(authority) = self.head.strip_prefix("http://") else { return false };
        let host = split_port(authority).map_or(authority, |(host, _)| host);
        let is_local_address = host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        !is_local_address && host != "localhost" && !host.ends_with(".localhost")
    }
}

/// Whether secrets of ours may be sent to this origin: over https, or over http on loopback.
#[must_use]
pub fn is_safe_to_call(origin: &str) -> bool {
    let is_web = origin.split_once(':').is_some_and(|(scheme, _)| is_web(scheme));
    let pattern = OriginPattern::parse(origin).ok().filter(|pattern| is_web && pattern.is_exact());
    // Browsers resolve names below localhost themselves; we would ask a resolver, which may give any address.
    pattern.is_some_and(|pattern| !pattern.is_unencrypted()) && !origin.contains(".localhost")
}

/// What the access log may show of an origin: nothing, unless it is written as browsers write one.
pub(crate) fn shown(origin: &str) -> Option<&str> {
    if origin == "null" || OriginPattern::parse(origin).is_ok_and(|pattern| pattern.is_exact()) {
        return Some(origin);
    }
    let (scheme, _) = origin.split_once("://").filter(|(scheme, _)| PERSONAL_SCHEMES.contains(scheme))?;
    origin.get(..scheme.len() + "://".len())
}

/// One label of a domain name (RFC 1035 §2.3.4): 1 to 63 letters in lower case, digits, hyphens and other bytes that
/// `is_allowed`, without a hyphen at either end.
pub(super) fn is_label(label: &[u8], is_allowed: impl Fn(u8) -> bool) -> bool {
    let is_right = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-' || is_allowed(*byte);
    (1..=63).contains(&label.len()) && label.iter().all(is_right) && !label.starts_with(b"-") && !label.ends_with(b"-")
}

/// Refuses what is not an origin, or must not be listed.
fn refuse(text: &str, scheme: &str) -> Result<(), &'static str> {
    let why = match scheme {
        "file" | "content" => {
            "is the origin of every local file, also of downloaded ones; load the app's pages from https:// or from a \
             scheme of its own, as capacitor://localhost"
        }
        "moz-extension" | "safari-web-extension" => {
            "is different on every machine, since the browser invents the host when the extension is installed; have a \
             page of the shop fetch the token"
        }
        "about" | "data" | "javascript" => "has no origin: browsers send 'null'; list the origin of the shop's pages",
        "blob" | "filesystem" => "has the origin of the page that made it, which browsers send; list that one",
        "ftp" | "ws" | "wss" => "is never the origin of a page; list the page's own, as https://shop.example.com",
        "*" if text == "*" => "is '*', which would give tokens to every site; list the shop's origins",
        "null" if text == "null" => "is 'null', which every sandboxed page and local file sends; list a real origin",
        _ if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            "has upper case letters, which browsers never send; write it in lower case"
        }
        _ => return Ok(()),
    };
    Err(why)
}

/// Host and port; the host of an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let Some((host, digits)) = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) else {
        return Ok((authority, None));
    };
    let port = digits.parse().ok().filter(|port: &NonZeroU16| port.to_string() == digits);
    let port = port.ok_or("has a port that is not a number from 1 to 65535")?;
    Ok((host, Some(port.get())))
}

/// Whether pages of this scheme come from a server. Other schemes belong to apps.
fn is_web(scheme: &str) -> bool {
    matches!(scheme, "https" | "http")
}

/// A scheme in lower case (RFC 3986 §3.1).
fn is_scheme(scheme: &str) -> bool {
    let is_right = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    scheme.len() <= MAX_SCHEME
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(is_right)
}

fn check_wildcard(scheme: &str, domain: &str) -> Result<(), &'static str> {
    match scheme {
        "https" => check_host(domain)?,
        "http" => {
            return Err("is a wildcard over http, where anyone on the network can be any host; use https");
        }
        _ => return Err(APP_WILDCARD),
    }
    if domain.parse::<Ipv4Addr>().is_ok() || !domain.contains('.') || is_public_suffix(domain) {
        return Err(
            "is a wildcard over a top-level domain or public suffix, where anyone can get a host; name the shop's own \
             domain, as in https://*.example.com, or list each origin",
        );
    }
    Ok(())
}

/// Whether anyone can register a name below a domain, or below each of its labels, by the public suffix list.
fn is_public_suffix(domain: &str) -> bool {
    let is_suffix = |domain: &str| {
        let suffix = psl::suffix(domain.as_bytes()).filter(psl::Suffix::is_known);
        suffix.is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes())
    };
    // A rule like *.ck makes every label below a domain a suffix, but not the domain itself.
    is_suffix(domain) || is_suffix(&format!("any-name.{domain}"))
}

/// Checks the host of an app's origin: `localhost`, `-`, `.`, or the id of a Chromium extension.
fn check_app_host(scheme: &str, host: &str) -> Result<(), &'static str> {
    let is_right = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    if host.contains('*') {
        return Err(APP_WILDCARD);
    }
    if !(1..=253).contains(&host.len()) || !host.bytes().all(is_right) {
        return Err("has no host, or one with other characters than a-z, 0-9, '-', '.' and '_'; write it as \
             capacitor://localhost");
    }
    let is_id = host.len() == 32 && host.bytes().all(|byte| matches!(byte, b'a'..=b'p'));
    if scheme == "chrome-extension" && !is_id {
        return Err("has an extension id that is not 32 letters from a to p; chrome://extensions shows the right one");
    }
    Ok(())
}

/// Checks that a host is written as browsers write it (WHATWG URL §3.5). Names must also fit DNS (RFC 1035 §2.3.4).
fn check_host(host: &str) -> Result<(), &'static str> {
    if host.contains('*') {
        return Err("has '*' in a place other than the whole first label; write https://*.example.com");
    }
    let is_label = |label: &str| is_label(label.as_bytes(), |byte| byte == b'_');
    let is_right = match Host::parse(host) {
        Ok(Host::Domain(domain)) => domain == host && host.len() <= 253 && host.split('.').all(is_label),
        Ok(address @ (Host::Ipv4(_) | Host::Ipv6(_))) => address.to_string() == host,
        Err(_) => false,
    };
    if is_right { Ok(()) } else { Err(HOST) }
}
