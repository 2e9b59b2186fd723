//! Why there is no connection or no answer: a cause for programs, and a sentence for people.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use rustls::{AlertDescription, CertificateError};

/// What went wrong, without its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The name cannot be looked up, and why not.
    UnknownName(String),
    /// The name was not looked up in time.
    LookUpTimeout,
    /// Nothing listens there.
    Refused,
    /// No connection in time.
    Timeout,
    /// No route leads to the address.
    Unreachable,
    /// The connection was broken off.
    Terminated,
    /// The certificate of the other side is not accepted.
    Certificate(CertificateFault),
    /// The other side ended the TLS connection with this alert (RFC 8446, section 6).
    Alert(AlertDescription),
    /// What the other side sent is not TLS.
    NoTls,
    /// TLS cannot be used on this machine.
    Configuration,
    /// The proxy does not connect to the target.
    ProxyRefused,
    /// The URL or the name of the server cannot be used.
    InvalidUrl,
    /// The head of the answer is too large.
    HeadTooLarge,
    /// The answer ends too early.
    Incomplete,
    /// What the other side sent is not HTTP.
    NoHttp,
    /// Something else.
    Other(String),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has expired, is not valid yet, or was revoked.
    Expired,
    /// It was issued for another name.
    WrongName,
    /// No trusted authority has issued it.
    Untrusted,
}

/// Why there is no connection or no answer.
#[derive(Debug)]
pub struct Failed {
    /// For programs.
    pub cause: Cause,
    /// For people, without secrets.
    pub why: String,
}

impl Failed {
    pub(crate) fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, why: why.into() }
    }

    /// The connection could not be opened.
    pub(crate) fn connect(error: &io::Error) -> Self {
        let cause = match error.kind() {
            ErrorKind::ConnectionRefused => Cause::Refused,
            ErrorKind::TimedOut => Cause::Timeout,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Cause::Terminated,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
                Cause::Unreachable
            }
            _ => Cause::Other(error.to_string()),
        };
        Self::new(cause, format!("cannot connect: {error}"))
    }

    /// The TLS handshake failed.
    pub(crate) fn tls(error: &io::Error) -> Self {
        let cause = match tls(error) {
            Some(cause) => cause,
            None if error.kind() == ErrorKind::InvalidData => Cause::NoTls,
            None => Cause::Terminated,
        };
        Self::new(cause, format!("no TLS: {error}"))
    }

    /// No answer, or none that can be understood.
    pub fn http(error: &hyper::Error) -> Self {
        let why = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        Self::new(Cause::from(error), why)
    }
}

impl From<&hyper::Error> for Cause {
    fn from(error: &hyper::Error) -> Self {
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        if let Some(cause) = io.and_then(tls) {
            return cause;
        }
        if error.is_parse_too_large() {
            return Self::HeadTooLarge;
        }
        if error.is_incomplete_message() || io.is_some_and(|io| io.kind() == ErrorKind::UnexpectedEof) {
            return Self::Incomplete;
        }
        if io.is_some() || error.is_closed() || error.is_canceled() {
            return Self::Terminated;
        }
        Self::NoHttp
    }
}

/// The alert codes of TLS (RFC 8446, section 6).
fn tls(error: &io::Error) -> Option<Cause> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(Cause::Certificate(why.into())),
        rustls::Error::AlertReceived(alert) => Some(Cause::Alert(*alert)),
        _ => Some(Cause::NoTls),
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::Revoked => Self::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            _ => Self::Untrusted,
        }
    }
}
