//! The cookie of a sign-in.

use axum::http::HeaderMap;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use super::host;
use crate::site::Peer;

/// Its name contains the port of the console: browsers send cookies to all ports of a host, and the name
/// distinguishes them. Under TLS no other host of the domain can set it (RFC 6265bis, section 4.1.3.2).
fn name(headers: &HeaderMap, peer: Peer) -> String {
    let port = host::port(headers).unwrap_or(if peer.tls { 443 } else { 80 });
    let prefix = if peer.tls { "__Host-" } else { "" };
    format!("{prefix}bellwether_session_{port}")
}

/// The session cookie of a request.
#[derive(Debug, Clone)]
pub(crate) struct SessionCookie {
    value: String,
}

impl SessionCookie {
    /// The cookie of this request.
    pub(crate) fn of(headers: &HeaderMap, peer: Peer) -> Option<Self> {
        let jar = CookieJar::from_headers(headers);
        jar.get(&name(headers, peer)).map(|cookie| Self { value: cookie.value().to_owned() })
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// For the response to a request that signs in.
    pub(crate) fn set(value: String, headers: &HeaderMap, peer: Peer) -> Cookie<'static> {
        Self::build(name(headers, peer), value, peer)
    }

    /// For the response to a request that signs out.
    pub(crate) fn unset(headers: &HeaderMap, peer: Peer) -> Cookie<'static> {
        let mut cookie = Self::build(name(headers, peer), String::new(), peer);
        cookie.make_removal();
        cookie
    }

    fn build(name: String, value: String, peer: Peer) -> Cookie<'static> {
        Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(peer.tls)
            .same_site(SameSite::Strict)
            .build()
    }
}
