//! Hosts in the notation of grants: addresses, networks and names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::NotationError;

/// The host of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantHost {
    /// A network; a single address has the longest prefix.
    Network(IpNet),
    /// A host name, lower case.
    Name(String),
}

/// A host name in the notation of grants: lower case, without a final dot.
pub fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl GrantHost {
    /// An address, a network with its prefix length, or a name. `bracketed`: it was in `[…]`, like an IPv6 address
    /// before a port.
    pub(super) fn parse(text: &str, bracketed: bool) -> Result<Self, NotationError> {
        if let Some((before, zone)) = text.split_once('%')
            && before.parse::<Ipv6Addr>().is_ok()
        {
            // The interface of a connection is not restricted, so the notation must not suggest that it is.
            let zone = zone.split('/').next().unwrap_or_default();
            return Err(NotationError::new(format!(
                "`{text}` has a zone, and a grant applies to every interface"
            ))
            .help(format!("leave `%{zone}` out")));
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let bad_host = || NotationError::new(format!("`{text}` is neither an address nor a host name"));
        match (address.parse::<IpAddr>(), prefix) {
            (Ok(address), _) if bracketed != address.is_ipv6() => Err(bad_host()),
            (Ok(address), None) => Ok(Self::Network(address.into())),
            (Ok(address), Some(prefix)) => network(address, prefix),
            (Err(_), None) if !bracketed && is_host_name(text) => Ok(Self::Name(text.to_ascii_lowercase())),
            (Err(_), _) => Err(bad_host()),
        }
    }

    /// Whether the canonical address is in the network, or is an address of the name.
    pub(super) fn covers(&self, ip: IpAddr, resolved: impl Fn(&str, IpAddr) -> bool) -> bool {
        match self {
            Self::Network(network) => contains(network, ip),
            Self::Name(name) => resolved(name, ip),
        }
    }

    /// Whether the grant names this one address.
    pub(super) fn is_exactly(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Network(network)
            if is_single(network) && network.addr().to_canonical() == ip)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self, Self::Name(own) if own == name)
    }

    /// Whether every host of the other one is included in this one.
    pub(super) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Network(network), Self::Network(inner)) => network.contains(inner),
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for GrantHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) if is_single(network) => write!(f, "{}", network.addr()),
            Self::Network(network) => write!(f, "{network}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// `HOST:PORT`, with an IPv6 address or network in brackets.
pub(super) fn host_and_port(text: &str) -> Result<(GrantHost, u16), NotationError> {
    let no_port = || NotationError::new("the port is missing").help("each port is granted separately");
    let (host, port, bracketed) = if let Some(inner) = text.strip_prefix('[') {
        let bad = || NotationError::new(format!("`{text}` is neither an address nor a host name"));
        let (host, behind) = inner.split_once(']').ok_or_else(bad)?;
        (host, behind.strip_prefix(':').ok_or_else(no_port)?, true)
    } else {
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        (host, port, false)
    };
    if !bracketed && host.contains(':') {
        return Err(NotationError::new("an IPv6 address needs brackets")
            .help("write \"[::1]:80\", or \"[fd00::/8]:80\" for a network"));
    }
    Ok((GrantHost::parse(host, bracketed)?, port_number(port)?))
}

pub(super) fn port_number(text: &str) -> Result<u16, NotationError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or_else(|| {
        NotationError::new(format!("`{text}` is not a port")).help("a port is a number from 1 to 65535")
    })
}

/// The form before a port.
pub(super) struct BeforePort<'h>(pub(super) &'h GrantHost);

impl fmt::Display for BeforePort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GrantHost::Network(IpNet::V6(_)) => write!(f, "[{}]", self.0),
            host => write!(f, "{host}"),
        }
    }
}

fn network(address: IpAddr, prefix: &str) -> Result<GrantHost, NotationError> {
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let length = prefix.parse::<u8>().ok().filter(|_| digits);
    let network = length.and_then(|length| IpNet::new(address, length).ok()).ok_or_else(|| {
        NotationError::new(format!("`{prefix}` is not the length of a prefix"))
            .help("0 to 32 for IPv4, 0 to 128 for IPv6")
    })?;
    if network.network() == address {
        return Ok(GrantHost::Network(network));
    }
    Err(NotationError::new("the address has bits outside of its prefix")
        .help(format!("the network is {}; for the one host, leave the prefix out", network.trunc())))
}

