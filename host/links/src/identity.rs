//! The key and the certificate of this node.

use std::fmt;
use std::sync::Arc;

use bellwether_farm::id::{FarmId, NodeId};
use bellwether_farm::renewal::Validity;
use rcgen::KeyPair;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::authority::{self, AuthorityError, SigningRequest};

/// What identifies this node to others.
#[derive(Clone)]
pub(crate) struct Identity {
    key: Arc<str>,
    pub(crate) id: NodeId,
    pub(crate) farm: FarmId,
    /// When the certificate is valid.
    pub(crate) validity: Validity,
    /// For TLS: the certificate, that of the authority which signed it, and the key.
    pub(crate) certified: Arc<CertifiedKey>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", authority::host_name(self.id, self.farm))
    }
}

/// Why a certificate and a key are not an identity. Follows "the certificate" in a sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoIdentity {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("was made for another key")]
    OtherKey,
    #[error("was issued by another authority than the farm's")]
    OtherAuthority,
    #[error("cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("has a key that cannot be read")]
    NoKey,
}

/// A new key, in PEM.
pub(crate) fn new_key() -> Result<String, AuthorityError> {
    Ok(KeyPair::generate()?.serialize_pem())
}

impl Identity {
    /// Verifies that the parts belong together. `key` and `certificate` are PEM, `bundle` has the certificates of the
    /// farm's authorities.
    pub(crate) fn new(
        key: &str,
        certificate: &str,
        bundle: &[CertificateDer<'static>],
        farm: FarmId,
    ) -> Result<Self, NoIdentity> {
        let id = authority::id_of_key(&KeyPair::from_pem(key).map_err(|_| NoIdentity::NoKey)?);
        let certificate = authority::certificates(certificate)?.swap_remove(0);
        if authority::node_id(&certificate) != Some(id) {
            return Err(NoIdentity::OtherKey);
        }
        let authority = authority::issuer(&certificate, bundle).ok_or(NoIdentity::OtherAuthority)?.clone();
        let validity = authority::validity(&certificate).ok_or(AuthorityError::NotACertificate)?;
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| NoIdentity::NoKey)?;
        let certified =
            Arc::new(CertifiedKey::from_der(vec![certificate, authority], private, &default_provider())?);
        Ok(Self { key: key.into(), id, farm, validity, certified })
    }

    /// The same node with another certificate (PEM).
    pub(crate) fn renewed(
        &self,
        certificate: &str,
        bundle: &[CertificateDer<'static>],
    ) -> Result<Self, NoIdentity> {
        Self::new(&self.key, certificate, bundle, self.farm)
    }

    /// A request for another certificate, in PEM.
    pub(crate) fn signing_request(&self) -> Result<String, NoIdentity> {
        let key = KeyPair::from_pem(&self.key).map_err(|_| NoIdentity::NoKey)?;
        Ok(SigningRequest::make(&key)?)
    }
}
