//! A server for webhooks: it fails on request, and records its requests.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use crate::eventually::PATIENCE;

#[derive(Debug, Clone)]
pub struct Told {
    /// The key in the header.
    pub key: String,
    /// The body of the request.
    pub body: Body,
    /// Whether it was answered with 200.
    pub taken: bool,
}

/// The body of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Body {
    /// `firing`, `resolved` or `test`.
    pub status: String,
    /// The key in the body.
    pub key: String,
    pub node: String,
    /// The module; a test has none.
    pub module: Option<String>,
    /// The text for people.
    pub text: String,
    /// The items of the notification.
    pub alerts: Vec<Alert>,
}

/// One item of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Alert {
    /// The kind: `failed`, …
    pub kind: String,
    /// The state: `lasts` or `over`.
    pub state: String,
}

impl Told {
    /// The status: `firing`, `resolved`, …
    pub fn status(&self) -> &str {
        &self.body.status
    }
}

/// The server. It answers until the test process ends.
#[derive(Debug, Clone)]
pub struct Hook {
    pub address: SocketAddr,
    works: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Default for Hook {
    fn default() -> Self {
        Self::new()
    }
}

impl Hook {
    /// A server that accepts requests.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let hook = Self { address, works: Arc::new(AtomicBool::new(true)), told: Arc::default() };
        let server = hook.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that disconnects gets no answer.
                let _ = server.answer(stream);
            }
        });
        hook
    }

    /// From now on it answers 200, or 500.
    pub fn works(&self, works: bool) {
        self.works.store(works, Ordering::SeqCst);
    }

    /// All requests so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The accepted requests so far.
    pub fn taken(&self) -> Vec<Told> {
        self.told().into_iter().filter(|told| told.taken).collect()
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut text = Vec::new();
        let (head, body) = loop {
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer)?;
            text.extend_from_slice(buffer.get(..length).unwrap_or_default());
            let so_far = String::from_utf8_lossy(&text);
            if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
                let expected = header(head, "content-length").and_then(|text| text.parse().ok());
                if expected.is_none_or(|expected: usize| body.len() >= expected) {
                    break (head.to_owned(), body.to_owned());
                }
            }
            if length == 0 {
                return Ok(());
            }
        };
        let taken = self.works.load(Ordering::SeqCst);
        let key = header(&head, "idempotency-key").unwrap_or_default();
        let body = serde_json::from_str(&body).map_err(std::io::Error::other)?;
        let told = Told { key, body, taken };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        let status = if taken { "200 OK" } else { "500 Internal Server Error" };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
