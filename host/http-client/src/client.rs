//! Connections to origins: directly, or through the operator's proxy.
//!
//! ```text
//!   direct:  name ──look up──▶ addresses ──each judged──▶ connect ─────────────▶ TLS?
//!   proxy:   proxy's name ──look up──▶ addresses ──▶ connect ──▶ tunnel, if TLS ──▶ TLS?
//! ```
//! A proxy resolves the origin's name itself, so the host cannot check its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};

use bellwether_core::grant::{ProxyRules, Refusal};
use futures_util::future::{BoxFuture, FutureExt as _};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::failed::{Cause, Failed};
use crate::target::Target;
use crate::trust::{NoTls, Trust};
use crate::tunnel;
use bellwether_config::spec::HttpSpec;
use bellwether_os::names::{Share, look_up};

/// Makes connections as `[http]` of the node's file says.
pub struct HttpClient {
    rules: ProxyRules,
    pub(crate) trust: Trust,
    look_up: LookUp,
}

/// Resolves a name to its addresses.
pub type LookUp = fn(String, Share, Instant) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// The maximum number of addresses that are tried for one name.
const MAX_ADDRESSES: usize = 16;

/// A byte stream to an origin or a proxy.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why a connection could not be opened.
#[derive(Debug)]
pub enum NoConnection {
    /// The caller does not allow it.
    Refused(Refusal),
    /// The certificate of the other side is not trusted; this says what to do.
    Distrusted(Refusal),
    /// It is allowed, and failed.
    Failed(Failed),
}

impl From<Failed> for NoConnection {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new(&HttpSpec::default())
    }
}

impl HttpClient {
    /// Makes connections as this says.
    pub fn new(spec: &HttpSpec) -> Self {
        let HttpSpec { rules, authorities, ca_bundle: _ } = spec.clone();
        Self { rules, trust: Trust::new(authorities), look_up: by_the_system }
    }

    /// For tests: names are looked up in another way than by the system.
    #[must_use]
    pub fn with_look_up(self, look_up: LookUp) -> Self {
        Self { look_up, ..self }
    }

    /// Whether requests on a connection for this target are sent to a proxy.
    pub fn speaks_to_proxy(&self, target: &Target) -> bool {
        !target.https && self.rules.through(&target.host).is_some()
    }

    /// A connection to the target, or to its proxy, for HTTP. `may_reach` is asked about each address that the name of
    /// the target resolves to.
    pub async fn connect(
        &self,
        target: &Target,
        may_reach: impl Fn(IpAddr) -> Result<(), Refusal>,
        share: &Share,
        by: Instant,
    ) -> Result<Box<dyn Stream>, NoConnection> {
        let stream = if let Some(proxy) = self.rules.through(&target.host) {
            let addresses = self.addresses(&proxy.host(), proxy.port(), share, by).await?;
            let mut stream = dial(&addresses, by)
                .await
                .map_err(|failed| Failed { why: format!("the proxy {proxy}: {}", failed.why), ..failed })?;
            if target.https {
                within(by, tunnel::open(&mut stream, &target.authority())).await?;
            }
            stream
        } else {
            let addresses = self.addresses(&target.host, target.port, share, by).await?;
            // An address that is not allowed is an error, and is not skipped in favour of others.
            for address in &addresses {
                may_reach(address.ip()).map_err(NoConnection::Refused)?;
            }
            dial(&addresses, by).await?
        };
        if target.https { Ok(Box::new(self.secure(stream, target, by).await?)) } else { Ok(Box::new(stream)) }
    }

    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
        share: &Share,
        by: Instant,
    ) -> Result<Vec<SocketAddr>, Failed> {
        let found = (self.look_up)(host.to_owned(), share.clone(), by).await;
        let unknown = |why: String| {
            let sentence = format!("`{host}` could not be looked up: {why}");
            Failed::new(Cause::UnknownName(why), sentence)
        };
        let mut addresses = found.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                Failed::new(Cause::LookUpTimeout, format!("`{host}` could not be looked up in time"))
            }
            _ => unknown(error.to_string()),
        })?;
        addresses.truncate(MAX_ADDRESSES);
        for address in &mut addresses {
            address.set_port(port);
        }
        if addresses.is_empty() { Err(unknown("it has no address".to_owned())) } else { Ok(addresses) }
    }

    async fn secure(
        &self,
        stream: TcpStream,
        target: &Target,
        by: Instant,
    ) -> Result<impl Stream + use<>, NoConnection> {
        let own_fault = |why: NoTls| Failed::new(Cause::Configuration, format!("no TLS: {why}"));
        let config = timeout_at(by, self.trust.config()).await.map_err(|_| late())?.map_err(own_fault)?;
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| Failed::new(Cause::InvalidUrl, error.to_string()))?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let secured = timeout_at(by, handshake).await.map_err(|_| late())?;
        secured.map_err(|error| {
            let failed = Failed::tls(&error);
            if matches!(failed.cause, Cause::Certificate(_)) {
                NoConnection::Distrusted(distrusted(target, &error))
            } else {
                failed.into()
            }
        })
    }
}

fn distrusted(target: &Target, error: &io::Error) -> Refusal {
    Refusal::unavailable(
        bellwether_core::grant::GrantKind::Http,
        format!("trust the certificate of {} ({error})", target.origin()),
        "add your own authority to the file that `ca-bundle` names under [http] in bellwether.toml",
    )
}

fn by_the_system(host: String, share: Share, by: Instant) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    async move { look_up(&host, &share, by).await }.boxed()
}

/// Connects to the first address that answers. An address that hangs leaves the others their share of the time.
pub(crate) async fn dial(addresses: &[SocketAddr], by: Instant) -> Result<TcpStream, Failed> {
    let mut first = None;
    for (index, address) in addresses.iter().enumerate() {
        let share = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let now = Instant::now();
        let until = now + by.saturating_duration_since(now) / share;
        let failed = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // The small writes of a handshake must not wait for each other; without this option it is only
                // slower.
                let _slower = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => Failed::connect(&error),
            Err(_) => late(),
        };
        first.get_or_insert(failed);
    }
    Err(first.unwrap_or_else(late))
}

async fn within<T>(by: Instant, work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    timeout_at(by, work).await.unwrap_or_else(|_| Err(late()))
}

pub(crate) fn late() -> Failed {
    Failed::new(Cause::Timeout, "no connection in time")
}
