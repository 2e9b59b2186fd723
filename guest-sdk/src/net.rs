//! TCP for checkers: everything ends within the run's time, and every error is
//! told apart the way an observation must be.
//!
//! A resource that refuses, hangs or cannot be reached is a **fail**; a missing
//! grant, an address that is none or a name that nobody knows is **unknown**.
//!
//! In a component prefer this to [`TcpStream::connect_timeout`], which reports
//! a refused connection as a good one there (Rust 1.95).

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::observation::Observation;
use crate::run::Run;

/// A TCP connection that lives no longer than its run.
///
/// ```no_run
/// use bellwether_guest::prelude::*;
/// use bellwether_guest::net::{Connection, NetError};
///
/// fn says_ready(run: &Run) -> Result<bool, NetError> {
///     let mut peer = Connection::open(run, "127.0.0.1:6000")?;
///     peer.write_all(b"ready?\n")?;
///     let mut answer = [0; 64];
///     let length = peer.read(&mut answer)?;
///     Ok(answer[..length].starts_with(b"yes"))
/// }
/// ```
#[derive(Debug)]
pub struct Connection<'a> {
    stream: TcpStream,
    address: String,
    run: &'a Run,
}

/// Why there is no connection, or no answer. The text is one sentence.
#[derive(Debug)]
pub enum NetError {
    /// The text is not `host:port`.
    BadAddress(String),
    /// The operator has not granted a connection to this address.
    NotGranted(String),
    /// The host name could not be looked up.
    NoSuchName(String, io::Error),
    /// Nobody listens there.
    Refused(String),
    /// No answer within the time that the run had.
    NoAnswer(String, Duration),
    /// There is no way to that address.
    Unreachable(String),
    /// The other side broke the connection off.
    BrokenOff(String),
    /// Something else went wrong on this side.
    Failed(String, io::Error),
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress(text) => write!(f, "`{text}` is not an address: expected `host:port`"),
            Self::NotGranted(address) => write!(
                f,
                "connecting to {address} is not granted: add `connect = [\"{address}\"]` to the checker's `grant`"
            ),
            // WASI reports a name that is not granted like one that does not exist.
            Self::NoSuchName(address, error) => {
                write!(f, "the name in {address} could not be looked up, or is not granted: {error}")
            }
            Self::Refused(address) => write!(f, "{address} refused the connection"),
            Self::NoAnswer(address, within) => write!(f, "no answer from {address} within {within:?}"),
            Self::Unreachable(address) => write!(f, "{address} is unreachable"),
            Self::BrokenOff(address) => write!(f, "{address} broke the connection off"),
            Self::Failed(address, error) => write!(f, "the connection to {address} failed: {error}"),
        }
    }
}

impl Error for NetError {}

impl From<NetError> for Observation {
    fn from(error: NetError) -> Self {
        match error {
            NetError::NoAnswer(..) => Self::hang(error.to_string()),
            NetError::Refused(_) | NetError::Unreachable(_) | NetError::BrokenOff(_) => {
                Self::fail(error.to_string())
            }
            NetError::BadAddress(_)
            | NetError::NotGranted(_)
            | NetError::NoSuchName(..)
            | NetError::Failed(..) => Self::unknown(error.to_string()),
        }
    }
}

impl<'a> Connection<'a> {
    /// Connects to `host:port` within the run's time. Of a name's addresses the
    /// first that answers is taken.
    pub fn open(run: &'a Run, address: &str) -> Result<Self, NetError> {
        let targets = look_up(address)?;
        let mut first_error = None;
        for (index, target) in targets.iter().enumerate() {
            // An address that hangs leaves the others their share.
            let share = u32::try_from(targets.len() - index).unwrap_or(u32::MAX);
            match connect(target, run.time_left() / share) {
                Ok(stream) => return Ok(Self { stream, address: address.to_owned(), run }),
                Err(error) => {
                    let error = net_error(error, address, run);
                    // That one of several addresses is not granted says the least.
                    if matches!(first_error, None | Some(NetError::NotGranted(_))) {
                        first_error = Some(error);
                    }
                }
            }
        }
        let none = || NetError::NoSuchName(address.to_owned(), io::Error::other("it has no address"));
        Err(first_error.unwrap_or_else(none))
    }

    /// Sends all of it within the run's time.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), NetError> {
        while !bytes.is_empty() {
            let time_left = self.time_left()?;
            let written = self
                .stream
                .set_write_timeout(Some(time_left))
                .and_then(|()| self.stream.write(bytes))
                .or_else(again)
                .map_err(|error| net_error(error, &self.address, self.run))?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Waits for some bytes within the run's time. Zero: the other side has said all.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        loop {
            let time_left = self.time_left()?;
            let read = self.stream.set_read_timeout(Some(time_left)).and_then(|()| self.stream.read(buffer));
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|error| net_error(error, &self.address, self.run)),
            }
        }
    }

    /// Where it leads, as it was asked for.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn time_left(&self) -> Result<Duration, NetError> {
        match self.run.time_left() {
            Duration::ZERO => Err(no_answer(&self.address, self.run)),
            time_left => Ok(time_left),
        }
    }
}

