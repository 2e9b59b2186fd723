//! A farm on virtual time: nodes that start, sleep and are killed, and links that are cut, delayed and opened again.
//!
//! ```text
//!   World ──events──▶ Membership of each node
//!     ▲                    │ actions
//!     └──── Network ◀──────┘   streams in order, as TCP has them
//! ```
//! Everything follows from a seed. `BELLWETHER_SEED=N` runs each test with this one alone, and `BELLWETHER_LONG=1`
//! with more of them.

mod costs;
mod disturbances;
mod figures;
mod network;
mod partitions;
mod state;

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use bellwether_core::id::NodeName;
use bellwether_core::moment::Moment;
use bytes::Bytes;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use self::network::{Arrival, Network, Traffic};
use crate::id::{FarmId, NodeId};
use crate::membership::{Action, Beginning, Event, Facts, Membership};
use crate::roster::{Candidate, Roster};

/// The number of a node, from 0.
type Number = usize;

/// A farm on virtual time.
struct World {
    now: Moment,
    nodes: Vec<Node>,
    numbers: BTreeMap<NodeId, Number>,
    network: Network,
    rng: Xoshiro256PlusPlus,
    queue: BTreeMap<(Moment, u64), Happening>,
    queued: u64,
    log: Vec<Entry>,
}

struct Node {
    id: NodeId,
    roster: Roster,
    generation: u64,
    /// `None` while its daemon is not running.
    daemon: Option<Membership>,
    is_asleep: bool,
    /// What has come while it is asleep.
    waiting: Vec<Event>,
    due: Moment,
    sent: Traffic,
}

/// What a node has recorded.
#[derive(Debug, Clone)]
struct Entry {
    at: Moment,
    by: Number,
    what: Recorded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorded {
    Heard(Number),
    NotHeard(Number),
    Slept(Duration),
}

#[derive(Debug)]
enum Happening {
    Arrival(Arrival),
    /// The link has been stalled for as long as TCP bears it.
    TimeOut {
        pair: (Number, Number),
        epoch: u32,
    },
    Dial {
        pair: (Number, Number),
    },
    Exchange {
        by: Number,
        with: Number,
    },
    Due {
        node: Number,
    },
}

impl World {
    /// A farm of so many nodes, none of which is running.
    fn new(count: usize, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let ids: Vec<_> =
            (0..count).map(|_| NodeId::from_bytes(rng.random_range(1..u128::MAX).to_le_bytes())).collect();
        let roster = roster(&ids);
        let node = |id: &NodeId| Node {
            id: *id,
            roster: roster.clone(),
            generation: 0,
            daemon: None,
            is_asleep: false,
            waiting: Vec::new(),
            due: Moment::NEVER,
            sent: Traffic::default(),
        };
        Self {
            now: Moment::from_micros(0),
            nodes: ids.iter().map(node).collect(),
            numbers: ids.iter().enumerate().map(|(number, id)| (*id, number)).collect(),
            network: Network::new(count),
            rng,
            queue: BTreeMap::new(),
            queued: 0,
            log: Vec::new(),
        }
    }

    /// A farm whose nodes have all been running for ten seconds.
    fn settled(count: usize, seed: u64) -> Self {
        let mut world = Self::new(count, seed);
        world.start_all();
        world.run(Duration::from_secs(10));
        world
    }

    fn start_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
    }

    /// Starts the daemon of a node.
    fn start(&mut self, number: Number) {
        let seed = self.rng.random_range(0..u64::MAX);
        let node = &mut self.nodes[number];
        assert!(node.daemon.is_none(), "node {number} is running");
        node.generation += 1;
        node.is_asleep = false;
        node.waiting.clear();
        let (me, generation, roster) = (node.id, node.generation, node.roster.clone());
        let beginning = Beginning { me, generation, roster, seed, now: self.now };
        let (mut daemon, mut actions) = Membership::new(beginning);
        let headline = format!("Node {number} has started {generation} times.");
        let facts = Facts { version: "1.3.0".into(), headline, modules: 3, ready: 3, ..Facts::default() };
        actions.extend(daemon.handle(Event::Facts(facts), self.now));
        node.daemon = Some(daemon);
        self.carry_out(number, actions);
        for other in 0..self.nodes.len() {
            if other != number {
                let after = self.between(0, 100);
                self.dial(number, other, after);
            }
        }
    }

