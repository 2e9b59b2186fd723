//! Why a guest has no connection, in the words of the interface.

use bellwether_core::grant::Refusal;
use bellwether_http_client as http_client;
use bellwether_http_client::{Cause, CertificateFault};

/// Why there is no connection.
pub(super) enum NotOpened {
    Refused(Refusal),
    /// An error code of the interface, and a sentence.
    Failed(&'static str, String),
}

impl From<http_client::NotOpened> for NotOpened {
    fn from(no: http_client::NotOpened) -> Self {
        match no {
            http_client::NotOpened::Refused(refusal) => Self::Refused(refusal),
            http_client::NotOpened::Failed(failed) => Self::Failed(code(&failed.cause), failed.why),
        }
    }
}

fn code(cause: &Cause) -> &'static str {
    match cause {
        Cause::UnknownName(_) | Cause::LookUpTimeout => "no-such-name",
        Cause::Refused => "refused",
        Cause::Timeout => "timeout",
        Cause::Unreachable => "unreachable",
        Cause::Terminated => "broken-off",
        Cause::Certificate(CertificateFault::Expired) => "certificate-expired",
        Cause::Certificate(CertificateFault::WrongName) => "wrong-name",
        Cause::Certificate(CertificateFault::Untrusted) => "untrusted",
        Cause::NoTls | Cause::Alert(_) => "no-tls",
        Cause::InvalidUrl => "bad-option",
        Cause::Configuration
        | Cause::ProxyRefused
        | Cause::HeadTooLarge
        | Cause::Incomplete
        | Cause::NoHttp
        | Cause::Other(_) => "unavailable",
    }
}
