//! One connection of a client over HTTP/1.1: any number of requests, until it disconnects, is idle for too long, or
//! the daemon shuts down.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::in_time::Taken;

/// At shutdown, the time for pending requests to complete.
pub(super) const END_WITHIN: Duration = Duration::from_millis(500);
/// The maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// Serves requests until the connection ends, or until the listener that `ending` watches ends. A client has
/// `head_within` for the head of each request.
pub(super) async fn converse<S>(stream: S, router: Router, head_within: Duration, ending: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Taken::new(stream)), service);
    if let Err(error) = ending.watch(connection).await {
        tracing::debug!(%error, "a client went away");
    }
}

/// Ends every connection: idle ones immediately, and those with pending requests soon.
pub(super) async fn farewell(end: GracefulShutdown, clients: JoinSet<()>) {
    // Connections that have not ended by then end with their tasks.
    let _ = tokio::time::timeout(END_WITHIN, end.shutdown()).await;
    drop(clients);
}
