//! Which members of the farm this node hears, and what they say of themselves.
//!
//! ```text
//!  events ──▶ Membership::handle(event, now) ──▶ actions
//!                 │  hearing:  what this node heard itself, over its own links
//!                 │  engine:   SWIM (the library foca), which probes and tells others
//!                 │  summary:  what a node says of itself, and whom it hears
//!                 ▼
//!               View
//! ```
//! The roster says who is a member; nothing here adds or removes one. A node counts as heard only if a frame came
//! directly from it over an authenticated link. What others say about it can only raise a doubt, and is shown beside.

mod engine;
mod event;
mod frame;
mod hearing;
mod said;
mod summary;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_core::moment::Moment;
use bytes::Bytes;

use self::engine::{Effects, Engine, Identity};
use self::frame::{Frame, NotUnderstood};
use self::hearing::{Peers, Step};
use self::said::Said;
use crate::id::NodeId;
use crate::roster::Roster;

pub use event::{Action, Beginning, Event};
pub use summary::{Facts, MAX_HEADLINE, MAX_SUMMARY, NotHearing, Summary};
pub use view::{Hearing, PeerView, ReceivedSummary, View};

/// The largest frame that a [`Membership`] sends or accepts, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// How often a node sends a beat to those that watch it.
const BEAT_EVERY: Duration = Duration::from_millis(500);

/// How many nodes watch each node. All watch all in a farm of three.
const WATCHERS: usize = 2;

/// A deadline that is later than this was not met because the whole node was suspended or stalled.
const ASLEEP: Duration = Duration::from_secs(1);

/// How often rosters are exchanged with the same node.
const PULL_EVERY: Duration = Duration::from_secs(2);

/// Which members this node hears. It has no clock and sends nothing itself.
pub struct Membership {
    me: NodeId,
    /// All members in order, with this node; summaries name them by their index.
    order: Vec<NodeId>,
    engine: Engine,
    peers: Peers,
    said: Said,
    /// The nodes that this one sends beats to.
    watched_by: BTreeSet<NodeId>,
    beat_due: Moment,
    /// When rosters were last exchanged.
    pulled: BTreeMap<NodeId, Moment>,
    /// The versions of frames that this node does not understand.
    other_versions: BTreeMap<NodeId, u8>,
    changes: u64,
    has_left: bool,
}

impl Membership {
    /// A node that has just started, and what it does first.
    pub fn new(beginning: Beginning) -> (Self, Vec<Action>) {
        let Beginning { me, generation, roster, seed, now } = beginning;
        let mut membership = Self {
            me,
            order: Vec::new(),
            engine: Engine::new(Identity::new(me, generation), seed),
            peers: Peers::new(),
            said: Said::new(generation),
            watched_by: BTreeSet::new(),
            beat_due: now + BEAT_EVERY,
            pulled: BTreeMap::new(),
            other_versions: BTreeMap::new(),
            changes: 0,
            has_left: false,
        };
        let mut actions = Vec::new();
        membership.set_roster(&roster, now, &mut actions);
        (membership, actions)
    }

