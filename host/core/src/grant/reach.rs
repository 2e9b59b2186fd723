//! Whether a component could ever connect to what its configuration names: for the check of the files.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::unix::is_meant;
use super::{ConnectGrant, GrantHost, Grants};

impl Grants {
    /// Whether some connection to `target` could be allowed. `target` is written as in `connect`; an IPv6 address may
    /// have a zone. `None` if it is not in that notation.
    ///
    /// A name may lead to any address: it counts if it may be looked up, and if some grant covers the port.
    pub fn could_connect(&self, target: &str) -> Option<bool> {
        if is_meant(target) {
            let path = target.split_once(':').map_or(target, |(_, path)| path);
            return Some(self.may_connect_unix(path).is_ok());
        }
        let ConnectGrant { protocol, host, port } = without_zone(target).parse().ok()?;
        Some(match host {
            GrantHost::Network(network) => {
                let single = network.prefix_len() == network.max_prefix_len();
                let address = SocketAddr::new(network.addr(), port);
                single && self.may_connect(protocol, address, |_: &str, _: IpAddr| false).is_ok()
            }
            GrantHost::Name(name) => {
                let covers = |grant: &ConnectGrant| match &grant.host {
                    GrantHost::Network(_) => true,
                    GrantHost::Name(granted) => *granted == name,
                };
                let reaches =
                    |grant: &&ConnectGrant| grant.protocol == protocol && grant.port == port && covers(grant);
                self.may_look_up(&name).is_ok() && self.connect.iter().any(|grant| reaches(&grant))
            }
        })
    }
}

/// As it is granted: `[fe80::1]:80` for `[fe80::1%eth0]:80`.
pub fn without_zone(target: &str) -> String {
    let zoned = target.split_once('%').filter(|(before, _)| before.contains('['));
    match zoned.and_then(|(before, rest)| Some((before, rest.split_once(']')?.1))) {
        Some((before, port)) => format!("{before}]{port}"),
        None => target.to_owned(),
    }
}

/// The address that a request to this `http` or `https` URL goes to, in the notation of `connect`. `None` if it is not
/// such a URL.
pub fn target_of_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.contains('@'))?;
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match authority.get(after_brackets..)?.split_once(':') {
        Some((_, "")) => (authority.strip_suffix(':')?, default),
        Some((_, port)) => (
            authority.strip_suffix(port)?.strip_suffix(':')?,
            port.parse::<u16>().ok().filter(|port| *port > 0)?,
        ),
        None => (authority, default),
    };
    (!host.is_empty()).then(|| format!("{host}:{port}"))
}

/// Whether the text is one address, and no network.
pub fn is_address(target: &str) -> bool {
    if is_meant(target) {
        return true;
    }
    without_zone(target).parse::<ConnectGrant>().is_ok_and(|target| match &target.host {
        GrantHost::Network(IpNet::V4(network)) => network.prefix_len() == 32,
        GrantHost::Network(IpNet::V6(network)) => network.prefix_len() == 128,
        GrantHost::Name(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::GrantKind;
    use super::*;

    fn grants() -> Grants {
        let mut grants = Grants::default();
        for (kind, text) in [
            (GrantKind::Connect, "127.0.0.1:8080"),
            (GrantKind::Connect, "10.0.0.0/8:443"),
            (GrantKind::Connect, "db.internal:5432"),
            (GrantKind::Connect, "[fe80::1]:80"),
            (GrantKind::Connect, "udp:10.0.0.53:53"),
            (GrantKind::Connect, "unix:/run/app.sock"),
            (GrantKind::Resolve, "*.svc.internal"),
        ] {
            grants.add(kind, text).unwrap();
        }
        grants
    }

    #[test]
    fn what_some_grant_could_allow_can_be_reached() {
        for (target, reached) in [
            ("127.0.0.1:8080", Some(true)),
            ("127.0.0.1:80", Some(false)),
            ("10.1.2.3:443", Some(true)),
            ("11.1.2.3:443", Some(false)),
            ("db.internal:5432", Some(true)),
            ("DB.internal:5432", Some(true)),
            ("db.internal:5433", Some(false)),
            // It may lead to the network of a grant on this port, and on that port no network is granted.
            ("a.svc.internal:443", Some(true)),
            ("a.svc.internal:5432", Some(false)),
            ("localhost:8080", Some(false)),
            ("[fe80::1%eth0]:80", Some(true)),
            ("[fe80::2]:80", Some(false)),
            ("udp:10.0.0.53:53", Some(true)),
            ("10.0.0.53:53", Some(false)),
            ("unix:/run/app.sock", Some(true)),
            ("unix:/run/other.sock", Some(false)),
            ("127.0.0.1", None),
            ("http://127.0.0.1:8080", None),
        ] {
            assert_eq!(grants().could_connect(target), reached, "{target}");
        }
    }

    #[test]
    fn a_url_leads_to_its_host_and_port() {
        for (url, target) in [
            ("http://127.0.0.1:8080/health?x=http://y", Some("127.0.0.1:8080")),
            ("HTTPS://shop.internal", Some("shop.internal:443")),
            ("http://shop.internal:/x", Some("shop.internal:80")),
            ("http://[fe80::1%eth0]:81/", Some("[fe80::1%eth0]:81")),
            ("http://[::1]#x", Some("[::1]:80")),
            ("127.0.0.1:8080/health", None),
            ("ftp://a/", None),
            ("http:///x", None),
            ("http://me@a/", None),
            ("http://a:99999/", None),
            ("http://a:0/", None),
        ] {
            assert_eq!(target_of_url(url).as_deref(), target, "{url}");
        }
    }

    #[test]
    fn an_address_has_a_port_and_is_no_network() {
        for (text, is_one) in [
            ("127.0.0.1:6379", true),
            ("[::1]:22", true),
            ("db.internal:5432", true),
            ("unix:/run/app.sock", true),
            ("udp:10.0.0.53:53", true),
            ("127.0.0.1", false),
            ("10.0.0.0/8:443", false),
            ("db.internal", false),
            ("db.internal:0", false),
        ] {
            assert_eq!(is_address(text), is_one, "{text}");
        }
    }
}
