//! `[proxy]` and `[rate_limit]`: who is a client, and how much it may ask for.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;

use super::load::Reader;

/// Most requests a second, and most at once, that can be set: past a million nothing is limited.
const MOST: usize = 1_000_000;

/// `[proxy]`: whose word on the client's address counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Networks of the reverse proxies.
    pub trusted: Vec<IpNet>,
}

impl Proxy {
    /// Whether the one at this address is believed.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    /// Whether connections of this address are many clients', so that `limits.connections_per_client` does not hold for
    /// it: a trusted proxy, or whatever runs on this machine.
    #[must_use]
    pub fn is_many_clients(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.trusts(peer)
    }
}

/// `[rate_limit]`: how much one client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second.
    pub per_second: NonZeroU32,
    /// Requests at once, when there were none for a while.
    pub burst: NonZeroU32,
}

/// Reads `[proxy]`.
pub fn proxy(reader: &mut Reader) -> Proxy {
    let key = "proxy.trusted";
    let mut trusted = Vec::new();
    for (index, text) in reader.list(key).iter().enumerate() {
        match network(text) {
            Ok(network) => trusted.push(network),
            Err(what) => reader.reject(key, format!("entry {} {what}", index + 1)),
        }
    }
    Proxy { trusted }
}

/// A network, or one address as a network of its own. Never everybody: who may name any address may
/// be any client.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(network) if network.prefix_len() == 0 => Err("trusts every address; name the proxy's network"),
        // Addresses are judged as what they stand for, so that no such network would ever hold one (RFC 4291 §2.5.5.2).
        Ok(IpNet::V6(network)) if network.addr().to_ipv4_mapped().is_some() => {
            Err("is an IPv4 address in IPv6's dress; write it as 10.0.0.0/8")
        }
        Ok(network) => Ok(network),
        Err(_) => Err("is no network; write it as 10.0.0.0/8, fd00::/8 or 127.0.0.1"),
    }
}

/// Reads `[rate_limit]`.
pub fn rate_limit(reader: &mut Reader) -> Option<RateLimit> {
    let [per_second, burst] = ["rate_limit.per_second", "rate_limit.burst"].map(|key| {
        let number = reader.has(key).then(|| reader.number(key, 1..=MOST));
        number.and_then(|number| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)))
    });
    if per_second.is_none() && burst.is_some() {
        reader.reject("rate_limit.burst", "is of no use without rate_limit.per_second; set that too, or drop this");
    }
    let per_second = per_second?;
    Some(RateLimit { per_second, burst: burst.unwrap_or(per_second) })
}
