//! Certificates with their keys, for the daemon's TLS listeners.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

mod own;
pub mod validity;

pub use self::own::{Own, files as own_files};

/// The paths of a certificate and its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate, with its intermediate certificates.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A certificate and the key that belongs to it.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate and key for TLS.
    pub certified: Arc<CertifiedKey>,
    /// For comparison by users: SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// When it expires, if that can be read.
    pub ends: Option<Timestamp>,
}

/// SHA-256 of a certificate (DER). Displayed as `AB:CD:…`, as in browsers and openssl.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

/// Why two files are not a certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// The certificate's file cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The key's file cannot be used, or the two do not belong together.
    #[error("{0}")]
    Key(String),
}

/// Why a file of certificates, or of a key, cannot be used. Follows the name of the file in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// An error of the system.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a folder, a pipe or a device.
    #[error("is not a regular file")]
    NotRegular,
    /// It exceeds the maximum size of such a file.
    #[error("has more than {0} bytes")]
    TooLarge(u64),
    /// It is not PEM.
    #[error("is damaged: {0}")]
    Damaged(pem::Error),
    /// It is PEM with other content.
    #[error("contains no certificate")]
    NoCertificate,
}

/// The maximum size of a file of certificates, in bytes.
const MAX_FILE: u64 = 1 << 20;

impl Pair {
    /// Reads both files, and verifies that they belong together.
    pub fn read(files: &PairFiles) -> Result<Self, PairError> {
        let chain =
            read_chain(&files.certificate).map_err(|error| PairError::Certificate(error.to_string()))?;
        let bytes = read(&files.key, MAX_FILE).map_err(|error| PairError::Key(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&bytes)
            .map_err(|_| PairError::Key("has no private key in it that can be used".to_owned()))?;
        Self::new(chain, key)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, PairError> {
        let no_certificate = || PairError::Certificate(FileError::NoCertificate.to_string());
        let first = chain.first().ok_or_else(no_certificate)?;
        let (fingerprint, ends) = (Fingerprint::of(first), validity::ends(first));
        let certified = CertifiedKey::from_der(chain, key, &default_provider());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                PairError::Key("does not belong to the certificate".to_owned())
            }
            rustls::Error::InvalidCertificate(why) => {
                PairError::Certificate(format!("has a certificate that cannot be used: {why:?}"))
            }
            other => PairError::Key(format!("has a private key that cannot be used: {other}")),
        })?;
        Ok(Self { certified: Arc::new(certified), fingerprint, ends })
    }
}

/// The certificates of a file (PEM), at least one.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    read_certificates(path, MAX_FILE)
}

/// The certificates of a file (PEM) with this maximum size, at least one.
pub(crate) fn read_certificates(path: &Path, most: u64) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(path, most)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(FileError::Damaged)?;
    if found.is_empty() { Err(FileError::NoCertificate) } else { Ok(found) }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileError::NotRegular);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(FileError::TooLarge(most));
    }
    Ok(bytes)
}

impl Fingerprint {
    /// The fingerprint of one certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// From 64 hexadecimal digits, with or without colons.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .trim()
            .trim_start_matches("SHA256:")
            .chars()
            .filter(|c| *c != ':' && *c != ' ')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |all, d| all << 4 | d)).collect();
        if digits.len() == 64 { bytes.try_into().ok().map(Self) } else { None }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected 64 hexadecimal digits, with or without colons")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
