//! The loop that accepts, serves and gives up connections.
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
//! Nothing here is repeated without a limit, and nothing is waited for but the
//! poll: a connection that is not finished after a few requests queues, and others
//! come first. So how long a probe waits depends on how many connections there are,
//! and not on how much each of them asks.

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

/// At most so many connections. When there are more, the one that was quiet
/// longest is closed, so a probe always gets in.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// So many are accepted before the others get their turn. Far fewer than there
/// is room for: one that was just accepted must not be the next to be closed.
const ACCEPTS: usize = 128;
/// So many of those that were not finished are served at a turn.
const UNFINISHED: usize = 64;
/// With so many events at once, listeners are asked at every turn, and not only when their own event
/// comes: it may be behind many others.
const BUSY: usize = 64;
/// How often deadlines are looked at while there are connections.
const SWEEP: Duration = Duration::from_secs(1);
/// The loop turns at least this often.
const BEAT: Duration = Duration::from_secs(1);
/// When it ends, so long for those who have been accepted and have not been answered.
const LAST_ANSWERS: Duration = at_most!(Duration::from_millis(500));
/// Descriptors that are held for those who ask when the rest of the daemon has used up all others.
/// So many are served at once even then.
const RESERVE: usize = 8;
/// When the system is exhausted, how long until accepting is tried again.
const RETRY: Duration = Duration::from_millis(100);

const WAKER: Token = Token(usize::MAX - 1);

#[derive(Debug)]
pub(super) struct EventLoop {
    poll: Poll,
    doors: Vec<Door>,
    connections: Slab<Connection>,
    /// Those that were interrupted to let others have their turn, each of them once.
    unfinished: VecDeque<usize>,
    /// Those whose question has no answer yet, each of them once.
    waiting: Vec<usize>,
    /// When to look at the deadlines; never while there are no connections.
    sweep_at: Option<Instant>,
    /// Held so that they can be let go: if the rest of the daemon has used up all
    /// descriptors, there are still some to answer with.
    reserve: Vec<File>,
    buffers: Buffers,
    /// Where connections go on which HTTP/2 or TLS is spoken.
    multiplexed: Entrance,
    view: HealthView,
    heart: Heartbeat,
}

/// A listener, and whether somebody knocks.
#[derive(Debug)]
struct Door {
    listener: Listener,
    /// The poll tells only once (it is edge-triggered).
    knocking: bool,
    /// Not to be opened before.
    retry_at: Option<Instant>,
    /// Closed for good.
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

    /// Ends the wait.
    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    /// Beats at every turn.
    pub(super) fn heart(&self) -> Heartbeat {
        self.heart.clone()
    }

    /// Turns until `stopped` says so, which is asked at every turn.
    pub(super) fn run(mut self, stopped: impl Fn() -> bool) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        while !stopped() {
            self.heart.beat(self.view.clock);
            fault::stall("health");
            match self.poll.poll(&mut events, Some(self.wait(Instant::now()))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                // The events of an interrupted wait are those of the one before.
                Err(_) => events.clear(),
                Ok(()) => {}
            }
            self.heart.beat_beside(&self.view.heartbeat, self.view.clock);
            self.turn(&events, Instant::now());
        }
        self.finish(&mut events);
        Ok(())
    }

    /// Nobody is accepted any more: who knocks now is the next daemon's. Who was accepted is answered.
    fn finish(&mut self, events: &mut Events) {
        for door in &mut self.doors {
            // An error: it goes on telling, which is heard by nobody.
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

    /// How long to wait for events: never for so long that one could doubt whether it still turns.
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
                    // One that queues waits for its turn, whatever more it sends. The place may have been
                    // given to another since: it is then served early, which is harmless.
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
                // Asked for before the kernel looks whether there is anybody (accept(2)).
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

    /// Most requests are there already, and many connections are for one request
    /// only: those are answered without the poll ever hearing of them.
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
        // What arrived before is reported as an event, too (epoll_ctl(2)).
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

    /// Makes room for one more descriptor. Says whether there is any.
    fn free_descriptor(&mut self, now: Instant) -> bool {
        self.sweep_at.get_or_insert(now + SWEEP);
        if self.reserve.pop().is_some() || self.let_quietest_go() {
            return true;
        }
        self.multiplexed.make_room();
        false
    }

    /// Its descriptor is for the one who waits, not for the reserve.
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

    /// Gives a connection to the thread that speaks its protocol.
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

    /// Ends a connection; closing its socket also ends its polling. Its place goes to the next one, and
    /// must not queue twice. Says whether there was one.
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

    /// What has just become free is the reserve's, before anybody else in the daemon takes it.
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
