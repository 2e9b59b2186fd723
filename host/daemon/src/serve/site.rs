//! Who is at the other end of a connection.

use std::net::SocketAddr;

/// Who is at the other end of a connection; in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The address it comes from. It is the proxy's, if there is one in between.
    pub address: SocketAddr,
    /// Nobody in between can read or change what is said.
    pub tls: bool,
}
