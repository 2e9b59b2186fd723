//! The loop that accepts, serves and closes connections.
//!
//! ```text
//!        ┌──────────────▶ wait for events, or for the next thing that is due
//!        │                                │
//!        │       accept those who knock, up to a number
//!        │          no descriptor left ──▶ let one of the reserve go
//!        │          full, or the reserve is gone, too ──▶ close the one that was quiet longest
//!        │                                │
//!        │       serve those that have something to receive or can send again
//!        │                                │
//!        │       serve some of those that were not finished, one after the other
//!        │                                │
//!        │       ask again what has had no answer yet
//!        │                                │
//!        └─────── once a second ──▶ close those whose deadline has passed
//! ```
//! Nothing here is repeated without a limit, and the loop waits only for the poll: a connection that is not
//! finished after a few requests is queued, and others come first. So the waiting time of a probe depends on the
//! number of connections, and not on how much each of them requests.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use super::connection::{Buffers, Connection, Outcome};
use super::listening::{Accepted, Language, Listener};
use super::multiplexed::Entrance;
use super::{ASK_AGAIN, HealthView};
use bellwether_os::at_most;
use bellwether_os::exhaustion::spare_descriptor;
use bellwether_os::fault;
use bellwether_os::heartbeat::Heartbeat;

/// The maximum number of connections. When there are more, the one that was idle longest is closed, so that a probe
/// is always accepted.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// The number of connections that are accepted before others are served. Far less than the maximum: a connection
/// that was just accepted must not be the next to be closed.
const ACCEPTS: usize = 128;
/// The number of unfinished connections that are served in one iteration.
const UNFINISHED: usize = 64;
/// With this many events at once, listeners are checked in every iteration, and not only at their own event, which
/// may come after many others.
const BUSY: usize = 64;
/// The interval at which deadlines are checked while there are connections.
const SWEEP: Duration = Duration::from_secs(1);
/// The longest time between two iterations.
const BEAT: Duration = Duration::from_secs(1);
/// At shutdown, the time for connections that have been accepted and not been answered.
const LAST_ANSWERS: Duration = at_most!(Duration::from_millis(500));
/// Descriptors that are reserved for clients when the rest of the daemon has used up all others. This many are
/// served at once even then.
const RESERVE: usize = 8;
/// When resources are exhausted, the delay before accepting is retried.
const RETRY: Duration = Duration::from_millis(100);

const WAKER: Token = Token(usize::MAX - 1);

#[derive(Debug)]
pub(super) struct EventLoop {
    poll: Poll,
    doors: Vec<Door>,
    connections: Slab<Connection>,
    /// The queue of interrupted connections, each of them once.
    unfinished: VecDeque<usize>,
    /// The queue of connections whose request cannot be answered yet, each of them once.
    waiting: Vec<usize>,
    /// When the deadlines are checked next; never while there are no connections.
    sweep_at: Option<Instant>,
    /// Reserved descriptors: if the rest of the daemon has used up all others, there are still some to answer with.
    reserve: Vec<File>,
    buffers: Buffers,
    /// The thread that takes connections with HTTP/2 or TLS.
    multiplexed: Entrance,
    view: HealthView,
    heart: Heartbeat,
}

/// A listener, and whether connections are waiting.
#[derive(Debug)]
struct Door {
    listener: Listener,
    /// The poll reports it only once (it is edge-triggered).
    knocking: bool,
    /// Accepting is not retried before this time.
    retry_at: Option<Instant>,
    /// Whether it has been closed.
    over: bool,
}

