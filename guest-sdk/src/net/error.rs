//! Connection errors, and what they mean for the resource.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::observation::Observation;

/// Why there is no connection, or no answer. The text is one sentence.
#[derive(Debug)]
pub enum NetError {
    /// The text is not `host:port`.
    BadAddress(String),
    /// The operator has not granted a connection to this address.
    NotGranted(String),
    /// The host name could not be looked up.
    NoSuchName(String, io::Error),
    /// The connection was refused.
    Refused(String),
    /// No answer within the time that the run had.
    NoAnswer(String, Duration),
    /// The address is unreachable.
    Unreachable(String),
    /// The other side closed the connection.
    BrokenOff(String),
    /// The TLS handshake failed, with the reason.
    NoTls(String, String),
    /// The other side's certificate has expired or is not valid yet, with the details.
    BadCertificate(String, String),
    /// The other side's certificate is not from a trusted authority, with the details. The operator
    /// decides which authorities are trusted.
    Untrusted(String, String),
    /// The other side's certificate is for another name, with the details.
    WrongName(String, String),
    /// Another error on this side.
    Failed(String, io::Error),
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress(text) => write!(f, "`{text}` is not an address: expected `host:port`"),
            Self::NotGranted(address) => write!(
                f,
                "connecting to {address} is not granted: add `connect = [\"{}\"]` to the checker's `grant`",
                without_zone(address)
            ),
            // WASI reports a name that is not granted like one that does not exist.
            Self::NoSuchName(address, error) => {
                write!(f, "the name in {address} could not be looked up, or is not granted: {error}")
            }
            Self::Refused(address) => write!(f, "{address} refused the connection"),
            Self::NoAnswer(address, within) => write!(f, "no answer from {address} within {within:?}"),
            Self::Unreachable(address) => write!(f, "{address} is unreachable"),
            Self::BrokenOff(address) => write!(f, "{address} broke the connection off"),
            Self::NoTls(address, why) => write!(f, "{address} does not speak TLS as expected: {why}"),
            Self::BadCertificate(address, why) => {
                write!(f, "the certificate of {address} is not valid: {why}")
            }
            Self::Untrusted(address, why) => write!(
                f,
                "the certificate of {address} cannot be trusted: {why}; name the file of its authority as `ca`"
            ),
            Self::WrongName(address, why) => {
                write!(f, "the certificate of {address} cannot be trusted: {why}")
            }
            Self::Failed(address, error) => write!(f, "the connection to {address} failed: {error}"),
        }
    }
}

impl Error for NetError {}

/// In the notation of grants: `[fe80::1]:80` for `[fe80::1%eth0]:80`.
fn without_zone(address: &str) -> String {
    let zoned = address.split_once('%').filter(|(before, _)| before.contains('['));
    match zoned.and_then(|(before, rest)| Some((before, rest.split_once(']')?.1))) {
        Some((before, port)) => format!("{before}]{port}"),
        None => address.to_owned(),
    }
}

impl From<NetError> for Observation {
    fn from(error: NetError) -> Self {
        match error {
            NetError::NoAnswer(..) => Self::hang(error.to_string()),
            NetError::Refused(_)
            | NetError::Unreachable(_)
            | NetError::BrokenOff(_)
            | NetError::NoTls(..)
            | NetError::BadCertificate(..) => Self::fail(error.to_string()),
            NetError::BadAddress(_)
            | NetError::NotGranted(_)
            | NetError::NoSuchName(..)
            | NetError::Untrusted(..)
            | NetError::WrongName(..)
            | NetError::Failed(..) => Self::unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_that_is_advised_has_no_zone() {
        for (address, granted) in [
            ("[fe80::1%eth0]:80", "[fe80::1]:80"),
            ("udp:[fe80::1%eth0]:80", "udp:[fe80::1]:80"),
            ("[::1]:80", "[::1]:80"),
            ("unix:/run/100%.sock", "unix:/run/100%.sock"),
        ] {
            let said = NetError::NotGranted(address.to_owned()).to_string();
            let advice = format!("connecting to {address} is not granted: add `connect = [\"{granted}\"]`");
            assert!(said.starts_with(&advice), "{said}");
        }
    }
}
