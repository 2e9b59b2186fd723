//! TLS of a node that joins: it has no certificate yet, and knows of the other side only the SHA-256 of the certificate
//! of the farm's authority.
//!
//! ```text
//!   chain has the pinned authority ──▶ verified by it, at a time at which it is valid ──▶ clocks are compared
//!     └ no: another farm
//! ```
//! The clock of this node may be wrong. Verified at the time that it shows, the handshake would fail for a reason that
//! nobody understands; so the chain is verified at a time within its validity, and the clocks are compared next.

use std::sync::Arc;

use bellwether_farm::renewal::Validity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};

use crate::authority::{self, host_name, sha256};
use crate::tls::{HTTP2, NoTls, provider};
use crate::wall::unix_time;

/// The name that is dialled. The name that is verified is the one in the certificate, by its key.
pub(crate) const ANY_NODE: &str = "node.bellwether";

/// The chain of the other side has no certificate with the pinned digest.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of the farm's authority is another one than the invitation says")]
pub(crate) struct OtherFarm;

/// TLS towards a member of the farm whose authority's certificate has this SHA-256.
pub(crate) fn client(authority: [u8; 32]) -> Result<ClientConfig, NoTls> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { authority }))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}

/// Verifies as for any member, with the pinned authority as the only one.
#[derive(Debug)]
struct Pinned {
    authority: [u8; 32],
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates.iter().find(|certificate| sha256(certificate) == self.authority);
        let pinned = pinned.ok_or_else(|| other(OtherFarm))?;
        let bad = || rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
        let node = authority::node_id(end_entity).ok_or_else(bad)?;
        let farm = authority::authority_id(pinned).ok_or_else(bad)?;
        let validity = authority::validity(end_entity).ok_or_else(bad)?;
        let name = ServerName::try_from(host_name(node, farm)).map_err(|_| bad())?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, &[], &name, &[], at(now, validity))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not used between nodes".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn other(error: OtherFarm) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// The time that is closest to now and at which the certificate is valid.
fn at(now: UnixTime, validity: Validity) -> UnixTime {
    unix_time(validity.closest(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)))
}

/// Whether a handshake failed because the other side belongs to another farm.
pub(crate) fn is_other_farm(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.is::<OtherFarm>(),
        _ => false,
    }
}
