//! Which node dials which, and when again.
//!
//! ```text
//!   waiting ──due──▶ under way ──opened──▶ open ──closed──▶ waiting (briefly)
//!      ▲                 │
//!      └──── failed ─────┘  each pause is twice as long as the one before, 2 s at most
//! ```
//! Of two nodes the one with the smaller id dials. The other one dials as well when there has been no connection for
//! a while, because a firewall may let only one of the two directions through.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::moment::Moment;

use crate::id::NodeId;

/// The pause before the first attempt after a failure, or after a connection was lost.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: a node that was away is connected this long after its return at the latest.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the node with the larger id waits for the other one when both have just become known to each other.
const FIRST_COURTESY: Duration = Duration::from_millis(500);
/// How long it waits once a connection was lost.
const COURTESY: Duration = Duration::from_secs(2);

/// Decides when this node dials which other node. At most one attempt for each node is under way.
#[derive(Debug)]
pub struct Dialing {
    me: NodeId,
    /// Spreads the attempts of many nodes.
    spread: u64,
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Debug)]
struct Peer {
    is_open: bool,
    is_under_way: bool,
    /// A further connection is wanted, which takes the place of the one that is open.
    renews: bool,
    failures: u32,
    next: Moment,
}

impl Dialing {
    /// `seed` spreads the attempts: any number.
    pub fn new(me: NodeId, seed: u64) -> Self {
        Self { me, spread: seed | 1, peers: BTreeMap::new() }
    }

    /// Sets the nodes to be connected with. All others are forgotten.
    pub fn set_peers(&mut self, peers: impl IntoIterator<Item = NodeId>, now: Moment) {
        let mut before = std::mem::take(&mut self.peers);
        for id in peers.into_iter().filter(|id| *id != self.me) {
            let wait = if self.me < id { Duration::ZERO } else { FIRST_COURTESY };
            let new =
                Peer { is_open: false, is_under_way: false, renews: false, failures: 0, next: now + wait };
            self.peers.insert(id, before.remove(&id).unwrap_or(new));
        }
    }

    /// The attempts that are due now. Each of them is followed by [`opened`](Self::opened) or
    /// [`failed`](Self::failed).
    pub fn due(&mut self, now: Moment) -> Vec<NodeId> {
        let mut due = Vec::new();
        for (id, peer) in &mut self.peers {
            if peer.is_waiting() && peer.next <= now {
                peer.is_under_way = true;
                due.push(*id);
            }
        }
        due
    }

    /// When [`due`](Self::due) has to be asked next.
    pub fn next_deadline(&self) -> Moment {
        let waiting = self.peers.values().filter(|peer| peer.is_waiting());
        waiting.map(|peer| peer.next).min().unwrap_or(Moment::NEVER)
    }

    /// The attempt of this node has succeeded.
    pub fn opened(&mut self, with: NodeId) {
        if let Some(peer) = self.peers.get_mut(&with) {
            *peer = Peer { is_open: true, is_under_way: false, renews: false, failures: 0, next: peer.next };
        }
    }

    /// The other node has dialled this one.
    pub fn accepted(&mut self, with: NodeId) {
        if let Some(peer) = self.peers.get_mut(&with) {
            peer.is_open = true;
            peer.failures = 0;
        }
    }

    /// The last connection with the node has ended.
    pub fn closed(&mut self, with: NodeId, now: Moment) {
        let wait = if self.me < with { FIRST_PAUSE } else { COURTESY };
        let wait = self.spread(wait);
        if let Some(peer) = self.peers.get_mut(&with) {
            peer.is_open = false;
            peer.renews = false;
            peer.next = now + wait;
        }
    }

    /// The attempt of this node has failed.
    pub fn failed(&mut self, with: NodeId, now: Moment) {
        let Some(peer) = self.peers.get(&with) else { return };
        let pause = self.spread(pause_after(peer.failures));
        if let Some(peer) = self.peers.get_mut(&with) {
            peer.is_under_way = false;
            peer.failures = peer.failures.saturating_add(1);
            peer.next = now + pause;
        }
    }

    /// A new connection is to take the place of the present one.
    pub fn renew(&mut self, with: NodeId, now: Moment) {
        // Not all at the same moment: each is a handshake.
        let wait = self.spread(LONGEST_PAUSE);
        if let Some(peer) = self.peers.get_mut(&with).filter(|peer| peer.is_open && !peer.renews) {
            peer.renews = true;
            peer.next = now + wait;
        }
    }

