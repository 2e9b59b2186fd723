//! Checks the host name of requests.
//!
//! A page of another site can let its own name resolve to this node's address; its requests carry that name (DNS
//! rebinding). Therefore only requests with a name of this node are answered.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// The name, and the port if there is one.
fn split(host: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match host.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (host, None),
    }
}

/// The port of the requested address.
pub(super) fn port(headers: &HeaderMap) -> Option<u16> {
    host(headers).and_then(|host| split(host).1)
}

/// Accepts an address, this host itself, or one of `names`.
pub(super) fn is_ours(headers: &HeaderMap, names: &[String]) -> bool {
    let Some(host) = host(headers) else { return false };
    let name = split(host).0.trim_end_matches('.');
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

pub(super) fn misdirected() -> Response {
    let text = "This node is not known by that name.\n\
        Ask for its address, or add the name to `names` in the `[console]` table of bellwether.toml.\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])
    }

    #[test]
    fn addresses_and_own_names_are_ours_and_no_others() {
        let names = ["node-1.example.org".to_owned()];
        for ours in [
            "127.0.0.1:9013",
            "[::1]:9013",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "Node-1.example.org:9013",
            "node-1.example.org.",
        ] {
            assert!(is_ours(&asked(ours), &names), "{ours}");
        }
        for other in ["evil.example", "node-1.example.org.evil.example", "", "localhost.evil.example:9013"] {
            assert!(!is_ours(&asked(other), &names), "{other}");
        }
        assert!(!is_ours(&HeaderMap::new(), &names));
    }

    #[test]
    fn the_port_is_what_stands_behind_the_name() {
        assert_eq!(port(&asked("[::1]:9013")), Some(9013));
        assert_eq!(port(&asked("localhost:80")), Some(80));
        assert_eq!(port(&asked("localhost")), None);
        assert_eq!(port(&asked("[::1]")), None);
    }
}
