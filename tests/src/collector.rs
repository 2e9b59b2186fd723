//! An OpenTelemetry collector: it decodes requests, and can be down, slow or back again.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::eventually::PATIENCE;

/// How it handles a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// It accepts the request.
    #[default]
    Takes,
    /// It answers with 503.
    Refuses,
    /// It does not answer, and keeps the connection.
    Hangs,
}

/// The accepted requests, and the heads of all.
#[derive(Debug, Default)]
pub struct Taken {
    /// Each request with metrics.
    pub metrics: Vec<ExportMetricsServiceRequest>,
    /// Each request with records.
    pub logs: Vec<ExportLogsServiceRequest>,
    /// The heads of all requests, including those that were not accepted.
    pub heads: Vec<String>,
}

/// The server. It answers until the test process ends.
#[derive(Debug, Clone)]
pub struct Collector {
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    /// A collector with this behaviour.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let collector = Self { address, manner: Arc::new(Mutex::new(manner)), taken: Arc::default() };
        let server = collector.clone();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                // A client that disconnects gets no answer.
                held.extend(server.answer(stream).ok().flatten());
            }
        });
        collector
    }

    /// Sets the behaviour from now on.
    pub fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// The requests it has accepted.
    pub fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, if it is kept without an answer.
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<Option<TcpStream>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let (head, body) = read(&mut stream)?;
        let manner = *self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.taken();
        taken.heads.push(head.clone());
        let status = match manner {
            Manner::Hangs => return Ok(Some(stream)),
            Manner::Refuses => "503 Service Unavailable",
            Manner::Takes if head.starts_with("POST /v1/metrics ") => {
                taken.metrics.push(ExportMetricsServiceRequest::decode(&*body)?);
                "200 OK"
            }
            Manner::Takes if head.starts_with("POST /v1/logs ") => {
                taken.logs.push(ExportLogsServiceRequest::decode(&*body)?);
                "200 OK"
            }
            Manner::Takes => "404 Not Found",
        };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        Ok(None)
    }
}

fn read(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16384];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let (head, body) = bytes.split_at(end);
            let (head, body) =
                (String::from_utf8_lossy(head).to_lowercase(), body.get(4..).unwrap_or_default());
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if length.is_none_or(|length: usize| body.len() >= length) {
                return Ok((head.replacen("post", "POST", 1), body.to_vec()));
            }
        }
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
}
