//! What this node knows about the other members.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_core::moment::Moment;

use super::hearing::Peers;
use super::said::Said;
use super::summary::Summary;
use crate::id::NodeId;

/// What this node knows about the other members of its roster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Every other member of the roster.
    pub nodes: BTreeMap<NodeId, PeerView>,
}

/// What this node knows about one other member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Whether this node hears it.
    pub hearing: Hearing,
    /// The last summary that came from it.
    pub summary: Option<Arc<ReceivedSummary>>,
    /// The others that say that they hear it directly, and that this node hears itself. Only filled for a node that
    /// this node does not hear.
    pub heard_by: Vec<NodeId>,
    /// The members that it says it does not hear, and since when; `None` if it has never heard one.
    pub not_hearing: BTreeMap<NodeId, Option<Moment>>,
    /// The version of its frames, if this node does not understand them.
    pub other_version: Option<u8>,
}

/// A summary, and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSummary {
    pub summary: Summary,
    pub received: Moment,
}

/// Whether this node hears another one: whether a frame came directly from it and none has been missed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// Not since this node started.
    Never,
    Heard {
        since: Moment,
    },
    NotHeard {
        since: Moment,
    },
}

impl Hearing {
    /// Whether it is heard now.
    pub fn is_heard(self) -> bool {
        matches!(self, Self::Heard { .. })
    }
}

impl View {
    pub(super) fn of(
        order: &[NodeId],
        peers: &Peers,
        said: &Said,
        other_versions: &BTreeMap<NodeId, u8>,
    ) -> Self {
        let peer = |(id, hearing): (NodeId, Hearing)| {
            let summary = said.of(id).cloned();
            let heard_by = if hearing.is_heard() {
                Vec::new()
            } else {
                let others = said.heard_by(id, order).filter(|other| *other != id && peers.is_heard(*other));
                others.collect()
            };
            let not_hearing = said.not_hearing(id, order);
            let other_version = other_versions.get(&id).copied();
            (id, PeerView { hearing, summary, heard_by, not_hearing, other_version })
        };
        Self { nodes: peers.iter().map(peer).collect() }
    }

    /// Whether `from` says that it hears `to` directly; `None` if it is not known.
    pub fn says_it_hears(&self, from: NodeId, to: NodeId) -> Option<bool> {
        let peer = self.nodes.get(&from)?;
        peer.summary.as_ref()?;
        Some(!peer.not_hearing.contains_key(&to))
    }
}
