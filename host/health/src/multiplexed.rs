//! Connections with HTTP/2 (including gRPC's health protocol) or TLS.
//!
//! ```text
//!  event_loop.rs ── the first bytes tell ──▶ admitted ── TLS ──▶ HTTP/1 or HTTP/2 ──▶ quiet for long ─▶ closed
//!                                               │  └── HTTP/2 ───────▲      │
//!                                               ▼                    │      └─ answers: service.rs, grpc.rs
//!                             too many: the one that was quiet longest is closed
//! ```
//! They have a thread of their own, so that plain HTTP, which most load balancers use, never waits for a handshake.
//! Here hyper and rustls implement the protocols (compression of fields, flow control, cryptography). Every
//! connection is bounded in time, memory and streams.

use std::io;
use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::HealthView;
use super::activity::Activity;
use super::protocol::{Protocol, protocol};
use super::request::MAX_REQUEST;
use super::service::Service;
use bellwether_config::certificates::Certificates;
use bellwether_os::address;
use bellwether_os::at_most;
use bellwether_os::fault;
use bellwether_os::heartbeat::Heartbeat;

/// The maximum number of connections. When there are more, the one that was idle longest is closed.
pub(super) const MAX_CONNECTIONS: usize = 256;
/// The number of connections that may wait: more than the event loop accepts in one turn, so that none is refused
/// while there is room.
const WAITING: usize = 1024;
/// The time limit of a TLS handshake.
const HANDSHAKE_WITHIN: Duration = at_most!(Duration::from_secs(5));
/// A connection over HTTP/1 may be idle for this long, and a request must be complete by then.
const HEAD_WITHIN: Duration = at_most!(Duration::from_secs(10));
/// A connection without requests for this long is closed. gRPC's clients keep theirs open.
const QUIET: Duration = Duration::from_mins(5);
/// At shutdown, the time for pending requests to complete.
const END_WITHIN: Duration = Duration::from_millis(500);
/// When a connection is to be closed, the time for its pending requests to complete.
const SENDING: Duration = at_most!(Duration::from_secs(5));
/// What was sent must have arrived by then.
const ARRIVED_WITHIN: Duration = Duration::from_secs(10);
/// The loop turns at least this often.
const BEAT: Duration = Duration::from_secs(1);
/// The interval and the time limit of HTTP/2 keep-alive pings.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WITHIN: Duration = at_most!(Duration::from_secs(10));
/// The maximum number of concurrent requests on a connection; gRPC's Watch keeps one.
const MAX_STREAMS: u32 = 8;
/// How much of a request's body a client may send before it is read, in bytes.
const WINDOW: u32 = 64 << 10;

/// An accepted connection, the data received on it, and the client's address.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) stream: std::net::TcpStream,
    pub(super) received: Vec<u8>,
    pub(super) peer: IpAddr,
}

/// A message from the event loop.
#[derive(Debug)]
enum Wish {
    /// Take over a connection.
    Admit(Incoming),
    /// Close the connection that was idle longest: the process has no descriptor left.
    MakeRoom,
}

/// The handle for handing over connections. The thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct Entrance {
    sender: mpsc::Sender<Wish>,
    tls: bool,
}

impl Entrance {
    /// Whether TLS is configured.
    pub(super) fn has_tls(&self) -> bool {
        self.tls
    }

    /// Hands a connection over. It is closed if too many are waiting.
    pub(super) fn admit(&self, incoming: Incoming) {
        // The event loop must not wait.
        drop(self.sender.try_send(Wish::Admit(incoming)));
    }

    /// Requests a descriptor, which will be free in a moment if there is a connection to close.
    pub(super) fn make_room(&self) {
        drop(self.sender.try_send(Wish::MakeRoom));
    }

    /// A handle without a thread.
    #[cfg(test)]
    pub(super) fn closed() -> Self {
        Self { sender: mpsc::channel(1).0, tls: false }
    }
}

/// Starts the thread. It accepts TLS with `certificates`, if there are any.
pub(super) fn start(
    view: HealthView,
    certificates: Option<Certificates>,
    heart: Heartbeat,
) -> io::Result<(Entrance, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entrance = Entrance { sender, tls: certificates.is_some() };
    let thread = std::thread::Builder::new()
        .name("health-http2".to_owned())
        .spawn(move || runtime.block_on(admit_all(receiver, view, certificates, heart)))?;
    Ok((entrance, thread))
}

