//! Answers plain HTTP on an encrypted port.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;
/// The time limit for reading what the client has sent, which ensures that the response arrives.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// The maximum number of bytes that are read.
const MAX_READ: u64 = 64 << 10;

const ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\nContent-Length: 67\r\n\r\n\
    This is the console of Bellwether over TLS: write https:// before.\n";

/// Whether the client does not use TLS. Waits for its first byte, and does not consume it.
pub(super) async fn is_plain(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 1];
    let read = stream.peek(&mut first).await?;
    Ok(read == 1 && first[0].is_ascii_alphabetic() && first[0] != HANDSHAKE)
}

/// Sends the error, and closes.
pub(super) async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(ANSWER.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(MAX_READ);
    let drained = async {
        let mut buffer = [0; 1024];
        while rest.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let _ = tokio::time::timeout(CLOSE_WITHIN, drained).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let (head, body) = ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