/// A write that was interrupted wrote nothing.
fn again(error: io::Error) -> io::Result<usize> {
    if error.kind() == ErrorKind::Interrupted { Ok(0) } else { Err(error) }
}

fn look_up(address: &str) -> Result<Vec<SocketAddr>, NetError> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    if port.and_then(|port| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
        return Err(NetError::BadAddress(address.to_owned()));
    }
    let targets = address.to_socket_addrs().map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => NetError::NotGranted(address.to_owned()),
        _ => NetError::NoSuchName(address.to_owned(), error),
    })?;
    Ok(targets.collect())
}

fn connect(target: &SocketAddr, within: Duration) -> io::Result<TcpStream> {
    if within.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    let stream = TcpStream::connect_timeout(target, within)?;
    // On WASI the standard library takes the end of the wait for a connection;
    // whether it is one stands in SO_ERROR (connect(2), EINPROGRESS).
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    // Only a delay would be lost with it.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn net_error(error: io::Error, address: &str, run: &Run) -> NetError {
    let to = address.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied => NetError::NotGranted(to),
        ErrorKind::ConnectionRefused => NetError::Refused(to),
        // POSIX reports the end of a receive timeout as EAGAIN (socket(7), SO_RCVTIMEO).
        ErrorKind::TimedOut | ErrorKind::WouldBlock => no_answer(address, run),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            NetError::Unreachable(to)
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            NetError::BrokenOff(to)
        }
        _ => NetError::Failed(to, error),
    }
}

fn no_answer(address: &str, run: &Run) -> NetError {
    // Nobody wants to read microseconds here.
    let within = Duration::from_millis(u64::try_from(run.working_time().as_millis()).unwrap_or(u64::MAX));
    NetError::NoAnswer(address.to_owned(), within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Status;
    use std::net::TcpListener;

    /// For what ends by itself: longer than a busy machine takes.
    const AMPLE: Duration = Duration::from_secs(60);

    fn local() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    fn run() -> Run {
        Run::for_test().with_time_limit(AMPLE)
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_a_fail() {
        // The port of a client: taken for as long as it is connected, so that no other test can listen there.
        let (_listener, served) = local();
        let client = TcpStream::connect(&served).unwrap();
        let address = client.local_addr().unwrap().to_string();
        let seen = Observation::from(Connection::open(&run(), &address).unwrap_err());
        assert_eq!(seen, Observation::fail(format!("{address} refused the connection")));
    }

    #[test]
    fn what_is_no_address_is_unknown() {
        for text in ["", "localhost", ":80", "localhost:", "localhost:0", "localhost:http", "1.2.3.4:70000"] {
            let error = Connection::open(&run(), text).unwrap_err();
            assert!(matches!(error, NetError::BadAddress(_)), "{text}: {error}");
            assert_eq!(Observation::from(error).status, Status::Unknown);
        }
    }

    #[test]
    fn a_name_is_looked_up() {
        let (_listener, address) = local();
        let port = address.rsplit_once(':').unwrap().1;
        let run = run();
        let connection = Connection::open(&run, &format!("localhost:{port}")).unwrap();
        assert_eq!(connection.address(), format!("localhost:{port}"));
    }

    #[test]
    fn a_silent_peer_is_a_fail_within_the_time() {
        let (_listener, address) = local();
        // The next one if the machine is so busy that the time is over before there is a connection.
        for limit in [80, 800, 8_000].map(Duration::from_millis) {
            let run = Run::for_test().with_time_limit(limit);
            let within = run.working_time();
            let no_answer = format!("no answer from {address} within {within:?}");
            let mut connection = match Connection::open(&run, &address) {
                Ok(connection) => connection,
                Err(late) => {
                    assert!(run.elapsed() >= within, "{late} after {:?}", run.elapsed());
                    assert_eq!(late.to_string(), no_answer);
                    continue;
                }
            };
            let error = connection.read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.to_string(), no_answer);
            assert!(run.elapsed() >= within, "{:?}", run.elapsed());
            let error = connection.write_all(b"x");
            assert!(matches!(error, Err(NetError::NoAnswer(..))), "{error:?}");
            return;
        }
        panic!("there was never a connection in time");
    }

    #[test]
    fn a_peer_that_breaks_off_is_a_fail() {
        let (listener, address) = local();
        let run = run();
        let mut connection = Connection::open(&run, &address).unwrap();
        connection.write_all(b"not read").unwrap();
        // Closing with unread data resets the connection (RFC 9293, 3.6.1).
        drop(listener.accept().unwrap());
        let error = connection.read(&mut [0; 1]).unwrap_err();
        assert!(matches!(error, NetError::BrokenOff(_)), "{error}");
    }
}
