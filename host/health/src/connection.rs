//! One connection: a socket and its protocol state.
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
//! A connection that begins with HTTP/2 or TLS is handed over. An agent-check begins in Sending, or in Waiting.
//! Every phase except the shortest has a deadline. In Lingering, further input is read and discarded: closing a
//! socket with unread input resets the connection, and the reset can destroy a response that the client has not
//! read yet (RFC 9112, section 9.6).

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::time::{Duration, Instant};

use bellwether_core::health::Agent;
use mio::net::TcpStream;

use super::HealthView;
use super::conversation::{Conversation, Next};
use super::multiplexed::Incoming;
use bellwether_os::at_most;

/// A kept connection may be idle for this long.
const IDLE: Duration = at_most!(Duration::from_secs(10));
/// A request must be complete within this time of its first byte.
const RECEIVING: Duration = Duration::from_secs(5);
/// A request that cannot be answered yet is answered within this time; otherwise the rest of the daemon is stalled.
const WAITING: Duration = at_most!(Duration::from_secs(10));
/// The client must receive the output within this time.
const SENDING: Duration = at_most!(Duration::from_secs(5));
/// After the response, the client must close within this time.
const LINGERING: Duration = at_most!(Duration::from_secs(2));
/// The maximum that is read after the response, in bytes.
const MAX_LINGERING: usize = 64 << 10;
/// How often a connection may be served before others are; once, if it has had the maximum number of answers for
/// one turn.
const ROUNDS: usize = 4;

/// Buffers for receiving and sending, shared by all connections: an idle connection holds no memory.
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
    /// Whether it is in the queue of unfinished connections.
    pub(super) queued: bool,
    peer: IpAddr,
    /// Whether it is in the queue of connections whose request is retried.
    pub(super) waits: bool,
    /// Whether it has had an answer.
    answered: bool,
    /// The agent whose line it is waiting for.
    agent: Option<Agent>,
    conversation: Conversation,
    phase: Phase,
    /// Output that could not be sent immediately, and how much of it has been sent since.
    unsent: Vec<u8>,
    sent: usize,
    /// The deadline of the present phase.
    deadline: Instant,
    /// When it was accepted, or had its last answer.
    quiet_since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Receiving,
    Sending(Next),
    /// The request cannot be answered yet.
    Waiting,
    Lingering {
        read: usize,
    },
}

/// The state of a connection that has been served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The poll reports when there is more.
    Waiting,
    /// There may be more; others are served first.
    Unfinished,
    /// It uses HTTP/2 or TLS: hand it over.
    HandOver,
    /// It has ended: close it.
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
    /// A connection for HTTP, or for TLS where `tls` says so.
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

    /// A connection that receives one line, and no more. The line is sent without waiting for input: `HAProxy`
    /// sends nothing by default.
    pub(super) fn agent(stream: TcpStream, peer: IpAddr, agent: Agent, now: Instant) -> Self {
        Self {
            phase: Phase::Waiting,
            agent: Some(agent),
            deadline: now + WAITING,
            ..Self::http(stream, peer, false, now)
        }
    }

    /// Does everything that can be done without waiting. `to_the_end`: whether the client may have closed the
    /// connection; otherwise one receive that leaves room in the buffer has read everything there was (epoll(7),
    /// question 9), which saves another call.
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

    /// The socket, and the data that was received on it.
    pub(super) fn into_incoming(self) -> Incoming {
        let (received, peer) = (self.conversation.into_received(), self.peer);
        Incoming { stream: self.stream.into(), received, peer }
    }

    /// Whether all output has been sent, and there are more requests to answer.
    fn has_had_its_share(&self) -> bool {
        self.phase == Phase::Sending(Next::SendFirst) && self.sent == self.unsent.len()
    }

    /// Whether it waits until it can send.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Sending(_))
    }

    /// Whether its request cannot be answered yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Whether an answer is due: it was accepted and has had none, or is in the middle of something.
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

    /// The connection with the earliest of these times is closed when there are too many.
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

    /// Answers what was received, and sends the output if the socket accepts it.
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

    /// Continues after all output has been sent.
    fn proceed(&mut self, next: Next, now: Instant) -> Step {
        match next {
            // A trickle of bytes does not extend the time for a request.
            Next::Receive if self.phase == Phase::Idle && self.conversation.is_inside_request() => {
                self.enter(Phase::Receiving, now + RECEIVING);
            }
            // The answer came after a while, and all output has been sent.
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
