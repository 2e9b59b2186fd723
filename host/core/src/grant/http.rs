//! `http = ["https://api.internal", "GET,POST http://127.0.0.1:8080"]`

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::{BeforePort, GrantHost, must_be_named_exactly, normal_name, port_number};
use super::{Grant, GrantKind, Grants, NotationError, Refusal};

/// An origin (RFC 6454) that requests may be sent to, and their methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Empty: the safe methods (RFC 9110, 9.2.1).
    methods: BTreeSet<String>,
    /// Whether the scheme is `https`.
    https: bool,
    /// One address or one name.
    pub(super) host: GrantHost,
    port: u16,
}

/// Methods that change nothing on the server.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// A request that a component wants to make.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'r> {
    /// The method, in capital letters.
    pub method: &'r str,
    /// Whether the scheme is `https`.
    pub https: bool,
    /// As in the URL, without the port; an IPv6 address with or without brackets.
    pub host: &'r str,
    /// The default port of the scheme if the URL has none.
    pub port: u16,
}

impl FromStr for HttpGrant {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let (methods, origin) = match text.rsplit_once(' ') {
            Some((methods, origin)) => (methods_of(methods)?, origin),
            None => (BTreeSet::new(), text),
        };
        let (https, rest) = match origin.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => {
                return Err(NotationError::new(format!(
                    "`{origin}` begins with neither http:// nor https://"
                )));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(NotationError::new("an origin has no path")
                .help("all paths of an origin are granted together"));
        }
        if rest.contains('@') {
            return Err(
                NotationError::new("an origin has no user and no password").help("provide them as `secrets`")
            );
        }
        let default = default_port(https);
        let (host, port) = match rest.strip_prefix('[') {
            Some(inner) => {
                let no_end = || NotationError::new(format!("`{rest}` has no `]`"));
                let (host, behind) = inner.split_once(']').ok_or_else(no_end)?;
                let port = behind.strip_prefix(':').map(port_number).transpose()?;
                if port.is_none() && !behind.is_empty() {
                    return Err(NotationError::new(format!("`{behind}` is not a port")));
                }
                (GrantHost::parse(host, true)?, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (GrantHost::parse(host, false)?, Some(port_number(port)?)),
                None => (GrantHost::parse(rest, false)?, None),
            },
        };
        if matches!(&host, GrantHost::Network(network) if !host.is_exactly(network.addr().to_canonical())) {
            return Err(NotationError::new("an origin has one host, not a network"));
        }
        Ok(Self { methods, https, host, port: port.unwrap_or(default) })
    }
}

fn methods_of(text: &str) -> Result<BTreeSet<String>, NotationError> {
    let method = |method: &str| {
        let method = method.trim();
        let token = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        token.then(|| method.to_owned()).ok_or_else(|| {
            NotationError::new(format!("`{method}` is not a method")).help(
                "methods come before the origin, in capital letters, with commas: \"GET,POST http://…\"",
            )
        })
    };
    text.split(',').map(method).collect()
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            let methods: Vec<_> = self.methods.iter().map(String::as_str).collect();
            write!(f, "{} ", methods.join(","))?;
        }
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", BeforePort(&self.host))?;
        if self.port == default_port(self.https) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl HttpGrant {
    fn allows_method(&self, method: &str) -> bool {
        if self.methods.is_empty() { SAFE.contains(&method) } else { self.methods.contains(method) }
    }

    fn is_origin(&self, request: &HttpRequest<'_>) -> bool {
        let host = request.host.trim_matches(['[', ']']);
        let same_host = match host.parse::<IpAddr>() {
            Ok(ip) => self.host.is_exactly(ip.to_canonical()),
            Err(_) => self.host.is_name(&normal_name(host)),
        };
        same_host && self.https == request.https && self.port == request.port
    }

    pub(super) fn includes(&self, other: &Self) -> bool {
        let methods = |grant: &Self| -> BTreeSet<String> {
            if grant.methods.is_empty() { SAFE.map(str::to_owned).into() } else { grant.methods.clone() }
        };
        let origin = |grant: &Self| (grant.https, grant.host.clone(), grant.port);
        origin(self) == origin(other) && methods(self).is_superset(&methods(other))
    }
}

