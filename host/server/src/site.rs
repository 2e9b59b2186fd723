//! The console's listener: for browsers and programs, on this host and on others.
//!
//! ```text
//!   accepted ──▶ one of not too many ──▶ TLS, off the loopback ──▶ requests ──▶ ended
//!                        │                     │
//!                        ▼ closed              └─ plain HTTP: told to use https, closed
//! ```
//! Connections outside the loopback are encrypted; those on the loopback only if the node's file has a certificate.
//! The guard in front of the pages and the API authenticates callers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use tokio::net::{TcpListener, TcpStream};

use super::http_server::{Connection, ConnectionLimit, HttpServer, secure};
use bellwether_api::ConsoleStatus;
use bellwether_config::certificate::PairFiles;
use bellwether_config::certificates::{Certificates, NotUsable, Purpose};
use bellwether_config::spec::{ConsoleSpec, NodeSpec};
use bellwether_os::{address, host};

mod router;

pub use self::router::router;

/// The peer of a connection; in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address. It is the proxy's, if there is one in between.
    pub address: SocketAddr,
    /// Whether the connection is protected against eavesdropping and changes.
    pub tls: bool,
}

/// The time limit for the head of a request, and for an idle client.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Sent data must be acknowledged within this time: a client that has disappeared, or no longer reads, holds nothing
/// for longer.
const ARRIVED_WITHIN: Duration = Duration::from_secs(30);
/// The daemon's own certificate, relative to the root.
const OWN_CERTIFICATE: &str = "state/console";

/// Why the console cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// Another program listens on the address.
    #[error("{0} is in use by another program")]
    InUse(SocketAddr),
    /// Another error of the system.
    #[error("it cannot listen on {0}: {1}")]
    NotBound(SocketAddr, #[source] io::Error),
    /// There is no certificate, which is required on this address.
    #[error("there is no certificate: {0}")]
    NoCertificate(NotUsable),
}

/// The listener, which does not serve clients yet.
#[derive(Debug)]
pub struct Site {
    listener: TcpListener,
    certificates: Option<Certificates>,
    console_address: ConsoleAddress,
}

/// The console's address, for everything that shows it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ConsoleAddress(Option<Arc<Reachable>>);

#[derive(Debug)]
struct Reachable {
    url: String,
    names: Vec<String>,
    certificates: Option<Certificates>,
}

impl ConsoleAddress {
    /// For `status`; `None` if there is no console.
    pub fn status(&self) -> Option<ConsoleStatus> {
        let reachable = self.0.as_ref()?;
        let pair = reachable.certificates.as_ref().map(Certificates::pair);
        Some(ConsoleStatus {
            url: reachable.url.clone(),
            fingerprint: pair.as_ref().map(|pair| pair.fingerprint.to_string()),
            certificate_ends: pair.and_then(|pair| pair.ends).map(|ends| ends.to_string()),
        })
    }

    /// The accepted host names of the console, in lower case; besides addresses.
    pub fn names(&self) -> &[String] {
        self.0.as_ref().map(|reachable| reachable.names.as_slice()).unwrap_or_default()
    }
}

impl Site {
    /// Listens, with a certificate where one is needed.
    pub async fn open(root: &Path, node: &NodeSpec, spec: &ConsoleSpec) -> Result<Self, NotOpened> {
        let listener = address::listen(spec.listen).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => NotOpened::InUse(spec.listen),
            _ => NotOpened::NotBound(spec.listen, error),
        })?;
        let address = listener.local_addr().map_err(|error| NotOpened::NotBound(spec.listen, error))?;
        let names = names(node, spec, address);
        let certificates = if spec.pair.is_some() || !is_loopback(address.ip()) {
            let (folder, files, names) = (root.join(OWN_CERTIFICATE), spec.pair.clone(), names.clone());
            let open = move || Certificates::open(Purpose::Console, files, folder, names);
            let opened = tokio::task::spawn_blocking(open).await;
            let opened = opened.unwrap_or_else(|error| Err(error.into()));
            Some(opened.map_err(NotOpened::NoCertificate)?)
        } else {
            None
        };
        let url = url(address, spec, &names, certificates.is_some());
        let reachable = Reachable { url, names, certificates: certificates.clone() };
        Ok(Self { listener, certificates, console_address: ConsoleAddress(Some(Arc::new(reachable))) })
    }

    /// The address of the console.
    pub fn console_address(&self) -> ConsoleAddress {
        self.console_address.clone()
    }

    /// The fingerprint of its certificate, if it is encrypted.
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Serves clients until `shutdown` completes.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()> + Send) {
        let server = HttpServer {
            what: "the console",
            limit: ConnectionLimit::for_any_host(),
            head_within: HEAD_WITHIN,
            longest: None,
        };
        let Self { listener, certificates, .. } = self;
        let answer = move |(stream, address), connection| {
            let client = Client { stream, address, certificates: certificates.clone() };
            client.answer(router.clone(), connection)
        };
        server.serve(listener, answer, shutdown).await;
    }
}

struct Client {
    stream: TcpStream,
    address: SocketAddr,
    certificates: Option<Certificates>,
}

impl Client {
    async fn answer(self, router: Router, connection: Connection) {
        let Self { stream, address, certificates } = self;
        // Errors: it has ended already, which is noticed below.
        let _ = stream.set_nodelay(true);
        let _ = address::set_user_timeout(&stream, ARRIVED_WITHIN);
        let peer = |tls| Extension(Peer { address, tls });
        let Some(certificates) = certificates else {
            return connection.serve(stream, router.layer(peer(false))).await;
        };
        if let Some(stream) = secure(stream, address, &certificates).await {
            connection.serve(stream, router.layer(peer(true))).await;
        }
    }
}

/// The certificate that the daemon generates for itself, and its key, under this root.
pub fn own_files(root: &Path) -> PairFiles {
    bellwether_config::certificate::own_files(&root.join(OWN_CERTIFICATE))
}

/// Whether only this host can reach the address.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The names of the console: those of the file, the host's, the node's. The first one is displayed.
fn names(node: &NodeSpec, spec: &ConsoleSpec, address: SocketAddr) -> Vec<String> {
    let host = host::name().to_lowercase();
    let mut names = spec.names.clone();
    let own = [host, node.name.as_str().to_lowercase(), "localhost".to_owned()];
    names.extend(own.into_iter().filter(|name| !name.is_empty() && name.is_ascii()));
    if !address.ip().is_unspecified() {
        names.push(address.ip().to_string());
    }
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn url(address: SocketAddr, spec: &ConsoleSpec, names: &[String], tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let port = address.port();
    match names.first() {
        Some(name) if address.ip().is_unspecified() || !spec.names.is_empty() => {
            let host = if name.contains(':') { format!("[{name}]") } else { name.clone() };
            format!("{scheme}://{host}:{port}/")
        }
        _ => format!("{scheme}://{address}/"),
    }
}

#[cfg(test)]
mod tests;
