//! The daemon's own API on its local socket, asked without a client in between.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// What came back, if anything did: nobody may listen, or no more.
pub fn ask(root: &Path, method: &str, path: &str) -> Option<(u16, Value)> {
    let mut stream = UnixStream::connect(root.join("bellwether.sock")).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

/// A module of the status; nothing if nobody answers, or there is none of that name.
pub fn module(root: &Path, name: &str) -> Option<Value> {
    let (_, status) = ask(root, "GET", "/status")?;
    status["modules"].as_array()?.iter().find(|module| module["name"] == name).cloned()
}
