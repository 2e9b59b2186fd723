//! A webhook's server: it fails for as long as it is told to, and remembers what it was told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use crate::eventually::PATIENCE;

/// One request.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its key, as the header has it.
    pub key: String,
    /// Its body.
    pub body: Body,
    /// Whether it was answered with 200.
    pub taken: bool,
}

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Body {
    /// `firing`, `resolved` or `test`.
    pub status: String,
    /// The same key.
    pub key: String,
    /// Of which node.
    pub node: String,
    /// Of which module; a test is of none.
    pub module: Option<String>,
    /// For people.
    pub text: String,
    /// What it is about.
    pub alerts: Vec<Alert>,
}

/// One thing that a notification is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Alert {
    /// `failed`, …
    pub kind: String,
    /// `lasts` or `over`.
    pub state: String,
}

impl Told {
    /// `firing`, `resolved`, …
    pub fn status(&self) -> &str {
        &self.body.status
    }
}

/// The server. It answers until the test process ends.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Where it listens.
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
    /// One that works.
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
                // A client that breaks off gets no answer.
                let _ = server.answer(stream);
            }
        });
        hook
    }

    /// From now on it answers 200, or 500.
    pub fn works(&self, works: bool) {
        self.works.store(works, Ordering::SeqCst);
    }

    /// All that it was told.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it has taken.
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
