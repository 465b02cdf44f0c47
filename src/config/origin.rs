//! Which web origins may ask for tokens?

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// One entry of `cors.origins`: an origin as browsers write it (RFC 6454 §6.2), or all hosts one
/// label below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// `https://shop.example.com`, or `https://` before the label of a wildcard.
    head: String,
    /// `.example.com` with the port if any: what must follow the one label of a wildcard.
    tail: Option<String>,
}

/// Why a text is no origin pattern, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct OriginError(&'static str);

const HOST: OriginError =
    OriginError("has a host that is neither a domain name (non-ASCII ones as xn--…) nor an address");

impl OriginPattern {
    /// Reads one entry.
    ///
    /// # Errors
    /// Says what no browser would ever send, or what must not be allowed.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let fail = |what| Err(OriginError(what));
        match text {
            "*" => return fail("is '*', which would hand tokens to every site; list the shop's origins"),
            "null" => return fail("is 'null', which any sandboxed page can send; give the shop a real origin"),
            _ if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                return fail("has upper case letters, which browsers never send; write it in lower case");
            }
            _ => {}
        }
        let (scheme, default_port, authority) = if let Some(authority) = text.strip_prefix("https://") {
            ("https://", 443, authority)
        } else if let Some(authority) = text.strip_prefix("http://") {
            ("http://", 80, authority)
        } else {
            return fail("does not start with https:// or http://; write it as https://shop.example.com");
        };
        if authority.contains('@') {
            return fail("has a user name or password; write scheme, host and port only");
        }
        if authority.contains(['/', '?', '#', '\\']) {
            return fail("goes on after host and port; drop everything from the slash on");
        }
        let (host, port) = split_port(authority)?;
        if port == Some(default_port) {
            return fail("names the scheme's own port, which browsers leave out; drop it");
        }
        if let Some(domain) = host.strip_prefix("*.") {
            check_wildcard(scheme, domain)?;
            let tail = authority.strip_prefix('*').map(str::to_owned);
            return Ok(Self { head: scheme.to_owned(), tail });
        }
        check_host(host)?;
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
    let pattern = OriginPattern::parse(origin).ok().filter(OriginPattern::is_exact);
    // A resolver may answer for a name below localhost; browsers never ask one.
    pattern.is_some_and(|pattern| !pattern.is_open_to_the_wire()) && !origin.contains(".localhost")
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
    let port =
        digits.parse().ok().filter(|_| is_plain).ok_or(OriginError("has a port that is no number from 1 to 65535"))?;
    Ok((host, Some(port)))
}

fn check_wildcard(scheme: &str, domain: &str) -> Result<(), OriginError> {
    if scheme != "https://" {
        return Err(OriginError("is a wildcard over http, where anyone on the wire can be any host; use https"));
    }
    check_host(domain)?;
    let is_address = domain.parse::<Ipv4Addr>().is_ok();
    if is_address || domain.split('.').count() < 2 {
        return Err(OriginError(
            "is a wildcard right below a top-level domain; name the shop's own domain, as in https://*.example.com",
        ));
    }
    Ok(())
}

/// A domain name in ASCII (RFC 1123 §2.1, and the underscore that browsers let pass), or an address in the one spelling browsers send.
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
