//! Addresses to listen on, and those that this node does not have yet.
//!
//! An address may appear late during boot (DHCP), and a virtual address is on another node most of the time. A
//! listener on such an address answers as soon as the address exists: the kernel lets a socket bind to an address
//! that does not exist yet (`IP_FREEBIND`, ip(7)). Until then no client can reach it, which is reported.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::net::sockopt::{set_ip_freebind, set_ipv6_freebind};
use socket2::Socket;

use crate::clock::Clock;
use crate::heartbeat::Heartbeat;

/// How often absent addresses are checked for.
const LOOK: Duration = Duration::from_secs(2);

/// Binds a socket, even if this node does not have the address yet.
pub fn bind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match socket.bind(&address.into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
        bound => return bound,
    }
    match address {
        SocketAddr::V4(_) => set_ip_freebind(socket, true)?,
        SocketAddr::V6(_) => set_ipv6_freebind(socket, true)?,
    }
    socket.bind(&address.into())
}

/// Like [`bind`], for a listener of the asynchronous runtime.
pub fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    bind(&socket, address)?;
    socket.listen(1024)?;
    tokio::net::TcpListener::from_std(socket.into())
}

/// Whether this node has the address at present.
fn is_there(address: SocketAddr) -> bool {
    let probe = UdpSocket::bind(SocketAddr::new(address.ip(), 0));
    probe.err().is_none_or(|error| error.kind() != io::ErrorKind::AddrNotAvailable)
}

/// Reports which of these addresses are absent and what they are used for, until it is dropped.
pub async fn watch_forever(
    listeners: Vec<(String, SocketAddr)>,
    report: impl Fn(&[String]),
    heartbeat: Heartbeat,
    clock: Clock,
) {
    let mut before = BTreeSet::new();
    loop {
        heartbeat.beat(clock);
        let absent: BTreeSet<String> =
            listeners.iter().filter(|(_, address)| !is_there(*address)).map(sentence).collect();
        for come in before.difference(&absent) {
            tracing::info!("no longer: {come}");
        }
        for gone in absent.difference(&before) {
            tracing::warn!("{gone}");
        }
        report(&absent.iter().cloned().collect::<Vec<_>>());
        before = absent;
        tokio::time::sleep(LOOK).await;
    }
}

fn sentence((what, address): &(String, SocketAddr)) -> String {
    format!(
        "{what}: this node does not have the address {} at present, so no client can connect; {what} answers on \
         {address} as soon as the address is assigned (see `ip address`)",
        address.ip()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_testing::namespace;

    /// From a network that is reserved for documentation (RFC 5737).
    const ABSENT: &str = "192.0.2.77:9010";

    #[tokio::test]
    async fn an_address_that_is_not_there_yet_is_listened_on_and_shown() {
        if !namespace::is_inside("address::tests::an_address_that_is_not_there_yet_is_listened_on_and_shown")
        {
            return;
        }
        let address: SocketAddr = ABSENT.parse().unwrap();
        assert!(!is_there(address));
        let listener = listen(address).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        assert!(
            sentence(&("the metrics".to_owned(), address))
                .starts_with("the metrics: this node does not have")
        );
    }

    #[test]
    fn an_address_of_this_node_is_there() {
        for there in ["127.0.0.1:1", "0.0.0.0:80"] {
            assert!(is_there(there.parse().unwrap()), "{there}");
        }
    }
}
