//! The target of a guest's connection.

use std::net::{IpAddr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

use super::super::http::direct::Tls;

/// The target that a guest wants to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(String),
}

/// A text that is not a valid target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not one of tls:HOST:PORT, tcp:HOST:PORT and unix:PATH", .0.escape_debug())]
pub(super) struct NoTarget(String);

/// An invalid TLS option.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadOption {
    #[error("`authorities` is not PEM: {0}")]
    NoPem(pem::Error),
    #[error("`authorities` has {0} certificates, expected 1 to {max}", max = MAX_AUTHORITIES)]
    Authorities(usize),
    #[error("`verify` is `{}`, expected true or false", .0.escape_debug())]
    Verify(String),
}

impl Target {
    /// `tls:HOST:PORT`, `tcp:HOST:PORT` or `unix:PATH`; an IPv6 address in brackets, optionally with its zone.
    pub(super) fn parse(text: &str) -> Result<Self, NoTarget> {
        let wrong = || NoTarget(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        if kind == "unix" {
            return Ok(Self::Unix(rest.to_owned()));
        }
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let bare = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or_else(wrong)?;
        let zoned = bare.contains('%');
        if bare.is_empty() || bare.contains('\0') || (zoned && !(host.starts_with('[') && has_zone(bare))) {
            return Err(wrong());
        }
        let host = bare.to_owned();
        match kind {
            "tcp" => Ok(Self::Tcp { host, port }),
            "tls" => Ok(Self::Tls { host, port }),
            _ => Err(wrong()),
        }
    }

    /// Whether the host is a name that has to be resolved.
    pub(super) fn is_name(&self) -> bool {
        match self {
            Self::Unix(_) => false,
            Self::Tcp { host, .. } | Self::Tls { host, .. } => {
                // The zone is not part of the address.
                let address = host.split('%').next().unwrap_or_default();
                address.parse::<IpAddr>().is_err()
            }
        }
    }
}

/// Whether this is an IPv6 address with its zone (RFC 4007), the name or number of an interface. Any other text
/// with a `%` would be resolved as a name without having been granted as one.
fn has_zone(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.split_once('%').is_some_and(|(address, zone)| {
        address.parse::<Ipv6Addr>().is_ok()
            && (1..=LONGEST_ZONE).contains(&zone.len())
            && zone.bytes().all(plain)
    })
}

/// `IFNAMSIZ` of netdevice(7), without its terminating zero.
const LONGEST_ZONE: usize = 15;

/// The maximum number of additional authorities of one checker.
const MAX_AUTHORITIES: usize = 100;

/// Parses the guest's TLS options.
pub(super) fn tls_options(options: &[(String, String)]) -> Result<Tls, BadOption> {
    let mut tls = Tls::default();
    for (name, value) in options {
        match (name.as_str(), value.as_str()) {
            ("server-name", name) => tls.server_name = Some(name.to_owned()),
            ("verify", "true") => tls.any = false,
            ("verify", "false") => tls.any = true,
            ("authorities", pem) => {
                let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
                let found = found.map_err(BadOption::NoPem)?;
                if found.is_empty() || found.len() > MAX_AUTHORITIES {
                    return Err(BadOption::Authorities(found.len()));
                }
                tls.authorities = found;
            }
            // For later versions: a name that this host does not know has no effect.
            ("verify", other) => {
                return Err(BadOption::Verify(other.to_owned()));
            }
            _ => {}
        }
    }
    Ok(tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_how_and_where_to() {
        let tls = |host: &str, port| Ok(Target::Tls { host: host.to_owned(), port });
        assert_eq!(Target::parse("tls:a.b:443"), tls("a.b", 443));
        assert_eq!(Target::parse("tls:[::1]:8443"), tls("::1", 8443));
        let linked = Target::parse("tcp:[fe80::1%eth0]:80").unwrap();
        assert_eq!(linked, Target::Tcp { host: "fe80::1%eth0".to_owned(), port: 80 });
        assert!(!linked.is_name() && Target::parse("tls:a.b:443").unwrap().is_name());
        assert_eq!(Target::parse("unix:/run/a:b"), Ok(Target::Unix("/run/a:b".to_owned())));
        for wrong in
            ["", "tls", "tls:a", "tls:a:0", "tls:a:+1", "tls::443", "tls:::1:443", "tls:[::1:443", "udp:a:1"]
        {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "tcp:127.0.0.1%.evil.test:80",
            "tcp:[127.0.0.1%eth0]:80",
            "tcp:[fe80::1%]:80",
            "tcp:[fe80::1%eth0%1]:80",
            "tcp:[fe80::1%a-name-too-long-]:80",
            "tcp:[fe80::1%eth0/x]:80",
            "tcp:[db%eth0]:80",
            "tcp:%eth0:80",
        ] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        let options = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            tls_options(&pairs)
        };
        let told = options(&[("server-name", "a"), ("verify", "false"), ("of-2030", "x")]).unwrap();
        assert_eq!((told.server_name.as_deref(), told.any), (Some("a"), true));
        assert!(options(&[("verify", "no")]).unwrap_err().to_string().contains("true or false"));
        assert!(options(&[("authorities", "nonsense")]).unwrap_err().to_string().contains("0 certificates"));
    }
}
