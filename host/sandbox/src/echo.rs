//! ICMP echo (RFC 792, RFC 4443): one request, one reply.
//!
//! ```text
//!   an unprivileged ICMP socket, if the system gives us one (icmp(7), ping_group_range)
//!     └─ else a raw one, if the daemon has the right to it (CAP_NET_RAW)
//!          └─ else unavailable, with what to do
//!   connected to the address: what comes is from there ──▶ the reply with our own words in it
//! ```

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bellwether_core::moment::plain;
use bellwether_os::address;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::UdpSocket;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum EchoError {
    /// The system does not permit this user to ping.
    #[error(
        "the system does not let this user ping ({0}): allow it with \
         `sysctl net.ipv4.ping_group_range=\"0 2147483647\"`, or give the daemon CAP_NET_RAW"
    )]
    Forbidden(io::Error),
    /// The request was sent, and no reply came in time.
    #[error("no answer from {address} within {}", plain(*.within))]
    NoAnswer { address: IpAddr, within: Duration },
    /// There is no route, or a router reports that the host is unreachable.
    #[error("{0} is unreachable: {1}")]
    Unreachable(IpAddr, io::Error),
    /// Another error on this side.
    #[error("cannot ping {0}: {1}")]
    Failed(IpAddr, io::Error),
}

/// Sends one request, and returns the time until the reply.
pub(super) async fn echo(address: IpAddr, within: Duration) -> Result<Duration, EchoError> {
    let no_answer = EchoError::NoAnswer { address, within };
    if within.is_zero() {
        return Err(no_answer);
    }
    let asking = async {
        let (socket, raw) = open(address)?;
        let failed = |error| judge(address, error);
        let socket = UdpSocket::from_std(socket.into()).map_err(failed)?;
        let question = Question { v6: address.is_ipv6(), raw, words: fastrand::u128(..) };
        let began = Instant::now();
        socket.send(&question.packet()).await.map_err(failed)?;
        let mut buffer = [0; 1500];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(failed)?;
            if question.is_answered_by(buffer.get(..length).unwrap_or_default()) {
                return Ok(began.elapsed());
            }
        }
    };
    tokio::time::timeout(within, asking).await.unwrap_or(Err(no_answer))
}

/// A socket that is connected to the address, and whether it is a raw one.
fn open(address: IpAddr) -> Result<(Socket, bool), EchoError> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let forbidden = |error: &io::Error| {
        // A kernel that was built without ping sockets does not know the protocol of the first kind.
        matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
            || address::is_unknown_protocol(error)
    };
    let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, false),
        Err(error) if forbidden(&error) => match Socket::new(domain, Type::RAW, Some(protocol)) {
            Ok(socket) => (socket, true),
            Err(_) => return Err(EchoError::Forbidden(error)),
        },
        Err(error) => return Err(judge(address, error)),
    };
    let prepared = socket
        .set_nonblocking(true)
        .and_then(|()| socket.connect(&SockAddr::from(SocketAddr::new(address, 0))));
    prepared.map_err(|error| judge(address, error))?;
    Ok((socket, raw))
}

fn judge(address: IpAddr, error: io::Error) -> EchoError {
    match error.kind() {
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::ConnectionRefused => EchoError::Unreachable(address, error),
        _ => EchoError::Failed(address, error),
    }
}

/// The request. The reply repeats its payload, which distinguishes it from replies to others.
#[derive(Debug, Clone, Copy)]
struct Question {
    v6: bool,
    raw: bool,
    words: u128,
}

/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;

impl Question {
    fn packet(self) -> [u8; HEADER + 16] {
        let mut packet = [0; HEADER + 16];
        // RFC 792: type 8; RFC 4443, 4.1: type 128. An unprivileged socket fills in its own identifier.
        packet[0] = if self.v6 { 128 } else { 8 };
        packet[4..6].copy_from_slice(&self.identifier());
        packet[7] = 1;
        packet[HEADER..].copy_from_slice(&self.words.to_be_bytes());
        // Over IPv6 the kernel computes it, because it includes the addresses (RFC 3542, 3.1).
        if !self.v6 {
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    fn identifier(self) -> [u8; 2] {
        let [a, b, ..] = self.words.to_le_bytes();
        [a, b]
    }

    fn is_answered_by(self, packet: &[u8]) -> bool {
        // A raw IPv4 socket also returns the IP header; its length is in its first byte (RFC 791, 3.1).
        let header = match packet.first() {
            Some(first) if self.raw && !self.v6 => usize::from(first & 0x0f) * 4,
            _ => 0,
        };
        let Some(packet) = packet.get(header..) else { return false };
        let reply = if self.v6 { 129 } else { 0 };
        packet.first() == Some(&reply) && packet.get(HEADER..) == Some(&self.words.to_be_bytes()[..])
    }
}

/// The Internet checksum of RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.chunks(2).map(|pair| {
        let second = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], second]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Whether this system permits pings. Tests that need them report that and end where it does not.
#[cfg(test)]
pub(super) fn may_ask(address: IpAddr) -> bool {
    match open(address) {
        Err(EchoError::Forbidden(error)) => {
            println!("SKIPPED: this system does not let the tests ping {address}: {error}");
            false
        }
        Err(EchoError::Unreachable(_, error)) => {
            println!("SKIPPED: this system has no way to {address}: {error}");
            false
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_host_answers_itself() {
        for address in ["127.0.0.1", "::1"] {
            let address = address.parse().unwrap();
            if may_ask(address) {
                let took = echo(address, Duration::from_secs(10)).await.unwrap();
                assert!(took < Duration::from_secs(10), "{took:?}");
            }
        }
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_is_told_with_the_time() {
        let address = "127.0.0.1".parse().unwrap();
        let error = echo(address, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer from 127.0.0.1 within 0ms");
    }

    #[test]
    fn only_the_reply_with_our_own_words_is_an_answer() {
        for (v6, raw) in [(false, false), (false, true), (true, false), (true, true)] {
            let question = Question { v6, raw, words: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10 };
            let answer = |kind: u8, words: u128| {
                let mut packet = Question { words, ..question }.packet().to_vec();
                packet[0] = kind;
                // A header of five words, as most have.
                if raw && !v6 { [vec![0x45; 20], packet].concat() } else { packet }
            };
            let (ours, reply) = (question.words, if v6 { 129 } else { 0 });
            assert!(question.is_answered_by(&answer(reply, ours)), "{question:?}");
            assert!(!question.is_answered_by(&answer(reply, ours + 1)), "somebody else's");
            assert!(!question.is_answered_by(&question.packet()), "our own question on loopback");
            for end in 0..answer(reply, ours).len() {
                assert!(!question.is_answered_by(&answer(reply, ours)[..end]), "cut at {end}");
            }
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_internet() {
        // The example of RFC 1071, section 3: its sum is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(
            checksum(&Question { v6: false, raw: false, words: 7 }.packet()),
            0,
            "with its own sum in it"
        );
    }
}
