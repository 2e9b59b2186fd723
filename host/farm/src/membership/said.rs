//! What this node says of itself to the others, and what they have said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bytes::Bytes;

use super::hearing::Peers;
use super::summary::{self, Facts, NotHearing, Summary};
use super::view::{Hearing, ReceivedSummary};
use crate::id::NodeId;

/// A summary goes to every other node, so that its pace depends on their number. The shortest time between two:
const GAP: Duration = Duration::from_millis(200);
const GAP_PER_NODE: Duration = Duration::from_millis(5);

/// The longest time between two summaries.
const REFRESH: Duration = Duration::from_secs(10);
const REFRESH_PER_NODE: Duration = Duration::from_millis(150);

/// How much later than that a summary may come.
const LATE: Duration = Duration::from_secs(5);

/// How many nodes relay the summaries of a node to one that does not hear it.
const RELAYS: usize = 2;

pub(super) struct Said {
    generation: u64,
    sequence: u64,
    facts: Facts,
    /// The digest of the roster.
    roster: u64,
    /// The number of members.
    members: u32,
    last: Option<Moment>,
    due: Moment,
    received: BTreeMap<NodeId, Arc<ReceivedSummary>>,
    /// The index of each member that a summary says is not heard, with the node of that summary.
    lacking: BTreeSet<(u16, NodeId)>,
}

impl Said {
    pub(super) fn new(generation: u64) -> Self {
        Self {
            generation,
            sequence: 0,
            facts: Facts::default(),
            roster: 0,
            members: 0,
            last: None,
            due: Moment::NEVER,
            received: BTreeMap::new(),
            lacking: BTreeSet::new(),
        }
    }

    pub(super) fn set_facts(&mut self, facts: Facts, now: Moment) {
        if facts != self.facts {
            self.facts = facts;
            self.changed(now);
        }
    }

    pub(super) fn set_roster(&mut self, digest: u64, members: usize, now: Moment) {
        if digest != self.roster {
            self.roster = digest;
            self.members = u32::try_from(members).unwrap_or(u32::MAX);
            self.changed(now);
        }
    }

    pub(super) fn roster(&self) -> u64 {
        self.roster
    }

    /// The longest that nothing comes from a node that is well.
    pub(super) fn silence(&self) -> Duration {
        self.refresh() + LATE
    }

    /// Something that this node says has changed.
    pub(super) fn changed(&mut self, now: Moment) {
        let earliest = self.last.map_or(now, |last| last + GAP.max(GAP_PER_NODE * self.members));
        self.due = self.due.min(now.max(earliest));
    }

    /// When [`say`](Self::say) is to be called.
    pub(super) fn next_deadline(&self) -> Moment {
        self.due
    }

    /// Nothing is said before this moment.
    pub(super) fn defer(&mut self, until: Moment) {
        self.due = self.due.max(until);
    }

    /// What this node says of itself to all others now, encoded.
    pub(super) fn say(&mut self, order: &[NodeId], peers: &Peers, now: Moment) -> Bytes {
        self.last = Some(now);
        self.due = now + self.refresh();
        self.say_again(order, peers, now)
    }

    /// The same to one of them, who was not there the last time.
    pub(super) fn say_again(&mut self, order: &[NodeId], peers: &Peers, now: Moment) -> Bytes {
        self.sequence += 1;
        let mut heard = Vec::new();
        let mut not_hearing = Vec::new();
        // Both are in the same order, and the members are the peers and this node.
        let mut members = order.iter().enumerate();
        for (id, hearing) in peers.iter() {
            let Some((index, _)) = members.find(|(_, member)| **member == id) else { break };
            match hearing {
                Hearing::Heard { .. } => heard.push(index),
                Hearing::NotHeard { since } => {
                    let for_ms = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
                    not_hearing.extend(u16::try_from(index).map(|index| NotHearing { index, for_ms }));
                }
                Hearing::Never => {}
            }
        }
        not_hearing.sort_by_key(|exception| exception.for_ms);
        let mut summary = Summary {
            generation: self.generation,
            sequence: self.sequence,
            facts: self.facts.clone(),
            roster: self.roster,
            hears: summary::bits(order.len(), heard.into_iter()),
            not_hearing,
        };
        summary.encode()
    }

