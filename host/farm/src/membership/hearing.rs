//! Which members this node hears, from what comes over its own links.
//!
//! ```text
//!             a frame             nothing came in time, or a doubt of others: asked
//!   Never ───────────────▶ Heard ─────────────────────────────────────────────────▶ Doubted
//!                          ▲  ▲ ▲                a frame                              │  │
//!                          │  │ └─────────────────────────────────────────────────────┘  │ no frame within GRACE,
//!                  a frame │  └ the link closed ┐                                        │ or the link closed
//!                          └───────────────── NotHeard ◀─────────────────────────────────┘
//! ```
//! A doubted node still counts as heard. It is asked, and only its silence makes it a node that is not heard: no other
//! node, whatever it says, can make it one. A node that is not heard is asked again and again while its link is open.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use bellwether_core::moment::Moment;

use super::view::Hearing;
use crate::id::NodeId;

/// How long a node that is doubted has for a frame. A segment that TCP sends again takes 200 ms.
const GRACE: Duration = Duration::from_millis(400);

/// When the next beat is due of a node that has announced it: the second one after it is not sent yet.
const BEAT_WITHIN: Duration = Duration::from_millis(1000);

/// When a node that was pinged has to answer. It has had one period of probes, and a little more.
const ANSWER_WITHIN: Duration = Duration::from_millis(600);

/// How often a node that is not heard is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What follows for one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask it for a frame.
    Ask(NodeId),
    /// Tell others that this node has missed a frame of it.
    TellDoubt(NodeId),
    /// It is heard, for the first time or again.
    Heard(NodeId),
    /// It is no longer heard.
    NotHeard(NodeId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Never,
    Heard,
    Doubted,
    NotHeard,
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    phase: Phase,
    /// Since when it has been heard, or not.
    since: Moment,
    has_link: bool,
    /// Whether it has announced another beat.
    beats: bool,
    /// When the next frame is due, the grace ends, or it is asked again.
    due: Moment,
}

/// All other members, and the strangers that have a link.
#[derive(Debug)]
pub(super) struct Peers {
    members: BTreeMap<NodeId, Peer>,
    /// Links with nodes that the roster does not have yet.
    strangers: BTreeSet<NodeId>,
    due: BTreeSet<(Moment, NodeId)>,
    /// The longest that a node with a link says nothing.
    silence: Duration,
}

/// More strangers than this are not remembered: the roster has at most 256 members.
const MAX_STRANGERS: usize = 256;

impl Peers {
    pub(super) fn new() -> Self {
        Self {
            members: BTreeMap::new(),
            strangers: BTreeSet::new(),
            due: BTreeSet::new(),
            silence: Duration::MAX,
        }
    }

    /// The roster has changed. Returns who is new and has a link already, and who is no member any more.
    pub(super) fn set_members(
        &mut self,
        members: &BTreeSet<NodeId>,
        silence: Duration,
        now: Moment,
    ) -> (Vec<NodeId>, Vec<NodeId>) {
        self.silence = silence;
        let gone: Vec<_> = self.members.keys().filter(|id| !members.contains(id)).copied().collect();
        for id in &gone {
            if let Some(peer) = self.members.remove(id) {
                self.due.remove(&(peer.due, *id));
                if peer.has_link {
                    self.strangers.insert(*id);
                }
            }
        }
        let mut linked = Vec::new();
        for id in members {
            if self.members.contains_key(id) {
                continue;
            }
            let has_link = self.strangers.remove(id);
            let peer = Peer { phase: Phase::Never, since: now, has_link, beats: false, due: Moment::NEVER };
            self.members.insert(*id, peer);
            if has_link {
                self.set_due(*id, now + ASK_EVERY);
                linked.push(*id);
            }
        }
        (linked, gone)
    }

    /// A link is open. Returns whether it is one with a member.
    pub(super) fn link_opened(&mut self, id: NodeId, now: Moment) -> bool {
        let Some(peer) = self.members.get_mut(&id) else {
            if self.strangers.len() < MAX_STRANGERS {
                self.strangers.insert(id);
            }
            return false;
        };
        peer.has_link = true;
        if !matches!(peer.phase, Phase::Heard | Phase::Doubted) {
            self.set_due(id, now + ASK_EVERY);
        }
        true
    }

    pub(super) fn link_closed(&mut self, id: NodeId, now: Moment) -> Option<Step> {
        self.strangers.remove(&id);
        let peer = self.members.get_mut(&id)?;
        peer.has_link = false;
        peer.beats = false;
        let was_heard = matches!(peer.phase, Phase::Heard | Phase::Doubted);
        if was_heard {
            peer.phase = Phase::NotHeard;
            peer.since = now;
        }
        self.set_due(id, Moment::NEVER);
        was_heard.then_some(Step::NotHeard(id))
    }

