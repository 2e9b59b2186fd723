//! From where somebody comes.

use std::net::IpAddr;

use ipnet::Ipv6Net;

/// Who can change their address at will is counted as one: a network of 64 bits in IPv6.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Net::new_assert(address, 64).network().into(),
        address @ IpAddr::V4(_) => address,
    }
}
