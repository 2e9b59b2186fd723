//! The membership's long stream with another node, both ways.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_farm::id::NodeId;
use bellwether_os::at_most;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::asking::AUTHORITY;
use crate::body::refusal;
use crate::connections::Closing;
use crate::dial::{NotDialled, chain, dial, not_answered};
use crate::frames::{Decoder, channel};
use crate::message::{Message, Stream};
use crate::node::Node;
use crate::serve::Body;
use crate::tls::Peer;
use crate::wire::STREAM;

/// The other side must have accepted the stream by then.
const ACCEPTED_WITHIN: Duration = at_most!(Duration::from_secs(3));

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Dials a member and opens a stream. What comes of it is told to the actor.
pub(crate) async fn open(node: &Node, id: NodeId) {
    let told = match try_open(node, id).await {
        // The reader is not awaited: it ends with the stream.
        Ok(()) => return,
        Err(why) => Message::NotDialled { peer: id, why },
    };
    drop(node.messages.send(told).await);
}

async fn try_open(node: &Node, id: NodeId) -> Result<(), NotDialled> {
    let member = node.member(id);
    let member = member.ok_or_else(|| NotDialled::Refused("it is not a member of the farm".to_owned()))?;
    let made_with = node.tls.identity().validity.until;
    let (mut connection, peer) = dial(node, id, &member).await?;
    let (frames, body) = channel();
    let request = Request::builder().method(Method::POST).uri(format!("https://{AUTHORITY}{STREAM}"));
    let request = request.body(body.map_err(|never| match never {}).boxed_unsync());
    let request = request.map_err(|error| NotDialled::Refused(error.to_string()))?;
    let answered = timeout(ACCEPTED_WITHIN, connection.sender.send_request(request)).await;
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(not_answered(node, connection, &member, &chain(&error)).await),
        Err(_) => return Err(NotDialled::Unreachable(format!("{} does not answer in time", member.address))),
    };
    let response = refusal(response).await.map_err(|problem| match problem.removal {
        Some(removal) => NotDialled::Removed(removal),
        None => NotDialled::Refused(problem.detail),
    })?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let opened = node.wall.now();
    let closing = connection.closing.clone();
    let stream =
        Stream { number, peer, dialled_here: true, frames, closing: closing.clone(), made_with, opened };
    start(node, stream, response.into_body(), closing).await;
    Ok(())
}

/// Answers the request of another member for a stream.
pub(crate) async fn accept(node: &Node, peer: Peer, closing: Closing, body: Incoming) -> Response<Body> {
    let (frames, answer) = channel();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let made_with = node.tls.identity().validity.until;
    let opened = node.wall.now();
    let stream =
        Stream { number, peer, dialled_here: false, frames, closing: closing.clone(), made_with, opened };
    start(node, stream, body, closing).await;
    Response::new(answer.map_err(|never| match never {}).boxed_unsync())
}

/// Tells the actor of the stream before any of its frames, and reads it in a task of its own.
async fn start(node: &Node, stream: Stream, body: Incoming, closing: Closing) {
    let (number, peer) = (stream.number, stream.peer.id);
    let messages = node.messages.clone();
    if messages.send(Message::Opened(stream)).await.is_err() {
        return closing.close();
    }
    tokio::spawn(async move {
        tokio::select! {
            () = read(&messages, peer, body) => {}
            () = closing.closed() => {}
        }
        drop(messages.send(Message::Closed { number, peer }).await);
        closing.close();
    });
}

/// Reads frames until the stream ends, in whichever way.
async fn read(messages: &tokio::sync::mpsc::Sender<Message>, from: NodeId, mut body: Incoming) {
    let mut decoder = Decoder::default();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        decoder.received(&data);
        loop {
            match decoder.next() {
                Ok(Some(bytes)) => {
                    if messages.send(Message::Frame { from, bytes }).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%from, %error, "what a node sends cannot be understood: the connection is closed");
                    return;
                }
            }
        }
    }
}
