//! A tunnel through a proxy (RFC 9110, 9.3.6).

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use wasmtime_wasi_http::Error;

use super::failed::Failed;

/// The maximum size of the head of a proxy's response, in bytes.
const MAX_HEAD: usize = 8 << 10;

/// Requests a tunnel to `authority` (`HOST:PORT`). After that, the stream leads to it.
pub(super) async fn open(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    authority: &str,
) -> Result<(), Failed> {
    let broken = |error: std::io::Error| {
        Failed::new(Error::ConnectionTerminated, format!("the proxy broke the connection off: {error}"))
    };
    let ask = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to the tunnelled connection.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(no_proxy("its answer does not end"));
        }
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    answer.parse(&head).map_err(|error| no_proxy(&error.to_string()))?;
    match answer.code {
        Some(200..=299) => Ok(()),
        Some(code) => {
            let why = format!("the proxy does not let us through to {authority}: it answered {code}");
            Err(Failed::new(Error::DestinationUnavailable, why))
        }
        None => Err(no_proxy("it gave no status")),
    }
}

fn no_proxy(why: &str) -> Failed {
    Failed::new(Error::HttpProtocolError, format!("the answer of the proxy is not HTTP: {why}"))
}
