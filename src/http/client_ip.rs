//! Who is asking, behind the proxies that are trusted to say so?

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HeaderName};

use crate::config::clients::{AddressHeader, Proxy};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Most proxies that stand one behind another. A client can write a header of thousands of addresses.
const MAX_HOPS: usize = 32;

/// The client's address: the first from the right that no trusted proxy has, as each proxy appends whom it
/// was asked by. What stands left of it is the client's own text, and what can't be read ends the walk at
/// the last address that was believed.
#[must_use]
pub fn client_ip(headers: &HeaderMap, peer: IpAddr, proxy: &Proxy) -> IpAddr {
    let mut believed = peer.to_canonical();
    if !proxy.trusts(believed) {
        return believed;
    }
    let name = match proxy.header {
        AddressHeader::XForwardedFor => X_FORWARDED_FOR,
        AddressHeader::Forwarded => FORWARDED,
    };
    let values = headers.get_all(name).iter().map(axum::http::HeaderValue::as_bytes);
    let elements: Vec<Option<&[u8]>> = match proxy.header {
        AddressHeader::XForwardedFor => {
            values.rev().flat_map(|value| value.rsplit(|byte| *byte == b',').map(Some)).take(MAX_HOPS).collect()
        }
        AddressHeader::Forwarded => values.rev().flat_map(forwarded_elements).take(MAX_HOPS).collect(),
    };
    for element in elements {
        let named = match proxy.header {
            AddressHeader::XForwardedFor => element.and_then(|element| address(element.trim_ascii())),
            AddressHeader::Forwarded => element.and_then(forwarded_for),
        };
        let Some(ip) = named else { break };
        believed = ip;
        if !proxy.trusts(ip) {
            break;
        }
    }
    believed
}

/// An address, with a port or without, IPv6 in brackets or not.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

/// The elements of a `Forwarded` header, the last one first; a single None of one whose quotes make no sense, since
/// then nobody can tell which words are the client's.
fn forwarded_elements(value: &[u8]) -> Vec<Option<&[u8]>> {
    let elements = split_unquoted(value, b',');
    elements.map_or_else(|| vec![None], |elements| elements.into_iter().rev().map(Some).collect())
}

/// The address in the `for` parameter of one element (RFC 7239 §4): `for=192.0.2.60;proto=https`,
/// `for="[2001:db8::17]:4711"`.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let pairs = split_unquoted(element, b';')?;
    let mut values =
        pairs.into_iter().map(<[u8]>::trim_ascii).filter_map(|pair| match pair.split_at_checked("for=".len()) {
            Some((name, value)) if name.eq_ignore_ascii_case(b"for=") => Some(value),
            _ => None,
        });
    let value = values.next().filter(|_| values.next().is_none())?;
    address(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}

/// Where a reader of `Forwarded` stands. A quoted string (RFC 9110 §5.6.4) is a whole value or nothing: a lone quote
/// of a client's would swallow what the next proxy appends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Token,
    Value,
    Quoted,
    Escaped,
    QuoteEnded,
    Nonsense,
}

impl Reading {
    const fn past(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted, b'"') | (Self::QuoteEnded, b' ' | b'\t') => Self::QuoteEnded,
            (Self::Quoted | Self::Escaped, _) | (Self::Value, b'"') => Self::Quoted,
            (Self::QuoteEnded, b';' | b',') => Self::Token,
            (Self::QuoteEnded | Self::Nonsense, _) | (_, b'"' | b'\\') => Self::Nonsense,
            (Self::Token, b'=') => Self::Value,
            (Self::Token | Self::Value, _) => Self::Token,
        }
    }
}

/// Splits where `separator` stands outside of quoted strings, if these are well-formed.
fn split_unquoted(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut reading = Reading::Token;
    let is_end = |byte: &u8| {
        reading = reading.past(*byte);
        *byte == separator && reading == Reading::Token
    };
    let parts = text.split(is_end).collect();
    matches!(reading, Reading::Token | Reading::Value | Reading::QuoteEnded).then_some(parts)
}
