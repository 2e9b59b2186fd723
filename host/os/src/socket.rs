//! The local socket, which clients on this node use. Windows has none yet.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(target_os = "linux")]
mod local;
#[cfg(target_os = "linux")]
pub mod messages;

#[cfg(target_os = "linux")]
pub(crate) use self::local::Address;
#[cfg(target_os = "linux")]
pub use self::local::{LocalListener, NAME, bind, connect, connect_to, is_answered, is_socket, path};

/// Accepts clients on this node.
pub trait Listener: Send + Sync {
    /// The connection of a client.
    type Stream: Stream;

    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// The connection of a client on this node.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The user who made it, as the system says (`SO_PEERCRED`, unix(7)).
    fn peer(&self) -> io::Result<Peer>;
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The number of that user.
    pub uid: u32,
    /// The number of this process's own user.
    pub own: u32,
}
