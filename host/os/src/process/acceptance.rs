//! Whether the service behind a TCP connection of this machine has accepted it.
//!
//! The kernel completes a connection without the service: a process that is stopped, frozen or hung has a queue of
//! connections that it never accepts. A connection in that queue belongs to no file of any process, and the kernel
//! reports this when it is asked about this connection (`sock_diag(7)`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};

/// The state of a connection, as seen from the service's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// The service has accepted it, and may have closed it.
    Accepted,
    /// The kernel has completed it, and the service has not accepted it.
    Queued,
    /// Its handshake is not complete: it is in progress, the service's queue is full, or the service asked the
    /// kernel to wait for data first (`TCP_DEFER_ACCEPT`).
    Unfinished,
    /// Its other end is not on this machine.
    Elsewhere,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const ENOENT: i32 = 2;
/// A header, `struct inet_diag_req_v2`.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// Offsets in `struct inet_diag_msg`, which follows the header.
const STATE: usize = HEADER + 1;
const INODE: usize = HEADER + 68;

// From the kernel's include/net/tcp_states.h.
const ESTABLISHED: u8 = 1;
const SYN_RECV: u8 = 3;
const CLOSE_WAIT: u8 = 8;
const NEW_SYN_RECV: u8 = 12;

/// Asks the kernel about the connection of `client` to `service`, two addresses of the same family.
pub fn look(service: SocketAddr, client: SocketAddr) -> io::Result<Acceptance> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    let (service, client) = (canonical(service), canonical(client));
    // The kernel answers during the request.
    let answer = ask(&socket, &request(service, client))?;
    read(&answer, service.ip().is_loopback())
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn ask(socket: &OwnedFd, request: &[u8]) -> io::Result<Vec<u8>> {
    rustix::io::write(socket, request)?;
    let mut answer = vec![0; 4096];
    let length = rustix::io::read(socket, answer.as_mut_slice())?;
    answer.truncate(length);
    Ok(answer)
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` of the kernel's `include/uapi/linux/inet_diag.h`.
fn request(service: SocketAddr, client: SocketAddr) -> Vec<u8> {
    let family = if service.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut bytes = Vec::with_capacity(REQUEST);
    bytes.extend(u32::try_from(REQUEST).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // The sequence number and the sender's port: the kernel assigns one.
    bytes.extend([0; 8]);
    let tcp = 6;
    bytes.extend([u8::try_from(family.as_raw()).unwrap_or_default(), tcp, 0, 0]);
    // In any state.
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(service.port().to_be_bytes());
    bytes.extend(client.port().to_be_bytes());
    for ip in [service.ip(), client.ip()] {
        let mut room = [0; 16];
        match ip {
            IpAddr::V4(ip) => room[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => room = ip.octets(),
        }
        bytes.extend(room);
    }
    // On any interface, with any cookie.
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([0xff; 8]);
    bytes
}

fn read(answer: &[u8], is_loopback: bool) -> io::Result<Acceptance> {
    let unclear = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer has an unknown form");
    let kind: [u8; 2] = answer.get(4..6).and_then(|kind| kind.try_into().ok()).ok_or_else(unclear)?;
    if u16::from_ne_bytes(kind) == NLMSG_ERROR {
        let code =
            answer.get(HEADER..HEADER + 4).and_then(|code| code.try_into().ok()).ok_or_else(unclear)?;
        return match i32::from_ne_bytes(code).wrapping_neg() {
            // The kernel no longer knows the connection: it has ended.
            ENOENT if is_loopback => Ok(Acceptance::Accepted),
            ENOENT => Ok(Acceptance::Elsewhere),
            code => Err(io::Error::from_raw_os_error(code)),
        };
    }
    let state = *answer.get(STATE).ok_or_else(unclear)?;
    let inode: [u8; 4] =
        answer.get(INODE..INODE + 4).and_then(|inode| inode.try_into().ok()).ok_or_else(unclear)?;
    Ok(match state {
        ESTABLISHED | CLOSE_WAIT if u32::from_ne_bytes(inode) == 0 => Acceptance::Queued,
        SYN_RECV | NEW_SYN_RECV => Acceptance::Unfinished,
        // It was accepted or has ended: then the kernel reports the listening socket itself.
        _ => Acceptance::Accepted,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn connected(listener: &TcpListener) -> (TcpStream, impl Fn() -> Acceptance + use<>) {
        let service = listener.local_addr().unwrap();
        let client = TcpStream::connect(service).unwrap();
        let own = client.local_addr().unwrap();
        (client, move || look(service, own).unwrap())
    }

    #[test]
    fn a_connection_is_queued_until_the_service_takes_it() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let (client, look) = connected(&listener);
            assert_eq!(look(), Acceptance::Queued, "{address}");
            let (peer, _) = listener.accept().unwrap();
            assert_eq!(look(), Acceptance::Accepted, "{address}");
            drop(peer);
            assert_eq!(look(), Acceptance::Accepted, "{address}: taken, and closed");
            drop(client);
        }
    }

    #[test]
    fn a_service_on_every_address_is_told_apart_too() {
        let Ok(listener) = TcpListener::bind("[::]:0") else { return };
        let port = listener.local_addr().unwrap().port();
        let service = SocketAddr::from(([127, 0, 0, 1], port));
        // Where `[::]` is IPv6 only, there is nothing to test.
        let Ok(client) = TcpStream::connect(service) else { return };
        let own = client.local_addr().unwrap();
        assert_eq!(look(service, own).unwrap(), Acceptance::Queued);
        let (_peer, _) = listener.accept().unwrap();
        assert_eq!(look(service, own).unwrap(), Acceptance::Accepted);
    }

    #[test]
    fn a_handshake_that_has_not_ended_is_neither_queued_nor_elsewhere() {
        for (state, inode, expected) in [
            (SYN_RECV, 0, Acceptance::Unfinished),
            (NEW_SYN_RECV, 0, Acceptance::Unfinished),
            (ESTABLISHED, 0, Acceptance::Queued),
            (ESTABLISHED, 7_u32, Acceptance::Accepted),
        ] {
            let mut answer = vec![0_u8; INODE + 4];
            answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
            answer[STATE] = state;
            answer[INODE..].copy_from_slice(&inode.to_ne_bytes());
            assert_eq!(read(&answer, true).unwrap(), expected, "{state} {inode}");
        }
    }

    #[test]
    fn what_is_not_of_this_machine_is_elsewhere() {
        let [service, client] = ["192.0.2.1:80", "192.0.2.2:40000"].map(|text| text.parse().unwrap());
        assert_eq!(look(service, client).unwrap(), Acceptance::Elsewhere);
        for answer in [&[][..], &[0; 20], &[0xff; 40]] {
            assert!(read(answer, true).is_err(), "{answer:?}");
        }
    }
}
