//! Requests to the daemon's API on its local socket, without a client in between.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answers::{Module, Status, read};
use crate::eventually::PATIENCE;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    body: String,
}

impl Answer {
    /// Parses the body as this type.
    ///
    /// # Panics
    /// If it has another form.
    pub fn read<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", self.body);
        read(&self.body)
    }
}

/// The answer, if it is complete: there may be no daemon, or none any more.
pub fn ask(root: &Path, method: &str, path: &str) -> Option<Answer> {
    let mut stream = UnixStream::connect(root.join("bellwether.sock")).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // An incomplete answer does not count.
    serde_json::from_str::<Value>(body).ok()?;
    Some(Answer { status, body: body.to_owned() })
}

/// The status, if there is an answer.
pub fn status(root: &Path) -> Option<Status> {
    ask(root, "GET", "/status").filter(|answer| answer.status == 200).map(|answer| answer.read())
}

/// A module of the status; `None` if there is no answer, or none has that name.
pub fn module(root: &Path, name: &str) -> Option<Module> {
    status(root)?.modules.into_iter().find(|module| module.name == name)
}