impl Grants {
    /// Whether this request may be made. Whether the addresses of its name may be connected to is a separate check:
    /// [`may_reach`](Self::may_reach). Returns the grant that allows it.
    pub fn may_request(&self, request: &HttpRequest<'_>) -> Result<Grant<'_>, Refusal> {
        let mut of_origin = self.http.iter().filter(|grant| grant.is_origin(request));
        if let Some(grant) = of_origin.find(|grant| grant.allows_method(request.method)) {
            return Ok(Grant::Http(grant));
        }
        let scheme = if request.https { "https" } else { "http" };
        let host = request.host.trim_matches(['[', ']']);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = if request.port == default_port(request.https) {
            String::new()
        } else {
            format!(":{}", request.port)
        };
        let origin = format!("{scheme}://{host}{port}");
        let method = request.method;
        let value = if SAFE.contains(&method) { origin.clone() } else { format!("{method} {origin}") };
        Err(Refusal::missing(GrantKind::Http, format!("{method} {origin}"), &value))
    }

    /// Whether an address of a granted origin's host may be connected to. A name must not resolve to a metadata
    /// service.
    pub fn may_reach(&self, host: &str, ip: IpAddr) -> Result<(), Refusal> {
        let ip = ip.to_canonical();
        let written =
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|own| own.to_canonical() == ip);
        if written || !must_be_named_exactly(ip) {
            return Ok(());
        }
        let value = if ip.is_ipv6() { format!("http://[{ip}]") } else { format!("http://{ip}") };
        Err(Refusal::special(
            GrantKind::Http,
            &format!("make a request to {ip}, which `{host}` leads to"),
            &value,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> Grants {
        let mut grants = Grants::default();
        for text in texts {
            grants.add(GrantKind::Http, text).unwrap();
        }
        grants
    }

    #[test]
    fn a_request_is_judged_by_origin_and_method() {
        let grants = grants(&["https://api.internal", "GET,POST http://127.0.0.1:8080", "http://[::1]"]);
        for (method, https, host, port, allowed) in [
            ("GET", true, "api.internal", 443, true),
            ("HEAD", true, "API.internal.", 443, true),
            ("POST", true, "api.internal", 443, false),
            ("GET", false, "api.internal", 80, false),
            ("GET", true, "api.internal", 8443, false),
            ("GET", true, "api.internal.evil", 443, false),
            ("POST", false, "127.0.0.1", 8080, true),
            ("HEAD", false, "127.0.0.1", 8080, false),
            ("GET", false, "127.0.0.1", 80, false),
            ("GET", false, "::1", 80, true),
            ("GET", false, "[::1]", 80, true),
            ("GET", false, "::ffff:127.0.0.1", 8080, true),
            ("get", true, "api.internal", 443, false),
        ] {
            let request = HttpRequest { method, https, host, port };
            assert_eq!(grants.may_request(&request).is_ok(), allowed, "{request:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_grant() {
        let refused = |method, https, host, port| {
            Grants::default().may_request(&HttpRequest { method, https, host, port }).unwrap_err().to_string()
        };
        assert_eq!(
            refused("POST", true, "a.b", 443),
            "refused: POST https://a.b; to allow it add grant = { http = [\"POST https://a.b\"] }"
        );
        assert!(refused("GET", false, "::1", 81).ends_with("http = [\"http://[::1]:81\"] }"));
    }

    #[test]
    fn a_name_must_not_lead_to_a_metadata_service() {
        let grants = grants(&["http://api.internal", "http://169.254.169.254"]);
        let metadata = IpAddr::from([169, 254, 169, 254]);
        assert!(grants.may_reach("api.internal", IpAddr::from([10, 0, 0, 1])).is_ok());
        assert!(grants.may_reach("api.internal", metadata).is_err());
        assert!(grants.may_reach("169.254.169.254", metadata).is_ok());
    }

    #[test]
    fn origins_can_be_granted_and_nothing_else() {
        for text in [
            "https://api.internal",
            "http://127.0.0.1:8080",
            "GET,POST http://a",
            "http://[::1]:81",
            "DELETE https://[fd00::1]",
        ] {
            assert_eq!(text.parse::<HttpGrant>().unwrap().to_string(), text);
        }
        assert_eq!("POST,GET http://A:80/".parse::<HttpGrant>().unwrap().to_string(), "GET,POST http://a");
        for (text, why) in [
            ("api.internal", "`api.internal` begins with neither http:// nor https://"),
            ("ftp://a", "`ftp://a` begins with neither http:// nor https://"),
            ("http://a/path", "an origin has no path"),
            ("http://a?x", "an origin has no path"),
            ("http://u:p@a", "an origin has no user and no password"),
            ("http://a:0", "`0` is not a port"),
            ("http://10.0.0.0/8", "an origin has no path"),
            ("get http://a", "`get` is not a method"),
            ("http://[::1", "`[::1` has no `]`"),
            ("http://[::1]x", "`x` is not a port"),
        ] {
            assert_eq!(text.parse::<HttpGrant>().unwrap_err().to_string(), why, "{text}");
        }
    }
}
