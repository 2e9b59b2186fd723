//! TCP, TLS, UDP and Unix sockets for checkers: every operation ends within the run's time, and errors
//! are distinguished as an observation requires.
//!
//! A resource that refuses a connection, hangs or cannot be reached is a **fail**; a missing grant, an invalid
//! address or a name that does not resolve is **unknown**.
//!
//! In a component prefer this to [`TcpStream::connect_timeout`], which reports a refused connection as successful
//! there (Rust 1.95).

mod error;
mod link;
mod tls;
mod udp;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::granted::HostError;
use crate::run::Run;

pub use self::error::NetError;
use self::link::{Link, Order};
pub use self::tls::Tls;
pub use self::udp::Udp;

/// A connection that is closed at the end of its run at the latest.
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
    stream: Stream,
    address: String,
    run: &'a Run,
}

/// The side that opens the connection.
#[derive(Debug)]
enum Stream {
    /// WASI, or the system in a native test.
    Tcp(TcpStream),
    /// The host, for TLS and Unix sockets.
    Host(Link),
}

impl<'a> Connection<'a> {
    /// Connects to `host:port` within the run's time. If a name has several
    /// addresses, the first that answers is used.
    pub fn open(run: &'a Run, address: &str) -> Result<Self, NetError> {
        // WASI does not support names of network interfaces.
        if address.contains('%') {
            return Self::by_host(run, address, "tcp:", &[]);
        }
        let targets = look_up(address)?;
        let mut first_error = None;
        for (index, target) in targets.iter().enumerate() {
            // An address that hangs leaves the others their share of the time.
            let share = u32::try_from(targets.len() - index).unwrap_or(u32::MAX);
            match connect(target, run.time_left() / share) {
                Ok(stream) => {
                    return Ok(Self { stream: Stream::Tcp(stream), address: address.to_owned(), run });
                }
                Err(error) => {
                    let error = net_error(error, address, run);
                    // A missing grant for one of several addresses is the least informative error.
                    if matches!(first_error, None | Some(NetError::NotGranted(_))) {
                        first_error = Some(error);
                    }
                }
            }
        }
        let none = || NetError::NoSuchName(address.to_owned(), io::Error::other("it has no address"));
        Err(first_error.unwrap_or_else(none))
    }

    /// Connects to `host:port` within the run's time, with TLS. The host makes the connection, with the
    /// same `connect` grant.
    pub fn open_tls(run: &'a Run, address: &str, tls: &Tls) -> Result<Self, NetError> {
        Self::by_host(run, address, "tls:", &tls.options(address)?)
    }

    /// Connects to the Unix socket at `path` within the run's time. Granted by `connect = ["unix:PATH"]`.
    pub fn open_unix(run: &'a Run, path: &str) -> Result<Self, NetError> {
        Self::by_host(run, &format!("unix:{path}"), "", &[])
    }

    fn by_host(
        run: &'a Run,
        address: &str,
        kind: &str,
        options: &[(String, String)],
    ) -> Result<Self, NetError> {
        let within = run.time_left();
        if within.is_zero() {
            return Err(no_answer(address, run));
        }
        let order = Order { target: &format!("{kind}{address}"), options, within };
        match Link::open(&order) {
            Ok(link) => Ok(Self { stream: Stream::Host(link), address: address.to_owned(), run }),
            Err(error) => Err(told_by_host(error, address, run)),
        }
    }

