//! The links between the nodes of a simulation: streams that keep the order, hold what is lost, and time out.

use std::mem;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bytes::Bytes;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::{Node, Number};
use crate::membership::Event;

pub(super) struct Network {
    count: usize,
    /// One for each pair of nodes; half of them are not used.
    links: Vec<Link>,
    /// Whether nothing from the one node arrives at the other.
    cuts: Vec<bool>,
    /// How many of a thousand frames are lost, and sent again by TCP after 200 to 400 ms.
    pub(super) resent: u32,
    /// How many of a thousand frames are lost for good, come twice, or come late. A stream does none of these.
    pub(super) damaged: u32,
    /// When TCP closes a connection whose peer does not acknowledge anything.
    pub(super) gives_up_after: Option<Duration>,
}

#[derive(Clone, Default)]
struct Link {
    is_open: bool,
    is_dialled: bool,
    /// Counts the connections of this pair. What belongs to an earlier one does not arrive.
    epoch: u32,
    is_stalled: bool,
    held: Vec<(Number, Number, Bytes)>,
    /// When the last frame of each direction arrives.
    last: [Option<Moment>; 2],
}

/// Something that arrives at a node.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    from: Number,
    at: Number,
    epoch: u32,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Opened,
    Closed,
    Frame(Bytes),
}

/// What a node has sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traffic {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

impl Traffic {
    pub(super) fn add(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

impl Network {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            links: vec![Link::default(); count * count],
            cuts: vec![false; count * count],
            resent: 0,
            damaged: 0,
            gives_up_after: Some(Duration::from_secs(2)),
        }
    }

    pub(super) fn cut(&mut self, from: Number, to: Number) {
        self.cuts[from * self.count + to] = true;
    }

    pub(super) fn heal(&mut self, now: Moment, rng: &mut Xoshiro256PlusPlus) -> Vec<(Moment, Arrival)> {
        self.cuts.fill(false);
        let mut arrivals = Vec::new();
        for index in 0..self.links.len() {
            self.links[index].is_stalled = false;
            let held = mem::take(&mut self.links[index].held);
            let again = now + Duration::from_micros(rng.random_range(200_000..1_000_000));
            for (from, to, bytes) in held {
                let at = self.in_order(from, to, again);
                arrivals.push((at, self.arrival(from, to, What::Frame(bytes))));
            }
        }
        arrivals
    }

    pub(super) fn epoch(&self, one: Number, other: Number) -> u32 {
        self.link(one, other).epoch
    }

    /// Whether the link is open and lets everything through.
    pub(super) fn is_well(&self, one: Number, other: Number) -> bool {
        self.link(one, other).is_open && !self.is_cut(one, other) && !self.is_cut(other, one)
    }

    pub(super) fn is_stalled(&self, one: Number, other: Number, epoch: u32) -> bool {
        let link = self.link(one, other);
        link.is_open && link.is_stalled && link.epoch == epoch
    }

    /// When the frame arrives, and whether the link has stalled with it.
    pub(super) fn send(
        &mut self,
        from: Number,
        to: Number,
        bytes: Bytes,
        now: Moment,
        rng: &mut Xoshiro256PlusPlus,
    ) -> (Vec<(Moment, Arrival)>, bool) {
        if !self.link(from, to).is_open {
            return (Vec::new(), false);
        }
        // Acknowledgements of TCP have to come back.
        let stalls = self.is_cut(from, to) || self.is_cut(to, from);
        let has_stalled = stalls && !mem::replace(&mut self.link_mut(from, to).is_stalled, stalls);
        if self.is_cut(from, to) {
            self.link_mut(from, to).held.push((from, to, bytes));
            return (Vec::new(), has_stalled);
        }
        let latency = Duration::from_micros(rng.random_range(200..700));
        let of_thousand =
            |rng: &mut Xoshiro256PlusPlus, share: u32| share > 0 && rng.random_range(0..1000) < share;
        let resent = if of_thousand(rng, self.resent) { rng.random_range(200_000..400_000) } else { 0 };
        let at = now + latency + Duration::from_micros(resent);
        let arrival = self.arrival(from, to, What::Frame(bytes));
        let arrivals = if of_thousand(rng, self.damaged) {
            match rng.random_range(0..3) {
                0 => Vec::new(),
                1 => vec![(at, arrival.clone()), (at, arrival)],
                _ => vec![(at + Duration::from_micros(rng.random_range(0..3_000_000)), arrival)],
            }
        } else {
            vec![(self.in_order(from, to, at), arrival)]
        };
        (arrivals, has_stalled)
    }

    /// What arrives at which node, if its connection is still there.
    pub(super) fn arrived(&self, arrival: Arrival, nodes: &[Node]) -> Option<(Number, Event)> {
        let Arrival { from, at, epoch, what } = arrival;
        let link = self.link(from, at);
        let with = nodes[from].id;
        let is_current = link.is_open && link.epoch == epoch;
        match what {
            What::Closed => Some((at, Event::LinkClosed { with })),
            _ if !is_current => None,
            What::Opened => Some((at, Event::LinkOpened { with })),
            What::Frame(bytes) => Some((at, Event::Frame { from: with, bytes })),
        }
    }

    /// Closes a connection, if there is one. Both ends notice.
    pub(super) fn close(
        &mut self,
        one: Number,
        other: Number,
        now: Moment,
    ) -> Option<Vec<(Moment, Arrival)>> {
        let link = self.link_mut(one, other);
        if !link.is_open {
            return None;
        }
        link.is_open = false;
        link.is_stalled = false;
        link.held.clear();
        let at = now + Duration::from_micros(700);
        Some(vec![(at, self.arrival(one, other, What::Closed)), (at, self.arrival(other, one, What::Closed))])
    }

    /// Whether a connection is to be made that nobody makes yet.
    pub(super) fn wants_dial(&mut self, one: Number, other: Number) -> bool {
        let link = self.link_mut(one, other);
        !link.is_open && !mem::replace(&mut link.is_dialled, true)
    }

    /// Makes a connection, if nothing speaks against it.
    pub(super) fn dialled(
        &mut self,
        one: Number,
        other: Number,
        can_answer: bool,
        now: Moment,
    ) -> Option<Vec<(Moment, Arrival)>> {
        let can_pass = can_answer && !self.is_cut(one, other) && !self.is_cut(other, one);
        let at = now + Duration::from_millis(2);
        let link = self.link_mut(one, other);
        link.is_dialled = false;
        if !can_pass || link.is_open {
            return link.is_open.then(Vec::new);
        }
        link.is_open = true;
        link.epoch += 1;
        link.last = [Some(at); 2];
        Some(vec![(at, self.arrival(one, other, What::Opened)), (at, self.arrival(other, one, What::Opened))])
    }

    fn is_cut(&self, from: Number, to: Number) -> bool {
        self.cuts[from * self.count + to]
    }

    fn arrival(&self, from: Number, at: Number, what: What) -> Arrival {
        Arrival { from, at, epoch: self.epoch(from, at), what }
    }

    /// The moment, or that of the frame before it, if this is later: a stream keeps the order.
    fn in_order(&mut self, from: Number, to: Number, at: Moment) -> Moment {
        let last = &mut self.link_mut(from, to).last[usize::from(from < to)];
        let at = last.map_or(at, |last| at.max(last));
        *last = Some(at);
        at
    }

    fn link(&self, one: Number, other: Number) -> &Link {
        &self.links[one.min(other) * self.count + one.max(other)]
    }

    fn link_mut(&mut self, one: Number, other: Number) -> &mut Link {
        &mut self.links[one.min(other) * self.count + one.max(other)]
    }
}
