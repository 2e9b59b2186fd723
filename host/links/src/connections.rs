//! The open connections with other nodes, and how they are closed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_farm::id::NodeId;
use tokio::sync::watch;

/// Closes something from elsewhere. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Closing(Arc<watch::Sender<bool>>);

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Closing({})", *self.0.borrow())
    }
}

impl Closing {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn close(&self) {
        self.0.send_replace(true);
    }

    /// Completes once it is to be closed.
    pub(crate) async fn closed(&self) {
        // The sender is here: it cannot fail.
        drop(self.0.subscribe().wait_for(|closed| *closed).await);
    }
}

/// All open connections, accepted and dialled. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    number: u64,
    all: BTreeMap<u64, (Option<NodeId>, Closing)>,
    /// No further ones: the farm has ended.
    has_ended: bool,
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    number: u64,
    closing: Closing,
    all: Connections,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection with this node, or with one that has presented no certificate.
    pub(crate) fn register(&self, with: Option<NodeId>) -> Registered {
        let closing = Closing::new();
        let mut open = self.lock();
        open.number += 1;
        let number = open.number;
        open.all.insert(number, (with, closing.clone()));
        if open.has_ended {
            closing.close();
        }
        Registered { number, closing, all: self.clone() }
    }

    /// How many connections there are with this node.
    pub(crate) fn count(&self, with: NodeId) -> usize {
        self.lock().all.values().filter(|(peer, _)| *peer == Some(with)).count()
    }

    /// Closes the connections with all nodes that are not members. Those of nodes that join stay.
    pub(crate) fn close_unless(&self, is_member: impl Fn(NodeId) -> bool) {
        let open = self.lock();
        let others = open.all.values().filter(|(peer, _)| peer.is_some_and(|peer| !is_member(peer)));
        for (_, closing) in others {
            closing.close();
        }
    }

    /// Closes all connections, also those that would be opened later.
    pub(crate) fn end(&self) {
        let mut open = self.lock();
        open.has_ended = true;
        for (_, closing) in open.all.values() {
            closing.close();
        }
    }
}

impl Registered {
    pub(crate) fn closing(&self) -> &Closing {
        &self.closing
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.all.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(first: u8) -> NodeId {
        NodeId::from_bytes([first; 16])
    }

    #[tokio::test]
    async fn the_connections_of_one_node_are_closed_and_at_the_end_all() {
        let all = Connections::default();
        let (one, other, stranger) =
            (all.register(Some(node(1))), all.register(Some(node(2))), all.register(None));
        assert_eq!([1, 2, 3].map(|n| all.count(node(n))), [1, 1, 0]);
        all.close_unless(|id| id != node(1));
        one.closing().closed().await;
        drop(one);
        assert_eq!(all.count(node(1)), 0);
        assert!(!*other.closing().0.borrow() && !*stranger.closing().0.borrow());
        all.end();
        other.closing().closed().await;
        stranger.closing().closed().await;
        all.register(Some(node(3))).closing().closed().await;
    }
}
