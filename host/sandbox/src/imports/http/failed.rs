//! Why there is no answer: a word for the guest, and a sentence for people who look at the run.

use bellwether_http_client as http_client;
use bellwether_http_client::Cause;
use wasmtime_wasi_http::Error;

/// What the guest is told, and what the run's log says.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) why: String,
}

impl Failed {
    pub(super) fn new(error: Error, why: impl Into<String>) -> Self {
        Self { error, why: why.into() }
    }

    /// No answer, or none that can be understood.
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
