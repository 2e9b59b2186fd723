//! Where a request goes.

use http::Uri;
use http::uri::Scheme;

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether the scheme is `https`.
    pub https: bool,
    /// An IPv6 address is without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl Target {
    /// `None` if the authority is not `HOST` or `HOST:PORT` (RFC 9110, 4.2; user information is deprecated).
    pub fn of(uri: &Uri) -> Option<Self> {
        let https = *uri.scheme()? == Scheme::HTTPS;
        let authority = uri.authority()?.as_str();
        let host = uri.authority()?.host();
        let port = match authority.strip_prefix(host)? {
            "" => {
                if https {
                    443
                } else {
                    80
                }
            }
            port => {
                let digits =
                    port.strip_prefix(':').filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?;
                digits.parse().ok().filter(|port| *port != 0)?
            }
        };
        let host = host.trim_matches(['[', ']']);
        (!host.is_empty()).then(|| Self { https, host: host.to_owned(), port })
    }

    /// `HOST:PORT`, with brackets around IPv6 addresses.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// In the notation of grants, without the default port of the scheme.
    pub fn origin(&self) -> String {
        let (scheme, own) = if self.https { ("https", ":443") } else { ("http", ":80") };
        let authority = self.authority();
        format!("{scheme}://{}", authority.strip_suffix(own).unwrap_or(&authority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port_and_nothing_else() {
        let target = |url: &str| Target::of(&url.parse().unwrap());
        for (url, origin) in [
            ("http://a/x?y", "http://a"),
            ("https://a:8443", "https://a:8443"),
            ("https://a:443", "https://a"),
            ("http://[::1]:81/", "http://[::1]:81"),
            ("http://a:8080", "http://a:8080"),
        ] {
            assert_eq!(target(url).map(|target| target.origin()), Some(origin.to_owned()), "{url}");
        }
        for url in ["http://u@a/", "http://u:p@a:80/", "http://a:0/", "http://a:99999/", "http://a:/", "/x"] {
            assert_eq!(target(url), None, "{url}");
        }
    }
}
