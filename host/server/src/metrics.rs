//! `/metrics` for Prometheus, on a listener of its own. There is no sign-in.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::in_time::Taken;
use bellwether_os::address;

/// More clients wait in the queue of the socket. Each page is made for itself.
const MAX_CLIENTS: usize = 8;
/// A client must have said what it wants by then.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// A connection is ended after so long, whatever goes on.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Before somebody is accepted again, when that is not possible.
const REST: Duration = Duration::from_millis(100);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Makes the page anew, for each request.
pub type Page = Arc<dyn Fn() -> Result<String, fmt::Error> + Send + Sync>;

/// Listens. Port 0 is any free port.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    address::listen(address)
}

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, page: Page) {
    let router = Router::new().route("/metrics", get(answer)).with_state(page);
    let slots = Arc::new(Semaphore::new(MAX_CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a client of the metrics could not be accepted");
                // Out of file descriptors, most likely: others must end first.
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        clients.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .serve_connection(TokioIo::new(Taken::new(stream)), service);
            // A client that went away, or stayed too long, misses nothing.
            let _ended = tokio::time::timeout(MAX_AGE, connection).await;
            drop(slot);
        });
    }
}

async fn answer(State(page): State<Page>) -> Result<Response, Infallible> {
    Ok(match page() {
        Ok(page) => ([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    })
}
