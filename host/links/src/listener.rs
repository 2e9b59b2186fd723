//! The node port: accepts other nodes, while this one is a member.
//!
//! ```text
//!   accepted ──▶ TLS ──▶ a member ──────────────▶ requests ──▶ closed by it, or when it is removed
//!     │           │       └ removed, unknown ───▶ told why ──┐
//!     │           └ no certificate ──▶ hello, join ──────────┴──▶ closed soon
//!     └ too many handshakes: waits
//! ```

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_farm::admission::Standing;
use bellwether_os::at_most;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use crate::answer::{Client, answer};
use crate::dial::prepare;
use crate::node::Node;
use crate::tls::peer;

/// The maximum number of connections: a few with each of 256 members.
const MAX_CONNECTIONS: usize = 1_024;
/// Of these, the maximum number that are in their handshake.
const MAX_HANDSHAKES: usize = 64;
/// Of these, the maximum number with nodes that are not members.
const MAX_STRANGERS: usize = 32;
/// The maximum number of connections with one node.
const MAX_OF_ONE: usize = 8;
/// The time limit of a TLS handshake.
const HANDSHAKE_WITHIN: Duration = at_most!(Duration::from_secs(5));
/// The life of a connection with a node that is not a member.
const STRANGER_FOR: Duration = at_most!(Duration::from_secs(30));
/// The other side has this time to read why its handshake has failed.
const LINGER: Duration = Duration::from_secs(1);
/// The delay before accepting is retried after an error.
const RETRY_ACCEPT: Duration = Duration::from_millis(100);
/// The maximum number of concurrent requests on a connection: people that follow events keep one each.
const MAX_STREAMS: u32 = 128;
const MAX_HEADERS: u32 = 32 << 10;

/// The limits of a listener.
#[derive(Clone)]
struct Limits {
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// Accepts connections until it is dropped.
pub(crate) async fn serve(listener: TcpListener, node: Arc<Node>) {
    let limits = Limits {
        handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
        strangers: Arc::new(Semaphore::new(MAX_STRANGERS)),
    };
    let mut connections = JoinSet::new();
    let mut is_failing = false;
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        // Others wait in the socket's queue.
        let Ok(permit) = Arc::clone(&limits.handshakes).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                is_failing = false;
                let (node, limits) = (Arc::clone(&node), limits.clone());
                connections.spawn(async move { admit(stream, from.ip(), &node, permit, &limits).await });
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "connections of other nodes cannot be accepted; the next attempt is due soon");
                }
                // Most likely there are no file descriptors left.
                sleep(RETRY_ACCEPT).await;
            }
        }
    }
}

async fn admit(
    stream: TcpStream,
    from: IpAddr,
    node: &Arc<Node>,
    permit: OwnedSemaphorePermit,
    limits: &Limits,
) {
    prepare(&stream);
    let handshake = node.tls.acceptor().accept(stream).into_fallible();
    let stream = match timeout(HANDSHAKE_WITHIN, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, stream))) => {
            tracing::debug!(%from, %error, "the handshake of a node has failed");
            drop(permit);
            return linger(stream).await;
        }
        Err(_) => return,
    };
    drop(permit);
    let peer = peer(stream.get_ref().1.peer_certificates());
    let member = peer.filter(|peer| node.standing(peer.id) == Standing::Member);
    if member.is_some_and(|member| node.connections.count(member.id) >= MAX_OF_ONE) {
        return;
    }
    let registered = node.connections.register(peer.map(|peer| peer.id));
    let client = Client { node: Arc::clone(node), peer, from, closing: registered.closing().clone() };
    let closed = registered.closing().closed();
    if member.is_some() {
        tokio::select! {
            () = over_http2(stream, client) => {}
            () = closed => {}
        }
    } else if let Ok(_permit) = limits.strangers.try_acquire() {
        tokio::select! {
            () = over_http2(stream, client) => {}
            () = closed => {}
            () = sleep(STRANGER_FOR) => {}
        }
    }
}

async fn over_http2(stream: TlsStream<TcpStream>, client: Client) {
    let service = service_fn(move |request| {
        let client = client.clone();
        async move { Ok::<_, Infallible>(answer(client, request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // Errors are the other side's: it has disconnected.
    drop(connection.await);
}

/// Closing at once would discard the alert that says why, because the other side has sent more already.
async fn linger(mut stream: TcpStream) {
    let read_on = async {
        drop(stream.shutdown().await);
        let mut rest = [0; 1_024];
        while stream.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    };
    drop(timeout(LINGER, read_on).await);
}
