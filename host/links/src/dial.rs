//! Dialling another member, or the node that has issued an invitation.
//!
//! ```text
//!   address ──look up──▶ TCP ──▶ TLS: both certificates ──▶ is it this node's key? ──▶ HTTP/2
//! ```

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bellwether_farm::id::NodeId;
use bellwether_farm::roster::{Member, Removal};
use bellwether_os::names::{Share, look_up};
use bellwether_os::{address as os_address, at_most};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use crate::address;
use crate::connections::{Closing, Connections};
use crate::node::Node;
use crate::serve::Body;
use crate::tied::tied;
use crate::tls::{self, Peer};
use crate::wall::shown;

/// The time limit from the look-up to the end of the handshake.
const DIALLED_WITHIN: Duration = at_most!(Duration::from_secs(3));
/// What was sent must have arrived by then, or the connection ends.
const ARRIVED_WITHIN: Duration = Duration::from_secs(2);
/// A connection on which nothing is sent is tried after this time, by the kernel.
const TRIED_AFTER: Duration = Duration::from_secs(30);
const TRIED_EVERY: Duration = Duration::from_secs(10);
/// How long the reason of a failure is waited for.
const REASON_WITHIN: Duration = at_most!(Duration::from_millis(500));
const MAX_HEADERS: u32 = 32 << 10;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDialled {
    /// It cannot be reached: a sentence.
    Unreachable(String),
    /// One of the two rejects the certificate of the other: a sentence.
    CannotAuthenticate(String),
    /// The other node says that this one was removed from the farm.
    Removed(Removal),
    /// The other node refuses: a sentence.
    Refused(String),
}

/// A connection over which requests can be sent. Cheap to clone. It ends when nothing uses it any more.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Body>,
    pub(crate) closing: Closing,
    /// Once it has ended: why, or nothing if it was closed here.
    ended: watch::Receiver<Option<String>>,
}

impl Connection {
    /// Why it has failed, if that is known soon.
    async fn failure(mut self) -> Option<String> {
        let ended = timeout(REASON_WITHIN, self.ended.wait_for(Option::is_some)).await;
        ended.ok()?.ok()?.clone().filter(|why| !why.is_empty())
    }
}

/// A connection with this member.
pub(crate) async fn dial(node: &Node, id: NodeId, member: &Member) -> Result<(Connection, Peer), NotDialled> {
    let by = Instant::now() + DIALLED_WITHIN;
    let stream = connect(&member.address, by).await.map_err(NotDialled::Unreachable)?;
    let name = node.tls.name_of(id);
    let name = name.ok_or_else(|| NotDialled::Refused("the id of the farm is not a host name".to_owned()))?;
    let handshake = timeout_at(by, node.tls.connector().connect(name, stream)).await;
    let address = &member.address;
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(not_authenticated(&error, member)),
        Err(_) => return Err(NotDialled::Unreachable(silent(address))),
    };
    // WebPKI has verified the name in the certificate. The authority could have signed the name of another node, so the
    // key counts.
    let peer = tls::peer(stream.get_ref().1.peer_certificates()).filter(|peer| peer.id == id);
    let Some(peer) = peer else {
        let why =
            format!("what answers at {address} has the certificate of another node than {}", member.name);
        return Err(NotDialled::CannotAuthenticate(why));
    };
    let connection = over_http2(stream, &node.connections, Some(id), by).await;
    connection.map(|connection| (connection, peer)).map_err(NotDialled::Unreachable)
}

