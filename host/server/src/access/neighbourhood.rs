//! The network that a client comes from.

use std::net::IpAddr;

use ipnet::Ipv6Net;

/// Addresses that one client can choose freely count as one: an IPv6 network of 64 bits.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Net::new_assert(address, 64).network().into(),
        address @ IpAddr::V4(_) => address,
    }
}
