//! SWIM by the library foca: probes members, also through others, and spreads what is found.
//!
//! ```text
//!   received, due, met, … ──▶ Engine ──▶ Effects: frames, whom it has pinged, whom it doubts
//! ```
//! foca wants to be told when its timers are due. They are kept here, in the order of their moments. Whether a node is
//! heard is not decided here.

use std::collections::BTreeMap;
use std::mem;
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use bellwether_core::moment::Moment;
use bytes::Bytes;
use foca::{
    AccumulatingRuntime, Config, Foca, Member, Message, NoCustomBroadcast, OwnedNotification, PeriodicParams,
    PostcardCodec, State, Timer,
};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use crate::id::NodeId;

/// How often each node probes another one.
const PROBE_PERIOD: Duration = Duration::from_millis(500);

/// The largest message of foca. A stream has no packets, so that one message can name all members.
const MAX_MESSAGE: NonZeroUsize = NonZeroUsize::new(60_000).unwrap();

/// How many renewals of an identity a generation has room for, in bits.
const RENEWAL_BITS: u32 = 16;

/// A node as foca knows it. An identity that was declared down is never alive again; its node takes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "([u8; 16], u64)", into = "([u8; 16], u64)")]
pub(super) struct Identity {
    pub(super) id: NodeId,
    /// The number of the node's start, followed by the number of renewals since then.
    number: u64,
}

impl Identity {
    pub(super) fn new(id: NodeId, generation: u64) -> Self {
        Self { id, number: generation.min(u64::MAX >> RENEWAL_BITS) << RENEWAL_BITS }
    }
}

impl From<([u8; 16], u64)> for Identity {
    fn from((id, number): ([u8; 16], u64)) -> Self {
        Self { id: NodeId::from_bytes(id), number }
    }
}

impl From<Identity> for ([u8; 16], u64) {
    fn from(identity: Identity) -> Self {
        (*identity.id.as_bytes(), identity.number)
    }
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        let number = self.number.checked_add(1)?;
        // The numbers of the next generation belong to the next start.
        (number >> RENEWAL_BITS == self.number >> RENEWAL_BITS).then_some(Self { id: self.id, number })
    }

    fn addr(&self) -> NodeId {
        self.id
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.number > other.number
    }
}

/// What comes of a call of foca.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Messages of foca for other nodes.
    pub(super) messages: Vec<(NodeId, Bytes)>,
    /// The nodes that were pinged, and have to answer.
    pub(super) pinged: Vec<NodeId>,
    /// The nodes that answered neither directly nor through others, or that were declared down.
    pub(super) doubted: Vec<NodeId>,
    /// Whether this node was declared down, and has taken its next identity.
    pub(super) renewed: bool,
}

pub(super) struct Engine {
    foca: Foca<Identity, PostcardCodec, Xoshiro256PlusPlus, NoCustomBroadcast>,
    runtime: AccumulatingRuntime<Identity>,
    timers: BTreeMap<(Moment, u64), Timer<Identity>>,
    /// Tells timers apart that are due at the same moment.
    timer_count: u64,
}

