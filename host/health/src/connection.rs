//! One connection: a socket and what is going on there.
//!
//! ```text
//!   accepted ─▶ Idle ──first bytes──▶ Receiving
//!                │ ▲                      │
//!    whole       │ │ all sent             │ whole request
//!    request     ▼ │                      │
//!              Sending ◀──────────────────┤
//!                │ ▲                      │ no answer yet
//!                │ └────── Waiting ◀──────┘
//!                │ all sent, not to be kept
//!                ▼
//!            Lingering ── end of input, enough, or too late ──▶ closed
//! ```
//! A connection that begins with HTTP/2 or TLS is handed over. An agent-check begins in Sending, or in Waiting. Every phase but the shortest has a
//! deadline. Lingering reads and forgets what the other side still sends: a
//! socket closed with unread input resets the connection, and the reset can
//! destroy the answer on its way (RFC 9112, section 9.6).

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::time::{Duration, Instant};

use bellwether_core::health::Agent;
use mio::net::TcpStream;

use super::HealthView;
use super::conversation::{Conversation, Next};
use super::multiplexed::Incoming;
use bellwether_os::at_most;

/// A connection that is kept may be silent for this long.
const IDLE: Duration = at_most!(Duration::from_secs(10));
/// A request must be whole within this time of its first byte.
const RECEIVING: Duration = Duration::from_secs(5);
/// A question that has no answer yet gets one by then, or nothing in the daemon turns any more.
const WAITING: Duration = at_most!(Duration::from_secs(10));
/// What is sent must be taken within this time.
const SENDING: Duration = at_most!(Duration::from_secs(5));
/// After the answer, the other side must close within this time.
const LINGERING: Duration = at_most!(Duration::from_secs(2));
/// What it still sends is read up to this, in bytes.
const MAX_LINGERING: usize = 64 << 10;
/// So many times a connection may be served before others get their turn; once, if it has had as many
/// answers as one gets at once.
const ROUNDS: usize = 4;

/// Room to receive into and send from, shared by all connections: one that
/// waits holds nothing.
#[derive(Debug)]
pub(super) struct Buffers {
    input: Box<[u8]>,
    output: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { input: vec![0; 16 << 10].into(), output: Vec::with_capacity(64 << 10) }
    }
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and any may hold beside any other"
)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Whether the poll also reports that the socket can be written to.
    pub(super) polled_for_writing: bool,
    /// Whether it waits for its turn among those that were not finished.
    pub(super) queued: bool,
    peer: IpAddr,
    /// Whether it is among those whose question is asked again.
    pub(super) waits: bool,
    /// Whether anything has been said to it.
    answered: bool,
    /// Whose line it is to hear, if that has not been said.
    agent: Option<Agent>,
    conversation: Conversation,
    phase: Phase,
    /// What could not be sent at once, and how much of it has been since.
    unsent: Vec<u8>,
    sent: usize,
    /// When the phase ends at the latest.
    deadline: Instant,
    /// When it was accepted or had its last answer.
    quiet_since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Receiving,
    Sending(Next),
    /// For an answer.
    Waiting,
    Lingering {
        read: usize,
    },
}

/// How it stands with a connection that has been served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The poll will tell when there is more.
    Waiting,
    /// There may be more; others first.
    Unfinished,
    /// HTTP/2 or TLS is spoken: hand it over.
    HandOver,
    /// It is over: close it.
    Over,
}

/// One step of serving.
enum Step {
    Done,
    WouldBlock,
    HandOver,
    Over,
}

impl Connection {
    /// A connection on which HTTP is spoken, or TLS where `tls` says so.
    pub(super) fn http(stream: TcpStream, peer: IpAddr, tls: bool, now: Instant) -> Self {
        Self {
            stream,
            peer,
            polled_for_writing: false,
            queued: false,
            waits: false,
            answered: false,
            agent: None,
            conversation: Conversation::new(tls),
            phase: Phase::Idle,
            unsent: Vec::new(),
            sent: 0,
            deadline: now + IDLE,
            quiet_since: now,
        }
    }

    /// A connection to which one line is said, and no more. It is said without
    /// waiting: `HAProxy` sends nothing by default.
    pub(super) fn agent(stream: TcpStream, peer: IpAddr, agent: Agent, now: Instant) -> Self {
        Self {
            phase: Phase::Waiting,
            agent: Some(agent),
            deadline: now + WAITING,
            ..Self::http(stream, peer, false, now)
        }
    }

    /// Does whatever can be done without waiting. `to_the_end` is whether the
    /// other side may have closed; otherwise one receive that leaves room in the
    /// buffer has taken all there was (epoll(7), question 9), which saves asking again.
    pub(super) fn serve(
        &mut self,
        buffers: &mut Buffers,
        view: &HealthView,
        now: Instant,
        to_the_end: bool,
    ) -> Outcome {
        for _ in 0..ROUNDS {
            let step = match self.phase {
                Phase::Idle | Phase::Receiving => self.receive(buffers, view, now, to_the_end),
                Phase::Sending(next) => self.send(next, buffers, view, now),
                Phase::Waiting => self.ask_again(buffers, view, now),
                Phase::Lingering { read } => self.linger(read, buffers),
            };
            match step {
                Step::Done if self.has_had_its_share() => return Outcome::Unfinished,
                Step::Done => {}
                Step::WouldBlock => return Outcome::Waiting,
                Step::HandOver => return Outcome::HandOver,
                Step::Over => return Outcome::Over,
            }
        }
        Outcome::Unfinished
    }

