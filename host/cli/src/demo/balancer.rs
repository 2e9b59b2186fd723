//! The load balancer of the demo, and of the demo alone: it shows what a real one does with the health addresses.
//!
//! ```text
//!   every second: GET /health/web of each node ──▶ Pool: who is in ──▶ a line for each change
//!                                                    │ pick
//!   client ──▶ request, read completely ──▶ node ──▶ answer, read completely ──▶ client
//!                        ▲                   │ not connected, or broken and idempotent
//!                        └──── another node ─┘
//! ```
//! It is no load balancer for anything else: it is HTTP/1.1 without TLS on the loopback, requests and answers are
//! small and held in memory, and every request has a connection of its own to the node.

pub(super) mod client;
mod exchange;
mod forward;
mod pool;
mod tally;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST};
use hyper::service::service_fn;
use hyper::{Request, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use self::exchange::{Unanswered, exchange};
use self::pool::{Pool, Probe};

pub(super) use self::pool::Change;
pub(super) use self::tally::Tally;

/// How often each node's health address is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// The time limit of its answer.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
const HEALTH_PATH: &str = "/health/web";

/// How many clients there may be at the same time. Others wait in the socket's queue.
const CLIENTS: usize = 256;
/// The time limit for the head of a request, and for the next one on the same connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The maximum age of a connection.
const LONGEST: Duration = Duration::from_mins(10);
/// The delay before accepting is retried after an error.
const RETRY_ACCEPT: Duration = Duration::from_millis(100);
/// More changes than this are never unread.
const CHANGES: usize = 64;

/// A node behind the load balancer.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) health: SocketAddr,
    pub(super) application: SocketAddr,
}

/// A running load balancer. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Balancer {
    shared: Arc<Shared>,
    changes: mpsc::Receiver<Change>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    upstreams: Vec<Upstream>,
    pool: Mutex<Pool>,
    tally: Mutex<Tally>,
}

impl Balancer {
    /// Serves the clients of `listener`.
    pub(super) fn start(listener: std::net::TcpListener, upstreams: Vec<Upstream>) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let names: Vec<String> = upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        let shared = Arc::new(Shared {
            pool: Mutex::new(Pool::new(names)),
            tally: Mutex::new(Tally::default()),
            upstreams,
        });
        let (tell, changes) = mpsc::channel(CHANGES);
        let mut tasks = JoinSet::new();
        for node in 0..shared.upstreams.len() {
            tasks.spawn(watch(Arc::clone(&shared), node, tell.clone()));
        }
        tasks.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, changes, _tasks: tasks })
    }

    /// Waits until every node takes requests, within this time. Changes up to then are not told.
    pub(super) async fn settle(&mut self, within: Duration) {
        let complete =
            async { while !lock(&self.shared.pool).is_complete() && self.changes.recv().await.is_some() {} };
        let _ = timeout(within, complete).await;
        while self.changes.try_recv().is_ok() {}
    }

    /// The next change.
    pub(super) async fn next(&mut self) -> Change {
        match self.changes.recv().await {
            Some(change) => change,
            // Only if the probes have panicked.
            None => std::future::pending().await,
        }
    }

    /// What became of the requests so far.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.shared.tally).clone()
    }
}

impl Shared {
    fn pick(&self, tried: &[usize]) -> Option<usize> {
        lock(&self.pool).pick(tried)
    }

    fn answered(&self, node: usize, elsewhere_before: bool) {
        if let Some(upstream) = self.upstreams.get(node) {
            lock(&self.tally).answered(&upstream.name, elsewhere_before);
        }
    }

    fn failed(&self) {
        lock(&self.tally).failed();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the health address of one node again and again.
async fn watch(shared: Arc<Shared>, node: usize, tell: mpsc::Sender<Change>) {
    let Some(health) = shared.upstreams.get(node).map(|upstream| upstream.health) else { return };
    let mut due = tokio::time::interval(PROBE_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let probe = probe(health).await;
        let change = lock(&shared.pool).probed(node, probe);
        if let Some(change) = change {
            // A reader that has stalled must not stall the probes.
            let _ = tell.try_send(change);
        }
    }
}

async fn probe(health: SocketAddr) -> Probe {
    let request = Request::get(HEALTH_PATH)
        .header(HOST, health.to_string())
        .header(CONNECTION, "close")
        .body(Full::new(Bytes::new()));
    let Ok(request) = request else { return Probe::Refused };
    match exchange(health, request, Instant::now() + PROBE_WITHIN).await {
        Ok(response) => Probe::Answered(response.status().as_u16()),
        Err(Unanswered::NotConnected | Unanswered::Broken) => Probe::Refused,
        Err(Unanswered::Overdue) => Probe::Overdue,
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                clients.spawn(async move {
                    converse(stream, shared).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the demo's load balancer cannot accept a client; it tries again");
                tokio::time::sleep(RETRY_ACCEPT).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { forward::forward(&shared, request).await }
    });
    let mut http = server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    // A client that has gone away is none of our errors.
    let _ = timeout(LONGEST, http.serve_connection(TokioIo::new(stream), answer)).await;
}

#[cfg(test)]
mod tests;