/// Runs until no more connections can come.
async fn admit_all(
    mut receiver: mpsc::Receiver<Wish>,
    view: HealthView,
    certificates: Option<Certificates>,
    heart: Heartbeat,
) {
    let (end, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut crowd = Crowd::default();
    loop {
        heart.beat_beside(&view.heartbeat, view.clock);
        fault::stall("health-http2");
        while connections.try_join_next().is_some() {}
        let incoming = match timeout(BEAT, receiver.recv()).await {
            Err(_) => continue,
            Ok(None) => break,
            Ok(Some(Wish::MakeRoom)) => {
                crowd.close_quietest();
                continue;
            }
            Ok(Some(Wish::Admit(incoming))) => incoming,
        };
        let activity = Activity::default();
        let service = Service {
            view: view.clone(),
            peer: incoming.peer,
            activity: activity.clone(),
            ending: ending.clone(),
        };
        crowd.make_room();
        let task = connections.spawn(serve(incoming, service, certificates.clone()));
        crowd.members.push((task, activity));
    }
    // Idle connections end immediately, pending requests soon.
    drop(end);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(END_WITHIN, all_ended).await;
}

#[derive(Debug, Default)]
struct Crowd {
    members: Vec<(AbortHandle, Activity)>,
}

impl Crowd {
    fn make_room(&mut self) {
        if self.members.len() >= MAX_CONNECTIONS {
            self.members.retain(|(task, _)| !task.is_finished());
        }
        if self.members.len() >= MAX_CONNECTIONS {
            self.close_quietest();
        }
    }

    fn close_quietest(&mut self) {
        self.members.retain(|(task, _)| !task.is_finished());
        let quietest =
            self.members.iter().enumerate().min_by_key(|(_, (_, activity))| activity.quiet_since());
        if let Some(place) = quietest.map(|(place, _)| place) {
            self.members.swap_remove(place).0.abort();
        }
    }
}

/// Serves one connection, from the first byte to the last. Errors are the client's: it has disconnected.
async fn serve(incoming: Incoming, service: Service, certificates: Option<Certificates>) {
    let Incoming { stream, received, .. } = incoming;
    let is_tls = protocol(&received) == Protocol::Tls;
    // An old kernel does not know it: then the other bounds hold alone.
    let _ = address::set_user_timeout(&stream, ARRIVED_WITHIN);
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let stream = rewound(received, stream);
    let Some(certificates) = certificates.filter(|_| is_tls) else {
        return over_http2(stream, service).await;
    };
    let handshake = certificates.acceptor().accept(stream);
    let Ok(Ok(mut stream)) = timeout(HANDSHAKE_WITHIN, handshake).await else { return };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => over_http2(stream, service).await,
        Some(_) => over_http1(stream, service).await,
        // The handshake did not negotiate a protocol (RFC 7301): the first bytes determine it.
        None => {
            let Ok(Some((is_http2, received))) = timeout(HEAD_WITHIN, first_bytes(&mut stream)).await else {
                return;
            };
            let stream = rewound(received, stream);
            if is_http2 { over_http2(stream, service).await } else { over_http1(stream, service).await }
        }
    }
}

/// The stream, with the data that was received on it put back.
fn rewound<S: AsyncRead + AsyncWrite>(received: Vec<u8>, stream: S) -> impl AsyncRead + AsyncWrite + use<S> {
    let (rest, writing) = tokio::io::split(stream);
    tokio::io::join(io::Cursor::new(received).chain(rest), writing)
}

/// Receives until it is clear whether it is HTTP/2. `None` if the connection ends before.
async fn first_bytes(stream: &mut (impl AsyncRead + Unpin)) -> Option<(bool, Vec<u8>)> {
    let mut received = Vec::with_capacity(MAX_REQUEST);
    loop {
        if stream.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
        match protocol(&received) {
            Protocol::Undecided => {}
            decided => return Some((decided == Protocol::Http2, received)),
        }
    }
}

async fn over_http2<S>(stream: S, service: Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (activity, mut ending) = (service.activity.clone(), service.ending.clone());
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
        () = activity.lacks() => return,
        _ = ending.changed() => {}
        () = activity.is_quiet_for(QUIET) => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(SENDING, connection).await);
}

async fn over_http1<S>(stream: S, service: Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (activity, mut ending) = (service.activity.clone(), service.ending.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_REQUEST)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| service.clone().respond(request)));
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = activity.lacks() => return,
        _ = ending.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(timeout(SENDING, connection).await);
}
