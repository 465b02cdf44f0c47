//! The entries of `cors.origins`: exact origins of pages and apps, and wildcards for one label.

use std::net::IpAddr;

use url::{Host, ParseError, Position, Url};

/// One entry of `cors.origins`, as written: an origin as browsers send it (RFC 6454 §6.2), or `https://*.example.com`
/// for all hosts one label below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(String);

const NO_SCHEME: &str = "does not start with https://, http:// or an app's scheme; write it as \
                         https://shop.example.com or capacitor://localhost";

const HOST: &str = "has no host, or one that browsers write differently; write a name in a-z, 0-9, '-', '_' and '.' \
                    (other letters as xn--…) or, for a page, an IP address";

const PORT: &str =
    "has the default port, which browsers leave out, or one that is not a number from 1 to 65535; drop it";

/// Most bytes of a scheme. Those of apps have 24 at most; the access log shows them.
const MAX_SCHEME: usize = 40;

/// Origins of which the access log shows the scheme alone: the rest is a path, or identifies one browser.
const PERSONAL: [&str; 4] = ["file://", "content://", "moz-extension://", "safari-web-extension://"];

impl OriginPattern {
    /// Parses one entry.
    ///
    /// # Errors
    /// Says why browsers never send such an origin, or why it must not be allowed, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(domain) = text.strip_prefix("https://*.") else {
            return parse_exact(text).map(|_| Self(text.to_owned()));
        };
        let url = parse_exact(&format!("https://{domain}"))?;
        if url.domain().is_some_and(|domain| domain.contains('.') && !is_public_suffix(domain)) {
            return Ok(Self(text.to_owned()));
        }
        Err("is a wildcard over a top-level domain or public suffix, where anyone can get a host; name the shop's own \
             domain, as in https://*.example.com, or list each origin")
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

/// What the access log may show of an origin: nothing, unless it is written as browsers write one.
pub(crate) fn shown(origin: &str) -> Option<&str> {
    if origin == "null" || OriginPattern::parse(origin).is_ok_and(|pattern| pattern.is_exact()) {
        return Some(origin);
    }
    PERSONAL.into_iter().find(|scheme| origin.starts_with(scheme))
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
    let url = Url::parse(text).map_err(|error| {
        let (no_scheme, port) = (ParseError::RelativeUrlWithoutBase, ParseError::InvalidPort);
        if error == no_scheme {
            NO_SCHEME
        } else if error == port {
            PORT
        } else {
            HOST
        }
    })?;
    let host = url.host_str().unwrap_or_default();
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    let is_right = match (url.scheme(), url.host()) {
        // Names must also fit DNS.
        ("https" | "http", Some(Host::Domain(name))) => {
            name.split('.').all(|label| is_label(label.as_bytes(), |byte| byte == b'_'))
        }
        ("https" | "http", address) => address.is_some(),
        _ => host.bytes().all(is_allowed),
    };
    if !is_right || !(1..=253).contains(&host.len()) || !text.starts_with(&url[..Position::AfterHost]) {
        return Err(HOST);
    }
    let is_id = host.len() == 32 && host.bytes().all(|byte| matches!(byte, b'a'..=b'p'));
    if url.scheme() == "chrome-extension" && !is_id {
        return Err("has an extension id that is not 32 letters from a to p; chrome://extensions shows the right one");
    }
    if url[..Position::BeforePath] != *text || url.port() == Some(0) { Err(PORT) } else { Ok(url) }
}

/// Refuses what is not an origin or must not be listed, each common mistake with its own fix.
fn refuse_mistakes(text: &str) -> Result<(), &'static str> {
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    let authority = rest.strip_prefix("//").filter(|_| scheme.len() <= MAX_SCHEME);
    Err(match (scheme, authority) {
        ("file" | "content", _) => {
            "is the origin of every local file, also of downloaded ones; load the app's pages from https:// or from a \
             scheme of its own, as capacitor://localhost"
        }
        ("moz-extension" | "safari-web-extension", _) => {
            "is different on every machine, since the browser invents the host when the extension is installed; have a \
             page of the shop fetch the token"
        }
        ("about" | "data" | "javascript" | "blob" | "filesystem" | "ftp" | "ws" | "wss", _) => {
            "is never the origin of a page: browsers send that of the page that made it, or 'null'; list the origins \
             of the shop's pages"
        }
        ("*", None) => "is '*', which would give tokens to every site; list the shop's origins",
        ("null", None) => "is 'null', which every sandboxed page and local file sends; list a real origin",
        _ if text.contains(|c: char| c.is_ascii_uppercase()) => {
            "has upper case letters, which browsers never send; write it in lower case"
        }
        (_, None) => NO_SCHEME,
        (_, Some(authority)) if authority.contains('@') => {
            "has a user name or password; write scheme, host and port only"
        }
        (_, Some(authority)) if authority.contains(['/', '?', '#', '\\']) => {
            "has more than host and port; drop everything from the slash on"
        }
        (_, Some(authority)) if authority.contains('*') => {
            "has '*', which is safe only as the whole first label after https://, as in https://*.example.com; list \
             each origin"
        }
        _ => return Ok(()),
    })
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