    /// A node has said this, directly or through another one. `None` if it is not new, or no summary.
    pub(super) fn heard(&mut self, of: NodeId, bytes: &[u8], now: Moment) -> Option<&Summary> {
        let summary = Summary::decode(bytes)?;
        if self.of(of).is_some_and(|last| !summary.is_newer_than(&last.summary)) {
            return None;
        }
        self.forget(of);
        self.lacking.extend(summary.not_hearing.iter().map(|exception| (exception.index, of)));
        self.received.insert(of, Arc::new(ReceivedSummary { summary, received: now }));
        self.of(of).map(|received| &received.summary)
    }

    pub(super) fn forget(&mut self, id: NodeId) {
        let Some(last) = self.received.remove(&id) else { return };
        for exception in &last.summary.not_hearing {
            self.lacking.remove(&(exception.index, id));
        }
    }

    /// The last summary of a node.
    pub(super) fn of(&self, id: NodeId) -> Option<&Arc<ReceivedSummary>> {
        self.received.get(&id)
    }

    /// The nodes that say that they hear this one.
    pub(super) fn heard_by(&self, id: NodeId, order: &[NodeId]) -> impl Iterator<Item = NodeId> {
        let index = order.binary_search(&id).ok();
        self.comparable()
            .filter(move |(_, said)| index.is_some_and(|index| said.summary.hears(index)))
            .map(|(other, _)| other)
    }

    /// The members that this one says it does not hear, and since when; `None` if it has never heard one.
    pub(super) fn not_hearing(&self, id: NodeId, order: &[NodeId]) -> BTreeMap<NodeId, Option<Moment>> {
        let Some(said) = self.of(id).filter(|said| said.summary.roster == self.roster) else {
            return BTreeMap::new();
        };
        let silent =
            order.iter().enumerate().filter(|(index, other)| **other != id && !said.summary.hears(*index));
        let mut not_hearing: BTreeMap<_, _> = silent.map(|(_, other)| (*other, None)).collect();
        for exception in &said.summary.not_hearing {
            let other = order.get(usize::from(exception.index));
            if let Some(since) = other.and_then(|other| not_hearing.get_mut(other)) {
                *since = Some(said.received - Duration::from_millis(exception.for_ms));
            }
        }
        not_hearing
    }

    /// The nodes that have heard this one, no longer do, and get its summaries from this node: one of the first that
    /// hear it, in a ring.
    pub(super) fn to_relay(&self, of: NodeId, me: NodeId, order: &[NodeId]) -> Vec<NodeId> {
        let Some(index) = order.binary_search(&of).ok().and_then(|index| u16::try_from(index).ok()) else {
            return Vec::new();
        };
        let all = (index, NodeId::from_bytes([0; 16]))..=(index, NodeId::from_bytes([u8::MAX; 16]));
        let lacking = self.lacking.range(all).map(|(_, other)| *other);
        // Indices in other rosters mean other nodes.
        let lacking = lacking.filter(|other| *other != of && self.is_comparable(*other));
        lacking.filter(|other| self.is_relay(of, *other, me, order)).collect()
    }

    fn is_comparable(&self, id: NodeId) -> bool {
        self.of(id).is_some_and(|said| said.summary.roster == self.roster)
    }

    fn is_relay(&self, of: NodeId, to: NodeId, me: NodeId, order: &[NodeId]) -> bool {
        let (before, after) = order.split_at(order.partition_point(|id| *id <= to));
        let hears: Vec<_> = self.heard_by(of, order).collect();
        let relays = after.iter().chain(before).filter(|id| **id != to && **id != of);
        relays.filter(|id| **id == me || hears.contains(id)).take(RELAYS).any(|id| *id == me)
    }

    /// The last summaries of nodes with the same roster: others name members by indices that mean nothing here.
    fn comparable(&self) -> impl Iterator<Item = (NodeId, &Arc<ReceivedSummary>)> {
        self.received
            .iter()
            .filter(|(_, said)| said.summary.roster == self.roster)
            .map(|(id, said)| (*id, said))
    }

    fn refresh(&self) -> Duration {
        REFRESH.max(REFRESH_PER_NODE * self.members)
    }
}
