//! What the operator allows a component, and the yes or no to each use.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `grant = { … }`. Nothing is allowed without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// TCP connections to these.
    pub connect: Vec<ConnectGrant>,
}

/// `"127.0.0.1:8080"`, `"[::1]:80"`, `"10.0.0.0/8:443"`, `"db.internal:5432"` (a name that may
/// be looked up; what it resolves to may be connected to on that port).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectGrant {
    /// Who.
    pub host: GrantHost,
    /// On which port.
    pub port: u16,
}

/// Who a `connect` grant is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantHost {
    /// An address, or a network with its prefix length.
    Network(IpAddr, u8),
    /// A host name, lower case.
    Name(String),
}

/// Something a component wanted and may not. Says how to allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No grant names this address and port.
    #[error("refused: connect to {0}; to allow it add grant = {{ connect = [\"{0}\"] }}")]
    Connect(SocketAddr),
    /// A grant covers the address, but addresses of this kind must be named exactly: a network or
    /// a host name that happens to lead there is not enough.
    #[error(
        "refused: connect to {0}, a link-local or metadata address; to allow it name it exactly: grant = {{ connect = [\"{0}\"] }}"
    )]
    Special(SocketAddr),
    /// No grant has this name.
    #[error(
        "refused: look up `{0}`; to allow it add grant = {{ connect = [\"{0}:PORT\"] }} with the port it connects to"
    )]
    LookUp(String),
    /// No grant allows this at all.
    #[error("refused: {0}; components may only make TCP connections")]
    Never(&'static str),
}

impl Grants {
    /// Whether a TCP connection to `address` is allowed.
    ///
    /// An IPv4 address in IPv6 clothes (RFC 4291, 2.5.5.2) is judged as what it is.
    /// `resolved` tells whether a granted name has been looked up in this run
    /// and led to this address.
    pub fn may_connect(
        &self,
        address: SocketAddr,
        resolved: impl Fn(&str, IpAddr) -> bool,
    ) -> Result<(), Refusal> {
        let ip = address.ip().to_canonical();
        let address = SocketAddr::new(ip, address.port());
        let on_this_port = || self.connect.iter().filter(|grant| grant.port == address.port());
        if on_this_port().any(|grant| grant.host.is_exactly(ip)) {
            return Ok(());
        }
        let covered = on_this_port().any(|grant| grant.host.covers(ip, &resolved));
        match (covered, must_be_named_exactly(ip)) {
            (true, false) => Ok(()),
            (true, true) => Err(Refusal::Special(address)),
            (false, _) => Err(Refusal::Connect(address)),
        }
    }

    /// Whether a name may be looked up: only one that a grant names, because a
    /// name server hears every name that is asked for. An address in the
    /// clothes of a name asks nobody and is always allowed.
    pub fn may_look_up(&self, name: &str) -> Result<(), Refusal> {
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Ok(());
        }
        let name = normal_name(name);
        let granted = |grant: &ConnectGrant| matches!(&grant.host, GrantHost::Name(n) if *n == name);
        if self.connect.iter().any(granted) { Ok(()) } else { Err(Refusal::LookUp(name)) }
    }
}

/// A host name as grants write it: lower case, without the root's dot.
pub fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl GrantHost {
    fn covers(&self, ip: IpAddr, resolved: impl Fn(&str, IpAddr) -> bool) -> bool {
        match self {
            Self::Network(network, prefix) => contains(*network, *prefix, ip),
            Self::Name(name) => resolved(name, ip),
        }
    }

    fn is_exactly(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Network(network, prefix)
            if *prefix == bits(*network) && network.to_canonical() == ip)
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// Whether `network/prefix` contains the canonical address `ip`.
fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    let shared = |a: u128, b: u128, width: u8| {
        let prefix = u32::from(prefix.min(width));
        prefix == 0 || (a ^ b) >> (u32::from(width) - prefix) == 0
    };
    match (network, ip) {
        (IpAddr::V4(a), IpAddr::V4(b)) => shared(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => shared(a.to_bits(), b.to_bits(), 128),
        // `::ffff:10.0.0.0/104` is an IPv4 network; anything wider would reach all of IPv4 unnoticed.
        (IpAddr::V6(a), IpAddr::V4(b)) if prefix >= 96 => {
            shared(a.to_bits(), b.to_ipv6_mapped().to_bits(), 128)
        }
        _ => false,
    }
}

/// Link-local addresses (RFC 3927, RFC 4291), where clouds keep their metadata
/// services, and the one such service that lives elsewhere: whoever reaches it
/// holds the machine's credentials.
fn must_be_named_exactly(ip: IpAddr) -> bool {
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(v4) => Ipv4Addr::is_link_local(&v4),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA,
    }
}

