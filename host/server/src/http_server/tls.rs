//! TLS with a client, and an answer for one that speaks plain HTTP instead.

use std::net::SocketAddr;
use std::time::Duration;

use bellwether_config::certificates::Certificates;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::plain;

/// The time limit of the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// The encrypted stream, if the client comes that far in time.
pub(crate) async fn secure(
    stream: TcpStream,
    address: SocketAddr,
    certificates: &Certificates,
) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    let secured = async {
        if plain::is_plain(&stream).await? {
            plain::refuse(stream).await?;
            return Ok(None);
        }
        certificates.acceptor().accept(stream).await.map(Some)
    };
    match tokio::time::timeout(HANDSHAKE_WITHIN, secured).await {
        Ok(Ok(Some(stream))) => return Some(stream),
        Ok(Ok(None)) => tracing::debug!(%address, "a client of the console spoke plain HTTP"),
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "a client of the console disconnected before the TLS handshake was complete");
        }
        Err(_) => tracing::debug!(%address, "a client of the console took too long for the TLS handshake"),
    }
    None
}
