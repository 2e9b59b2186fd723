//! HTTP requests, which the host makes, TLS and proxy included.
//!
//! Granted by `grant = { http = ["https://api.internal"] }`: an origin, and the
//! methods that may be used there. Redirects are not followed: a response of 302
//! is returned as it is.

use std::borrow::Cow;
use std::fmt;

use crate::granted::HostError;
use crate::run::Run;

/// A request for the host to make.
///
/// ```
/// use bellwether_guest::http::{Request, Response};
/// use bellwether_guest::prelude::*;
///
/// fn check(run: &Run) -> Observation {
///     match Request::get("https://api.internal/health").send(run) {
///         Ok(answer) if answer.status == 200 => Observation::pass("answered 200"),
///         Ok(answer) => Observation::fail(format!("answered {}: {}", answer.status, answer.text())),
///         Err(error) => error.into(), // no answer: fail; not granted: unknown
///     }
/// }
///
/// let run = Run::for_test().with_answer("https://api.internal/health", Response::new(200));
/// assert_eq!(check(&run).status, Status::Pass);
/// assert_eq!(check(&Run::for_test()).status, Status::Unknown);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    /// The method, in capital letters.
    pub method: String,
    /// The URL: `http://HOST:PORT/path?query` or `https://…`.
    pub url: String,
    /// The headers, sent in this order. The host sets `Host`, `Connection` and similar ones.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, sent with its length.
    pub body: Vec<u8>,
}

/// A response, whatever its status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body. The host returns at most 8 MiB; a longer one is an error.
    pub body: Vec<u8>,
}

/// Requests this URL: [`Request::get`] and [`Request::send`] combined.
pub fn get(run: &Run, url: impl Into<String>) -> Result<Response, HostError> {
    Request::get(url).send(run)
}

impl Request {
    /// A request with any method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A `GET` request without a body.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST` request with this body. A grant has to name the method: `"POST https://api.internal"`.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", url).body(body)
    }

    /// Adds a header to the request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body of the request.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it, and reads the whole response within the remaining time of the run.
    ///
    /// The error codes: `not-granted`; `bad-request` (an invalid URL or header);
    /// `no-such-name`; `unreachable`; `no-answer`; `timeout`; `untrusted` (the certificate);
    /// `too-large`; `unavailable`.
    pub fn send(&self, run: &Run) -> Result<Response, HostError> {
        run.host.fetch(self, run.time_left())
    }

    /// The parts of the URL.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        allow(dead_code, reason = "a test's host looks at the whole URL")
    )]
    pub(crate) fn parts(&self) -> Result<Parts<'_>, HostError> {
        let bad = |why: &str| HostError::new("bad-request", format!("`{}` {why}", self.url));
        let (scheme, rest) = self.url.split_once("://").ok_or_else(|| bad("is not a URL"))?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(bad("begins with neither http:// nor https://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return Err(bad("has no host"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Parts { https, authority, path })
    }

    /// The origin of the URL, as `https://HOST:PORT`.
    pub(crate) fn origin(&self) -> &str {
        let begin = self.url.find("://").map_or(0, |at| at + 3);
        let length = self.url[begin..].find(['/', '?', '#']).unwrap_or(self.url.len() - begin);
        &self.url[..begin + length]
    }
}

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "a test's host looks at the whole URL"))]
pub(crate) struct Parts<'u> {
    pub(crate) https: bool,
    pub(crate) authority: &'u str,
    pub(crate) path: String,
}

impl Response {
    /// A response without headers and body, for a test.
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Adds a header, for a test.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into().to_ascii_lowercase(), value.into()));
        self
    }

    /// Sets the body, for a test.
    #[must_use]
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, https, authority, path) in [
            ("http://a", false, "a", "/"),
            ("https://a:8443/b?c#d", true, "a:8443", "/b?c"),
            ("http://[::1]:80?q", false, "[::1]:80", "/?q"),
            ("http://a#b/c", false, "a", "/"),
        ] {
            let request = Request::get(url);
            let parts = request.parts().unwrap();
            assert_eq!(parts, Parts { https, authority, path: path.to_owned() }, "{url}");
        }
        assert_eq!(Request::get("https://a:8443/b?c").origin(), "https://a:8443");
        assert_eq!(Request::get("nonsense").origin(), "nonsense");
        for url in ["", "a/b", "ftp://a", "http://", "http:///x"] {
            assert_eq!(Request::get(url).parts().unwrap_err().code, "bad-request", "{url}");
        }
    }

    #[test]
    fn a_request_that_is_not_granted_says_what_would_allow_it() {
        let error = Request::post("http://a:1/x", "hello").send(&Run::for_test()).unwrap_err();
        assert!(error.is_not_granted());
        assert!(error.to_string().contains("http = [\"POST http://a:1\"]"), "{error}");
        let run =
            Run::for_test().with_answer("http://a:1/x", Response::new(302).with_header("Location", "/y"));
        let answer = get(&run, "http://a:1/x").unwrap();
        assert_eq!((answer.status, answer.header("location"), answer.is_success()), (302, Some("/y"), false));
    }
}
