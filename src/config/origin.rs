//! The entries of `cors.origins`: exact origins of pages and apps, and wildcards for one label.

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// One entry of `cors.origins`: an origin as browsers write it (RFC 6454 §6.2), or all hosts one
/// label below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// `https://shop.example.com` or `capacitor://localhost`, or `https://` before the label of a wildcard.
    head: String,
    /// `.example.com` with the port if any: what must follow the one label of a wildcard.
    tail: Option<String>,
}

/// Why a text is not an origin pattern, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct OriginError(&'static str);

const HOST: OriginError =
    OriginError("has a host that is neither a domain name (non-ASCII ones as xn--…) nor an address");

const NO_SCHEME: OriginError = OriginError(
    "does not start with https://, http:// or an app's scheme; write it as https://shop.example.com or \
     capacitor://localhost",
);

/// Longest scheme that is taken. Those of apps have 24 letters at most; the access log shows them.
const MAX_SCHEME: usize = 40;

/// Schemes that can't be listed, and why.
const REFUSED_SCHEMES: [(&[&str], &str); 5] = [
    (
        &["file", "content"],
        "is the origin of every local file, downloaded ones included; load the app's pages from https:// or from a \
         scheme of its own, as capacitor://localhost",
    ),
    (
        &["moz-extension", "safari-web-extension"],
        "is another origin on every machine, since the browser makes up the host when the extension is installed; \
         have a page of the shop fetch the token",
    ),
    (&["about", "data", "javascript"], "has no origin: browsers send 'null'; list the origin of the shop's pages"),
    (&["blob", "filesystem"], "has the origin of the page that made it, which browsers send; list that one"),
    (&["ftp", "ws", "wss"], "is never the origin of a page; list the page's own, as https://shop.example.com"),
];

