//! Finds the client's address behind trusted proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::Proxy;

/// Each proxy appends the address of its client.
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Most addresses that are read, since a client can send a header of thousands.
const MAX_HOPS: usize = 32;

/// Bits of an IPv6 subnet (RFC 4291 §2.5.4). A client can use every address of its subnet.
const IPV6_PREFIX: u32 = 64;

/// One client for the limits: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ClientKey(IpAddr);

impl ClientKey {
    pub(super) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - IPV6_PREFIX))).into(),
            ip @ IpAddr::V4(_) => ip,
        })
    }
}

/// The client's address: the rightmost one in `X-Forwarded-For` that is not a trusted proxy's. Addresses before it may be forged.
/// A malformed entry ends the search at the last trusted address.
#[must_use]
pub fn client_ip(headers: &HeaderMap, peer: IpAddr, proxy: &Proxy) -> IpAddr {
    let mut client = peer.to_canonical();
    if !proxy.trusts(client) {
        return client;
    }
    let values = headers.get_all(X_FORWARDED_FOR).iter().rev();
    for entry in values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')).take(MAX_HOPS) {
        let Some(ip) = parse_address(entry.trim_ascii()) else { break };
        client = ip;
        if !proxy.trusts(ip) {
            break;
        }
    }
    client
}

/// Parses an address with or without a port, IPv6 with or without brackets.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}