impl EventLoop {
    pub(super) fn new(listeners: Vec<Listener>, view: HealthView, multiplexed: Entrance) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut doors = Vec::with_capacity(listeners.len());
        for (index, mut listener) in listeners.into_iter().enumerate() {
            poll.registry().register(&mut listener.socket, Token(index), Interest::READABLE)?;
            doors.push(Door { listener, knocking: false, retry_at: None, over: false });
        }
        Ok(Self {
            poll,
            doors,
            connections: Slab::with_capacity(64),
            unfinished: VecDeque::new(),
            waiting: Vec::new(),
            sweep_at: None,
            reserve: (0..RESERVE).map(|_| spare_descriptor()).collect::<io::Result<_>>()?,
            buffers: Buffers::default(),
            multiplexed,
            view,
            heart: Heartbeat::default(),
        })
    }

    /// Interrupts the loop's wait.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    /// The heartbeat of the loop, two beats per iteration: before the wait and after it.
    pub(super) fn heart(&self) -> Heartbeat {
        self.heart.clone()
    }

    /// Runs until `stopped` returns true, which is checked in every iteration.
    pub(super) fn run(mut self, stopped: impl Fn() -> bool) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        while !stopped() {
            self.heart.beat(self.view.clock);
            fault::stall("health");
            match self.poll.poll(&mut events, Some(self.wait(Instant::now()))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                // The events of an interrupted wait are those of the previous one.
                Err(_) => events.clear(),
                Ok(()) => {}
            }
            self.heart.beat_beside(&self.view.heartbeat, self.view.clock);
            self.turn(&events, Instant::now());
        }
        self.finish(&mut events);
        Ok(())
    }

    /// No further connection is accepted: new ones are for the next daemon. Accepted ones are answered.
    fn finish(&mut self, events: &mut Events) {
        for door in &mut self.doors {
            // An error: further events are ignored.
            let _ = self.poll.registry().deregister(&mut door.listener.socket);
            (door.knocking, door.over) = (false, true);
        }
        let until = Instant::now() + LAST_ANSWERS;
        while self.connections.iter().any(|(_, connection)| connection.is_owed_an_answer()) {
            let now = Instant::now();
            let wait = self.wait(now).min(until.saturating_duration_since(now));
            if now >= until || self.poll.poll(events, Some(wait)).is_err() {
                return;
            }
            self.turn(events, Instant::now());
        }
    }

    /// The time to wait for events: never so long that the loop could be taken for stalled.
    fn wait(&self, now: Instant) -> Duration {
        let knocking =
            self.doors.iter().filter(|door| door.knocking).map(|door| door.retry_at.unwrap_or(now));
        let unfinished = (!self.unfinished.is_empty()).then_some(now);
        let again = (!self.waiting.is_empty()).then(|| now + ASK_AGAIN);
        let due = knocking.chain(unfinished).chain(again).chain(self.sweep_at).min();
        due.map_or(BEAT, |due| due.saturating_duration_since(now).min(BEAT))
    }

    fn turn(&mut self, events: &Events, now: Instant) {
        let busy = events.iter().take(BUSY).count() == BUSY;
        let knocks = |index: usize| events.iter().any(|event| event.token() == Token(index));
        for index in 0..self.doors.len() {
            self.doors[index].knocking |= !self.doors[index].over && (busy || knocks(index));
            if self.doors[index].knocking && self.doors[index].retry_at.is_none_or(|at| at <= now) {
                self.accept(index, now);
            }
        }
        for event in events {
            match event.token() {
                Token(token) if token >= self.doors.len() && event.token() != WAKER => {
                    let place = token - self.doors.len();
                    // A queued connection is served in its turn, whatever else it sends. The slot may have been
                    // reused since: that connection is then served early, which is harmless.
                    if self.connections.get(place).is_some_and(|connection| !connection.queued) {
                        self.serve(place, now, event.is_read_closed());
                    }
                }
                _ => {}
            }
        }
        for _ in 0..self.unfinished.len().min(UNFINISHED) {
            let Some(place) = self.unfinished.pop_front() else { break };
            if let Some(connection) = self.connections.get_mut(place) {
                connection.queued = false;
                self.serve(place, now, true);
            }
        }
        for place in std::mem::take(&mut self.waiting) {
            if let Some(connection) = self.connections.get_mut(place) {
                connection.waits = false;
                self.serve(place, now, true);
            }
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
    }

    fn serve(&mut self, place: usize, now: Instant, to_the_end: bool) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        match connection.serve(&mut self.buffers, &self.view, now, to_the_end) {
            Outcome::Over => self.close(place),
            Outcome::HandOver => self.hand_over(place),
            Outcome::Unfinished => {
                connection.queued = true;
                self.unfinished.push_back(place);
            }
            Outcome::Waiting if connection.is_waiting() => self.ask_again_later(place),
            Outcome::Waiting if connection.is_sending() && !connection.polled_for_writing => {
                connection.polled_for_writing = true;
                let token = Token(place + self.doors.len());
                let interest = Interest::READABLE | Interest::WRITABLE;
                let polled = self.poll.registry().reregister(&mut connection.stream, token, interest);
                if polled.is_err() {
                    self.close(place);
                }
            }
            Outcome::Waiting => {}
        }
    }

    fn ask_again_later(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        if !std::mem::replace(&mut connection.waits, true) {
            self.waiting.push(place);
        }
    }

    fn accept(&mut self, index: usize, now: Instant) {
        self.doors[index].retry_at = None;
        for _ in 0..ACCEPTS {
            let door = &mut self.doors[index];
            match door.listener.accept() {
                Accepted::Connection(stream, peer) => {
                    let connection = match &door.listener.language {
                        Language::Http => Connection::http(stream, peer, self.multiplexed.has_tls(), now),
                        Language::Agent(agent) => Connection::agent(stream, peer, agent.clone(), now),
                    };
                    self.admit(connection, now);
                }
                Accepted::Gone => {}
                Accepted::Nobody => {
                    door.knocking = false;
                    return;
                }
                // Opened before the kernel checks for a connection (accept(2)).
                Accepted::NoDescriptor if !door.listener.has_somebody() => {
                    door.knocking = false;
                    return;
                }
                Accepted::NoDescriptor if self.free_descriptor(now) => {}
                Accepted::NoDescriptor | Accepted::Exhausted => {
                    self.doors[index].retry_at = Some(now + RETRY);
                    return;
                }
            }
        }
    }

    /// Most requests have already arrived, and many connections carry one request only: those are answered before
    /// they are added to the poll.
    fn admit(&mut self, mut connection: Connection, now: Instant) {
        let outcome = connection.serve(&mut self.buffers, &self.view, now, false);
        if outcome == Outcome::Over {
            drop(connection);
            self.restock();
            return;
        }
        if outcome == Outcome::HandOver {
            self.multiplexed.admit(connection.into_incoming());
            return;
        }
        if self.connections.len() >= MAX_CONNECTIONS {
            self.let_quietest_go();
        }
        let place = self.connections.vacant_key();
        connection.polled_for_writing = connection.is_sending();
        let interest = if connection.polled_for_writing {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        // Data that arrived before is reported as an event, too (epoll_ctl(2)).
        let token = Token(place + self.doors.len());
        if self.poll.registry().register(&mut connection.stream, token, interest).is_err() {
            return;
        }
        connection.queued = outcome == Outcome::Unfinished;
        if connection.queued {
            self.unfinished.push_back(place);
        }
        let waits = connection.is_waiting();
        self.connections.insert(connection);
        if waits {
            self.ask_again_later(place);
        }
        self.sweep_at.get_or_insert(now + SWEEP);
    }

    /// Frees one more descriptor. Returns whether there was one.
    fn free_descriptor(&mut self, now: Instant) -> bool {
        self.sweep_at.get_or_insert(now + SWEEP);
        if self.reserve.pop().is_some() || self.let_quietest_go() {
            return true;
        }
        self.multiplexed.make_room();
        false
    }

    /// Its descriptor is for the waiting client, not for the reserve.
    fn let_quietest_go(&mut self) -> bool {
        let quietest = self.connections.iter().min_by_key(|(_, connection)| connection.quiet_since());
        let place = quietest.map(|(place, _)| place);
        place.is_some_and(|place| self.forget(place))
    }

    fn sweep(&mut self, now: Instant) {
        let overdue = self.connections.iter().filter(|(_, connection)| connection.is_overdue(now));
        for place in overdue.map(|(place, _)| place).collect::<Vec<_>>() {
            self.forget(place);
        }
        self.restock();
        if self.reserve.len() < RESERVE {
            self.multiplexed.make_room();
        }
        let at_rest = self.connections.is_empty() && self.reserve.len() == RESERVE;
        self.sweep_at = (!at_rest).then(|| now + SWEEP);
    }

    /// Hands a connection to the thread that implements its protocol.
    fn hand_over(&mut self, place: usize) {
        let Some(mut connection) = self.release(place) else { return };
        if self.poll.registry().deregister(&mut connection.stream).is_ok() {
            self.multiplexed.admit(connection.into_incoming());
        }
    }

    fn close(&mut self, place: usize) {
        self.forget(place);
        self.restock();
    }

    /// Closes a connection; closing its socket also ends its polling. Its slot is reused, and must not be in a
    /// queue twice. Returns whether there was one.
    fn forget(&mut self, place: usize) -> bool {
        self.release(place).is_some()
    }

    fn release(&mut self, place: usize) -> Option<Connection> {
        let connection = self.connections.try_remove(place)?;
        if connection.queued {
            self.unfinished.retain(|queued| *queued != place);
        }
        if connection.waits {
            self.waiting.retain(|waiting| *waiting != place);
        }
        Some(connection)
    }

    /// Descriptors that become free are reserved first, before another part of the daemon takes them.
    fn restock(&mut self) {
        while self.reserve.len() < RESERVE
            && let Ok(one) = spare_descriptor()
        {
            self.reserve.push(one);
        }
    }
}

#[cfg(test)]
mod tests;
