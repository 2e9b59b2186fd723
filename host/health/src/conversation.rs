//! One HTTP conversation: bytes in, responses out, no sockets.
//!
//! ```text
//!  a PROXY line in front of the first request is read over
//!              a whole request, more to come
//!            ┌────────────────────────────────┐
//!            ▼                                │
//!      ┌─ waiting ── bytes ──▶ parsing ── answered ──▶ enough of them: SendFirst, then parsing again
//!      │     ▲                 │  │
//!      │     └── part of one ──┘  ├── malformed, too large, a body, `close` ──▶ Close
//!      │                           └── no answer yet: AskAgain, then parsing again
//!      └─ the first bytes are of HTTP/2 or TLS ──▶ HandOver
//! ```

use bellwether_core::health::{HealthAnswer, Question};

use super::protocol::{Protocol, protocol};
use super::proxy::{Preamble, preamble};
use super::request::{MAX_REQUEST, Method, Parsed, Persistence, Request, parse};
use super::response::{Refusal, write_answer, write_refusal};

/// Above this amount of output, received requests wait until it has been sent.
const ENOUGH_OUTPUT: usize = 32 << 10;
/// The number of requests that are answered at once. A client that sends many without waiting for the responses
/// must not delay clients that send one.
pub(super) const REQUESTS_AT_ONCE: usize = 8;

/// What to do after the output has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Receive more data from the client.
    Receive,
    /// Continue with the data received already: [`Conversation::receive`] an empty slice.
    SendFirst,
    /// The next request cannot be answered yet: [`Conversation::receive`] an empty slice a little later.
    AskAgain,
    /// It is HTTP/2 or TLS: hand the connection to [`super::multiplexed`], with the received data.
    HandOver,
    /// Close. `unread`: whether the client may still be sending.
    Close { unread: bool },
}

/// Received data of a request that is incomplete, or could not be answered yet.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pending: Vec<u8>,
    stage: Stage,
}

/// The progress of the conversation.
#[derive(Debug, Clone, Copy, Default)]
struct Stage {
    /// The first request has begun, so neither a PROXY line nor another protocol can follow.
    begun: bool,
    /// TLS is accepted as well.
    tls: bool,
}

impl Conversation {
    /// A new conversation. `tls`: whether there is a certificate for TLS.
    pub(super) fn new(tls: bool) -> Self {
        Self { pending: Vec::new(), stage: Stage { begun: false, tls } }
    }

    /// Received data that has not been processed.
    pub(super) fn into_received(self) -> Vec<u8> {
        self.pending
    }

    /// Whether a part of a request has been received.
    pub(super) fn is_inside_request(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Processes received data, and appends the responses to `output`.
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        answer: impl Fn(Question<'_>) -> Option<HealthAnswer>,
    ) -> Next {
        if self.pending.is_empty() {
            let (used, next) = self.stage.respond(input, output, answer);
            self.pending.extend_from_slice(&input[used..]);
            return next;
        }
        self.pending.extend_from_slice(input);
        let (used, next) = self.stage.respond(&self.pending, output, answer);
        if used == self.pending.len() {
            // Most requests arrive in one piece: idle connections hold no memory.
            self.pending = Vec::new();
        } else {
            self.pending.drain(..used);
        }
        next
    }
}

impl Stage {
    /// Responds to the requests in `input`. Returns how many bytes have been processed.
    fn respond(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        answer: impl Fn(Question<'_>) -> Option<HealthAnswer>,
    ) -> (usize, Next) {
        if self.begun {
            return respond(input, 0, output, answer);
        }
        let used = match preamble(input) {
            Preamble::Whole(length) => length,
            Preamble::Partial => return (0, Next::Receive),
            Preamble::Absent => 0,
            Preamble::Malformed => {
                write_refusal(output, Refusal::Malformed, Persistence::Close);
                return (input.len(), Next::Close { unread: true });
            }
        };
        match protocol(&input[used..]) {
            Protocol::Undecided => return (0, Next::Receive),
            Protocol::Http2 => return (used, Next::HandOver),
            Protocol::Tls if self.tls => return (used, Next::HandOver),
            Protocol::Tls | Protocol::Http1 => self.begun = true,
        }
        respond(input, used, output, answer)
    }
}

/// Responds to the requests after the first `used` bytes of `input`. Returns how many bytes have been processed.
fn respond(
    input: &[u8],
    mut used: usize,
    output: &mut Vec<u8>,
    answer: impl Fn(Question<'_>) -> Option<HealthAnswer>,
) -> (usize, Next) {
    let mut answered = 0;
    while used < input.len() {
        if output.len() >= ENOUGH_OUTPUT || answered == REQUESTS_AT_ONCE {
            return (used, Next::SendFirst);
        }
        let refusal = match parse(&input[used..]) {
            Parsed::Whole(request, length) => {
                if !respond_to(&request, output, &answer) {
                    return (used, Next::AskAgain);
                }
                used += length;
                answered += 1;
                if request.persistence == Persistence::Close {
                    let unread = request.has_body || used < input.len();
                    return (input.len(), Next::Close { unread });
                }
                continue;
            }
            Parsed::Partial => return (used, Next::Receive),
            Parsed::TooLarge => Refusal::TooLarge,
            Parsed::Malformed => Refusal::Malformed,
        };
        write_refusal(output, refusal, Persistence::Close);
        return (input.len(), Next::Close { unread: true });
    }
    (used, Next::Receive)
}

/// Returns whether there was an answer.
fn respond_to(
    request: &Request<'_>,
    output: &mut Vec<u8>,
    answer: impl Fn(Question<'_>) -> Option<HealthAnswer>,
) -> bool {
    match request.method {
        Method::Get | Method::Head | Method::Options => {
            let Some(answer) = answer(Question::new(request.target, request.report)) else { return false };
            write_answer(output, &answer, request.method, request.persistence);
        }
        Method::Other => write_refusal(output, Refusal::MethodNotAllowed, request.persistence),
    }
    true
}

/// An incomplete request is never longer than a complete one may be.
const _: () = assert!(MAX_REQUEST < ENOUGH_OUTPUT);

#[cfg(test)]
mod tests;
