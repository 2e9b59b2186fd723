//! A stream for a component that implements its own protocol: TCP, or TLS on top of it. Never through a proxy.
//!
//! ```text
//!   HOST ──look up──▶ addresses ──each judged──▶ connect ──▶ TLS, if wanted ──▶ bytes
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bellwether_core::grant::Refusal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::Error;

use super::client::{HttpClient, Stream, dial, late};
use super::failed::Failed;
use super::trust::{NoTls, without_verification};
use bellwether_config::certificate::validity;
use bellwether_os::names::Share;

/// The TLS settings of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// The name that the certificate must have, if not the host.
    pub(crate) server_name: Option<String>,
    /// Authorities that are trusted in addition to the system's.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    /// Whether any certificate is accepted.
    pub(crate) any: bool,
}

/// An open connection, and the expiry of its certificate.
pub(crate) struct Opened {
    pub(crate) stream: Box<dyn Stream>,
    /// When the server's certificate expires, in milliseconds since 1970.
    pub(crate) certificate_ends_ms: Option<i64>,
}

/// Why a connection could not be opened.
pub(crate) enum NotOpened {
    Refused(Refusal),
    /// An error code of the interface, and a sentence.
    Failed(&'static str, String),
}

impl From<Failed> for NotOpened {
    fn from(failed: Failed) -> Self {
        let code = match failed.error {
            Error::DnsError { .. } | Error::DnsTimeout => "no-such-name",
            Error::ConnectionRefused => "refused",
            Error::ConnectionTimeout => "timeout",
            Error::DestinationIpUnroutable => "unreachable",
            Error::ConnectionTerminated => "broken-off",
            Error::TlsProtocolError | Error::TlsAlertReceived { .. } => "no-tls",
            Error::HttpRequestUriInvalid => "bad-option",
            _ => "unavailable",
        };
        Self::Failed(code, failed.why)
    }
}

impl HttpClient {
    /// Connects to the first of the host's addresses that answers. `judge` decides for each address whether it is
    /// allowed; one that is not is skipped as long as another is.
    pub(crate) async fn open(
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
            Some(tls) => self.wrap(stream, host, tls, by).await,
        }
    }

    async fn wrap(&self, stream: TcpStream, host: &str, tls: &Tls, by: Instant) -> Result<Opened, NotOpened> {
        let own_fault = |why: NoTls| NotOpened::Failed("unavailable", format!("no TLS: {why}"));
        let config = timeout_at(by, self.config(tls)).await.map_err(|_| late())?.map_err(own_fault)?;
        // A certificate does not contain interfaces: the zone of an address is removed.
        let address = host.split_once('%').map_or(host, |(address, _)| address);
        let name = tls.server_name.as_deref().unwrap_or(address).to_owned();
        let wrong =
            |error| NotOpened::Failed("bad-option", format!("`{name}` is not a server name: {error}"));
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

fn not_secured(error: &io::Error) -> NotOpened {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = tls else { return Failed::tls(error).into() };
    let code = match why {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. }
        | CertificateError::Revoked => "certificate-expired",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "wrong-name",
        _ => "untrusted",
    };
    NotOpened::Failed(code, error.to_string())
}
