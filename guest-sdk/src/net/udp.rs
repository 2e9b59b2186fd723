//! Requests and answers over UDP.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use super::{NetError, look_up, net_error, no_answer};
use crate::run::Run;

/// A client of one service over UDP. Granted by `connect = ["udp:HOST:PORT"]`.
#[derive(Debug)]
pub struct Udp<'a> {
    socket: UdpSocket,
    address: String,
    run: &'a Run,
}

/// A datagram may be lost: the number of times it is sent within the run's time.
const SENT: u32 = 3;
/// How often an answer is polled for, because the standard library cannot wait for several events.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// `None` if it is not possible at present.
fn later(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<'a> Udp<'a> {
    /// Uses the first address of `host:port`. Sends nothing yet.
    pub fn open(run: &'a Run, address: &str) -> Result<Self, NetError> {
        let granted = |error| match error {
            NetError::NotGranted(address) => NetError::NotGranted(format!("udp:{address}")),
            other => other,
        };
        let target = look_up(address).map_err(granted)?.first().copied();
        let none = || NetError::NoSuchName(address.to_owned(), io::Error::other("it has no address"));
        let target = target.ok_or_else(none)?;
        let own: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let open = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind(own)?;
            socket.connect(target)?;
            // WASI does not support the timeout of a UDP socket.
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = open().map_err(|error| granted(net_error(error, address, run)))?;
        Ok(Self { socket, address: address.to_owned(), run })
    }

    /// Sends `question`, and waits for an answer within the run's time. Without an answer, it is sent
    /// again a few times.
    pub fn ask(&self, question: &[u8], answer: &mut [u8]) -> Result<usize, NetError> {
        let told = |error| match net_error(error, &self.address, self.run) {
            NetError::NotGranted(address) => NetError::NotGranted(format!("udp:{address}")),
            // The reply of a machine without a listener (RFC 1122, 4.1.3.3).
            NetError::BrokenOff(address) => NetError::Refused(address),
            other => other,
        };
        let share = self.run.time_left() / SENT;
        let mut send_at = self.run.elapsed();
        while !self.run.time_left().is_zero() {
            if self.run.elapsed() >= send_at {
                later(self.socket.send(question)).map_err(told)?;
                send_at = self.run.elapsed() + share;
            }
            if let Some(length) = later(self.socket.recv(answer)).map_err(told)? {
                return Ok(length);
            }
            thread::sleep(LOOK_AGAIN.min(self.run.time_left()));
        }
        Err(no_answer(&self.address, self.run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_answers_also_when_the_first_question_is_lost() {
        let service = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = service.local_addr().unwrap().to_string();
        let answering = thread::spawn(move || {
            let mut told = [0; 16];
            service.recv_from(&mut told).unwrap();
            let (length, from) = service.recv_from(&mut told).unwrap();
            service.send_to(&told[..length], from).unwrap();
        });
        let run = Run::for_test().with_time_limit(Duration::from_secs(30));
        let mut answer = [0; 16];
        let length = Udp::open(&run, &address).unwrap().ask(b"ping", &mut answer).unwrap();
        assert_eq!(&answer[..length], b"ping");
        answering.join().unwrap();
    }

    #[test]
    fn a_silent_service_and_a_port_without_one_are_told_apart() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let run = Run::for_test().with_time_limit(Duration::from_millis(200));
        let error = Udp::open(&run, &address).unwrap().ask(b"ping", &mut [0; 1]).unwrap_err();
        assert!(matches!(error, NetError::NoAnswer(..)), "{error}");
        // A client's port is in use, and receives only from its own peer.
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        taken.connect(silent.local_addr().unwrap()).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let run = Run::for_test().with_time_limit(Duration::from_secs(30));
        let error = Udp::open(&run, &address).unwrap().ask(b"ping", &mut [0; 1]).unwrap_err();
        assert!(matches!(error, NetError::Refused(_)), "{error}");
    }
}
