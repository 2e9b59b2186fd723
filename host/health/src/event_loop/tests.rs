//! Iteration by iteration: how much each connection is served before others are.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_core::id::NodeName;
use bellwether_core::moment::Moment;
use bellwether_core::snapshot::Snapshot;

use super::*;
use crate::Opening;
use crate::conversation::REQUESTS_AT_ONCE;
use crate::probers::Probers;
use bellwether_bus::metrics::Metrics;
use bellwether_os::clock::Clock;
use bellwether_os::handover::Inherited;
use bellwether_os::heartbeat::Heartbeat;

const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\n\r\n";
const EACH: usize = 300;
const GREEDY: usize = 30;

struct Bench {
    event_loop: EventLoop,
    events: Events,
    address: SocketAddr,
}

/// A client, and the number of its answers.
struct Client {
    stream: TcpStream,
    answers: usize,
}

impl Bench {
    fn new() -> Self {
        Self::with(Opening::over(), Clock::start())
    }

    fn with(opening: Opening, clock: Clock) -> Self {
        let empty = Snapshot::empty(NodeName::new("node-1").unwrap(), Moment::default());
        let view = HealthView {
            snapshot: Arc::new(ArcSwap::new(Arc::new(empty))),
            heartbeat: Heartbeat::default(),
            clock,
            metrics: Metrics::default(),
            probers: Probers::default(),
            opening,
        };
        let listener = Listener::http("127.0.0.1:0".parse().unwrap(), &Inherited::default()).unwrap();
        let address = listener.address;
        Self {
            event_loop: EventLoop::new(vec![listener], view, Entrance::closed()).unwrap(),
            events: Events::with_capacity(256),
            address,
        }
    }

    fn client(&self, requests: usize) -> Client {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(&REQUEST.repeat(requests)).unwrap();
        stream.set_nonblocking(true).unwrap();
        Client { stream, answers: 0 }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        self.event_loop.poll.poll(&mut self.events, Some(self.event_loop.wait(now))).unwrap();
        self.event_loop.turn(&self.events, now);
    }
}

impl Client {
    /// Receives the answers that have arrived.
    fn take(&mut self) -> usize {
        let mut bytes = vec![0; 1 << 20];
        while let Ok(length @ 1..) = self.stream.read(&mut bytes) {
            self.answers += bytes[..length].windows(5).filter(|line| *line == b"HTTP/").count();
        }
        self.answers
    }
}

#[test]
fn clients_that_ask_much_at_once_get_their_answers_in_turns() {
    let mut bench = Bench::new();
    let mut greedy: Vec<Client> = (0..GREEDY).map(|_| bench.client(EACH)).collect();
    let mut turns = 0;
    while greedy.iter_mut().map(Client::take).min() < Some(EACH) {
        bench.turn();
        turns += 1;
        let most = greedy.iter_mut().map(Client::take).max().unwrap();
        assert!(most <= turns * 2 * REQUESTS_AT_ONCE, "{most} answers after {turns} turns");
        assert!(bench.event_loop.unfinished.len() <= GREEDY, "each of them queues once");
        assert!(turns < 10 * EACH, "they never get them all");
    }
}

#[test]
fn a_probe_is_answered_in_the_turn_in_which_it_comes_whatever_others_ask() {
    let mut bench = Bench::new();
    let mut kept = bench.client(1);
    bench.turn();
    assert_eq!(kept.take(), 1);
    let mut greedy: Vec<Client> = (0..GREEDY).map(|_| bench.client(EACH)).collect();
    for _ in 0..3 {
        bench.turn();
    }
    let before: usize = greedy.iter_mut().map(Client::take).sum();
    assert!(before > 0 && before < GREEDY * EACH / 2, "they are at it: {before}");
    // One on a kept connection, and one on a new one.
    kept.stream.write_all(REQUEST).unwrap();
    let mut new = bench.client(1);
    bench.turn();
    assert_eq!((kept.take(), new.take()), (2, 1));
    let meanwhile = greedy.iter_mut().map(Client::take).sum::<usize>() - before;
    assert!(meanwhile <= GREEDY * REQUESTS_AT_ONCE, "{meanwhile} answers in one turn");
}

#[test]
fn a_connection_that_is_ended_while_it_queues_leaves_the_queue() {
    let mut bench = Bench::new();
    for round in 0..3 {
        let _greedy: Vec<Client> = (0..GREEDY).map(|_| bench.client(EACH)).collect();
        bench.turn();
        let event_loop = &mut bench.event_loop;
        assert!(event_loop.unfinished.len() >= 3, "they queue in round {round}");
        // Closed to make room, after a failure, and because their time is over.
        assert!(event_loop.let_quietest_go());
        let queued = event_loop.unfinished[0];
        event_loop.close(queued);
        assert!(event_loop.unfinished.iter().all(|place| event_loop.connections.contains(*place)));
        event_loop.sweep(Instant::now() + Duration::from_secs(3600));
        assert_eq!((event_loop.connections.len(), event_loop.unfinished.len()), (0, 0));
    }
}

#[test]
fn a_connection_that_is_ended_while_its_question_waits_is_not_asked_for_again() {
    let clock = Clock::start();
    let mut bench = Bench::with(Opening::lasting(clock, Duration::from_secs(3600)), clock);
    for round in 0..3 {
        let _asking: Vec<Client> = (0..GREEDY).map(|_| bench.client(1)).collect();
        bench.turn();
        let event_loop = &mut bench.event_loop;
        assert_eq!(event_loop.waiting.len(), GREEDY, "they wait in round {round}");
        assert!(event_loop.let_quietest_go());
        let waiting = event_loop.waiting[0];
        event_loop.close(waiting);
        assert_eq!(event_loop.waiting.len(), GREEDY - 2);
        event_loop.sweep(Instant::now() + Duration::from_secs(3600));
        assert_eq!((event_loop.connections.len(), event_loop.waiting.len()), (0, 0));
    }
}
