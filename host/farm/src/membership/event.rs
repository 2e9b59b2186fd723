//! What a membership starts with, what happens to it, and what is to be done for it.

use std::time::Duration;

use bellwether_core::moment::Moment;
use bytes::Bytes;

use super::summary::Facts;
use crate::id::NodeId;
use crate::roster::Roster;

/// What a [`Membership`](super::Membership) starts with.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// This node. It need not be in the roster yet.
    pub me: NodeId,
    /// The number of this start of the node: a stored counter, raised and written before it is used, so that no
    /// two starts share one.
    pub generation: u64,
    pub roster: Roster,
    /// The seed of all random choices.
    pub seed: u64,
    pub now: Moment,
}

/// What happens to a [`Membership`](super::Membership).
#[derive(Debug, Clone)]
pub enum Event {
    /// A frame came over an authenticated link from this node. Frames come between `LinkOpened` and `LinkClosed`;
    /// others are ignored.
    Frame { from: NodeId, bytes: Bytes },
    /// The first stream with this node is open.
    LinkOpened { with: NodeId },
    /// The last stream with this node is closed.
    LinkClosed { with: NodeId },
    /// The roster has changed.
    Roster(Roster),
    /// What this node says of itself has changed.
    Facts(Facts),
    /// The deadline has passed.
    Due,
}

/// What is to be done for a [`Membership`](super::Membership).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this frame over the stream with this node. If it cannot be sent soon, it can be dropped.
    Send { to: NodeId, bytes: Bytes },
    /// This node has another roster: exchange rosters with it.
    PullRoster { from: NodeId },
    /// This node was suspended or stalled for so long. It does not count that time against others.
    Slept { for_: Duration },
    /// This node is heard, for the first time or again. For records.
    Heard { node: NodeId },
    /// This node is no longer heard. For records.
    NotHeard { node: NodeId },
}