impl fmt::Display for ConnectGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            GrantHost::Name(name) => write!(f, "{name}:{}", self.port),
            GrantHost::Network(ip, prefix) if *prefix == bits(*ip) => SocketAddr::new(*ip, self.port).fmt(f),
            GrantHost::Network(IpAddr::V4(ip), prefix) => write!(f, "{ip}/{prefix}:{}", self.port),
            GrantHost::Network(IpAddr::V6(ip), prefix) => write!(f, "[{ip}/{prefix}]:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8, port: u16) -> ConnectGrant {
        ConnectGrant { host: GrantHost::Network(address.parse().unwrap(), prefix), port }
    }

    fn name(name: &str, port: u16) -> ConnectGrant {
        ConnectGrant { host: GrantHost::Name(name.to_owned()), port }
    }

    fn example() -> Grants {
        Grants {
            connect: vec![
                network("127.0.0.1", 32, 8080),
                network("10.0.0.0", 8, 443),
                network("::1", 128, 80),
                network("2001:db8::", 32, 443),
                network("::ffff:192.168.0.0", 112, 25),
                network("0.0.0.0", 0, 9),
                network("::", 0, 9),
                network("169.254.1.2", 32, 7),
                name("db.internal", 5432),
                name("metadata.evil", 80),
            ],
        }
    }

    /// `db.internal` is 10.9.9.9, `metadata.evil` leads to a metadata service.
    fn resolved(name: &str, ip: IpAddr) -> bool {
        match name {
            "db.internal" => ip == Ipv4Addr::new(10, 9, 9, 9),
            "metadata.evil" => ip == Ipv4Addr::new(169, 254, 169, 254),
            _ => false,
        }
    }

    #[test]
    fn a_connection_is_allowed_only_where_a_grant_says_so() {
        for (address, word) in [
            ("127.0.0.1:8080", "yes"),
            ("127.0.0.1:8081", "no"),
            ("127.0.0.2:8080", "no"),
            ("[::ffff:127.0.0.1]:8080", "yes"),
            ("10.255.0.1:443", "yes"),
            ("[::ffff:10.1.2.3]:443", "yes"),
            ("11.0.0.1:443", "no"),
            ("[::1]:80", "yes"),
            ("[::2]:80", "no"),
            ("[2001:db8:ffff::1]:443", "yes"),
            ("[2001:db9::1]:443", "no"),
            ("192.168.7.7:25", "yes"),
            ("192.169.7.7:25", "no"),
            // All of IPv4, all of IPv6, and still not the link-local ones.
            ("8.8.8.8:9", "yes"),
            ("[2606::1]:9", "yes"),
            ("169.254.169.254:9", "special"),
            ("[::ffff:169.254.169.254]:9", "special"),
            ("[fe80::1]:9", "special"),
            ("[fd00:ec2::254]:9", "special"),
            ("169.254.1.2:7", "yes"),
            ("169.254.1.3:7", "no"),
            // Names count by what they resolve to.
            ("10.9.9.9:5432", "yes"),
            ("10.9.9.8:5432", "no"),
            ("169.254.169.254:80", "special"),
        ] {
            let answer = match example().may_connect(address.parse().unwrap(), resolved) {
                Ok(()) => "yes",
                Err(Refusal::Connect(_)) => "no",
                Err(Refusal::Special(_)) => "special",
                Err(other) => panic!("{address}: {other}"),
            };
            assert_eq!(answer, word, "{address}");
        }
    }

    #[test]
    fn a_name_is_looked_up_only_when_a_grant_names_it() {
        for (asked, allowed) in [
            ("db.internal", true),
            ("DB.Internal.", true),
            ("db.internal.evil", false),
            ("secret-data.evil", false),
            ("127.0.0.1", true),
            ("::1", true),
            ("[::1]", true),
        ] {
            assert_eq!(example().may_look_up(asked).is_ok(), allowed, "{asked}");
        }
    }

    #[test]
    fn a_refusal_says_what_would_allow_it() {
        let refusal = Grants::default().may_connect("1.2.3.4:80".parse().unwrap(), resolved).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "refused: connect to 1.2.3.4:80; to allow it add grant = { connect = [\"1.2.3.4:80\"] }"
        );
    }

    #[test]
    fn a_grant_is_shown_as_the_operator_wrote_it() {
        let shown: Vec<_> = example().connect.iter().map(ToString::to_string).collect();
        assert_eq!(shown[..3], ["127.0.0.1:8080", "10.0.0.0/8:443", "[::1]:80"]);
        assert_eq!(shown[8], "db.internal:5432");
    }
}