    /// Between three quarters of the duration and all of it.
    fn spread(&mut self, duration: Duration) -> Duration {
        // Marsaglia's xorshift64: no quality is needed, only that nodes differ.
        self.spread ^= self.spread << 13;
        self.spread ^= self.spread >> 7;
        self.spread ^= self.spread << 17;
        let part = u32::try_from(self.spread % 256).unwrap_or(0);
        duration * 3 / 4 + duration * part / 1024
    }
}

impl Peer {
    /// Whether an attempt is due at some time.
    fn is_waiting(&self) -> bool {
        !self.is_under_way && (!self.is_open || self.renews)
    }
}

/// The pause after a failure that so many failures came before.
fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(8)).min(LONGEST_PAUSE)
}

/// A connection with another node, as both of them know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Whether this node dialled it.
    pub dialled_here: bool,
    /// The ends of the two certificates that it was made with, added up: seconds since 1970. It grows with every renewal
    /// of one of them.
    pub certificates: i64,
}

/// Which of the connections with `peer`, in the order in which they were opened, this node closes.
///
/// Both nodes rank the connections alike: the one with the newest certificates counts, then the one that the smaller node
/// dialled, then the one that its node dialled last. Who dialled the best one closes the others, because it learns last
/// that this one is open: so there is never a moment at which one of the nodes has none.
pub fn superfluous(me: NodeId, peer: NodeId, connections: &[Connection]) -> Vec<usize> {
    let rank = |place: usize| {
        let Connection { dialled_here, certificates } = connections[place];
        let by_smaller = dialled_here == (me < peer);
        (certificates, by_smaller, if dialled_here { place } else { 0 })
    };
    let places = 0..connections.len();
    let best = places.clone().max_by_key(|place| rank(*place));
    let Some(best) = best.filter(|best| connections[*best].dialled_here) else { return Vec::new() };
    places.filter(|place| *place != best).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: NodeId = NodeId::from_bytes([1; 16]);
    const LARGE: NodeId = NodeId::from_bytes([2; 16]);

    fn at(ms: i64) -> Moment {
        Moment::from_micros(ms * 1_000)
    }

    fn dialing(me: NodeId, peer: NodeId) -> Dialing {
        let mut dialing = Dialing::new(me, 7);
        dialing.set_peers([me, peer], at(0));
        dialing
    }

    #[test]
    fn the_smaller_dials_at_once_and_the_larger_waits_for_it() {
        let (mut small, mut large) = (dialing(SMALL, LARGE), dialing(LARGE, SMALL));
        assert_eq!(small.due(at(0)), [LARGE]);
        assert_eq!(small.due(at(0)), [], "one attempt at a time");
        assert_eq!(small.next_deadline(), Moment::NEVER);
        assert_eq!(large.due(at(0)), []);
        assert_eq!(large.next_deadline(), at(500));
        large.accepted(SMALL);
        assert_eq!((large.due(at(10_000)), large.next_deadline()), (vec![], Moment::NEVER));
        // Lost: the smaller one tries again soon, the larger one when the smaller one should have.
        large.closed(SMALL, at(20_000));
        small.opened(LARGE);
        small.closed(LARGE, at(20_000));
        assert!(small.next_deadline() <= at(20_100));
        assert!(large.next_deadline() >= at(21_500) && large.next_deadline() <= at(22_000));
    }

    #[test]
    fn pauses_grow_to_two_seconds_and_begin_anew_after_a_success() {
        let mut dialing = dialing(SMALL, LARGE);
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert_eq!(dialing.due(now).len(), 1);
            dialing.failed(LARGE, now);
            let next = dialing.next_deadline();
            pauses.push(next.since(now));
            now = next;
        }
        assert!(pauses[0] >= FIRST_PAUSE * 3 / 4 && pauses[0] <= FIRST_PAUSE, "{pauses:?}");
        assert!(pauses[11] > Duration::from_millis(1_499), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE), "{pauses:?}");
        assert_eq!(dialing.due(now).len(), 1);
        dialing.opened(LARGE);
        dialing.closed(LARGE, now);
        assert!(dialing.next_deadline().since(now) <= FIRST_PAUSE);
    }

    #[test]
    fn a_renewal_is_dialled_beside_what_is_open_and_only_once() {
        let mut dialing = dialing(LARGE, SMALL);
        dialing.renew(SMALL, at(0));
        dialing.accepted(SMALL);
        assert_eq!(dialing.next_deadline(), Moment::NEVER, "there was nothing to renew");
        dialing.renew(SMALL, at(0));
        assert!(dialing.next_deadline() <= at(2_000));
        assert_eq!(dialing.due(at(2_000)), [SMALL]);
        dialing.failed(SMALL, at(2_000));
        assert_eq!(dialing.due(at(2_100)), [SMALL], "it is tried again");
        dialing.opened(SMALL);
        assert_eq!(dialing.next_deadline(), Moment::NEVER);
    }

    #[test]
    fn nodes_that_are_no_longer_members_are_forgotten() {
        let mut dialing = dialing(SMALL, LARGE);
        dialing.set_peers([SMALL], at(0));
        assert_eq!((dialing.due(at(9_999)), dialing.next_deadline()), (vec![], Moment::NEVER));
        for ended in [Dialing::opened, Dialing::accepted] {
            ended(&mut dialing, LARGE);
        }
        dialing.failed(LARGE, at(0));
        dialing.closed(LARGE, at(0));
        assert_eq!(dialing.next_deadline(), Moment::NEVER);
    }

    fn connection(dialled_here: bool, certificates: i64) -> Connection {
        Connection { dialled_here, certificates }
    }

    #[test]
    fn of_two_connections_the_one_that_the_smaller_dialled_stays_and_a_renewed_one_before_all() {
        let (here, there) = (connection(true, 5), connection(false, 5));
        let (here_renewed, there_renewed) = (connection(true, 6), connection(false, 6));
        for (me, peer, connections, expected) in [
            (SMALL, LARGE, &[here][..], vec![]),
            (SMALL, LARGE, &[here, there], vec![1]),
            (SMALL, LARGE, &[there, here], vec![0]),
            (LARGE, SMALL, &[here, there], vec![]),
            (LARGE, SMALL, &[there, here], vec![]),
            (LARGE, SMALL, &[there, there], vec![]),
            (SMALL, LARGE, &[here, here], vec![0]),
            (LARGE, SMALL, &[there, here, here_renewed], vec![0, 1]),
            (SMALL, LARGE, &[here, there_renewed], vec![]),
            (LARGE, SMALL, &[there, here_renewed], vec![0]),
            (SMALL, LARGE, &[there_renewed, here_renewed], vec![0]),
            (SMALL, LARGE, &[], vec![]),
        ] {
            assert_eq!(superfluous(me, peer, connections), expected, "{connections:?}");
        }
    }

    proptest! {
        /// Each of the two knows of some of the connections, in an order of its own.
        #[test]
        fn two_nodes_never_close_all_of_their_connections(
            all in prop::collection::vec((any::<bool>(), 0..3_i64), 1..6),
            seen in prop::collection::vec((any::<bool>(), any::<bool>(), any::<u8>()), 6),
        ) {
            // A node knows what it dialled, in its order, and what the other one dialled and it has accepted. What both
            // do not know is not open.
            let mut closed = vec![false; all.len()];
            for (me, peer, is_small) in [(SMALL, LARGE, true), (LARGE, SMALL, false)] {
                let mut known: Vec<(u16, usize)> = Vec::new();
                for (place, (small_dialled, _)) in all.iter().enumerate() {
                    let (small_sees, large_sees, mix) = seen[place];
                    let mine = *small_dialled == is_small;
                    if mine || if is_small { small_sees } else { large_sees } {
                        // The own ones are in the order in which they were dialled.
                        let at = u16::try_from(place).unwrap() * 256;
                        known.push((if mine { at } else { u16::from(mix) * 5 }, place));
                    }
                }
                known.sort_unstable();
                let connections: Vec<Connection> = known
                    .iter()
                    .map(|(_, place)| connection(all[*place].0 == is_small, all[*place].1))
                    .collect();
                for gone in superfluous(me, peer, &connections) {
                    closed[known[gone].1] = true;
                }
            }
            prop_assert!(closed.contains(&false), "{all:?}");
        }
    }
}
