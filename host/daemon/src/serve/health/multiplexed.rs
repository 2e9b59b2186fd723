//! Connections that carry HTTP/2 (gRPC's health protocol among it) or TLS.
//!
//! ```text
//!  event_loop.rs ── the first bytes tell ──▶ admitted ── TLS ──▶ HTTP/1 or HTTP/2 ──▶ quiet for long ─▶ closed
//!                                               │  └── HTTP/2 ───────▲      │
//!                                               ▼                    │      └─ answers: service.rs, grpc.rs
//!                             too many: the one that was quiet longest is closed
//! ```
//! They have a thread of their own, so plain HTTP, which most load balancers speak, never waits for a handshake.
//! Here hyper and rustls do the work: what they need (compression of fields, flow control, cryptography) is not
//! for us to write. Every connection is bounded in time, memory and streams.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::HealthView;
use super::protocol::HANDSHAKE;
use super::request::MAX_REQUEST;
use super::service::Service;
use crate::patience::at_most;
use crate::serve::certificates::Certificates;
use crate::serve::conversation::farewell;

/// At most so many connections. When there are more, the one that was quiet longest is closed.
pub(super) const MAX_CONNECTIONS: usize = 256;
/// So many wait to be admitted.
const WAITING: usize = 64;
/// Keys must be agreed upon within this time.
const HANDSHAKE_WITHIN: Duration = at_most(Duration::from_secs(5));
/// A connection over HTTP/1 may be silent for this long, and a request must be whole by then.
const HEAD_WITHIN: Duration = at_most(Duration::from_secs(10));
/// A connection on which nothing is asked for this long is closed. gRPC's clients keep theirs.
const QUIET: Duration = Duration::from_mins(5);
/// How often the other side of an HTTP/2 connection shows that it is still there, and how long it has for that.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WITHIN: Duration = at_most(Duration::from_secs(10));
/// At most so many requests at once on a connection; gRPC's Watch keeps one.
const MAX_STREAMS: u32 = 32;
/// What a client may send of a request's body before it is read, in bytes.
const WINDOW: u32 = 64 << 10;

/// A connection that was accepted, what was received on it, and from where it comes.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) stream: std::net::TcpStream,
    pub(super) received: Vec<u8>,
    pub(super) peer: IpAddr,
}

/// Where connections are handed over. The thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct Entrance {
    sender: mpsc::Sender<Incoming>,
    tls: bool,
}

impl Entrance {
    /// Whether TLS is spoken.
    pub(super) fn has_tls(&self) -> bool {
        self.tls
    }

    /// Hands a connection over. It is closed if too many wait.
    pub(super) fn admit(&self, incoming: Incoming) {
        // Nothing here may wait: plain HTTP is answered on this thread.
        drop(self.sender.try_send(incoming));
    }

    /// One behind which nobody is.
    #[cfg(test)]
    pub(super) fn closed() -> Self {
        Self { sender: mpsc::channel(1).0, tls: false }
    }
}

/// Starts the thread. TLS is spoken with `certificates`, if there are any.
pub(super) fn start(
    view: HealthView,
    certificates: Option<Certificates>,
) -> io::Result<(Entrance, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entrance = Entrance { sender, tls: certificates.is_some() };
    let thread = std::thread::Builder::new()
        .name("health-http2".to_owned())
        .spawn(move || runtime.block_on(admit_all(receiver, view, certificates)))?;
    Ok((entrance, thread))
}

/// Until no more can come.
async fn admit_all(
    mut receiver: mpsc::Receiver<Incoming>,
    view: HealthView,
    certificates: Option<Certificates>,
) {
    let (end, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut crowd = Crowd::default();
    while let Some(incoming) = receiver.recv().await {
        while connections.try_join_next().is_some() {}
        let quiet = Quiet::default();
        let service =
            Service { view: view.clone(), peer: incoming.peer, quiet: quiet.clone(), ending: ending.clone() };
        let serving = serve(incoming, service, certificates.clone());
        crowd.make_room();
        crowd.members.push((connections.spawn(serving), quiet));
    }
    farewell(end, connections).await;
}

/// All that are connected.
#[derive(Debug, Default)]
struct Crowd {
    members: Vec<(AbortHandle, Quiet)>,
}

impl Crowd {
    fn make_room(&mut self) {
        if self.members.len() < MAX_CONNECTIONS {
            return;
        }
        self.members.retain(|(task, _)| !task.is_finished());
        if self.members.len() >= MAX_CONNECTIONS {
            let longest = self.members.iter().enumerate().min_by_key(|(_, (_, quiet))| quiet.since());
            if let Some(place) = longest.map(|(place, _)| place) {
                self.members.swap_remove(place).0.abort();
            }
        }
    }
}

/// Since when nothing has been asked on a connection. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Quiet(Arc<Since>);

#[derive(Debug)]
struct Since {
    begin: Instant,
    /// In milliseconds.
    after: AtomicU64,
}

impl Default for Quiet {
    fn default() -> Self {
        Self(Arc::new(Since { begin: Instant::now(), after: AtomicU64::new(0) }))
    }
}

impl Quiet {
    /// Something is asked, or said.
    pub(super) fn interrupt(&self) {
        let after = u64::try_from(self.0.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.after.store(after, Ordering::Relaxed);
    }

    fn since(&self) -> Instant {
        self.0.begin + Duration::from_millis(self.0.after.load(Ordering::Relaxed))
    }

    /// Done when it has lasted too long.
    async fn lasts(&self) {
        while self.since() + QUIET > Instant::now() {
            sleep_until(self.since() + QUIET).await;
        }
    }
}

/// One connection, from the first byte to the last. Errors are the other side's: it has gone.
async fn serve(incoming: Incoming, service: Service, certificates: Option<Certificates>) {
    let Incoming { stream, received, .. } = incoming;
    let is_tls = received.first() == Some(&HANDSHAKE);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let (rest, writing) = stream.into_split();
    let stream = tokio::io::join(io::Cursor::new(received).chain(rest), writing);
    let Some(certificates) = certificates.filter(|_| is_tls) else {
        return over_http2(stream, service).await;
    };
    let handshake = certificates.acceptor().accept(stream);
    let Ok(Ok(stream)) = timeout(HANDSHAKE_WITHIN, handshake).await else { return };
    // HTTP/1 unless the two have agreed upon HTTP/2 (RFC 7301).
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        over_http2(stream, service).await;
    } else {
        over_http1(stream, service).await;
    }
}

async fn over_http2<S>(stream: S, service: Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (quiet, mut ending) = (service.quiet.clone(), service.ending.clone());
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(8 << 10)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| service.clone().respond(request)));
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ending.changed() => {}
        () = quiet.lasts() => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(HEAD_WITHIN, connection).await);
}

async fn over_http1<S>(stream: S, service: Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut ending = service.ending.clone();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_REQUEST)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| service.clone().respond(request)));
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ending.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(HEAD_WITHIN, connection).await);
}
