//! Finds the client's address behind the proxies that are trusted to name it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::Proxy;

/// The header of the proxies; each appends the address that it was asked from.
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Most proxies that stand one behind another. A client can write a header of thousands of addresses.
const MAX_HOPS: usize = 32;

/// Bits of an IPv6 address that name a subnet (RFC 4291 §2.5.4): a client may take any address of its own.
const SUBNET: u32 = 64;

/// What limits count as one client: an IPv4 address, or a /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey(IpAddr);

impl ClientKey {
    /// The client at this address; an IPv4-mapped one is the IPv4 address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - SUBNET))).into(),
            ip @ IpAddr::V4(_) => ip,
        })
    }
}

/// The client's address: the first from the right of `X-Forwarded-For` that is no trusted proxy's. What stands left of
/// it is the client's own text. What can't be read ends the walk at the last address that was believed.
#[must_use]
pub fn client_ip(headers: &HeaderMap, peer: IpAddr, proxy: &Proxy) -> IpAddr {
    let mut believed = peer.to_canonical();
    if !proxy.trusts(believed) {
        return believed;
    }
    let values = headers.get_all(X_FORWARDED_FOR).iter().rev();
    for named in values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')).take(MAX_HOPS) {
        let Some(ip) = address(named.trim_ascii()) else { break };
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
