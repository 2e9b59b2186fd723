//! What a guest is doing, as seen from outside, for the message when its time is up.
//!
//! ```text
//!            a thread takes it up          asks the host for something to come
//!   Queued ─────────────────────▶ Computing ─────────────────────▶ Waiting
//!                                  │  ▲  ▲                           │
//!               a tick of the epoch▼  │  └───────────────────────────┘ it came
//!                              Interrupted (comes up for air, goes on at once)
//! ```

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use super::failure::{Doing, Failure};
use super::usage::Meter;

/// Written by the run, read by its caller.
#[derive(Default)]
pub(super) struct Activity {
    doing: AtomicU8,
    /// What it has used so far.
    pub(super) meter: Meter,
}

const QUEUED: u8 = 0;
const COMPUTING: u8 = 1;
const INTERRUPTED: u8 = 2;
const WAITING: u8 = 3;

impl Activity {
    /// A tick of the epoch has interrupted the guest's own code for a moment.
    pub(super) fn interrupted(&self) {
        self.doing.store(INTERRUPTED, Relaxed);
    }

    /// Carries out the run and records what it is doing.
    pub(super) async fn watch<T>(&self, run: impl Future<Output = T>) -> T {
        let mut run = pin!(run);
        poll_fn(|context| {
            self.doing.store(COMPUTING, Relaxed);
            self.meter.begin_turn();
            let poll = run.as_mut().poll(context);
            self.meter.end_turn();
            if poll.is_pending() && self.doing.load(Relaxed) == COMPUTING {
                self.doing.store(WAITING, Relaxed);
            }
            poll
        })
        .await
    }

    /// Why there is no answer when the time is up.
    pub(super) fn timeout(&self, after: Duration) -> Failure {
        match self.doing.load(Relaxed) {
            QUEUED => Failure::TooManyRuns(after),
            WAITING => Failure::Timeout { after, doing: Doing::Waiting },
            _ => Failure::Timeout { after, doing: Doing::Computing },
        }
    }
}
