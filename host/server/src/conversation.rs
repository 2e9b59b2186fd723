//! One connection of a client over HTTP/1.1: as many requests as it likes, until it goes, is silent
//! for too long, or the daemon ends.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::in_time::Taken;

/// What is under way at a shutdown has so long to end.
pub(super) const END_WITHIN: Duration = Duration::from_millis(500);
/// A request's head is never larger, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// Answers until the connection ends, or until the end of the listener that `ending` watches. A client has `head_within`
/// for the head of each request.
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

/// Ends every connection: those at rest at once, and what is under way soon.
pub(super) async fn farewell(end: GracefulShutdown, clients: JoinSet<()>) {
    // Whatever has not ended by then ends with its task.
    let _ = tokio::time::timeout(END_WITHIN, end.shutdown()).await;
    drop(clients);
}
