//! The one loop that accepts clients: of the local socket, of the console and of the metrics.
//!
//! ```text
//!   room ──▶ accepted ──▶ not too many from there ──▶ admitted, TLS ──▶ requests ──▶ ended
//!     └ others wait in the socket's queue  └ closed        └ closed
//! ```
//! Each listener decides what happens before the first request: who the client is, and whether it must use TLS.

mod connection;
mod connection_limit;
mod plain;
mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

pub(crate) use self::connection::Connection;
pub(crate) use self::connection_limit::ConnectionLimit;
pub(crate) use self::tls::secure;

/// The delay before accepting is retried after an error.
const RETRY_ACCEPT: Duration = Duration::from_millis(100);
/// At shutdown, the time for pending requests to complete.
const END_WITHIN: Duration = Duration::from_millis(500);

/// A socket that clients connect to.
pub(crate) trait Accept: Send + Sync {
    /// A client that was accepted.
    type Client: Send;
    /// Waits for the next client.
    fn accept_client(&self) -> impl Future<Output = io::Result<Self::Client>> + Send;
    /// The address by which connections are counted, if clients have one.
    fn address_of(client: &Self::Client) -> Option<IpAddr>;
}

impl Accept for TcpListener {
    type Client = (TcpStream, SocketAddr);

    async fn accept_client(&self) -> io::Result<Self::Client> {
        self.accept().await
    }

    fn address_of((_, address): &Self::Client) -> Option<IpAddr> {
        Some(address.ip())
    }
}

/// Accepts the clients of one listener and serves them over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct HttpServer {
    /// The listener's name for the log: `clients of {what}`.
    pub(crate) what: &'static str,
    /// How many clients there may be at the same time.
    pub(crate) limit: ConnectionLimit,
    /// The time limit for the head of each request.
    pub(crate) head_within: Duration,
    /// The maximum age of a connection, whatever happens on it.
    pub(crate) longest: Option<Duration>,
}

impl HttpServer {
    /// Accepts clients until `shutdown` is done, and lets `answer` serve each on its connection. At the end idle
    /// connections are closed at once, and pending requests have [`END_WITHIN`] to complete.
    pub(crate) async fn serve<L, Answered>(
        self,
        listener: L,
        answer: impl Fn(L::Client, Connection) -> Answered,
        shutdown: impl Future<Output = ()> + Send,
    ) where
        L: Accept,
        Answered: Future<Output = ()> + Send + 'static,
    {
        let end = GracefulShutdown::new();
        let mut clients = JoinSet::new();
        tokio::pin!(shutdown);
        let mut is_failing = false;
        loop {
            while clients.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = self.next(&listener) => accepted,
                () = &mut shutdown => break,
            };
            let (client, room) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        let what = self.what;
                        tracing::warn!(%error, "clients of {what} cannot be accepted; the next attempt is due soon");
                    }
                    // Most likely there are no file descriptors left: other connections must end first.
                    tokio::time::sleep(RETRY_ACCEPT).await;
                    continue;
                }
            };
            is_failing = false;
            let Some(slot) = self.limit.admit(room, L::address_of(&client)) else { continue };
            let connection =
                Connection { head_within: self.head_within, longest: self.longest, ending: end.watcher() };
            let answered = answer(client, connection);
            clients.spawn(async move {
                answered.await;
                drop(slot);
            });
        }
        // Connections that have not ended by then end with their tasks.
        let _ = tokio::time::timeout(END_WITHIN, end.shutdown()).await;
    }

    /// The next client, once there is room for one more.
    async fn next<L: Accept>(&self, listener: &L) -> io::Result<(L::Client, OwnedSemaphorePermit)> {
        let room = self.limit.room().await.map_err(io::Error::other)?;
        Ok((listener.accept_client().await?, room))
    }
}

#[cfg(test)]
mod tests;
