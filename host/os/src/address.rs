//! Addresses to listen on, and those that this node does not have yet.
//!
//! At the boot an address may come late (DHCP), and a virtual one is on another node most of the
//! time. A listener on one answers as soon as it is there: Linux lets a socket wait for
//! its address (`IP_FREEBIND`, ip(7)). That no client reaches it until then is shown.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{SockRef, Socket};

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
    let_wait(socket, address)?;
    socket.bind(&address.into())
}

#[cfg(target_os = "linux")]
fn let_wait(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{set_ip_freebind, set_ipv6_freebind};
    match address {
        SocketAddr::V4(_) => set_ip_freebind(socket, true)?,
        SocketAddr::V6(_) => set_ipv6_freebind(socket, true)?,
    }
    Ok(())
}

/// No other system lets a socket wait for its address.
#[cfg(not(target_os = "linux"))]
fn let_wait(_socket: &Socket, _address: SocketAddr) -> io::Result<()> {
    Err(io::ErrorKind::AddrNotAvailable.into())
}

/// Ends a connection when what was sent has not arrived within this time (`TCP_USER_TIMEOUT`, tcp(7)). Fails if the
/// system cannot do that, as Windows; it then gives up after a time of its own.
pub fn set_user_timeout<'s, S>(stream: &'s S, within: Duration) -> io::Result<()>
where
    SockRef<'s>: From<&'s S>,
{
    let within = u32::try_from(within.as_millis()).map_err(io::Error::other)?;
    give_up_after(&SockRef::from(stream), within)
}

#[cfg(target_os = "linux")]
fn give_up_after(socket: &Socket, milliseconds: u32) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_user_timeout(socket, milliseconds)?)
}

#[cfg(not(target_os = "linux"))]
fn give_up_after(_socket: &Socket, _milliseconds: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Lets a port be bound at once that was in use a moment ago. On Windows that is so without asking, and asking would
/// let other programs take the port away.
pub fn reuse(socket: &Socket) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { socket.set_reuse_address(true) }
}

/// Like [`bind`], for a listener of the asynchronous runtime.
pub fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    reuse(&socket)?;
    socket.set_nonblocking(true)?;
    bind(&socket, address)?;
    socket.listen(1024)?;
    tokio::net::TcpListener::from_std(socket.into())
}

/// Whether a socket could not be made because the system does not know its protocol.
#[cfg(unix)]
pub fn is_unknown_protocol(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::PROTONOSUPPORT)
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

    #[tokio::test]
    async fn a_connection_is_given_up_after_the_time_that_was_set() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        set_user_timeout(&stream, Duration::from_secs(10)).unwrap();
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&stream).unwrap(), 10_000);
        assert!(set_user_timeout(&stream, Duration::MAX).is_err(), "the system counts in milliseconds");
    }

    #[test]
    fn an_address_of_this_node_is_there() {
        for there in ["127.0.0.1:1", "0.0.0.0:80"] {
            assert!(is_there(there.parse().unwrap()), "{there}");
        }
    }
}
