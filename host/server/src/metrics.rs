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
use tokio::net::{TcpListener, TcpStream};

use crate::http_server::{Connection, ConnectionLimit, HttpServer};
use bellwether_os::address;

/// The maximum number of clients; more of them wait in the queue of the socket. Each page is rendered separately.
const MAX_CLIENTS: usize = 8;
/// The time limit for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The maximum duration of a connection.
const MAX_AGE: Duration = Duration::from_secs(300);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Renders the page for each request.
pub type MetricsPage = Arc<dyn Fn() -> Result<String, fmt::Error> + Send + Sync>;

/// Listens. Port 0 means any free port.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    address::listen(address)
}

/// Serves clients until it is dropped.
pub async fn serve(listener: TcpListener, page: MetricsPage) {
    let router = Router::new().route("/metrics", get(answer)).with_state(page);
    let server = HttpServer {
        what: "the metrics",
        limit: ConnectionLimit::new(MAX_CLIENTS),
        head_within: HEAD_WITHIN,
        longest: Some(MAX_AGE),
    };
    let answer = move |(stream, _): (TcpStream, SocketAddr), connection: Connection| {
        connection.serve(stream, router.clone())
    };
    server.serve(listener, answer, std::future::pending()).await;
}

async fn answer(State(page): State<MetricsPage>) -> Result<Response, Infallible> {
    Ok(match page() {
        Ok(page) => ([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    })
}