/// HTTP/2 over a stream. The connection runs until it is closed or fails.
pub(crate) async fn over_http2(
    stream: TlsStream<TcpStream>,
    connections: &Connections,
    with: Option<NodeId>,
    by: Instant,
) -> Result<Connection, String> {
    let (executor, tasks, all_ended) = tied();
    let mut builder = http2::Builder::new(executor);
    builder.timer(TokioTimer::new()).max_header_list_size(MAX_HEADERS);
    let handshake = timeout_at(by, builder.handshake(TokioIo::new(stream))).await;
    // The executor in it would count as a task that goes on.
    drop(builder);
    let handshake = handshake.map_err(|_| "it does not speak HTTP/2 in time".to_owned())?;
    let (sender, connection) = handshake.map_err(|error| error.to_string())?;
    let registered = connections.register(with);
    let closing = registered.closing().clone();
    let (end, ended) = watch::channel(None);
    tokio::spawn(async move {
        let ended = async {
            // It ends when no more requests can come; those that came may be under way still.
            let ended = connection.await;
            all_ended.all().await;
            ended.err().map(|error| chain(&error))
        };
        let why = tokio::select! {
            why = ended => why,
            () = registered.closing().closed() => None,
        };
        tasks.abort();
        end.send_replace(Some(why.unwrap_or_default()));
    });
    Ok(Connection { sender, closing, ended })
}

/// TCP to one of the addresses of `HOST:PORT`. The error is a sentence.
pub(crate) async fn connect(address: &str, by: Instant) -> Result<TcpStream, String> {
    let (host, port) = address::split(address)
        .ok_or_else(|| format!("`{address}` is not an address: expected HOST:PORT"))?;
    let found = look_up(host, &Share::of_the_daemon(), by).await;
    let found = found.map_err(|error| format!("the name {host} cannot be resolved: {error}"))?;
    let mut why = format!("the name {host} has no address");
    for found in found {
        let to = SocketAddr::new(found.ip(), port);
        match timeout_at(by, TcpStream::connect(to)).await {
            Ok(Ok(stream)) => {
                prepare(&stream);
                return Ok(stream);
            }
            Ok(Err(error)) => why = refused(address, &error),
            Err(_) => return Err(silent(address)),
        }
    }
    Err(why)
}

fn refused(address: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        format!("nothing listens at {address}")
    } else {
        format!("{address} cannot be reached: {error}")
    }
}

fn silent(address: &str) -> String {
    format!("{address} does not answer: is the address right, and does a firewall let the port through?")
}

/// Sets what all connections between nodes have. Where the system cannot do it, the other bounds hold alone.
pub(crate) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = os_address::set_user_timeout(stream, ARRIVED_WITHIN);
    let keepalive = TcpKeepalive::new().with_time(TRIED_AFTER).with_interval(TRIED_EVERY);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// What went wrong in a handshake.
fn not_authenticated(error: &io::Error, member: &Member) -> NotDialled {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let problem = tls.and_then(|error| tls::certificate_problem(error, member.name.as_str()));
    match problem {
        Some(why) => NotDialled::CannotAuthenticate(why),
        None => NotDialled::Unreachable(format!("the connection with {} failed: {error}", member.address)),
    }
}

/// What went wrong with a request over a connection that was just made. The other side verifies the certificate of this
/// node after the handshake has ended for this node, so a rejection comes late.
pub(crate) async fn not_answered(
    node: &Node,
    connection: Connection,
    member: &Member,
    error: &str,
) -> NotDialled {
    let closing = connection.closing.clone();
    let failure = connection.failure().await;
    closing.close();
    let validity = node.tls.identity().validity;
    let texts = [Some(error), failure.as_deref()];
    let rejection =
        texts.into_iter().flatten().find_map(|text| tls::rejection_in(text, member.name.as_str()));
    if let Some(why) = rejection {
        NotDialled::CannotAuthenticate(why)
    } else if validity.includes(node.wall.now()) {
        NotDialled::Unreachable(format!("the connection with {} failed: {error}", member.address))
    } else {
        let until = shown(validity.until);
        let why = format!(
            "the certificate of this node expired at {until}: on this node run `bellwether farm leave`, then `bellwether farm join LINE --replace {}`",
            node.name
        );
        NotDialled::CannotAuthenticate(why)
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..8 {
        let Some(next) = cause else { break };
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}
