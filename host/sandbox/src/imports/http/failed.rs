//! Why there is no response: an error code for the guest, and a sentence for the run's log.

use bellwether_http_client as http_client;
use bellwether_http_client::Cause;
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

    /// There is no response, or it cannot be parsed.
    pub(super) fn http(error: &hyper::Error) -> Self {
        http_client::Failed::http(error).into()
    }
}

impl From<http_client::Failed> for Failed {
    fn from(failed: http_client::Failed) -> Self {
        Self { error: word(failed.cause), why: failed.why }
    }
}

/// What the guest is told.
pub(super) fn word(cause: Cause) -> Error {
    match cause {
        Cause::UnknownName(why) => Error::DnsError { rcode: Some(why), info_code: None },
        Cause::LookUpTimeout => Error::DnsTimeout,
        Cause::Refused => Error::ConnectionRefused,
        Cause::Timeout => Error::ConnectionTimeout,
        Cause::Unreachable => Error::DestinationIpUnroutable,
        Cause::Terminated => Error::ConnectionTerminated,
        Cause::Certificate(_) => Error::TlsCertificateError,
        Cause::Alert(alert) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        Cause::NoTls => Error::TlsProtocolError,
        Cause::Configuration => Error::ConfigurationError,
        Cause::ProxyRefused => Error::DestinationUnavailable,
        Cause::InvalidUrl => Error::HttpRequestUriInvalid,
        Cause::HeadTooLarge => Error::HttpResponseHeaderSectionSize(None),
        Cause::Incomplete => Error::HttpResponseIncomplete,
        Cause::NoHttp => Error::HttpProtocolError,
        Cause::Other(why) => Error::InternalError(Some(why)),
    }
}
