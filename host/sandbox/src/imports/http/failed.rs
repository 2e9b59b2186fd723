//! Why there is no response: an error code for the guest, and a sentence for the run's log.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use wasmtime_wasi_http::Error;

/// The error code for the guest, and the sentence for the run's log.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) why: String,
}

impl Failed {
    pub(super) fn new(error: Error, why: impl Into<String>) -> Self {
        Self { error, why: why.into() }
    }

    /// The connection could not be opened.
    pub(super) fn connect(error: &io::Error) -> Self {
        let word = match error.kind() {
            ErrorKind::ConnectionRefused => Error::ConnectionRefused,
            ErrorKind::TimedOut => Error::ConnectionTimeout,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Error::ConnectionTerminated,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
                Error::DestinationIpUnroutable
            }
            _ => Error::InternalError(Some(error.to_string())),
        };
        Self::new(word, format!("cannot connect: {error}"))
    }

    /// The TLS handshake failed.
    pub(super) fn tls(error: &io::Error) -> Self {
        let word = match tls(error) {
            Some(word) => word,
            None if error.kind() == ErrorKind::InvalidData => Error::TlsProtocolError,
            None => Error::ConnectionTerminated,
        };
        Self::new(word, format!("no TLS: {error}"))
    }

    /// There is no response, or it cannot be parsed.
    pub(super) fn http(error: &hyper::Error) -> Self {
        let why = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        Self::new(word(error), why)
    }
}

/// The error code for an error of hyper's.
pub(super) fn word(error: &hyper::Error) -> Error {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if let Some(alert) = io.and_then(tls) {
        return alert;
    }
    if error.is_parse_too_large() {
        return Error::HttpResponseHeaderSectionSize(None);
    }
    if error.is_incomplete_message() || io.is_some_and(|io| io.kind() == ErrorKind::UnexpectedEof) {
        return Error::HttpResponseIncomplete;
    }
    if io.is_some() || error.is_closed() || error.is_canceled() {
        return Error::ConnectionTerminated;
    }
    Error::HttpProtocolError
}

/// The alert codes of TLS (RFC 8446, section 6).
fn tls(error: &io::Error) -> Option<Error> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(_) => Some(Error::TlsCertificateError),
        rustls::Error::AlertReceived(alert) => Some(Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        }),
        _ => Some(Error::TlsProtocolError),
    }
}
