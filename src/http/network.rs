//! Which addresses are one client's?

use std::net::{IpAddr, Ipv6Addr};

/// The addresses that one client has: one of IPv4, or a network of IPv6, in which it may take any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

/// Bits of an IPv6 address that name a subnet (RFC 4291 §2.5.4). A client has one, or many.
const SUBNET: u32 = 64;

/// Bits that name what a customer gets to divide into subnets (RFC 6177 §2): a household, and an organisation.
const SITES: [u32; 2] = [56, 48];

/// Bits of an IPv6 address before the IPv4 address that it stands for, in the prefix of translators (RFC 6052 §2.1).
const TRANSLATED: u128 = 0x0064_ff9b << 96;

impl Network {
    /// The client's at this address.
    #[must_use]
    pub fn of(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V6(ip) => match u32::try_from(ip.to_bits() ^ TRANSLATED) {
                Ok(ip) => Self::one(IpAddr::V4(ip.into())),
                Err(_) => Self::around(ip, SUBNET),
            },
            ip @ IpAddr::V4(_) => Self::one(ip),
        }
    }

    /// What its owner may have beside it, the /56 before the /48. Nothing for IPv4, where addresses are dear.
    pub fn sites(self) -> impl Iterator<Item = Self> {
        SITES.into_iter().filter_map(move |bits| match self.first {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(Self::around(ip, bits)),
        })
    }

    const fn one(ip: IpAddr) -> Self {
        Self { first: ip, bits: 32 }
    }

    const fn around(ip: Ipv6Addr, bits: u32) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - bits)))), bits }
    }
}
