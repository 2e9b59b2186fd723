//! How other nodes reach this one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// A public address, to which nothing is sent. Where a packet to it would leave is where others come in.
const OUTSIDE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The address that is configured, or the one that this node listens on; `None` if it listens on all.
pub(crate) fn own(configured: Option<&str>, listening: SocketAddr) -> Option<String> {
    let concrete = || (!listening.ip().is_unspecified()).then(|| listening.to_string());
    configured.map(str::to_owned).or_else(concrete)
}

/// The address of the founder, which no other node has seen yet.
pub(crate) fn of_founder(configured: Option<&str>, listening: SocketAddr) -> String {
    let outside =
        || SocketAddr::new(towards_outside().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), listening.port());
    own(configured, listening).unwrap_or_else(|| outside().to_string())
}

/// The address from which packets to the outside would be sent.
fn towards_outside() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(OUTSIDE).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

/// The address of a node that another one has seen there.
pub(crate) fn seen(from: IpAddr, port: u16) -> String {
    SocketAddr::new(from.to_canonical(), port).to_string()
}

/// The address in the roster, if the port has changed since.
pub(crate) fn with_port(address: &str, port: u16) -> Option<String> {
    let (host, before) = split(address)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    (before != port).then(|| format!("{host}:{port}"))
}

/// Host and port; the host is without the brackets of an IPv6 address.
pub(crate) fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(bare) => bare,
        // An IPv6 address without brackets: its last group is not a port.
        None if host.contains(':') => return None,
        None => host,
    };
    if host.is_empty() { None } else { Some((host, port.parse().ok()?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_comes_before_what_is_listened_on() {
        for (configured, listening, expected) in [
            (Some("node-1:9013"), "0.0.0.0:1", Some("node-1:9013")),
            (None, "10.0.0.5:9013", Some("10.0.0.5:9013")),
            (None, "[fd00::1]:9013", Some("[fd00::1]:9013")),
            (None, "0.0.0.0:9013", None),
            (None, "[::]:9013", None),
        ] {
            let listening = listening.parse().unwrap();
            assert_eq!(own(configured, listening).as_deref(), expected, "{configured:?} {listening}");
            let founder = of_founder(configured, listening);
            assert!(expected.map_or(founder.ends_with(":9013"), |expected| founder == expected), "{founder}");
        }
    }

    #[test]
    fn host_and_port_are_told_apart() {
        for (address, expected) in [
            ("10.0.0.5:9013", Some(("10.0.0.5", 9013))),
            ("node-1.example:1", Some(("node-1.example", 1))),
            ("[fd00::1]:9013", Some(("fd00::1", 9013))),
            ("fd00::1:9013", None),
            ("node-1", None),
            (":9013", None),
            ("node-1:99999", None),
        ] {
            assert_eq!(split(address), expected, "{address}");
        }
        assert_eq!(with_port("[fd00::1]:1", 2).as_deref(), Some("[fd00::1]:2"));
        assert_eq!(with_port("node-1:1", 2).as_deref(), Some("node-1:2"));
        assert_eq!(with_port("node-1:2", 2), None);
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_listener_is_reached_over_ipv4() {
        assert_eq!(seen("::ffff:10.0.0.7".parse().unwrap(), 9013), "10.0.0.7:9013");
        assert_eq!(seen("fd00::7".parse().unwrap(), 9013), "[fd00::7]:9013");
    }
}
