//! From where somebody comes.

use std::net::{IpAddr, Ipv6Addr};

/// Who can change their address at will is counted as one: a network of 64 bits in IPv6.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