    /// Kills the daemon of a node: the system closes its streams at once.
    fn kill(&mut self, number: Number) {
        self.nodes[number].daemon = None;
        for other in 0..self.nodes.len() {
            if other != number {
                self.close(number, other);
            }
        }
    }

    /// Suspends the process of a node. What it gets waits in its sockets.
    fn suspend(&mut self, number: Number) {
        self.nodes[number].is_asleep = true;
    }

    fn resume(&mut self, number: Number) {
        let node = &mut self.nodes[number];
        node.is_asleep = false;
        for event in mem::take(&mut node.waiting) {
            self.handle(number, event);
        }
        self.handle(number, Event::Due);
    }

    /// Lets nothing from the one node arrive at the other.
    fn cut(&mut self, from: Number, to: Number) {
        self.network.cut(from, to);
    }

    /// Cuts a host off: nothing comes from it, and nothing arrives at it. Its links stay open.
    fn cut_off(&mut self, number: Number) {
        for other in 0..self.nodes.len() {
            if other != number {
                self.cut(number, other);
                self.cut(other, number);
            }
        }
    }

    /// Cuts the nodes with smaller numbers than this from the others.
    fn split(&mut self, at: Number) {
        for one in 0..at {
            for other in at..self.nodes.len() {
                self.cut(one, other);
                self.cut(other, one);
            }
        }
    }

    /// Ends all cuts. What TCP has held arrives when it is sent again.
    fn heal(&mut self) {
        for arrival in self.network.heal(self.now, &mut self.rng) {
            self.push(arrival.0, Happening::Arrival(arrival.1));
        }
    }

