//! Clients that send requests continuously, and record every failure.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::haproxy::server_of;
use crate::http::Response;

/// The interval between two requests of a client.
const PACE: Duration = Duration::from_millis(30);
/// The maximum number of requests of a client that is never ended.
const MAX_REQUESTS: usize = 20_000;
/// The time limit of an answer on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Load {
    clients: Vec<JoinHandle<Tally>>,
    over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

/// The results of the clients.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Requests answered with 200, by the server that answered.
    pub answered: BTreeMap<String, u64>,
    /// The failures, one line for each request.
    pub failures: Vec<String>,
}

impl Load {
    /// Two clients for each address, with 33 requests a second each: one with a kept connection, one with a
    /// connection for each request.
    pub fn begin(addresses: &[SocketAddr]) -> Self {
        let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let kinds = addresses.iter().flat_map(|address| [(*address, true), (*address, false)]);
        let clients = kinds.map(|(address, stays)| {
            let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
            thread::spawn(move || Client { address, stays, connection: None }.work(&over, &asked))
        });
        Self { clients: clients.collect(), over, asked }
    }

    /// Requests that have been answered or have failed so far.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Lets every client complete its last request.
    ///
    /// # Panics
    /// If a client has panicked.
    pub fn end(self) -> Tally {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients {
            client.thread().unpark();
            let tally = client.join().expect("a client that counts to its end");
            for (server, count) in tally.answered {
                *all.answered.entry(server).or_default() += count;
            }
            all.failures.extend(tally.failures);
        }
        all
    }
}

struct Client {
    address: SocketAddr,
    stays: bool,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    fn work(mut self, over: &AtomicBool, asked: &AtomicU64) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..MAX_REQUESTS {
            if over.load(Ordering::Relaxed) {
                break;
            }
            match self.ask() {
                Ok(response) => match server_of(&response) {
                    Some(server) => *tally.answered.entry(server).or_default() += 1,
                    None => tally.failures.push(format!("{}: {}", self.address, response.head)),
                },
                Err(error) => {
                    self.connection = None;
                    tally.failures.push(format!("{} (stays: {}): {error}", self.address, self.stays));
                }
            }
            asked.fetch_add(1, Ordering::Relaxed);
            thread::park_timeout(PACE);
        }
        tally
    }

    fn ask(&mut self) -> std::io::Result<Response> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.address)?),
        };
        let close = if self.stays { "" } else { "Connection: close\r\n" };
        connection.get_mut().write_all(format!("GET / HTTP/1.1\r\nHost: test\r\n{close}\r\n").as_bytes())?;
        let response = read_response(&mut connection)?;
        let ends = response.head.to_ascii_lowercase().contains("connection: close");
        self.connection = (self.stays && !ends).then_some(connection);
        Ok(response)
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A head and a body of the announced length.
fn read_response(connection: &mut BufReader<TcpStream>) -> std::io::Result<Response> {
    let malformed = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(malformed(&format!("the connection was closed after {head:?}")));
        }
        if line.trim_end().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| malformed(&head))?;
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok(Response { status, head, body: String::from_utf8_lossy(&body).into_owned() })
}
