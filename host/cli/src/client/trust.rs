//! Verifies that the server is the intended daemon.
//!
//! ```text
//!   a fingerprint is given:  the certificate is this very one ──▶ yes
//!   none is:                 signed by an authority that is trusted, for this name ──▶ yes
//! ```
//! A rejected certificate is remembered, so that users can compare it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bellwether_config::certificate::{Fingerprint, read_chain};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::refused::PORT_WANTED;
use crate::exit::{Exit, Failure};

/// The trusted certificate or authorities.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// Only the certificate with this fingerprint.
    One(Fingerprint),
    /// The system's authorities, and those of a file.
    Authorities(Option<PathBuf>),
}

/// Verifies the server's certificate.
#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    way: Way,
    refused: Mutex<Option<Fingerprint>>,
}

#[derive(Debug)]
enum Way {
    One(Fingerprint),
    Authorities(Arc<WebPkiServerVerifier>),
}

impl Verifier {
    pub(super) fn new(trust: Trust) -> Result<Arc<Self>, Failure> {
        let provider = Arc::new(ring::default_provider());
        let way = match trust {
            Trust::One(fingerprint) => Way::One(fingerprint),
            Trust::Authorities(file) => {
                let roots = Arc::new(roots(file)?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                Way::Authorities(verifier.context("certificates cannot be verified")?)
            }
        };
        Ok(Arc::new(Self { provider, way, refused: Mutex::default() }))
    }

    /// The client configuration for TLS.
    pub(super) fn config(self: &Arc<Self>) -> Result<Arc<ClientConfig>, Failure> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .context("TLS cannot be used")?;
        let verifier = Arc::clone(self) as Arc<dyn ServerCertVerifier>;
        Ok(Arc::new(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
    }

    /// The error of the connection, and what to do.
    pub(super) fn explain(&self, url: &str, error: &std::io::Error) -> Failure {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        let cause = error.get_ref();
        let is_other = matches!(cause.and_then(|cause| cause.downcast_ref()), Some(Error::InvalidMessage(_)));
        let why = match cause {
            _ if is_other => "what answers there does not speak TLS".to_owned(),
            Some(cause) => cause.to_string(),
            None => error.to_string(),
        };
        match (refused, &self.way) {
            (None, _) => Failure::new(
                Exit::Error,
                format!("no secure connection to {url}: {why}"),
                format!("{PORT_WANTED}; a console without TLS is asked with http://, on its own host only"),
            ),
            (Some(shown), Way::One(expected)) => Failure::new(
                Exit::Denied,
                format!(
                    "the certificate of {url} does not match\n  expected: {expected}\n  shown:    {shown}"
                ),
                "compare the shown fingerprint with `bellwether status --json` on that host; if they differ, \
                 the connection is being intercepted",
            ),
            (Some(shown), Way::Authorities(_)) => Failure::new(
                Exit::Denied,
                format!("the certificate of {url} is not trusted: {}\n  shown: {shown}", reason(error)),
                format!(
                    "compare the shown fingerprint with `bellwether status --json` on that host; if it is the same: \
                     --fingerprint {shown}; with your own authority: --ca FILE"
                ),
            ),
        }
    }
}

fn reason(error: &std::io::Error) -> String {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    match error {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "it is not signed by a trusted authority".to_owned()
        }
        Some(Error::InvalidCertificate(why)) => why.to_string(),
        _ => "it cannot be verified".to_owned(),
    }
}

fn roots(file: Option<PathBuf>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        let shown = file.display();
        let wrong = |why: String| {
            Failure::new(
                Exit::Usage,
                format!("{shown} {why}"),
                "name a file of certificates in PEM (-----BEGIN CERTIFICATE-----)",
            )
        };
        for certificate in read_chain(&file).map_err(|error| wrong(error.to_string()))? {
            roots.add(certificate).map_err(|error| wrong(format!("cannot be used: {error}")))?;
        }
    }
    if roots.is_empty() {
        return Err(Failure::new(
            Exit::Error,
            "this host trusts no authority, so no certificate can be verified",
            "set the certificate with --fingerprint SHA256, or an authority with --ca FILE",
        ));
    }
    Ok(roots)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Fingerprint::of(end_entity);
        let verified = match &self.way {
            Way::One(expected) if *expected == shown => Ok(ServerCertVerified::assertion()),
            Way::One(_) => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            Way::Authorities(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
        };
        if verified.is_err() {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
