//! `grant = { … }`

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::mistake::Findings;
use crate::config::source::Located;
use crate::config::spec::{ConnectGrant, GrantHost, Grants};

/// What a component is allowed. Nothing is allowed without a grant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct GrantTable {
    /// TCP connections to these hosts and ports: an address, a network or a host name, and a port.
    #[schemars(example = ["127.0.0.1:8080", "[::1]:80", "10.0.0.0/8:443", "db.internal:5432"])]
    connect: Option<Vec<Located<String>>>,
}

pub(super) fn grants(table: &GrantTable, findings: &mut Findings<'_>) -> Grants {
    let mut connect = Vec::new();
    for text in table.connect.iter().flatten() {
        match parse_connect(text.get()) {
            Ok(grant) => connect.push(grant),
            Err(error) => {
                let (help, expected) = (error.help(), "expected HOST:PORT such as \"127.0.0.1:8080\"");
                let mistake =
                    findings.at(text.span(), format!("`{}` cannot be granted: {error}", text.get()));
                mistake.expected(expected);
                mistake.help = help;
            }
        }
    }
    Grants { connect }
}

/// Why a text is not a `connect` grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("a URL is not a host and port")]
    Url,
    #[error("the port is missing")]
    NoPort,
    #[error("`{0}` is not a port")]
    BadPort(String),
    #[error("an IPv6 address stands in brackets")]
    Unbracketed,
    #[error("`{0}` is neither an address nor a host name")]
    BadHost(String),
    #[error("`{0}` is not the length of a prefix")]
    BadPrefix(String),
    #[error("the address has bits outside of its prefix")]
    HostBits(IpAddr, u8),
}

impl ConnectError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Url => Some("leave `http://` and the path out".to_owned()),
            Self::NoPort => Some("every port is granted on its own".to_owned()),
            Self::BadPort(_) => Some("a port is a number from 1 to 65535".to_owned()),
            Self::Unbracketed => Some("write \"[::1]:80\", or \"[fd00::/8]:80\" for a network".to_owned()),
            Self::HostBits(network, prefix) => {
                Some(format!("the network is {network}/{prefix}; for the one host, leave the prefix out"))
            }
            Self::BadHost(_) => None,
            Self::BadPrefix(_) => Some("0 to 32 for IPv4, 0 to 128 for IPv6".to_owned()),
        }
    }
}

/// `HOST:PORT`, where the host is an address, a network with its prefix length, or a name.
pub(crate) fn parse_connect(text: &str) -> Result<ConnectGrant, ConnectError> {
    if text.contains("://") {
        return Err(ConnectError::Url);
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, behind) =
                inner.split_once(']').ok_or_else(|| ConnectError::BadHost(text.to_owned()))?;
            (host, behind.strip_prefix(':').ok_or(ConnectError::NoPort)?)
        }
        None => text.rsplit_once(':').ok_or(ConnectError::NoPort)?,
    };
    if !text.starts_with('[') && host.contains(':') {
        return Err(ConnectError::Unbracketed);
    }
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0);
    let port =
        port.ok_or_else(|| ConnectError::BadPort(text.rsplit(':').next().unwrap_or_default().to_owned()))?;
    Ok(ConnectGrant { host: grant_host(host, text.starts_with('['))?, port })
}

fn grant_host(text: &str, bracketed: bool) -> Result<GrantHost, ConnectError> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let bad_host = || ConnectError::BadHost(text.to_owned());
    match (address.parse::<IpAddr>(), prefix) {
        (Ok(address), _) if bracketed != address.is_ipv6() => Err(bad_host()),
        (Ok(address), None) => Ok(GrantHost::Network(address, if address.is_ipv4() { 32 } else { 128 })),
        (Ok(address), Some(prefix)) => network(address, prefix),
        (Err(_), None) if !bracketed && is_host_name(text) => Ok(GrantHost::Name(text.to_ascii_lowercase())),
        (Err(_), _) => Err(bad_host()),
    }
}

fn network(address: IpAddr, prefix: &str) -> Result<GrantHost, ConnectError> {
    let most = if address.is_ipv4() { 32 } else { 128 };
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let length = prefix.parse::<u8>().ok().filter(|length| digits && *length <= most);
    let length = length.ok_or_else(|| ConnectError::BadPrefix(prefix.to_owned()))?;
    let network: IpAddr = match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    };
    if network == address {
        Ok(GrantHost::Network(network, length))
    } else {
        Err(ConnectError::HostBits(network, length))
    }
}

/// RFC 1123, section 2.1, and underscores, which occur; a last label of digits alone is a
/// mistyped address.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8) -> GrantHost {
        GrantHost::Network(address.parse().unwrap(), prefix)
    }

    #[test]
    fn addresses_networks_and_names_can_be_granted() {
        let ok = |text| parse_connect(text).map(|grant| (grant.host, grant.port)).unwrap();
        assert_eq!(ok("127.0.0.1:8080"), (network("127.0.0.1", 32), 8080));
        assert_eq!(ok("[::1]:80"), (network("::1", 128), 80));
        assert_eq!(ok("10.0.0.0/8:443"), (network("10.0.0.0", 8), 443));
        assert_eq!(ok("0.0.0.0/0:443"), (network("0.0.0.0", 0), 443));
        assert_eq!(ok("[fd00::/8]:443"), (network("fd00::", 8), 443));
        assert_eq!(ok("DB.internal:5432"), (GrantHost::Name("db.internal".into()), 5432));
        assert_eq!(ok("localhost:1"), (GrantHost::Name("localhost".into()), 1));
    }

    #[test]
    fn what_cannot_be_granted_is_told_why() {
        let why = |text| parse_connect(text).unwrap_err();
        assert_eq!(why("http://localhost:80/"), ConnectError::Url);
        assert_eq!(why("localhost"), ConnectError::NoPort);
        assert_eq!(why("[::1]"), ConnectError::NoPort);
        assert_eq!(why("localhost:0"), ConnectError::BadPort("0".into()));
        assert_eq!(why("localhost:+1"), ConnectError::BadPort("+1".into()));
        assert_eq!(why("localhost:65536"), ConnectError::BadPort("65536".into()));
        assert_eq!(why("localhost:*"), ConnectError::BadPort("*".into()));
        assert_eq!(why("::1:80"), ConnectError::Unbracketed);
        assert_eq!(why("127.0.0:80"), ConnectError::BadHost("127.0.0".into()));
        assert_eq!(why("*.example:80"), ConnectError::BadHost("*.example".into()));
        assert_eq!(why("-a:80"), ConnectError::BadHost("-a".into()));
        assert_eq!(why("[127.0.0.1]:80"), ConnectError::BadHost("127.0.0.1".into()));
        assert_eq!(why("10.0.0.0/33:80"), ConnectError::BadPrefix("33".into()));
        assert_eq!(why("db/8:80"), ConnectError::BadHost("db/8".into()));
        assert_eq!(why("10.0.0.1/8:80"), ConnectError::HostBits("10.0.0.0".parse().unwrap(), 8));
    }
}