impl OriginPattern {
    /// Reads one entry.
    ///
    /// # Errors
    /// Says what no browser would ever send, or what must not be allowed.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let fail = |what| Err(OriginError(what));
        let scheme_of = text.split_once(':');
        if let Some((scheme, _)) = scheme_of
            && let Some((_, why)) = REFUSED_SCHEMES.into_iter().find(|(schemes, _)| schemes.contains(&scheme))
        {
            return fail(why);
        }
        match text {
            "*" => return fail("is '*', which would hand tokens to every site; list the shop's origins"),
            "null" => {
                return fail("is 'null', which every sandboxed page and local file sends; give the shop a real origin");
            }
            _ if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                return fail("has upper case letters, which browsers never send; write it in lower case");
            }
            _ => {}
        }
        let (scheme, rest) = scheme_of.ok_or(NO_SCHEME)?;
        let authority = rest.strip_prefix("//").filter(|_| is_scheme(scheme)).ok_or(NO_SCHEME)?;
        if authority.contains('@') {
            return fail("has a user name or password; write scheme, host and port only");
        }
        if authority.contains(['/', '?', '#', '\\']) {
            return fail("goes on after host and port; drop everything from the slash on");
        }
        let (host, port) = split_port(authority)?;
        if matches!((scheme, port), ("https", Some(443)) | ("http", Some(80))) {
            return fail("names the scheme's own port, which browsers leave out; drop it");
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

    /// Whether an `Origin` header of these bytes is meant, compared byte for byte.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        let Some(tail) = &self.tail else { return origin == self.head.as_bytes() };
        origin
            .strip_prefix(self.head.as_bytes())
            .and_then(|rest| rest.strip_suffix(tail.as_bytes()))
            .is_some_and(is_label)
    }

    /// Whether this is one origin and not a wildcard.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.tail.is_none()
    }

    /// Whether tokens would cross a network unencrypted: plain HTTP to another machine.
    #[must_use]
    pub fn is_open_to_the_wire(&self) -> bool {
        let Some(authority) = self.head.strip_prefix("http://") else { return false };
        let host = split_port(authority).map_or(authority, |(host, _)| host);
        let is_local_name = host == "localhost" || host.ends_with(".localhost") || host == "[::1]";
        !is_local_name && !host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Whether a service at this origin may be called with our secrets: by https, or by http on loopback.
#[must_use]
pub fn may_be_called(origin: &str) -> bool {
    let is_web = origin.split_once(':').is_some_and(|(scheme, _)| is_web(scheme));
    let pattern = OriginPattern::parse(origin).ok().filter(|pattern| is_web && pattern.is_exact());
    // A resolver may answer for a name below localhost; browsers never ask one.
    pattern.is_some_and(|pattern| !pattern.is_open_to_the_wire()) && !origin.contains(".localhost")
}

/// What the log may show of an origin: all of it where it is written as browsers write one, but the scheme alone where
/// the rest is a path or names one person's browser. Nothing of what no browser writes.
#[must_use]
pub fn shown(origin: &str) -> Option<&str> {
    if origin == "null" || OriginPattern::parse(origin).is_ok_and(|pattern| pattern.is_exact()) {
        return Some(origin);
    }
    let schemes = ["file://", "content://", "moz-extension://", "safari-web-extension://"];
    schemes.into_iter().find(|scheme| origin.starts_with(scheme))
}

/// Host and port; the host of an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), OriginError> {
    let host_end = if authority.starts_with('[') {
        authority.find(']').map(|end| end + 1).ok_or(HOST)?
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(host_end);
    if rest.is_empty() {
        return Ok((host, None));
    }
    let digits = rest.strip_prefix(':').ok_or(HOST)?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits
        .parse()
        .ok()
        .filter(|_| is_plain)
        .ok_or(OriginError("has a port that is not a number from 1 to 65535"))?;
    Ok((host, Some(port)))
}

/// Whether pages of this scheme come from a server; the others are an app's own.
fn is_web(scheme: &str) -> bool {
    matches!(scheme, "https" | "http")
}

/// A scheme in lower case (RFC 3986 §3.1).
fn is_scheme(scheme: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    scheme.len() <= MAX_SCHEME
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(is_letter)
}

fn check_wildcard(scheme: &str, domain: &str) -> Result<(), OriginError> {
    match scheme {
        "https" => {}
        "http" => {
            return Err(OriginError("is a wildcard over http, where anyone on the wire can be any host; use https"));
        }
        _ => return Err(APP_WILDCARD),
    }
    check_host(domain)?;
    let is_address = domain.parse::<Ipv4Addr>().is_ok();
    if is_address || domain.split('.').count() < 2 || is_public_suffix(domain) {
        return Err(OriginError(
            "is a wildcard over a top-level domain or public suffix, where anyone can get a host; name the shop's own \
             domain, as in https://*.example.com, or list each origin",
        ));
    }
    Ok(())
}

/// Whether anyone can register a name below a domain, or below each of its labels, by the public suffix list.
fn is_public_suffix(domain: &str) -> bool {
    let is_suffix = |domain: &str| {
        let suffix = psl::suffix(domain.as_bytes()).filter(psl::Suffix::is_known);
        suffix.is_some_and(|suffix| suffix.as_bytes() == domain.as_bytes())
    };
    // Rules like *.ck make a suffix of every label below a domain that is not one itself.
    is_suffix(domain) || is_suffix(&format!("any-name.{domain}"))
}

const APP_WILDCARD: OriginError =
    OriginError("has '*' in an origin whose hosts belong to nobody, since its scheme is an app's; list each origin");

/// What stands for a host in an app's origin: `localhost`, `-`, `.`, or the id of a Chromium extension.
fn check_app_host(scheme: &str, host: &str) -> Result<(), OriginError> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    if host.contains('*') {
        return Err(APP_WILDCARD);
    }
    if !(1..=253).contains(&host.len()) || !host.bytes().all(is_letter) {
        return Err(OriginError(
            "has no host, or one with other characters than a-z, 0-9, '-', '.' and '_'; write it as \
             capacitor://localhost",
        ));
    }
    let is_id = host.len() == 32 && host.bytes().all(|byte| matches!(byte, b'a'..=b'p'));
    if scheme == "chrome-extension" && !is_id {
        return Err(OriginError(
            "has an extension id that is not 32 letters from a to p; chrome://extensions shows the right one",
        ));
    }
    Ok(())
}

/// A domain name in ASCII (RFC 1123 §2.1, and the underscore that browsers let pass), or an address in the one spelling
/// browsers send.
fn check_host(host: &str) -> Result<(), OriginError> {
    if host.contains('*') {
        return Err(OriginError("has '*' in a place other than the whole first label; write https://*.example.com"));
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| HOST)?;
        return if address.to_string() == inner { Ok(()) } else { Err(HOST) };
    }
    let ends_in_number = host.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = host.len() <= 253 && host.split('.').all(|label| is_label(label.as_bytes()));
    let is_fit = if ends_in_number { host.parse::<Ipv4Addr>().is_ok() } else { is_name };
    if is_fit { Ok(()) } else { Err(HOST) }
}

/// 1 to 63 letters, digits, hyphens and underscores, no hyphen at either end (RFC 1035 §2.3.4).
fn is_label(label: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.iter().all(is_letter) && !label.starts_with(b"-") && !label.ends_with(b"-")
}
