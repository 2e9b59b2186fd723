//! TLS between members: both sides present certificates of the farm's authority.
//!
//! Nothing of a connection outlives it: there are no tickets and no stored sessions, because a session that is resumed
//! brings the certificate of its beginning back without a check. Certificates are looked up at each handshake, so a
//! renewed one is used at once.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_farm::id::NodeId;
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{AlertDescription, CertificateError, RootCertStore, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::{self, host_name};
use crate::identity::Identity;
use crate::wall::{Wall, shown};

/// The protocol (RFC 7301) that is spoken between nodes.
pub(crate) const HTTP2: &[u8] = b"h2";

/// The TLS of a member. Cheap to clone; all clones use the same certificate.
#[derive(Clone)]
pub(crate) struct Tls {
    identity: Arc<ArcSwap<Identity>>,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.identity.load())
    }
}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTls {
    #[error(transparent)]
    Refused(#[from] rustls::Error),
    #[error("{0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl Tls {
    /// Of this identity, and of these authorities.
    pub(crate) fn new(
        identity: Identity,
        bundle: &[CertificateDer<'static>],
        wall: &Wall,
    ) -> Result<Self, NoTls> {
        let identity = Arc::new(ArcSwap::from_pointee(identity));
        let resolver = Arc::new(Present(Arc::clone(&identity)));
        let mut roots = RootCertStore::empty();
        for authority in bundle {
            roots.add(authority.clone())?;
        }
        let roots = Arc::new(roots);
        // Without a certificate a node may only join.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
        let verifier = verifier.allow_unauthenticated().build()?;
        let mut server = ServerConfig::builder_with_details(provider(), Arc::new(wall.clone()))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.alpn_protocols = vec![HTTP2.to_vec()];
        let mut client = ClientConfig::builder_with_details(provider(), Arc::new(wall.clone()))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_client_cert_resolver(resolver);
        client.resumption = Resumption::disabled();
        client.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Self {
            identity,
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }

    /// The identity that new connections have.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.identity.load_full()
    }

    /// New connections have this identity from now on.
    pub(crate) fn renew(&self, identity: Identity) {
        self.identity.store(Arc::new(identity));
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    pub(crate) fn connector(&self) -> &TlsConnector {
        &self.connector
    }

    /// The name by which a node is dialled.
    pub(crate) fn name_of(&self, node: NodeId) -> Option<ServerName<'static>> {
        ServerName::try_from(host_name(node, self.identity.load().farm)).ok()
    }
}

/// Presents the certificate that is in use at the moment of the handshake.
struct Present(Arc<ArcSwap<Identity>>);

impl fmt::Debug for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present")
    }
}

impl ResolvesServerCert for Present {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().certified))
    }
}

impl ResolvesClientCert for Present {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The node that a verified certificate identifies, and when the certificate expires, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    pub(crate) until: i64,
}

/// The other side of a connection, if it has presented a certificate. TLS has verified that one.
pub(crate) fn peer(certificates: Option<&[CertificateDer<'_>]>) -> Option<Peer> {
    let certificate = certificates?.first()?;
    let (id, validity) = (authority::node_id(certificate)?, authority::validity(certificate)?);
    Some(Peer { id, until: validity.until })
}

/// What the failure of a handshake says about certificates, if it is about certificates. `node`: the other one.
pub(crate) fn certificate_problem(error: &rustls::Error, node: &str) -> Option<String> {
    let why = match error {
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            let at = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX);
            format!(
                "the certificate of {node} expired at {}: on it run `bellwether farm leave`, then `bellwether farm join LINE --replace {node}`",
                shown(at)
            )
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            let at = i64::try_from(not_before.as_secs()).unwrap_or(i64::MAX);
            format!(
                "the certificate of {node} is valid from {} only: one of the two clocks is wrong",
                shown(at)
            )
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("the certificate of {node} was issued by the authority of another farm")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("what answers at the address of {node} is another node"),
        rustls::Error::InvalidCertificate(other) => {
            format!("the certificate of {node} is not valid: {other}")
        }
        rustls::Error::AlertReceived(alert) => rejection(*alert, node)?,
        _ => return None,
    };
    Some(why)
}

/// The alerts by which the other side rejects the certificate of this node.
fn rejection(alert: AlertDescription, node: &str) -> Option<String> {
    let why = match alert {
        AlertDescription::CertificateExpired => {
            "has expired, or one of the two clocks is wrong: set the clocks, or on this node run `bellwether farm leave`, then \
             `bellwether farm join LINE --replace` with its name"
        }
        AlertDescription::UnknownCA => "was issued by the authority of another farm",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRequired => "is not valid",
        _ => return None,
    };
    Some(format!("{node} says that the certificate of this node {why}"))
}

/// The same, from the text of an error: HTTP/2 keeps nothing else of it.
pub(crate) fn rejection_in(text: &str, node: &str) -> Option<String> {
    let (_, name) = text.split_once("received fatal alert: ")?;
    let alerts = [
        AlertDescription::CertificateExpired,
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateRevoked,
        AlertDescription::CertificateUnknown,
        AlertDescription::CertificateRequired,
    ];
    let alert = alerts.into_iter().find(|alert| name.starts_with(&format!("{alert:?}")))?;
    rejection(alert, node)
}
