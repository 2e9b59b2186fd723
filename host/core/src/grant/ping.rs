//! `ping = ["10.0.0.1", "gw.internal", "192.168.0.0/16"]`

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::{GrantHost, must_be_named_exactly, normal_name};
use super::{Grant, GrantKind, Grants, NotationError, Refusal};

/// A host, or a network of hosts, that may be sent echo requests (RFC 792, RFC 4443).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingGrant(GrantHost);

impl FromStr for PingGrant {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        // Nothing follows the address, so it needs no brackets.
        let (host, bracketed) = match text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => (inner, true),
            None => (text, text.contains(':')),
        };
        GrantHost::parse(host, bracketed).map(Self)
    }
}

impl fmt::Display for PingGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PingGrant {
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.0.includes(&other.0)
    }
}

impl Grants {
    /// Whether a name may be resolved in order to ping it.
    pub fn may_ping_name(&self, name: &str) -> Result<(), Refusal> {
        let name = normal_name(name);
        if self.ping.iter().any(|grant| grant.0.is_name(&name)) {
            return Ok(());
        }
        Err(Refusal::missing(GrantKind::Ping, format!("ping `{name}`"), &name))
    }

    /// Whether an address may be pinged. `name` is the name that resolved to it, if any. Returns the grant that
    /// allows it.
    pub fn may_ping(&self, ip: IpAddr, name: Option<&str>) -> Result<Grant<'_>, Refusal> {
        let ip = ip.to_canonical();
        if let Some(exact) = self.ping.iter().find(|grant| grant.0.is_exactly(ip)) {
            return Ok(Grant::Ping(exact));
        }
        let name = name.map(normal_name);
        let led = |granted: &str, _: IpAddr| name.as_deref() == Some(granted);
        let covering = self.ping.iter().find(|grant| grant.0.covers(ip, led));
        match (covering, must_be_named_exactly(ip)) {
            (Some(covering), false) => Ok(Grant::Ping(covering)),
            (Some(_), true) => Err(Refusal::special(GrantKind::Ping, &format!("ping {ip}"), &ip.to_string())),
            (None, _) => Err(Refusal::missing(GrantKind::Ping, format!("ping {ip}"), &ip.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_granted_hosts_are_pinged() {
        let mut grants = Grants::default();
        for text in ["10.0.0.1", "gw.internal", "192.168.0.0/16", "fd00::/8", "0.0.0.0/0"] {
            grants.add(GrantKind::Ping, text).unwrap();
        }
        grants.ping.pop();
        for (ip, name, allowed) in [
            ("10.0.0.1", None, true),
            ("10.0.0.2", None, false),
            ("::ffff:10.0.0.1", None, true),
            ("192.168.3.4", None, true),
            ("fd12::1", None, true),
            ("8.8.8.8", Some("GW.internal."), true),
            ("8.8.8.8", Some("other"), false),
            ("169.254.169.254", Some("gw.internal"), false),
        ] {
            assert_eq!(grants.may_ping(ip.parse().unwrap(), name).is_ok(), allowed, "{ip} {name:?}");
        }
        assert!(grants.may_ping_name("gw.internal").is_ok());
        assert!(grants.may_ping_name("10.0.0.9.evil").is_err());
    }

    #[test]
    fn hosts_can_be_granted_without_a_port() {
        for text in ["10.0.0.1", "fd00::1", "fd00::/8", "gw.internal"] {
            assert_eq!(text.parse::<PingGrant>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]".parse::<PingGrant>().unwrap().to_string(), "::1");
        for text in ["", "10.0.0.1:80", "10.0.0.1/8", "a b"] {
            assert!(text.parse::<PingGrant>().is_err(), "{text}");
        }
    }
}
