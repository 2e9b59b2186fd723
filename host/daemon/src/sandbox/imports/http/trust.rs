//! Whose certificates are trusted: those that the system trusts, and the operator's own.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

/// Read when the first request wants it: most nodes never make one.
#[derive(Default)]
pub(super) struct Trust {
    own: Vec<CertificateDer<'static>>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    pub(super) fn new(own: Vec<CertificateDer<'static>>) -> Self {
        Self { own, config: OnceCell::new() }
    }

    /// How TLS is spoken. An error says why it is not.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let read = || async {
            let own = self.own.clone();
            let config = tokio::task::spawn_blocking(move || config(own)).await;
            config.map_err(|error| error.to_string())?.map(Arc::new).map_err(|error| error.to_string())
        };
        self.config.get_or_try_init(read).await.cloned()
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
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
