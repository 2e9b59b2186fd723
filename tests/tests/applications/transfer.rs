//! A client that receives a large file while its server is told to stop.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::place::Place;

/// More than fits into the buffers of both sides: the server is busy until the client has read most of it.
const SIZE: usize = 48 << 20;
/// The path of the file in the request.
const PATH: &str = "/large";
/// How long the server may send nothing.
const SILENT: Duration = Duration::from_secs(60);

/// Writes the file to the folder that the server serves.
pub(crate) fn lay_out(place: &Place, folder: &str) {
    place.write(&format!("{folder}{PATH}"), vec![b'x'; SIZE]);
}

pub(crate) struct Transfer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Transfer {
    /// Returns once the first part has arrived.
    pub(crate) fn begin(server: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(server).expect("it listens");
        stream.set_read_timeout(Some(SILENT)).expect("a time");
        stream.write_all(format!("GET {PATH} HTTP/1.0\r\n\r\n").as_bytes()).expect("it hears");
        let mut received = vec![0; 1024];
        stream.read_exact(&mut received).expect("it begins to send");
        Self { stream, received }
    }

    /// Reads the rest. Returns whether the whole file has arrived.
    pub(crate) fn ends_whole(mut self) -> bool {
        // A server that is killed resets the connection: then the file is incomplete.
        let read = self.stream.read_to_end(&mut self.received);
        let head = self.received.windows(4).position(|end| end == b"\r\n\r\n");
        read.is_ok() && head.is_some_and(|head| self.received.len() - head - 4 == SIZE)
    }
}
