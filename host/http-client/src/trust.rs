//! Whose certificates are trusted: those that the system trusts, the operator's own, and a checker's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;
use tokio::task::JoinError;

/// Configurations that are kept for the next run: one for each checker that has authorities of its own.
const KEPT: usize = 32;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTls {
    #[error(transparent)]
    Refused(#[from] rustls::Error),
    /// The daemon ends.
    #[error(transparent)]
    Ending(#[from] JoinError),
}

/// Read when the first request wants it: most nodes never make one.
#[derive(Default)]
pub(crate) struct Trust {
    own: Vec<CertificateDer<'static>>,
    config: OnceCell<Arc<ClientConfig>>,
    /// Those with more authorities, the last used last.
    extended: Mutex<VecDeque<Extended>>,
}

/// The authorities that a checker trusts besides, and the configuration that does.
type Extended = (Vec<CertificateDer<'static>>, Arc<ClientConfig>);

impl Trust {
    pub(crate) fn new(own: Vec<CertificateDer<'static>>) -> Self {
        Self { own, ..Self::default() }
    }

    /// How TLS is spoken.
    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, NoTls> {
        let read = || async {
            let own = self.own.clone();
            Ok::<_, NoTls>(Arc::new(tokio::task::spawn_blocking(move || config(own)).await??))
        };
        self.config.get_or_try_init(read).await.cloned()
    }

    /// The same with more authorities.
    pub(crate) async fn config_with(
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

/// For a checker that takes any certificate, because its operator says so.
pub(crate) fn without_verification() -> Result<Arc<ClientConfig>, NoTls> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let any = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = versions.dangerous().with_custom_certificate_verifier(any).with_no_client_auth();
    Ok(Arc::new(always_looks(config)))
}

/// Takes every certificate, and looks only whether the other side has its key.
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

/// A session that is resumed shows the certificate of the first one again: one that has expired or was
/// replaced since would never be seen.
fn always_looks(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}
