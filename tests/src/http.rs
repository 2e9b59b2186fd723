//! One HTTP request over its own connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::eventually::PATIENCE;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status: 200, 503, …
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    pub body: String,
}

/// `GET path`, HTTP/1.1. `None` if there is no answer.
pub fn get(address: SocketAddr, path: &str) -> Option<Response> {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
}

/// `POST path` without a body.
pub fn post(address: SocketAddr, path: &str) -> Option<Response> {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    request(address, &head)
}

/// Sends the text of a request.
pub fn request(address: SocketAddr, text: &str) -> Option<Response> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, head: head.to_owned(), body: body.to_owned() })
}
