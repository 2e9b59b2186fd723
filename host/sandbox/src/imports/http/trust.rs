//! The trusted authorities: those of the system, the operator's own, and a checker's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;
use tokio::task::JoinError;

/// The number of configurations that are kept for later runs: one for each checker that has its own authorities.
const KEPT: usize = 32;

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTls {
    #[error(transparent)]
    Refused(#[from] rustls::Error),
    /// The daemon is shutting down.
    #[error(transparent)]
    Ending(#[from] JoinError),
}

/// Loaded at the first request: most nodes never make one.
#[derive(Default)]
pub(super) struct Trust {
    own: Vec<CertificateDer<'static>>,
    config: OnceCell<Arc<ClientConfig>>,
    /// Those with additional authorities, the most recently used last.
    extended: Mutex<VecDeque<Extended>>,
}

/// The additional authorities of a checker, and the configuration that trusts them.
type Extended = (Vec<CertificateDer<'static>>, Arc<ClientConfig>);

impl Trust {
    pub(super) fn new(own: Vec<CertificateDer<'static>>) -> Self {
        Self { own, ..Self::default() }
    }

    /// The TLS configuration without additional authorities.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, NoTls> {
        let read = || async {
            let own = self.own.clone();
            Ok::<_, NoTls>(Arc::new(tokio::task::spawn_blocking(move || config(own)).await??))
        };
        self.config.get_or_try_init(read).await.cloned()
    }

    /// The same with additional authorities.
    pub(super) async fn config_with(
        &self,
        more: &[CertificateDer<'static>],
    ) -> Result<Arc<ClientConfig>, NoTls> {
        if more.is_empty() {
            return self.config().await;
        }
        if let Some(known) = self.known(more) {
            return Ok(known);
        }
        let all: Vec<_> = self.own.iter().chain(more).cloned().collect();
        let made = Arc::new(tokio::task::spawn_blocking(move || config(all)).await??);
        let mut extended = self.extended.lock().unwrap_or_else(PoisonError::into_inner);
        if extended.len() == KEPT {
            extended.pop_front();
        }
        extended.push_back((more.to_vec(), Arc::clone(&made)));
        Ok(made)
    }

    fn known(&self, more: &[CertificateDer<'static>]) -> Option<Arc<ClientConfig>> {
        let mut extended = self.extended.lock().unwrap_or_else(PoisonError::into_inner);
        let at = extended.iter().position(|(authorities, _)| authorities == more)?;
        let found = extended.remove(at)?;
        let config = Arc::clone(&found.1);
        extended.push_back(found);
        Some(config)
    }
}

/// For a checker that accepts any certificate, because its configuration says so.
pub(super) fn without_verification() -> Result<Arc<ClientConfig>, NoTls> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let any = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = versions.dangerous().with_custom_certificate_verifier(any).with_no_client_auth();
    Ok(Arc::new(always_looks(config)))
}

/// Accepts every certificate, and only verifies that the server has its private key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn config(own: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(own);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(always_looks(versions.with_root_certificates(roots).with_no_client_auth()))
}

/// A resumed session repeats the certificate of the first one, so a certificate that has expired or was replaced
/// since then would never be seen.
fn always_looks(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}
