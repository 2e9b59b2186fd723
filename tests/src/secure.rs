//! HTTPS: an authority for the test, and connections that trust it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::eventually::PATIENCE;
use crate::http::Response;

/// An authority that signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, both in PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Signed by the authority.
    pub certificate: String,
    /// The key of the certificate.
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority of a test");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }
}

impl Authority {
    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A new certificate for this host.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn issue(&self) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A new certificate for this host that is valid until the beginning of this year.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn issue_until(&self, year: i32) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A connection to a server with a certificate of the authority.
    ///
    /// # Panics
    /// If there is no connection.
    pub fn connect(&self, address: SocketAddr) -> Secured {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::IpAddress(address.ip().into());
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Secured(StreamOwned::new(connection, stream))
    }
}

/// An encrypted connection that stays open.
pub struct Secured(StreamOwned<ClientConnection, TcpStream>);

impl Secured {
    /// `GET path`; more requests can follow.
    ///
    /// # Panics
    /// If the response is invalid.
    pub fn get(&mut self, path: &str) -> Response {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.0.write_all(head.as_bytes()).expect("it can be asked");
        let mut answer = Vec::new();
        let head = loop {
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                let body = answer.split_off(end + 4);
                let head = String::from_utf8_lossy(&answer).into_owned();
                answer = body;
                break head;
            }
            self.read_into(&mut answer);
        };
        let length = head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        while answer.len() < length.unwrap_or(0) {
            self.read_into(&mut answer);
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Response { status, head, body: String::from_utf8_lossy(&answer).into_owned() }
    }

    fn read_into(&mut self, answer: &mut Vec<u8>) {
        let mut buffer = [0; 4096];
        let read = self.0.read(&mut buffer).expect("it answers");
        assert!(read > 0, "it closed the connection");
        answer.extend(buffer.iter().take(read));
    }
}
