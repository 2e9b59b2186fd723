//! One connection of a client over HTTP/1.1: any number of requests, until it disconnects, is idle for too long, or the
//! listener ends.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::in_time::Taken;

/// The maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// How one connection is served.
pub(crate) struct Connection {
    pub(super) head_within: Duration,
    pub(super) longest: Option<Duration>,
    /// Ends the connection with its listener.
    pub(super) ending: Watcher,
}

impl Connection {
    /// Serves requests on this stream until the connection ends.
    pub(crate) async fn serve<S>(self, stream: S, router: Router)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = TowerToHyperService::new(router);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_within)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Taken::new(stream)), service);
        let served = self.ending.watch(connection);
        let ended = match self.longest {
            None => served.await,
            // A client whose connection is too old connects again.
            Some(longest) => tokio::time::timeout(longest, served).await.unwrap_or(Ok(())),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a client went away");
        }
    }
}