    /// Sends all bytes within the run's time.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), NetError> {
        while !bytes.is_empty() {
            let time_left = self.time_left()?;
            let written = match &mut self.stream {
                Stream::Tcp(stream) => stream
                    .set_write_timeout(Some(time_left))
                    .and_then(|()| stream.write(bytes))
                    .or_else(again)
                    .map_err(|error| net_error(error, &self.address, self.run))?,
                Stream::Host(link) => link
                    .write(bytes, time_left)
                    .map_err(|error| told_by_host(error, &self.address, self.run))?,
            };
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Waits for some bytes within the run's time. Zero means that the other side sends no more.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NetError> {
        loop {
            let time_left = self.time_left()?;
            let stream = match &mut self.stream {
                Stream::Tcp(stream) => stream,
                Stream::Host(link) => {
                    let read = link.read(buffer, time_left);
                    return read.map_err(|error| told_by_host(error, &self.address, self.run));
                }
            };
            let read = stream.set_read_timeout(Some(time_left)).and_then(|()| stream.read(buffer));
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|error| net_error(error, &self.address, self.run)),
            }
        }
    }

    /// Whether the service has accepted the connection, and not only the kernel for it, as it does also
    /// for a service that is stopped or hangs. Waits until it is accepted, within the run's time.
    ///
    /// An error means that this cannot be determined: the service is on another machine, or the host does
    /// not say. That is not a failure of the service.
    pub fn accepted(&self) -> Result<Acceptance, HostError> {
        let Stream::Tcp(stream) = &self.stream else {
            return Err(HostError::new("elsewhere", "only of TCP can be told whether it is accepted"));
        };
        let ends = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
        let (local, peer) = ends.map_err(|error| HostError::new("unavailable", error.to_string()))?;
        self.run.host.accepted(&local.to_string(), &peer.to_string(), self.run.time_left())
    }

    /// When the other side's certificate expires, in milliseconds since 1970; None without TLS.
    pub fn certificate_ends_ms(&self) -> Option<i64> {
        let Stream::Host(link) = &self.stream else { return None };
        let about = link.about();
        about.iter().find(|(name, _)| name == "certificate-ends-ms")?.1.parse().ok()
    }

    /// The target, as it was requested.
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

/// The state of a connection that the kernel has completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The service has accepted it.
    pub accepted: bool,
    /// The processes that should have accepted it, as far as the host can see: `redis-server 4711 (stopped)`.
    pub held_by: Option<String>,
}

fn told_by_host(error: HostError, address: &str, run: &Run) -> NetError {
    let HostError { code, message } = error;
    let to = address.to_owned();
    match code.as_str() {
        "bad-target" => NetError::BadAddress(to),
        "not-granted" => NetError::NotGranted(to),
        "no-such-name" => NetError::NoSuchName(to, io::Error::other(message)),
        "refused" => NetError::Refused(to),
        "timeout" => no_answer(address, run),
        "unreachable" => NetError::Unreachable(to),
        "broken-off" => NetError::BrokenOff(to),
        "no-tls" | "no-answer" => NetError::NoTls(to, message),
        "certificate-expired" => NetError::BadCertificate(to, message),
        "untrusted" => NetError::Untrusted(to, message),
        "wrong-name" => NetError::WrongName(to, message),
        _ => NetError::Failed(to, io::Error::other(message)),
    }
}

/// An interrupted write wrote nothing.
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
    // On WASI the standard library takes the end of the wait for a connection; the actual result is in SO_ERROR
    // (connect(2), EINPROGRESS).
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    // The system may choose the requested port as its own local port (RFC 9293, 3.5, simultaneous open): then no
    // service listens there.
    if stream.local_addr().is_ok_and(|own| own == *target) {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    // If it fails, only a delay is the consequence.
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
    // Microseconds are of no interest here.
    let within = Duration::from_millis(u64::try_from(run.working_time().as_millis()).unwrap_or(u64::MAX));
    NetError::NoAnswer(address.to_owned(), within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Observation, Status};
    use std::net::TcpListener;

    /// The time limit for what ends by itself: longer than a busy machine takes.
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
        // The port of a client: in use for as long as it is connected, so that no other test can listen there.
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

    /// The longest tick of a kernel in use (`CONFIG_HZ=100`, time(7)).
    const TICK: Duration = Duration::from_millis(10);

    #[test]
    fn a_silent_peer_is_a_fail_within_the_time() {
        let (_listener, address) = local();
        // The next limit, if the machine is so busy that the time is over before there is a connection.
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
            // The system counts the timeout of a socket in ticks.
            assert!(run.elapsed() + TICK >= within, "{:?}", run.elapsed());
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
