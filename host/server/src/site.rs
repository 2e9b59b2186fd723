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
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::conversation::{converse, farewell};
use bellwether_api::ConsoleStatus;
use bellwether_config::certificate::PairFiles;
use bellwether_config::certificates::{Certificates, NotUsable, Purpose};
use bellwether_config::spec::{ConsoleSpec, NodeSpec};
use bellwether_os::address;

mod connection_limit;
mod plain;
mod router;

use self::connection_limit::ConnectionLimit;
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
/// The time limit of the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Sent data must be acknowledged within this time, in milliseconds (`TCP_USER_TIMEOUT`, tcp(7)): a client that has
/// disappeared, or no longer reads, holds nothing for longer.
const ARRIVED_WITHIN_MS: u32 = 30_000;
/// The delay before accepting is retried after an error.
const REST: Duration = Duration::from_millis(100);
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
    whereabouts: Whereabouts,
}

/// The console's address, for everything that shows it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts(Option<Arc<Place>>);

#[derive(Debug)]
struct Place {
    url: String,
    names: Vec<String>,
    certificates: Option<Certificates>,
}

impl Whereabouts {
    /// For `status`; `None` if there is no console.
    pub fn status(&self) -> Option<ConsoleStatus> {
        let place = self.0.as_ref()?;
        let pair = place.certificates.as_ref().map(Certificates::pair);
        Some(ConsoleStatus {
            url: place.url.clone(),
            fingerprint: pair.as_ref().map(|pair| pair.fingerprint.to_string()),
            certificate_ends: pair.and_then(|pair| pair.ends).map(|ends| ends.to_string()),
        })
    }

    /// The accepted host names of the console, in lower case; besides addresses.
    pub fn names(&self) -> &[String] {
        self.0.as_ref().map(|place| place.names.as_slice()).unwrap_or_default()
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
        let place = Place { url, names, certificates: certificates.clone() };
        Ok(Self { listener, certificates, whereabouts: Whereabouts(Some(Arc::new(place))) })
    }

    /// The address of the console.
    pub fn whereabouts(&self) -> Whereabouts {
        self.whereabouts.clone()
    }

    /// The fingerprint of its certificate, if it is encrypted.
    pub fn certificates(&self) -> Option<Certificates> {
        self.certificates.clone()
    }

    /// Serves clients until `shutdown` completes.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()> + Send) {
        let crowd = ConnectionLimit::default();
        let end = GracefulShutdown::new();
        let mut clients = JoinSet::new();
        tokio::pin!(shutdown);
        let mut failing = false;
        loop {
            while clients.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = async {
                    let room = crowd.room().await;
                    (room, self.listener.accept().await)
                } => accepted,
                () = &mut shutdown => break,
            };
            let (stream, address, room) = match accepted {
                (Some(room), Ok((stream, address))) => {
                    failing = false;
                    (stream, address, room)
                }
                (None, _) => break,
                (_, Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "clients of the console cannot be accepted; the next attempt is due soon");
                    }
                    // Most likely there are no file descriptors left: other connections must end first.
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let Some(place) = crowd.admit(room, address.ip()) else { continue };
            let client = Client { stream, address, certificates: self.certificates.clone() };
            let answered = client.answer(router.clone(), end.watcher());
            clients.spawn(async move {
                answered.await;
                drop(place);
            });
        }
        farewell(end, clients).await;
    }
}

struct Client {
    stream: TcpStream,
    address: SocketAddr,
    certificates: Option<Certificates>,
}

impl Client {
    async fn answer(self, router: Router, ending: Watcher) {
        let Self { stream, address, certificates } = self;
        // Errors: it has ended already, which is noticed below.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, ARRIVED_WITHIN_MS);
        let peer = |tls| Extension(Peer { address, tls });
        let Some(certificates) = certificates else {
            return converse(stream, router.layer(peer(false)), HEAD_WITHIN, ending).await;
        };
        let secured = async {
            if plain::is_plain(&stream).await? {
                plain::refuse(stream).await?;
                return Ok(None);
            }
            certificates.acceptor().accept(stream).await.map(Some)
        };
        match tokio::time::timeout(HANDSHAKE_WITHIN, secured).await {
            Ok(Ok(Some(stream))) => converse(stream, router.layer(peer(true)), HEAD_WITHIN, ending).await,
            Ok(Ok(None)) => tracing::debug!(%address, "a client of the console spoke plain HTTP"),
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "a client of the console disconnected before the TLS handshake was complete");
            }
            Err(_) => {
                tracing::debug!(%address, "a client of the console took too long for the TLS handshake");
            }
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
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().to_lowercase();
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