impl Engine {
    pub(super) fn new(identity: Identity, seed: u64) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self {
            foca: Foca::new(identity, config(), rng, PostcardCodec),
            runtime: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            timer_count: 0,
        }
    }

    pub(super) fn identity(&self) -> Identity {
        *self.foca.identity()
    }

    /// A message of foca came.
    pub(super) fn received(&mut self, message: &[u8], now: Moment) -> Effects {
        // A message that cannot be understood has no effect; its sender is heard all the same.
        let _ = self.foca.handle_data(message, &mut self.runtime);
        self.effects(now)
    }

    /// A node has told this one its identity directly.
    pub(super) fn met(&mut self, identity: Identity, now: Moment) -> Effects {
        self.apply(Member::alive(identity), now)
    }

    /// Whether this identity was declared down.
    pub(super) fn is_down(&self, identity: Identity) -> bool {
        self.foca
            .iter_membership_state()
            .any(|member| *member.id() == identity && member.state() == State::Down)
    }

    /// Another node has declared this identity down. If it is that of this node, the node takes the next one.
    pub(super) fn declared_down(&mut self, identity: Identity, now: Moment) -> Effects {
        if identity == self.identity() { self.apply(Member::down(identity), now) } else { Effects::default() }
    }

    /// A node is no longer a member.
    pub(super) fn removed(&mut self, id: NodeId, now: Moment) -> Effects {
        let known = self.foca.iter_members().map(|member| *member.id()).find(|identity| identity.id == id);
        known.map_or_else(Effects::default, |identity| self.apply(Member::down(identity), now))
    }

    /// Runs the timers that are due.
    pub(super) fn due(&mut self, now: Moment) -> Effects {
        let later = self.timers.split_off(&(now, u64::MAX));
        let mut due: Vec<_> = mem::replace(&mut self.timers, later).into_values().collect();
        // Timers that are late together are run in the order that foca wants.
        due.sort();
        for timer in due {
            // The errors tell of timers that came in the wrong order; foca recovers from that by itself.
            let _ = self.foca.handle_timer(timer, &mut self.runtime);
        }
        self.effects(now)
    }

    /// When [`due`](Self::due) is to be called.
    pub(super) fn next_deadline(&self) -> Moment {
        self.timers.first_key_value().map_or(Moment::NEVER, |((at, _), _)| *at)
    }

    /// Defers all timers: this node slept for so long.
    pub(super) fn defer(&mut self, by: Duration) {
        self.timers =
            mem::take(&mut self.timers).into_iter().map(|((at, n), timer)| ((at + by, n), timer)).collect();
    }

    /// Tells others that this node leaves.
    pub(super) fn leave(&mut self, now: Moment) -> Effects {
        let _ = self.foca.leave_cluster(&mut self.runtime);
        let effects = self.effects(now);
        self.timers.clear();
        effects
    }

    /// How many other nodes foca takes for alive.
    #[cfg(test)]
    pub(super) fn active(&self) -> usize {
        self.foca.num_members()
    }

    fn apply(&mut self, member: Member<Identity>, now: Moment) -> Effects {
        // The error is that of an encoder, which does not fail for these types.
        let _ = self.foca.apply_many(std::iter::once(member), false, &mut self.runtime);
        self.effects(now)
    }

    fn effects(&mut self, now: Moment) -> Effects {
        let mut effects = Effects::default();
        while let Some((to, message)) = self.runtime.to_send() {
            effects.messages.push((to.id, message));
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.timer_count += 1;
            self.timers.insert((now + after, self.timer_count), timer);
        }
        while let Some(notification) = self.runtime.to_notify() {
            match notification {
                OwnedNotification::DataSent(header) if matches!(header.message, Message::Ping(_)) => {
                    effects.pinged.push(header.dst.id);
                }
                OwnedNotification::ProbeFailed(_, identity) | OwnedNotification::MemberDown(identity) => {
                    effects.doubted.push(identity.id);
                }
                OwnedNotification::Rejoin(_) => effects.renewed = true,
                _ => {}
            }
        }
        effects
    }
}

/// The same for farms of 2 and of 256 nodes: foca cannot change the period of its probes.
fn config() -> Config {
    const ONE: NonZeroUsize = NonZeroUsize::MIN;
    const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();
    const TEN: NonZeroU8 = NonZeroU8::new(10).unwrap();
    Config {
        probe_period: PROBE_PERIOD,
        probe_rtt: Duration::from_millis(150),
        num_indirect_probes: THREE,
        max_transmissions: TEN,
        suspect_to_down_after: Duration::from_millis(1500),
        remove_down_after: Some(Duration::from_secs(120)),
        max_packet_size: MAX_MESSAGE,
        notify_down_members: true,
        periodic_announce: Some(PeriodicParams { frequency: Duration::from_secs(30), num_members: ONE }),
        periodic_announce_to_down_members: Some(PeriodicParams {
            frequency: Duration::from_secs(5),
            num_members: THREE,
        }),
        periodic_gossip: Some(PeriodicParams { frequency: Duration::from_millis(200), num_members: THREE }),
    }
}
