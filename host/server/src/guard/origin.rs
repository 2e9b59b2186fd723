//! Checks whether a page of the console sent the request.

use axum::http::{HeaderMap, header};

use crate::site::Peer;

/// The browser's statement: `Sec-Fetch-Site` (Fetch Metadata), or an exact `Origin`. `None` without either, as for
/// programs that are not browsers.
pub(crate) fn is_ours(headers: &HeaderMap, peer: Peer) -> Option<bool> {
    if let Some(site) = headers.get("sec-fetch-site") {
        return Some(site == "same-origin");
    }
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let scheme = if peer.tls { "https" } else { "http" };
    Some(origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Option<bool> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_ours(&headers.collect(), Peer { address: "127.0.0.1:1".parse().unwrap(), tls: false })
    }

    #[test]
    fn another_port_of_the_same_host_is_not_us() {
        assert_eq!(of(&[("host", "localhost:9013"), ("sec-fetch-site", "same-origin")]), Some(true));
        assert_eq!(of(&[("host", "localhost:9013"), ("sec-fetch-site", "same-site")]), Some(false));
        assert_eq!(of(&[("host", "localhost:9013"), ("origin", "http://localhost:9013")]), Some(true));
        assert_eq!(of(&[("host", "localhost:9013"), ("origin", "http://localhost:8080")]), Some(false));
        assert_eq!(of(&[("host", "localhost:9013"), ("origin", "https://localhost:9013")]), Some(false));
        assert_eq!(of(&[("host", "localhost:9013"), ("origin", "null")]), Some(false));
        assert_eq!(of(&[("host", "localhost:9013")]), None);
    }
}
