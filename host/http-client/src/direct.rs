//! A stream for a caller that implements its own protocol: TCP, or TLS on top of it. Never through a proxy.
//!
//! ```text
//!   HOST ──look up──▶ addresses ──each judged──▶ connect ──▶ TLS, if wanted ──▶ bytes
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bellwether_core::grant::Refusal;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::client::{HttpClient, Stream, dial, late};
use crate::failed::{Cause, Failed};
use crate::trust::{NoTls, without_verification};
use bellwether_config::certificate::validity;
use bellwether_os::names::Share;

/// The TLS settings of a connection.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The name that the certificate must have, if not the host.
    pub server_name: Option<String>,
    /// Authorities that are trusted in addition to the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Whether any certificate is accepted.
    pub any: bool,
}

/// An open connection, and the expiry of its certificate.
pub struct Opened {
    /// Bytes to and from the other side.
    pub stream: Box<dyn Stream>,
    /// When the server's certificate expires, in milliseconds since 1970.
    pub certificate_ends_ms: Option<i64>,
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub enum NotOpened {
    /// The caller allows none of the addresses.
    Refused(Refusal),
    /// It is allowed, and failed.
    Failed(Failed),
}

impl From<Failed> for NotOpened {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl HttpClient {
    /// Connects to the first of the host's addresses that answers. `judge` decides for each address whether it is
    /// allowed; one that is not is skipped as long as another is.
    pub async fn open(
        &self,
        (host, port): (&str, u16),
        judge: impl Fn(SocketAddr) -> Result<(), Refusal>,
        tls: Option<&Tls>,
        names: &Share,
        by: Instant,
    ) -> Result<Opened, NotOpened> {
        let found = self.addresses(host, port, names, by).await?;
        let mut refusal = None;
        let mut allowed = Vec::new();
        for address in found {
            match judge(address) {
                Ok(()) => allowed.push(address),
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        if let Some(refusal) = refusal.filter(|_| allowed.is_empty()) {
            return Err(NotOpened::Refused(refusal));
        }
        let stream = dial(&allowed, by).await?;
        match tls {
            None => Ok(Opened { stream: Box::new(stream), certificate_ends_ms: None }),
            Some(tls) => Ok(self.wrap(stream, host, tls, by).await?),
        }
    }

    async fn wrap(&self, stream: TcpStream, host: &str, tls: &Tls, by: Instant) -> Result<Opened, Failed> {
        let own_fault = |why: NoTls| Failed::new(Cause::Configuration, format!("no TLS: {why}"));
        let config = timeout_at(by, self.config(tls)).await.map_err(|_| late())?.map_err(own_fault)?;
        // A certificate does not contain interfaces: the zone of an address is removed.
        let address = host.split_once('%').map_or(host, |(address, _)| address);
        let name = tls.server_name.as_deref().unwrap_or(address).to_owned();
        let wrong = |error| Failed::new(Cause::InvalidUrl, format!("`{name}` is not a server name: {error}"));
        let name = ServerName::try_from(name.clone()).map_err(wrong)?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let secured = timeout_at(by, handshake).await.map_err(|_| late())?;
        let secured = secured.map_err(|error| not_secured(&error))?;
        let (_, session) = secured.get_ref();
        let first = session.peer_certificates().and_then(<[_]>::first);
        let certificate_ends_ms =
            first.and_then(|first| validity::ends(first)).map(jiff::Timestamp::as_millisecond);
        Ok(Opened { stream: Box::new(secured), certificate_ends_ms })
    }

    async fn config(&self, tls: &Tls) -> Result<Arc<ClientConfig>, NoTls> {
        if tls.any { without_verification() } else { self.trust.config_with(&tls.authorities).await }
    }
}

/// An error about a certificate already says that it is about TLS.
fn not_secured(error: &io::Error) -> Failed {
    let failed = Failed::tls(error);
    match failed.cause {
        Cause::Certificate(_) => Failed { why: error.to_string(), ..failed },
        _ => failed,
    }
}
