//! The sockets that the health endpoint listens on.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bellwether_core::health::Agent;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use super::BindError;
use bellwether_config::spec::AgentCheckSpec;
use bellwether_os::exhaustion::Exhaustion;
use bellwether_os::handover::{self, Inherited};
use bellwether_os::{address, readiness};

/// The length of the kernel's queue of connections.
const BACKLOG: i32 = 1024;

/// A socket, and its protocol.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) language: Language,
}

/// The protocol of a listener.
#[derive(Debug, Clone)]
pub(super) enum Language {
    Http,
    /// One line for `HAProxy`, about one module or all of them.
    Agent(Agent),
}

/// The result of accepting a connection.
#[derive(Debug)]
pub(super) enum Accepted {
    Connection(TcpStream, IpAddr),
    /// The client has closed it already; there may be another.
    Gone,
    /// No connection is waiting.
    Nobody,
    /// The process, or the system, has no file descriptor left.
    NoDescriptor,
    /// The system lacks another resource.
    Exhausted,
}

impl Listener {
    pub(super) fn http(address: SocketAddr, inherited: &Inherited) -> Result<Self, BindError> {
        Self::bind(address, Language::Http, inherited)
    }

    pub(super) fn agent(spec: &AgentCheckSpec, inherited: &Inherited) -> Result<Self, BindError> {
        Self::bind(spec.listen, Language::Agent(spec.agent.clone()), inherited)
    }

    fn bind(address: SocketAddr, language: Language, inherited: &Inherited) -> Result<Self, BindError> {
        let socket = match inherited.listening_on(address) {
            Some(socket) => take_over(socket),
            None => listen(address),
        };
        let socket = socket.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address },
            io::ErrorKind::PermissionDenied => BindError::NotPermitted { address },
            io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress { address },
            _ => BindError::Refused { address, source },
        })?;
        let address = socket.local_addr().map_err(|source| BindError::Refused { address, source })?;
        Ok(Self { socket, address, language })
    }

    /// The same socket once more, for the next daemon.
    pub(super) fn for_the_next(&self) -> io::Result<handover::Socket> {
        handover::keep(&self.socket)
    }

    /// Whether a connection is waiting to be accepted. This needs no descriptor.
    pub(super) fn has_somebody(&self) -> bool {
        // An error: accepting tells.
        readiness::is_readable(&self.socket, Duration::ZERO).unwrap_or(true)
    }

    pub(super) fn accept(&self) -> Accepted {
        let error = match self.socket.accept() {
            Ok((stream, peer)) => return Accepted::Connection(stream, peer.ip().to_canonical()),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::WouldBlock {
            return Accepted::Nobody;
        }
        match Exhaustion::of(&error) {
            Some(Exhaustion::Descriptors | Exhaustion::FilesOfTheMachine) => Accepted::NoDescriptor,
            Some(_) => Accepted::Exhausted,
            // accept(2): errors of the new connection, to be treated like "try again".
            None => Accepted::Gone,
        }
    }
}

/// A socket of the last daemon: connections in its queue are accepted first.
fn take_over(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A daemon that is upgraded must get its port back immediately.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it: each answer is one write, so there is nothing to wait for.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    address::bind(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}