    /// A frame came from this node, which is a member with a link.
    pub(super) fn frame(&mut self, id: NodeId, now: Moment) -> Option<Step> {
        let silence = self.silence;
        let peer = self.members.get_mut(&id)?;
        let was_heard = matches!(peer.phase, Phase::Heard | Phase::Doubted);
        peer.phase = Phase::Heard;
        if !was_heard {
            peer.since = now;
        }
        let due = now + if peer.beats { BEAT_WITHIN } else { silence };
        self.set_due(id, due);
        (!was_heard).then_some(Step::Heard(id))
    }

    /// The frame that came was a beat.
    pub(super) fn beat(&mut self, id: NodeId, is_last: bool, now: Moment) {
        let within = if is_last { self.silence } else { BEAT_WITHIN };
        if let Some(peer) = self.members.get_mut(&id) {
            peer.beats = !is_last;
            self.set_due(id, now + within);
        }
    }

    /// This node was pinged and has to answer.
    pub(super) fn pinged(&mut self, id: NodeId, now: Moment) {
        let Some(peer) = self.members.get(&id).filter(|peer| peer.phase == Phase::Heard) else { return };
        let due = peer.due.min(now + ANSWER_WITHIN);
        self.set_due(id, due);
    }

    /// Something speaks against this node. Returns whether it is to be asked.
    pub(super) fn doubt(&mut self, id: NodeId, now: Moment) -> bool {
        let Some(peer) = self.members.get_mut(&id).filter(|peer| peer.phase == Phase::Heard) else {
            return false;
        };
        peer.phase = Phase::Doubted;
        self.set_due(id, now + GRACE);
        true
    }

    /// What follows from the time that has passed.
    pub(super) fn due(&mut self, now: Moment) -> Vec<Step> {
        let later = self.due.split_off(&(now, NodeId::from_bytes([u8::MAX; 16])));
        let mut steps = Vec::new();
        for (_, id) in mem::replace(&mut self.due, later) {
            let Some(peer) = self.members.get_mut(&id) else { continue };
            // It is no longer in the set.
            peer.due = Moment::NEVER;
            match peer.phase {
                Phase::Heard => {
                    self.doubt(id, now);
                    steps.extend([Step::Ask(id), Step::TellDoubt(id)]);
                }
                Phase::Doubted => {
                    peer.phase = Phase::NotHeard;
                    peer.since = now;
                    self.set_due(id, now + ASK_EVERY);
                    steps.push(Step::NotHeard(id));
                }
                Phase::Never | Phase::NotHeard => {
                    self.set_due(id, now + ASK_EVERY);
                    steps.push(Step::Ask(id));
                }
            }
        }
        steps
    }

    /// When [`due`](Self::due) is to be called.
    pub(super) fn next_deadline(&self) -> Moment {
        self.due.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Defers all deadlines: this node slept for so long, and could not have heard anyone.
    pub(super) fn defer(&mut self, by: Duration) {
        self.due = mem::take(&mut self.due).into_iter().map(|(at, id)| (at + by, id)).collect();
        for (at, id) in &self.due {
            if let Some(peer) = self.members.get_mut(id) {
                peer.due = *at;
            }
        }
    }

    /// Whether this node is alone.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn is_member(&self, id: NodeId) -> bool {
        self.members.contains_key(&id)
    }

    /// Whether this is a member with a link.
    pub(super) fn has_link(&self, id: NodeId) -> bool {
        self.members.get(&id).is_some_and(|peer| peer.has_link)
    }

    pub(super) fn is_heard(&self, id: NodeId) -> bool {
        self.hearing(id).is_some_and(Hearing::is_heard)
    }

    /// Whether this member is heard; `None` if it is no member.
    pub(super) fn hearing(&self, id: NodeId) -> Option<Hearing> {
        self.members.get(&id).map(Peer::hearing)
    }

    /// All other members, in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, Hearing)> {
        self.members.iter().map(|(id, peer)| (*id, peer.hearing()))
    }

    /// The members with a link, in order.
    pub(super) fn linked(&self) -> Vec<NodeId> {
        self.members.iter().filter(|(_, peer)| peer.has_link).map(|(id, _)| *id).collect()
    }

    /// The first members after this one, in a ring, that are heard.
    pub(super) fn heard_after(&self, id: NodeId, count: usize) -> BTreeSet<NodeId> {
        let after = self.members.range(id..).chain(self.members.range(..id));
        let heard = after.filter(|(_, peer)| peer.has_link && peer.hearing().is_heard());
        heard.map(|(id, _)| *id).take(count).collect()
    }

    fn set_due(&mut self, id: NodeId, due: Moment) {
        let Some(peer) = self.members.get_mut(&id) else { return };
        self.due.remove(&(peer.due, id));
        peer.due = due;
        if due != Moment::NEVER {
            self.due.insert((due, id));
        }
    }
}

impl Peer {
    fn hearing(&self) -> Hearing {
        match self.phase {
            Phase::Never => Hearing::Never,
            Phase::Heard | Phase::Doubted => Hearing::Heard { since: self.since },
            Phase::NotHeard => Hearing::NotHeard { since: self.since },
        }
    }
}