    /// Lets so much time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival(arrival) => {
                if let Some((at, event)) = self.network.arrived(arrival, &self.nodes) {
                    self.handle(at, event);
                }
            }
            Happening::TimeOut { pair: (one, other), epoch } => {
                if self.network.is_stalled(one, other, epoch) {
                    self.close(one, other);
                }
            }
            Happening::Dial { pair: (one, other) } => self.dialled(one, other),
            Happening::Exchange { by, with } => self.exchange(by, with),
            Happening::Due { node } => {
                if self.nodes[node].due == self.now && !self.nodes[node].is_asleep {
                    self.nodes[node].due = Moment::NEVER;
                    self.handle(node, Event::Due);
                    let due = self.nodes[node].due;
                    assert!(due > self.now, "node {node} has another deadline at the same moment");
                }
            }
        }
    }

    fn handle(&mut self, number: Number, event: Event) {
        let node = &mut self.nodes[number];
        if node.is_asleep {
            node.waiting.push(event);
        } else if let Some(daemon) = &mut node.daemon {
            let actions = daemon.handle(event, self.now);
            self.carry_out(number, actions);
        }
    }

    fn carry_out(&mut self, number: Number, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { to, bytes } => self.send(number, self.numbers[&to], bytes),
                Action::PullRoster { from } => {
                    let with = self.numbers[&from];
                    self.push(self.now + Duration::from_millis(2), Happening::Exchange { by: number, with });
                }
                Action::Heard { node } => self.record(number, Recorded::Heard(self.numbers[&node])),
                Action::NotHeard { node } => self.record(number, Recorded::NotHeard(self.numbers[&node])),
                Action::Slept { for_ } => self.record(number, Recorded::Slept(for_)),
            }
        }
        let node = &mut self.nodes[number];
        let due = node.daemon.as_ref().map_or(Moment::NEVER, Membership::next_deadline);
        if due != node.due {
            node.due = due;
            if due != Moment::NEVER {
                self.push(due.max(self.now), Happening::Due { node: number });
            }
        }
    }

    fn send(&mut self, from: Number, to: Number, bytes: Bytes) {
        assert!(bytes.len() <= crate::membership::MAX_FRAME, "{} bytes", bytes.len());
        self.nodes[from].sent.add(bytes.len());
        let epoch = self.network.epoch(from, to);
        let (arrivals, has_stalled) = self.network.send(from, to, bytes, self.now, &mut self.rng);
        for (at, arrival) in arrivals {
            self.push(at, Happening::Arrival(arrival));
        }
        if let Some(after) = self.network.gives_up_after.filter(|_| has_stalled) {
            self.push(self.now + after, Happening::TimeOut { pair: (from, to), epoch });
        }
    }

    fn close(&mut self, one: Number, other: Number) {
        if let Some(arrivals) = self.network.close(one, other, self.now) {
            for (at, arrival) in arrivals {
                self.push(at, Happening::Arrival(arrival));
            }
            let after = self.between(100, 300);
            self.dial(one, other, after);
        }
    }

    fn dial(&mut self, one: Number, other: Number, after: Duration) {
        if self.network.wants_dial(one, other) {
            self.push(self.now + after, Happening::Dial { pair: (one, other) });
        }
    }

    fn dialled(&mut self, one: Number, other: Number) {
        let runs = |number: Number| self.nodes[number].daemon.is_some() && !self.nodes[number].is_asleep;
        let can_answer = runs(one) && runs(other);
        if let Some(arrivals) = self.network.dialled(one, other, can_answer, self.now) {
            for (at, arrival) in arrivals {
                self.push(at, Happening::Arrival(arrival));
            }
        } else {
            let after = self.between(500, 2000);
            self.dial(one, other, after);
        }
    }

    /// Two nodes exchange rosters, if they can.
    fn exchange(&mut self, by: Number, with: Number) {
        if !self.network.is_well(by, with) {
            return;
        }
        let mut merged = self.nodes[by].roster.clone();
        merged.merge(&self.nodes[with].roster);
        for number in [by, with] {
            self.set_roster(number, merged.clone());
        }
    }

    fn set_roster(&mut self, number: Number, roster: Roster) {
        if self.nodes[number].roster != roster {
            self.nodes[number].roster = roster.clone();
            self.handle(number, Event::Roster(roster));
        }
    }

    fn record(&mut self, by: Number, what: Recorded) {
        self.log.push(Entry { at: self.now, by, what });
    }

    fn push(&mut self, at: Moment, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }

    fn between(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_micros(self.rng.random_range(from_ms * 1000..=to_ms * 1000))
    }
}

fn roster(ids: &[NodeId]) -> Roster {
    let mut roster = Roster::new(FarmId::from_bytes([1; 16]));
    for (number, id) in ids.iter().enumerate() {
        roster.admit(candidate(*id, number), "root", 0).expect("admitted");
    }
    roster
}

fn candidate(id: NodeId, number: Number) -> Candidate {
    let name = NodeName::new(&format!("node-{number}")).expect("a name");
    Candidate { id, name, address: format!("10.0.0.1:{}", 1000 + number), zone: None, replace: None }
}

/// Whether there is time for more.
fn is_long() -> bool {
    std::env::var_os("BELLWETHER_LONG").is_some_and(|value| value == "1")
}

/// The seeds of a test: this many, or that many if there is time.
fn seeds(few: u64, many: u64) -> Vec<u64> {
    let Some(seed) = std::env::var_os("BELLWETHER_SEED") else {
        return (0..if is_long() { many } else { few }).collect();
    };
    let seed = seed.into_string().expect("BELLWETHER_SEED is a text");
    vec![seed.parse().expect("BELLWETHER_SEED is a number")]
}
