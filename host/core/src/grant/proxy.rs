//! The route of a granted request: `proxy = "http://proxy:3128"`, `no-proxy = ["*.internal"]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::{BeforePort, GrantHost, host_and_port, normal_name};
use super::{NameGrant, NotationError};

/// The operator's proxy, and the hosts that are reached without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyRules {
    /// The proxy that requests are sent to.
    pub proxy: Option<ProxyAddress>,
    /// The hosts that are reached without it.
    pub direct: Vec<DirectHost>,
}

/// A proxy for HTTP, which is connected to without TLS (RFC 9110, 3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    host: GrantHost,
    port: u16,
}

/// Hosts that are reached without the proxy: an address, a network, a name, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectHost {
    /// An address or a network.
    Network(GrantHost),
    /// A name, or all names below one: `db.internal`, `*.internal`.
    Names(NameGrant),
}

impl ProxyRules {
    /// The proxy for requests to this host; `None`: they are sent directly. The host is compared as written,
    /// because it is not resolved.
    pub fn through(&self, host: &str) -> Option<&ProxyAddress> {
        let host = host.trim_matches(['[', ']']);
        self.proxy.as_ref().filter(|_| !self.direct.iter().any(|direct| direct.covers(host)))
    }
}

/// This machine itself (RFC 6761, 6.3, for the names).
const LOOPBACK: [&str; 4] = ["127.0.0.0/8", "::1", "localhost", "*.localhost"];

impl ProxyRules {
    /// Adds this machine itself to the direct hosts, because the proxy would connect to its own machine.
    #[must_use]
    pub fn with_loopback_direct(mut self) -> Self {
        self.direct.extend(LOOPBACK.iter().filter_map(|text| text.parse::<DirectHost>().ok()));
        self
    }
}

impl DirectHost {
    fn covers(&self, host: &str) -> bool {
        match (self, host.parse::<IpAddr>()) {
            (Self::Network(network), Ok(ip)) => network.covers(ip.to_canonical(), |_, _| false),
            (Self::Names(names), Err(_)) => names.covers(&normal_name(host)),
            _ => false,
        }
    }
}

impl FromStr for DirectHost {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
        let is_address = inner.parse::<IpAddr>().is_ok() || inner.contains('/');
        if is_address {
            return GrantHost::parse(inner, inner.contains(':')).map(Self::Network);
        }
        text.parse().map(Self::Names).map_err(|_: NotationError| {
            NotationError::new(format!("`{text}` is neither an address, nor a network, nor a host name"))
                .help("write it without a port; a name may have the prefix `*.`")
        })
    }
}

impl FromStr for ProxyAddress {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let rest = text.strip_prefix("http://").ok_or_else(|| {
            NotationError::new(format!("`{text}` does not begin with http://"))
                .help("https origins are reached through it, too: TLS passes through the proxy encrypted")
        })?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(NotationError::new("a proxy that requires a user and a password is not supported"));
        }
        if rest.contains(['/', '?', '#']) {
            return Err(NotationError::new("a proxy has no path"));
        }
        let (host, port) = host_and_port(rest)?;
        Ok(Self { host, port })
    }
}

impl ProxyAddress {
    /// An address or a name; an IPv6 address without brackets.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", BeforePort(&self.host), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_through_the_proxy_except_to_those_that_are_named() {
        let direct = ["127.0.0.1", "[::1]", "fd00::/8", "10.0.0.0/8", "db.internal", "*.svc.internal"];
        let rules = ProxyRules {
            proxy: Some("http://proxy:3128".parse().unwrap()),
            direct: direct.map(|text| text.parse().unwrap()).into(),
        };
        for (host, through) in [
            ("127.0.0.1", false),
            ("127.0.0.2", true),
            ("::ffff:127.0.0.1", false),
            ("::1", false),
            ("[::1]", false),
            ("fd12::1", false),
            ("fe80::1", true),
            ("10.255.0.1", false),
            ("DB.internal.", false),
            ("x.db.internal", true),
            ("a.svc.internal", false),
            ("svc.internal", true),
            ("example.org", true),
        ] {
            assert_eq!(rules.through(host).is_some(), through, "{host}");
        }
        assert_eq!(ProxyRules::default().through("example.org"), None);
    }

    #[test]
    fn loopback_can_be_spared() {
        let proxy = Some("http://proxy:3128".parse().unwrap());
        let rules = ProxyRules { proxy, direct: Vec::new() };
        assert!(rules.through("localhost").is_some());
        let rules = rules.with_loopback_direct();
        for host in ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1", "LOCALHOST", "a.localhost"]
        {
            assert_eq!(rules.through(host), None, "{host}");
        }
        for host in ["128.0.0.1", "::2", "localhost.example", "example.org"] {
            assert!(rules.through(host).is_some(), "{host}");
        }
    }

    #[test]
    fn a_proxy_is_written_with_its_port() {
        for text in ["http://proxy.internal:3128", "http://10.0.0.1:80", "http://[fd00::1]:3128"] {
            assert_eq!(text.parse::<ProxyAddress>().unwrap().to_string(), text);
        }
        assert_eq!("http://[::1]:1/".parse::<ProxyAddress>().unwrap().host(), "::1");
        for (text, why) in [
            ("proxy:3128", "`proxy:3128` does not begin with http://"),
            ("https://proxy:3128", "`https://proxy:3128` does not begin with http://"),
            ("http://proxy", "the port is missing"),
            ("http://u:p@proxy:1", "a proxy that requires a user and a password is not supported"),
            ("http://proxy:1/x", "a proxy has no path"),
            ("http://proxy:0", "`0` is not a port"),
        ] {
            assert_eq!(text.parse::<ProxyAddress>().unwrap_err().to_string(), why, "{text}");
        }
        for text in ["", "*", "a b", "10.0.0.1/8", "http://a", "a:80"] {
            assert!(text.parse::<DirectHost>().is_err(), "{text}");
        }
    }
}