    /// What is to be done after this event. `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.has_left {
            return actions;
        }
        self.wake(now, &mut actions);
        match event {
            Event::Frame { from, bytes } => self.frame(from, &bytes, now, &mut actions),
            Event::LinkOpened { with } => {
                if self.peers.link_opened(with, now) {
                    self.greet(with, now, &mut actions);
                }
            }
            Event::LinkClosed { with } => {
                self.watched_by.remove(&with);
                let step = self.peers.link_closed(with, now);
                self.carry_out(step, now, &mut actions);
            }
            Event::Roster(roster) => self.set_roster(&roster, now, &mut actions),
            Event::Facts(facts) => self.said.set_facts(facts, now),
            Event::Due => self.due(now, &mut actions),
        }
        actions
    }

    /// When `handle(Event::Due, …)` is to be called at the latest; [`Moment::NEVER`] if nothing is waited for.
    pub fn next_deadline(&self) -> Moment {
        if self.has_left {
            return Moment::NEVER;
        }
        let own =
            if self.peers.is_empty() { Moment::NEVER } else { self.beat_due.min(self.said.next_deadline()) };
        own.min(self.engine.next_deadline()).min(self.peers.next_deadline())
    }

    /// What this node knows about the others.
    pub fn view(&self) -> View {
        View::of(&self.order, &self.peers, &self.said, &self.other_versions)
    }

    /// Counts the changes of what [`view`](Self::view) returns.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Tells others that this node leaves, so that they do not have to find out. Nothing is done afterwards.
    pub fn leave(&mut self, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.has_left {
            let effects = self.engine.leave(now);
            self.apply(effects, now, &mut actions);
            self.has_left = true;
        }
        actions
    }

    /// How many other nodes foca takes for alive.
    #[cfg(test)]
    pub(crate) fn active_in_swim(&self) -> usize {
        self.engine.active()
    }

    /// Notices that this node slept: nothing that it has missed in that time counts.
    fn wake(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let slept = now.since(self.next_deadline());
        if slept > ASLEEP {
            self.beat_due = self.beat_due.max(now);
            self.said.defer(now);
            self.engine.defer(slept);
            // What came in the meantime is still to be read.
            self.peers.defer(slept + BEAT_EVERY);
            actions.push(Action::Slept { for_: slept });
        }
    }

    fn due(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let effects = self.engine.due(now);
        self.apply(effects, now, actions);
        let steps = self.peers.due(now);
        self.carry_out(steps, now, actions);
        if self.peers.is_empty() {
            return;
        }
        if self.beat_due <= now {
            self.beat_due = now + BEAT_EVERY;
            self.beat(actions);
        }
        if self.said.next_deadline() <= now {
            let summary = Frame::Summary(self.said.say(&self.order, &self.peers, now)).encode();
            let linked = self.peers.linked();
            actions.extend(linked.into_iter().map(|to| Action::Send { to, bytes: summary.clone() }));
        }
    }

    /// Sends a beat to the nodes that watch this one, and tells those that no longer do.
    fn beat(&mut self, actions: &mut Vec<Action>) {
        let watched_by = self.peers.heard_after(self.me, WATCHERS);
        for former in self.watched_by.difference(&watched_by) {
            self.send(*former, &Frame::Beat { is_last: true }, actions);
        }
        for watcher in &watched_by {
            self.send(*watcher, &Frame::Beat { is_last: false }, actions);
        }
        self.watched_by = watched_by;
    }

    fn set_roster(&mut self, roster: &Roster, now: Moment, actions: &mut Vec<Action>) {
        if self.peers.is_empty() {
            // A node that is alone has nobody to say anything to, and has not missed these deadlines.
            self.beat_due = now + BEAT_EVERY;
            self.said.defer(now);
        }
        self.order = roster.members().keys().copied().collect();
        let others = self.order.iter().copied().filter(|id| *id != self.me).collect();
        self.said.set_roster(roster.digest(), self.order.len(), now);
        let (linked, gone) = self.peers.set_members(&others, self.said.silence(), now);
        for id in gone {
            let effects = self.engine.removed(id, now);
            self.apply(effects, now, actions);
            self.said.forget(id);
            self.watched_by.remove(&id);
            self.other_versions.remove(&id);
            self.pulled.remove(&id);
        }
        for id in linked {
            self.greet(id, now, actions);
        }
        self.changes += 1;
    }

    /// Says the first words on a link: who this node is, and what it says of itself.
    fn greet(&mut self, with: NodeId, now: Moment, actions: &mut Vec<Action>) {
        self.send(with, &self.hello(false), actions);
        let summary = self.said.say_again(&self.order, &self.peers, now);
        self.send(with, &Frame::Summary(summary), actions);
    }

    fn hello(&self, wants_answer: bool) -> Frame {
        Frame::Hello { identity: self.engine.identity(), wants_answer }
    }

    fn frame(&mut self, from: NodeId, bytes: &Bytes, now: Moment, actions: &mut Vec<Action>) {
        if !self.peers.has_link(from) {
            return;
        }
        let step = self.peers.frame(from, now);
        self.carry_out(step, now, actions);
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(NotUnderstood::Version(version)) => {
                if self.other_versions.insert(from, version) != Some(version) {
                    self.changes += 1;
                }
                return;
            }
            Err(NotUnderstood::Content) => return,
        };
        if self.other_versions.remove(&from).is_some() {
            self.changes += 1;
        }
        match frame {
            Frame::Swim(message) => {
                let effects = self.engine.received(&message, now);
                self.apply(effects, now, actions);
            }
            Frame::Hello { identity, wants_answer } if identity.id == from => {
                self.met(identity, wants_answer, now, actions);
            }
            Frame::Renew(identity) => {
                let effects = self.engine.declared_down(identity, now);
                self.apply(effects, now, actions);
            }
            Frame::Beat { is_last } => self.peers.beat(from, is_last, now),
            Frame::Doubt(node) => {
                if self.peers.doubt(node, now) {
                    self.carry_out([Step::Ask(node)], now, actions);
                }
            }
            Frame::Summary(bytes) => self.summary(from, &bytes, now, actions),
            Frame::Relayed { of, summary } if self.peers.is_member(of) => {
                self.changes += u64::from(self.said.heard(of, &summary, now).is_some());
            }
            // Only a node itself can say who it is, and only members say something of themselves.
            Frame::Hello { .. } | Frame::Relayed { .. } => {}
        }
    }

    fn met(&mut self, identity: Identity, wants_answer: bool, now: Moment, actions: &mut Vec<Action>) {
        let effects = self.engine.met(identity, now);
        self.apply(effects, now, actions);
        if self.engine.is_down(identity) {
            self.send(identity.id, &Frame::Renew(identity), actions);
        }
        if wants_answer {
            self.send(identity.id, &self.hello(false), actions);
        }
    }

    fn summary(&mut self, from: NodeId, bytes: &Bytes, now: Moment, actions: &mut Vec<Action>) {
        let Some(summary) = self.said.heard(from, bytes, now) else { return };
        self.changes += 1;
        let differs = summary.roster != self.said.roster();
        let is_time = self.pulled.get(&from).is_none_or(|at| now.since(*at) >= PULL_EVERY);
        if differs && is_time {
            self.pulled.insert(from, now);
            actions.push(Action::PullRoster { from });
        }
        for to in self.said.to_relay(from, self.me, &self.order) {
            self.send(to, &Frame::Relayed { of: from, summary: bytes.clone() }, actions);
        }
    }

    fn apply(&mut self, effects: Effects, now: Moment, actions: &mut Vec<Action>) {
        for (to, message) in effects.messages {
            self.send(to, &Frame::Swim(message), actions);
        }
        for id in effects.pinged {
            self.peers.pinged(id, now);
        }
        for id in effects.doubted {
            if self.peers.doubt(id, now) {
                self.carry_out([Step::Ask(id), Step::TellDoubt(id)], now, actions);
            }
        }
        if effects.renewed {
            for id in self.peers.linked() {
                self.send(id, &self.hello(false), actions);
            }
        }
    }

    fn carry_out(&mut self, steps: impl IntoIterator<Item = Step>, now: Moment, actions: &mut Vec<Action>) {
        for step in steps {
            match step {
                Step::Ask(id) => self.send(id, &self.hello(true), actions),
                Step::TellDoubt(id) => {
                    let others = self.peers.linked().into_iter().filter(|other| *other != id);
                    let bytes = Frame::Doubt(id).encode();
                    actions.extend(others.map(|to| Action::Send { to, bytes: bytes.clone() }));
                }
                Step::Heard(node) => {
                    actions.push(Action::Heard { node });
                    self.hearing_changed(now);
                }
                Step::NotHeard(node) => {
                    actions.push(Action::NotHeard { node });
                    self.hearing_changed(now);
                }
            }
        }
    }

    fn hearing_changed(&mut self, now: Moment) {
        self.changes += 1;
        self.said.changed(now);
    }

    /// Sends a frame, if there is a link.
    fn send(&self, to: NodeId, frame: &Frame, actions: &mut Vec<Action>) {
        if self.peers.has_link(to) {
            actions.push(Action::Send { to, bytes: frame.encode() });
        }
    }
}

#[cfg(test)]
mod tests;
