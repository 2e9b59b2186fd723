//! The farm's authority, which signs the certificates of its nodes, and what is read from certificates.

use bellwether_farm::id::{FarmId, NodeId};
use bellwether_farm::renewal::Validity;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKey, PublicKeyData as _, SerialNumber, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::nom::Parser as _;
use x509_parser::prelude::X509CertificateParser;

/// How long the certificate of the authority is valid, in seconds: 20 years.
const AUTHORITY_LIFE: i64 = 20 * 365 * 86_400;
/// How long the certificate of a node is valid, in seconds: a year.
pub(crate) const NODE_LIFE: i64 = 365 * 86_400;

/// Why a certificate, a key or a request cannot be made or used. Follows its name in a sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    #[error("cannot be made: the system gives no random numbers")]
    NoRandom,
    #[error("is not a certificate that can be read")]
    NotACertificate,
    #[error("is not the key of the farm's authority: none of its certificates has it")]
    OtherKey,
    #[error("does not prove that its sender has the key: {0}")]
    NoProof(rcgen::Error),
}

/// The key of the authority with its certificate.
pub(crate) struct Authority {
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

/// What founds a farm.
pub(crate) struct Founded {
    pub(crate) authority: Authority,
    pub(crate) farm: FarmId,
    /// The certificate of the authority, in PEM.
    pub(crate) pem: String,
}

impl Authority {
    /// A new one, with the id of the farm.
    pub(crate) fn make(now: i64) -> Result<Founded, AuthorityError> {
        let (key, farm) = loop {
            let key = KeyPair::generate()?;
            let farm = FarmId::from_bytes(short_digest(&key.subject_public_key_info()));
            // The last part of a host name has at least one letter. All but one key in a million are like that.
            if farm.to_string().contains(|c: char| c.is_ascii_alphabetic()) {
                break (key, farm);
            }
        };
        let mut params = authority_params(farm);
        set_validity(&mut params, Validity::issued(now, AUTHORITY_LIFE));
        params.serial_number = Some(serial_number()?);
        let certificate = params.self_signed(&key)?;
        let authority = Self { key, certificate: certificate.der().clone() };
        Ok(Founded { authority, farm, pem: certificate.pem() })
    }

    /// The one of this key (PEM), whose certificate is among those of the farm.
    pub(crate) fn load(key: &str, bundle: &[CertificateDer<'static>]) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key)?;
        let id = FarmId::from_bytes(short_digest(&key.subject_public_key_info()));
        let certificate = bundle.iter().find(|certificate| authority_id(certificate) == Some(id));
        let certificate = certificate.ok_or(AuthorityError::OtherKey)?.clone();
        Ok(Self { key, certificate })
    }

    /// The key, in PEM: a secret.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate for the node that has made this request, in PEM.
    pub(crate) fn issue(
        &self,
        request: &SigningRequest,
        farm: FarmId,
        validity: Validity,
    ) -> Result<String, AuthorityError> {
        self.sign(request, &node_params(request.id, farm, validity)?)
    }

    /// A certificate that has the name of another node than the one with the key.
    #[cfg(test)]
    pub(crate) fn issue_a_lie(
        &self,
        request: &SigningRequest,
        name: NodeId,
        farm: FarmId,
        validity: Validity,
    ) -> Result<String, AuthorityError> {
        self.sign(request, &node_params(name, farm, validity)?)
    }

    fn sign(&self, request: &SigningRequest, params: &CertificateParams) -> Result<String, AuthorityError> {
        let own = authority_id(&self.certificate).ok_or(AuthorityError::NotACertificate)?;
        let own = authority_params(own);
        let issuer = Issuer::from_params(&own, &self.key);
        Ok(params.signed_by(&request.key, &issuer)?.pem())
    }
}

fn authority_params(farm: FarmId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Bellwether farm {farm}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn node_params(node: NodeId, farm: FarmId, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new([host_name(node, farm)])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Bellwether node {node}"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial_number()?);
    set_validity(&mut params, validity);
    Ok(params)
}

/// The name in the certificate of a node, by which it is dialled.
pub(crate) fn host_name(node: NodeId, farm: FarmId) -> String {
    format!("{node}.{farm}")
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        // rcgen's time type has no name here.
        date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds)
    };
    params.not_before = at(validity.from);
    params.not_after = at(validity.until);
}

fn serial_number() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AuthorityError::NoRandom)?;
    // It is a positive number (RFC 5280, section 4.1.2.2).
    bytes[0] &= 0x7f;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A request for a certificate, made by the owner of the key in it.
#[derive(Debug, Clone)]
pub(crate) struct SigningRequest {
    key: PublicKey,
    id: NodeId,
}