/// RFC 1123, section 2.1, and underscores, which occur in practice; a last label of digits only is a mistyped
/// address.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the network is a single address.
fn is_single(network: &IpNet) -> bool {
    network.prefix_len() == network.max_prefix_len()
}

/// Whether the network contains the canonical address `ip`.
fn contains(network: &IpNet, ip: IpAddr) -> bool {
    match (network, ip) {
        // `::ffff:10.0.0.0/104` is an IPv4 network; anything wider would unintentionally include all of IPv4.
        (IpNet::V6(network), IpAddr::V4(ip)) if network.prefix_len() >= 96 => {
            network.contains(&ip.to_ipv6_mapped())
        }
        _ => network.contains(&ip),
    }
}

/// Addresses of the metadata services of clouds: link-local ones (RFC 3927, RFC 4291), and a few others. They
/// provide the machine's credentials, so a network or a name that includes such an address is not sufficient.
pub(super) fn must_be_named_exactly(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            let embedded = embedded_v4(v6).is_some_and(|v4| must_be_named_exactly(v4.into()));
            v6.is_unicast_link_local() || METADATA_V6.contains(&v6) || embedded
        }
    }
}

/// Those of Alibaba Cloud, Oracle Cloud and Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
/// Those of Amazon and Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// The IPv4 address that a gateway would derive from it: NAT64 (RFC 6052, the well-known prefix), 6to4 (RFC 3056),
/// and the old compatible form (RFC 4291, 2.5.5.1).
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(v4(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(text: &str) -> Result<GrantHost, String> {
        GrantHost::parse(text, false).map_err(|error| error.to_string())
    }

    #[test]
    fn metadata_services_are_seen_through_every_disguise() {
        for (address, special) in [
            ("169.254.169.254", true),
            ("169.254.0.1", true),
            ("100.100.100.200", true),
            ("168.63.129.16", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("64:ff9b::a9fe:a9fe", true),
            ("2002:a9fe:a9fe::1", true),
            ("::169.254.169.254", true),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("::1", false),
            ("64:ff9b::808:808", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(must_be_named_exactly(address.parse().unwrap()), special, "{address}");
        }
    }

    #[test]
    fn a_network_includes_what_is_narrower() {
        for (wide, narrow, includes) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "db.internal", false),
            ("db.internal", "db.internal", true),
            ("db.internal", "10.0.0.1", false),
        ] {
            let includes_it = host(wide).unwrap().includes(&host(narrow).unwrap());
            assert_eq!(includes_it, includes, "{wide} includes {narrow}");
        }
    }

    proptest! {
        /// The reference: compare bit by bit.
        #[test]
        fn a_network_contains_what_shares_its_first_bits(
            network: [u8; 4], prefix in 0u8..=32, address: [u8; 4], near: bool,
        ) {
            let mask = |octets: [u8; 4]| -> Vec<bool> {
                (0..usize::from(prefix)).map(|bit| octets[bit / 8] >> (7 - bit % 8) & 1 == 1).collect()
            };
            // Half of the time an address with the same first octets.
            let address = if near { [network[0], network[1], address[2], address[3]] } else { address };
            let expected = mask(network) == mask(address);
            let network = IpNet::new(IpAddr::from(network), prefix).unwrap();
            let address = IpAddr::from(address);
            prop_assert_eq!(contains(&network, address), expected);
            let IpAddr::V4(v4) = address else { unreachable!() };
            prop_assert_eq!(GrantHost::Network(network)
                .covers(IpAddr::from(v4.to_ipv6_mapped()).to_canonical(), |_, _| false), expected);
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,40}", bracketed: bool) {
            let _any = GrantHost::parse(&text, bracketed);
            let _any = host_and_port(&text);
        }
    }
}
