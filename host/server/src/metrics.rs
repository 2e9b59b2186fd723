//! `/metrics` for Prometheus, on its own listener, without authentication.

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

/// The maximum number of clients; more of them wait in the queue of the socket. Each page is rendered separately.
const MAX_CLIENTS: usize = 8;
/// The time limit for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The maximum duration of a connection.
const MAX_AGE: Duration = Duration::from_secs(300);
/// The delay before accepting is retried after an error.
const REST: Duration = Duration::from_millis(100);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Renders the page for each request.
pub type Page = Arc<dyn Fn() -> Result<String, fmt::Error> + Send + Sync>;

/// Listens. Port 0 means any free port.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    address::listen(address)
}

/// Serves clients until it is dropped.
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
                // Most likely there are no file descriptors left: other connections must end first.
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
            // An error: the client has disconnected, or was too slow.
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