impl SigningRequest {
    /// What a node with this key sends, in PEM.
    pub(crate) fn make(key: &KeyPair) -> Result<String, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        Ok(params.serialize_request(key)?.pem()?)
    }

    /// Reads one, and verifies its signature. Of the rest of the request nothing is used.
    pub(crate) fn read(pem: &str) -> Result<Self, AuthorityError> {
        let request = CertificateSigningRequestParams::from_pem(pem).map_err(AuthorityError::NoProof)?;
        let id = NodeId::from_bytes(short_digest(&request.public_key.subject_public_key_info()));
        Ok(Self { key: request.public_key, id })
    }

    /// The id of the node that has the key.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }
}

/// The id of the node whose certificate this is.
pub(crate) fn node_id(certificate: &CertificateDer<'_>) -> Option<NodeId> {
    key_digest(certificate).map(NodeId::from_bytes)
}

/// The id of the farm whose authority's certificate this is.
pub(crate) fn authority_id(certificate: &CertificateDer<'_>) -> Option<FarmId> {
    key_digest(certificate).map(FarmId::from_bytes)
}

fn key_digest(certificate: &CertificateDer<'_>) -> Option<[u8; 16]> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    let (_, certificate) = parser.parse(certificate).ok()?;
    Some(short_digest(certificate.public_key().raw))
}

/// Of these certificates, the one of the authority that has issued this certificate, by their names.
pub(crate) fn issuer<'b>(
    certificate: &CertificateDer<'_>,
    bundle: &'b [CertificateDer<'static>],
) -> Option<&'b CertificateDer<'static>> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    let (_, certificate) = parser.parse(certificate).ok()?;
    bundle.iter().find(|authority| {
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        parser
            .parse(authority)
            .is_ok_and(|(_, authority)| authority.subject().as_raw() == certificate.issuer().as_raw())
    })
}

/// The certificates in a text (PEM), at least one.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(AuthorityError::NotACertificate)
}

/// When a certificate is valid.
pub(crate) fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    let (_, certificate) = parser.parse(certificate).ok()?;
    let validity = certificate.validity();
    Some(Validity { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() })
}

/// The id of the node with this key.
pub(crate) fn id_of_key(key: &KeyPair) -> NodeId {
    NodeId::from_bytes(short_digest(&key.subject_public_key_info()))
}

/// The first half of the SHA-256 of a public key (SPKI, DER).
fn short_digest(key: &[u8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, key).as_ref()[..16]);
    bytes
}

/// SHA-256 of a certificate or of a secret.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut all = [0; 32];
    all.copy_from_slice(digest(&SHA256, bytes).as_ref());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_its_key_in_its_certificate_and_in_its_request() {
        let Founded { authority, farm, pem } = Authority::make(1_700_000_000).unwrap();
        assert_eq!(authority_id(authority.certificate()), Some(farm));
        let key = KeyPair::generate().unwrap();
        let request = SigningRequest::read(&SigningRequest::make(&key).unwrap()).unwrap();
        let issued = Validity::issued(1_700_000_000, 60);
        let certificate = authority.issue(&request, farm, issued).unwrap();
        let certificate = certificates(&certificate).unwrap().remove(0);
        assert_eq!(node_id(&certificate), Some(id_of_key(&key)));
        assert_eq!(request.id(), id_of_key(&key));
        assert_eq!(validity(&certificate), Some(issued));
        let text = String::from_utf8_lossy(&certificate).into_owned();
        assert!(text.contains(&host_name(id_of_key(&key), farm)));
        let other = Authority::make(0).unwrap();
        let bundle = certificates(&format!("{}{pem}", other.pem)).unwrap();
        assert_eq!(issuer(&certificate, &bundle), Some(authority.certificate()));
        assert_eq!(issuer(&certificate, &bundle[..1]), None);
    }

    #[test]
    fn a_key_belongs_to_the_farm_whose_certificate_has_it() {
        let (one, other) = (Authority::make(0).unwrap(), Authority::make(0).unwrap());
        let bundle = [other.authority.certificate().clone(), one.authority.certificate().clone()];
        let key = one.authority.key_pem();
        let loaded = Authority::load(&key, &bundle).unwrap();
        assert_eq!(loaded.certificate(), one.authority.certificate());
        for (pem, why) in [(key, "is not the key of the farm"), ("x".to_owned(), "cannot be made")] {
            let error = Authority::load(&pem, &bundle[..1]).err().unwrap().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn a_request_that_was_changed_proves_nothing() {
        let pem = SigningRequest::make(&KeyPair::generate().unwrap()).unwrap();
        let other = SigningRequest::make(&KeyPair::generate().unwrap()).unwrap();
        // The signature is at the end: that of another request.
        let lines = |pem: &str| pem.lines().map(str::to_owned).collect::<Vec<_>>();
        let (mut mixed, other) = (lines(&pem), lines(&other));
        let last = mixed.len() - 2;
        mixed[last].clone_from(&other[last]);
        assert!(SigningRequest::read(&mixed.join("\n")).is_err());
        for text in ["", "x", &pem[..pem.len() / 2]] {
            assert!(SigningRequest::read(text).is_err(), "{text}");
        }
    }
}
