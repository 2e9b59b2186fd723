//! `connect = ["127.0.0.1:8080", "udp:10.0.0.53:53"]`

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::address::{BeforePort, GrantHost, host_and_port, must_be_named_exactly};
use super::{Grant, GrantKind, Grants, NotationError, Refusal};

/// The protocol of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// `"127.0.0.1:8080"`, `"[::1]:80"`, `"10.0.0.0/8:443"`, `"db.internal:5432"` (a name that may be resolved; its
/// addresses may be connected to on that port), `"udp:10.0.0.53:53"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectGrant {
    pub protocol: Protocol,
    pub host: GrantHost,
    pub port: u16,
}

const UDP: &str = "udp:";

impl FromStr for ConnectGrant {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        if text.contains("://") {
            return Err(
                NotationError::new("a URL is not a host and port").help("leave `http://` and the path out")
            );
        }
        let (protocol, rest) = match text.strip_prefix(UDP) {
            Some(rest) => (Protocol::Udp, rest),
            None => (Protocol::Tcp, text.strip_prefix("tcp:").unwrap_or(text)),
        };
        let (host, port) = host_and_port(rest)?;
        Ok(Self { protocol, host, port })
    }
}

impl fmt::Display for ConnectGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == Protocol::Udp { UDP } else { "" };
        write!(f, "{protocol}{}:{}", BeforePort(&self.host), self.port)
    }
}

impl ConnectGrant {
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.port == other.port && self.host.includes(&other.host)
    }
}

impl Grants {
    /// Whether `address` may be connected to over TCP, or sent to over UDP.
    ///
    /// An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is treated as the IPv4 address. `resolved` tells whether a
    /// granted name has been resolved in this run and has this address. Returns the grant that allows it.
    pub fn may_connect(
        &self,
        protocol: Protocol,
        address: SocketAddr,
        resolved: impl Fn(&str, IpAddr) -> bool,
    ) -> Result<Grant<'_>, Refusal> {
        let ip = address.ip().to_canonical();
        let address = SocketAddr::new(ip, address.port());
        let fits = |grant: &&ConnectGrant| grant.protocol == protocol && grant.port == address.port();
        let fitting = || self.connect.iter().filter(fits);
        if let Some(exact) = fitting().find(|grant| grant.host.is_exactly(ip)) {
            return Ok(Grant::Connect(exact));
        }
        let covering = fitting().find(|grant| grant.host.covers(ip, &resolved));
        let (wanted, value) = match protocol {
            Protocol::Tcp => (format!("connect to {address}"), address.to_string()),
            Protocol::Udp => (format!("send UDP to {address}"), format!("{UDP}{address}")),
        };
        match (covering, must_be_named_exactly(ip)) {
            (Some(covering), false) => Ok(Grant::Connect(covering)),
            (Some(_), true) => Err(Refusal::special(GrantKind::Connect, &wanted, &value)),
            (None, _) => Err(Refusal::missing(GrantKind::Connect, wanted, &value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn network(address: &str, prefix: u8, port: u16) -> ConnectGrant {
        ConnectGrant {
            protocol: Protocol::Tcp,
            host: GrantHost::Network(ipnet::IpNet::new(address.parse().unwrap(), prefix).unwrap()),
            port,
        }
    }

    fn name(name: &str, port: u16) -> ConnectGrant {
        ConnectGrant { protocol: Protocol::Tcp, host: GrantHost::Name(name.to_owned()), port }
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
            ..Grants::default()
        }
    }

    /// `db.internal` is 10.9.9.9, `metadata.evil` resolves to a metadata service.
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
            // Names count by the addresses that they resolve to.
            ("10.9.9.9:5432", "yes"),
            ("10.9.9.8:5432", "no"),
            ("169.254.169.254:80", "special"),
        ] {
            let grants = example();
            let answer = match grants.may_connect(Protocol::Tcp, address.parse().unwrap(), resolved) {
                Ok(_) => "yes",
                Err(refusal) if refusal.wanted.ends_with("metadata address") => "special",
                Err(_) => "no",
            };
            assert_eq!(answer, word, "{address}");
        }
    }

    #[test]
    fn a_refusal_says_what_would_allow_it() {
        let refusal = Grants::default()
            .may_connect(Protocol::Tcp, "1.2.3.4:80".parse().unwrap(), resolved)
            .unwrap_err();
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

    #[test]
    fn udp_is_granted_for_itself() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Connect, "udp:127.0.0.1:53").unwrap();
        let address = "127.0.0.1:53".parse().unwrap();
        assert!(grants.may_connect(Protocol::Udp, address, resolved).is_ok());
        let tcp = grants.may_connect(Protocol::Tcp, address, resolved).unwrap_err();
        assert!(tcp.to_string().contains("connect = [\"127.0.0.1:53\"]"), "{tcp}");
        let other = grants.may_connect(Protocol::Udp, "127.0.0.1:54".parse().unwrap(), resolved).unwrap_err();
        assert_eq!(
            other.to_string(),
            "refused: send UDP to 127.0.0.1:54; to allow it add grant = { connect = [\"udp:127.0.0.1:54\"] }"
        );
    }

    #[test]
    fn addresses_networks_and_names_can_be_granted() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:80",
            "10.0.0.0/8:443",
            "0.0.0.0/0:443",
            "[fd00::/8]:443",
            "db.internal:5432",
            "localhost:1",
            "udp:10.0.0.53:53",
            "udp:[fd00::/8]:53",
        ] {
            assert_eq!(text.parse::<ConnectGrant>().unwrap().to_string(), text);
        }
        assert_eq!("tcp:DB.internal:1".parse::<ConnectGrant>().unwrap().to_string(), "db.internal:1");
    }

    #[test]
    fn what_cannot_be_granted_is_told_why() {
        for (text, why) in [
            ("http://localhost:80/", "a URL is not a host and port"),
            ("localhost", "the port is missing"),
            ("[fe80::1%eth0]:80", "`fe80::1%eth0` has a zone, and a grant applies to every interface"),
            ("[fe80::%eth0/10]:80", "`fe80::%eth0/10` has a zone, and a grant applies to every interface"),
            ("[db%eth0]:80", "`db%eth0` is neither an address nor a host name"),
            ("[::1]", "the port is missing"),
            ("localhost:0", "`0` is not a port"),
            ("localhost:+1", "`+1` is not a port"),
            ("localhost:65536", "`65536` is not a port"),
            ("localhost:*", "`*` is not a port"),
            ("::1:80", "an IPv6 address needs brackets"),
            ("127.0.0:80", "`127.0.0` is neither an address nor a host name"),
            ("*.example:80", "`*.example` is neither an address nor a host name"),
            ("-a:80", "`-a` is neither an address nor a host name"),
            ("[127.0.0.1]:80", "`127.0.0.1` is neither an address nor a host name"),
            ("10.0.0.0/33:80", "`33` is not the length of a prefix"),
            ("db/8:80", "`db/8` is neither an address nor a host name"),
            ("10.0.0.1/8:80", "the address has bits outside of its prefix"),
        ] {
            assert_eq!(text.parse::<ConnectGrant>().unwrap_err().to_string(), why, "{text}");
        }
        let zone = "[fe80::%eth0/10]:80".parse::<ConnectGrant>().unwrap_err();
        assert_eq!(zone.help.as_deref(), Some("leave `%eth0` out"));
    }
}
