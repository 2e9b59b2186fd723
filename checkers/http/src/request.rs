//! From the configuration to the text of a request (RFC 9112).

use std::collections::BTreeMap;
use std::fmt::Write;

/// A request that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Whether the scheme is `https`.
    pub(crate) is_tls: bool,
    /// The address to connect to: `127.0.0.1:8080`.
    pub(crate) address: String,
    /// The complete text, with the empty line at its end.
    pub(crate) text: String,
    /// Its response has no body, whatever the headers say (RFC 9110, 9.3.2).
    pub(crate) is_head: bool,
}

impl Request {
    /// An error is a sentence about the configuration.
    pub(crate) fn new(url: &str, method: &str, headers: &BTreeMap<String, String>) -> Result<Self, String> {
        let Url { is_tls, authority, address, target } = Url::parse(url)?;
        if !is_token(method) {
            return Err(format!("`method` is wrong: `{}` is not an HTTP method", method.escape_debug()));
        }
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        let own = [
            ("Host", authority.as_str()),
            ("User-Agent", concat!("bellwether-http/", env!("CARGO_PKG_VERSION"))),
            ("Accept", "*/*"),
            ("Connection", "close"),
        ];
        let own_length = matches!(method, "POST" | "PUT" | "PATCH").then_some(("Content-Length", "0"));
        let is_given = |name: &str| headers.keys().any(|given| given.eq_ignore_ascii_case(name));
        for (name, value) in own.into_iter().chain(own_length).filter(|(name, _)| !is_given(name)) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        for (name, value) in headers {
            if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(format!("`headers` is wrong: `{}` cannot be sent", name.escape_debug()));
            }
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        Ok(Self { is_tls, address, text, is_head: method == "HEAD" })
    }
}

/// The parts of `http://authority/target`.
struct Url {
    is_tls: bool,
    /// In the form for the service: without the zone of a link-local address, which is meaningful only on this
    /// host.
    authority: String,
    address: String,
    target: String,
}

impl Url {
    fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`url` is wrong: `{}` {what}", url.escape_debug());
        if url.chars().any(|c| !c.is_ascii_graphic()) {
            return Err(wrong("holds a character that must be percent-encoded"));
        }
        let (is_tls, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            _ => return Err(wrong("begins with neither `http://` nor `https://`")),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("holds a user name: send it as an `Authorization` in `headers`"));
        }
        // In `[::1]` the colons belong to the address.
        let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[after_brackets..].find(':') {
            Some(colon) => authority.split_at(after_brackets + colon),
            None => (authority, ""),
        };
        let default = if is_tls { "443" } else { "80" };
        let port = if port.len() > 1 { &port[1..] } else { default };
        if host.is_empty() || port.parse::<u16>().is_ok_and(|port| port == 0) || port.parse::<u16>().is_err()
        {
            return Err(wrong("has no host, or an invalid port"));
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        // `%25` is a `%` here (RFC 6874), before the name of a network interface.
        let zone = host.strip_prefix('[').and_then(|inner| inner.split_once('%'));
        let (address, authority) = match zone {
            Some((ip, zone)) => {
                let zone = zone.strip_prefix("25").unwrap_or(zone);
                (format!("[{ip}%{zone}:{port}"), format!("[{ip}]{}", &authority[host.len()..]))
            }
            None => (format!("{host}:{port}"), authority.to_owned()),
        };
        Ok(Self { is_tls, authority, address, target: format!("{slash}{target}") })
    }
}

/// Whether it is a token of RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(url: &str) -> Result<Request, String> {
        Request::new(url, "GET", &BTreeMap::new())
    }

    #[test]
    fn an_url_says_where_to_and_what() {
        let parts = |url| {
            let request = get(url).unwrap();
            let mut lines = request.text.lines();
            let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
            (request.address, lines.next().unwrap().to_owned(), target)
        };
        let expect = |address: &str, host: &str, target: &str| {
            (address.to_owned(), format!("Host: {host}"), target.to_owned())
        };
        assert_eq!(parts("http://a.b:8080/x?y=1#z"), expect("a.b:8080", "a.b:8080", "/x?y=1"));
        assert_eq!(parts("HTTP://localhost"), expect("localhost:80", "localhost", "/"));
        assert_eq!(parts("http://localhost?q"), expect("localhost:80", "localhost", "/?q"));
        assert_eq!(parts("http://[::1]:81/"), expect("[::1]:81", "[::1]:81", "/"));
        assert_eq!(parts("http://[::1]"), expect("[::1]:80", "[::1]", "/"));
        let linked = expect("[fe80::1%eth0]:81", "[fe80::1]:81", "/");
        assert_eq!(parts("http://[fe80::1%25eth0]:81/"), linked);
        assert_eq!(parts("http://[fe80::1%eth0]:81/"), linked);
        assert_eq!(parts("https://a.b/x"), expect("a.b:443", "a.b", "/x"));
        assert_eq!(parts("HTTPS://a.b:8443"), expect("a.b:8443", "a.b:8443", "/"));
        assert!(get("https://a/").unwrap().is_tls && !get("http://a/").unwrap().is_tls);
    }

    #[test]
    fn an_url_that_cannot_be_asked_is_explained() {
        for (url, reason) in [
            ("httpx://a/", "`https://`"),
            ("a.b/c", "`http://`"),
            ("ftp://a/", "`http://`"),
            ("http://", "no host"),
            ("http://:80/", "no host"),
            ("http://a:0/", "port"),
            ("http://a:80x/", "port"),
            ("http://me:secret@a/", "user name"),
            ("http://a/b c", "percent-encoded"),
            ("http://a/\r\nX: y", "percent-encoded"),
        ] {
            let said = get(url).unwrap_err();
            assert!(said.contains(reason) && said.starts_with("`url` is wrong"), "{url}: {said}");
        }
    }

    #[test]
    fn given_headers_take_the_place_of_the_checkers_own() {
        let headers =
            BTreeMap::from([("host".to_owned(), "www".to_owned()), ("X-A".to_owned(), "1".to_owned())]);
        let text = Request::new("http://a/", "POST", &headers).unwrap().text;
        assert!(!text.contains("Host: a\r\n") && text.contains("host: www\r\n"), "{text}");
        assert!(text.contains("X-A: 1\r\n") && text.contains("Content-Length: 0\r\n"), "{text}");
        assert!(text.starts_with("POST / HTTP/1.1\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn nothing_can_be_smuggled_into_a_request() {
        let value = BTreeMap::from([("A".to_owned(), "b\r\nC: d".to_owned())]);
        assert!(Request::new("http://a/", "GET", &value).unwrap_err().contains("`headers`"));
        let name = BTreeMap::from([("A: b\r\nC".to_owned(), "d".to_owned())]);
        assert!(Request::new("http://a/", "GET", &name).unwrap_err().contains("`headers`"));
        assert!(Request::new("http://a/", "GET /x", &BTreeMap::new()).unwrap_err().contains("`method`"));
        assert!(Request::new("http://a/", "", &BTreeMap::new()).unwrap_err().contains("`method`"));
    }
}
