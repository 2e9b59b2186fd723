//! This node as a member of a farm: what its connections share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_core::id::NodeName;
use bellwether_farm::admission::{Standing, standing};
use bellwether_farm::id::{FarmId, NodeId};
use bellwether_farm::roster::{Member, Roster};
use tokio::sync::{mpsc, oneshot};

use crate::asking::Requests;
use crate::connections::Connections;
use crate::message::Message;
use crate::serve::Serve;
use crate::tls::Tls;
use crate::wall::Wall;

/// What the connections of a member share. It ends with the membership; there is a new one after the next join.
pub(crate) struct Node {
    pub(crate) farm: FarmId,
    pub(crate) me: NodeId,
    pub(crate) name: NodeName,
    pub(crate) version: String,
    pub(crate) tls: Tls,
    pub(crate) wall: Wall,
    /// As the actor knows it: asked on every connection and for every request.
    pub(crate) roster: ArcSwap<Roster>,
    pub(crate) connections: Connections,
    /// Connections for requests to others.
    pub(crate) requests: Requests,
    /// To the actor. It is bounded: a connection is read no faster than its frames are handled.
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) serve: Arc<dyn Serve>,
    /// When the first of the present streams is no longer authenticated, in seconds since 1970.
    #[cfg(test)]
    pub(crate) streams_until: std::sync::atomic::AtomicI64,
}

impl Node {
    /// What another node is to the farm at this moment.
    pub(crate) fn standing(&self, node: NodeId) -> Standing {
        standing(&self.roster.load(), node)
    }

    /// The entry of a member in the roster.
    pub(crate) fn member(&self, node: NodeId) -> Option<Member> {
        self.roster.load().members().get(&node).cloned()
    }

    /// Sends a message to the actor, and waits for its answer. `None`: the membership has ended.
    pub(crate) async fn ask_actor<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).await.ok()?;
        answer.await.ok()
    }
}
