//! The body of a response, limited in size and time.
//!
//! ```text
//!            bytes            its end
//!   open ──┬──────▶ open    ──────────▶ ended
//!          │ too many, none for too long, out of time: an error
//!          └───────────────────────────▶ ended
//! ```

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bellwether_core::grant::{GrantKind, Refusal};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::Error;

use super::MAX_ANSWER;
use super::failed::word;
use crate::output::Output;

/// The body that the guest reads.
pub(super) struct AnswerBody {
    incoming: Incoming,
    /// The number of bytes that may still come.
    left: u64,
    between_bytes: Duration,
    by: Instant,
    timer: Pin<Box<Sleep>>,
    ended: bool,
    output: Output,
    origin: String,
}

impl AnswerBody {
    pub(super) fn new(
        incoming: Incoming,
        between_bytes: Duration,
        by: Instant,
        output: Output,
        origin: String,
    ) -> Self {
        let timer = Box::pin(sleep_until(pause_ends(between_bytes, by)));
        Self { incoming, left: MAX_ANSWER, between_bytes, by, timer, ended: false, output, origin }
    }

    fn end(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.ended = true;
        Poll::Ready(Some(Err(error)))
    }

    fn too_long(&mut self) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let wanted = format!("read more than {} MiB of an answer from {}", MAX_ANSWER >> 20, self.origin);
        let why = "longer answers are cut off: ask for a part of it";
        self.output.refuse(Refusal::unavailable(GrantKind::Http, wanted, why));
        self.end(Error::HttpResponseBodySize(Some(MAX_ANSWER)))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        // A response that trickles forever always has data, so the time must be checked.
        if Instant::now() >= this.by {
            return this.end(Error::ConnectionReadTimeout);
        }
        match Pin::new(&mut this.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                let Some(left) = this.left.checked_sub(length) else { return this.too_long() };
                this.left = left;
                this.timer.as_mut().reset(pause_ends(this.between_bytes, this.by));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => this.end(word(&error)),
            Poll::Ready(None) => {
                this.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(this.timer.as_mut().poll(context));
                this.end(Error::ConnectionReadTimeout)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

fn pause_ends(between_bytes: Duration, by: Instant) -> Instant {
    Instant::now().checked_add(between_bytes).map_or(by, |at| at.min(by))
}