    /// The socket, and what was received on it.
    pub(super) fn into_incoming(self) -> Incoming {
        let (received, peer) = (self.conversation.into_received(), self.peer);
        Incoming { stream: self.stream.into(), received, peer }
    }

    /// Whether all that was said has been sent, and there are more requests to answer.
    fn has_had_its_share(&self) -> bool {
        self.phase == Phase::Sending(Next::SendFirst) && self.sent == self.unsent.len()
    }

    /// Whether it waits until it can send.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Sending(_))
    }

    /// Whether its question has no answer yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Whether an answer is owed: one that was accepted and has had none, or is in the middle of something.
    pub(super) fn is_owed_an_answer(&self) -> bool {
        match self.phase {
            Phase::Idle => !self.answered,
            Phase::Receiving | Phase::Sending(_) | Phase::Waiting => true,
            Phase::Lingering { .. } => false,
        }
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// The connection with the earliest of these is given up when there are too many.
    pub(super) fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    fn receive(&mut self, buffers: &mut Buffers, view: &HealthView, now: Instant, to_the_end: bool) -> Step {
        match self.stream.read(&mut buffers.input) {
            Ok(0) => Step::Over,
            Ok(length) => {
                let Buffers { input, output } = buffers;
                let all = length < input.len() && !to_the_end;
                match self.converse(&input[..length], output, view, now) {
                    Step::Done if all && !self.is_sending() => Step::WouldBlock,
                    step => step,
                }
            }
            Err(error) => after_error(error.kind()),
        }
    }

    fn ask_again(&mut self, buffers: &mut Buffers, view: &HealthView, now: Instant) -> Step {
        let Some(agent) = &self.agent else { return self.converse(&[], &mut buffers.output, view, now) };
        let Some(line) = view.agent_line(self.peer, agent) else { return Step::WouldBlock };
        (self.agent, self.unsent) = (None, line.into_bytes());
        self.enter(Phase::Sending(Next::Close { unread: true }), now + SENDING);
        Step::Done
    }

    /// Answers what was received, and sends it if the socket takes it.
    fn converse(&mut self, input: &[u8], output: &mut Vec<u8>, view: &HealthView, now: Instant) -> Step {
        output.clear();
        let peer = self.peer;
        let next = self.conversation.receive(input, output, |question| view.answer(peer, question));
        if output.is_empty() {
            return self.proceed(next, now);
        }
        self.answered = true;
        let sent = match self.stream.write(output) {
            Ok(sent) => sent,
            Err(error) => match after_error(error.kind()) {
                Step::Over => return Step::Over,
                Step::Done | Step::WouldBlock | Step::HandOver => 0,
            },
        };
        if sent == output.len() {
            self.quiet_since = now;
            self.phase = Phase::Idle;
            self.deadline = now + IDLE;
            return self.proceed(next, now);
        }
        self.unsent.extend_from_slice(&output[sent..]);
        self.enter(Phase::Sending(next), now + SENDING);
        Step::Done
    }

    fn send(&mut self, next: Next, buffers: &mut Buffers, view: &HealthView, now: Instant) -> Step {
        if self.sent < self.unsent.len() {
            match self.stream.write(&self.unsent[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) => return after_error(error.kind()),
            }
            return Step::Done;
        }
        self.unsent = Vec::new();
        (self.sent, self.answered) = (0, true);
        self.quiet_since = now;
        self.enter(Phase::Idle, now + IDLE);
        match next {
            Next::SendFirst => self.converse(&[], &mut buffers.output, view, now),
            Next::Receive | Next::AskAgain | Next::HandOver | Next::Close { .. } => self.proceed(next, now),
        }
    }

    /// Everything has been sent.
    fn proceed(&mut self, next: Next, now: Instant) -> Step {
        match next {
            // A trickle of bytes does not extend the time for a request.
            Next::Receive if self.phase == Phase::Idle && self.conversation.is_inside_request() => {
                self.enter(Phase::Receiving, now + RECEIVING);
            }
            // Answered after a while, and all that was sent has been.
            Next::Receive if self.phase == Phase::Waiting => self.enter(Phase::Idle, now + IDLE),
            Next::Receive => {}
            Next::AskAgain if self.phase == Phase::Waiting => return Step::WouldBlock,
            Next::AskAgain => {
                self.enter(Phase::Waiting, now + WAITING);
                return Step::WouldBlock;
            }
            Next::HandOver => return Step::HandOver,
            Next::SendFirst => self.enter(Phase::Sending(next), now + SENDING),
            Next::Close { unread: false } => return Step::Over,
            Next::Close { unread: true } => {
                if self.stream.shutdown(Shutdown::Write).is_err() {
                    return Step::Over;
                }
                self.enter(Phase::Lingering { read: 0 }, now + LINGERING);
            }
        }
        Step::Done
    }

    fn linger(&mut self, read: usize, buffers: &mut Buffers) -> Step {
        match self.stream.read(&mut buffers.input) {
            Ok(0) => Step::Over,
            Ok(length) if read + length > MAX_LINGERING => Step::Over,
            Ok(length) => {
                self.phase = Phase::Lingering { read: read + length };
                Step::Done
            }
            Err(error) => after_error(error.kind()),
        }
    }

    fn enter(&mut self, phase: Phase, deadline: Instant) {
        self.phase = phase;
        self.deadline = deadline;
    }
}

fn after_error(kind: ErrorKind) -> Step {
    match kind {
        ErrorKind::WouldBlock => Step::WouldBlock,
        ErrorKind::Interrupted => Step::Done,
        _ => Step::Over,
    }
}
