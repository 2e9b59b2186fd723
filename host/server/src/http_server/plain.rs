//! Plain HTTP spoken to a port that is encrypted.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;
/// So that the answer arrives, what the client has sent is read: until it closes, for so long.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// And at most so many bytes of it.
const MAX_READ: u64 = 64 << 10;

const ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\nContent-Length: 67\r\n\r\n\
    This is the console of Bellwether over TLS: write https:// before.\n";

/// Whether the client speaks something else than TLS. Waits for its first byte, and leaves it.
pub(super) async fn is_plain(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 1];
    let read = stream.peek(&mut first).await?;
    Ok(read == 1 && first[0].is_ascii_alphabetic() && first[0] != HANDSHAKE)
}

/// Says so, and closes.
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
