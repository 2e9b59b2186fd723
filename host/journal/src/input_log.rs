//! Records the core's input, so that it can be replayed.
//!
//! ```text
//!   event ──▶ what is new in it (core/src/transcript.rs) ──▶ the journal's inputs
//!        every hour, or after many inputs ──▶ the whole core ──▶ the journal's checkpoints
//! ```
//! The journal accepts it without waiting, and drops it before any record if the disk is too slow: a replay reports
//! the gap.

use std::time::Duration;

use bellwether_core::event::Event;
use bellwether_core::moment::Moment;
use bellwether_core::node::{Beginning, Node};
use bellwether_core::transcript::{Input, Transcript};

use crate::{Checkpoint, InputRow, Journal};

/// A checkpoint is made after this many inputs,
const EVERY: u32 = 10_000;
/// or after this time, if there was any input.
const AT_LEAST: Duration = Duration::from_hours(1);

/// Between the driver and the journal.
#[derive(Debug)]
pub struct InputLog {
    transcript: Transcript,
    journal: Journal,
    /// Inputs since the last checkpoint.
    inputs: u32,
    checked: Moment,
}

impl InputLog {
    /// A daemon starts, with an empty core.
    pub fn new(journal: Journal, beginning: &Beginning) -> Self {
        let checked = beginning.now;
        let mut input_log = Self { transcript: Transcript::default(), journal, inputs: 0, checked };
        input_log.write(&Input::Began(beginning.clone()), checked);
        input_log
    }

    /// Before the core handles an event: returns the lines to be written. The health answer is updated before they
    /// are.
    pub fn take(&mut self, node: &Node, event: &Event, now: Moment) -> Vec<Input> {
        self.transcript.take(node, event, now)
    }

    /// After the core has handled it.
    pub fn keep(&mut self, inputs: &[Input], node: &Node, now: Moment) {
        for input in inputs {
            self.write(input, now);
        }
        if self.inputs >= EVERY || (self.inputs > 0 && now.since(self.checked) >= AT_LEAST) {
            self.check(node, now);
        }
    }

    /// What was only counted up to now, at the end.
    pub fn finish(&mut self, now: Moment) {
        if let Some(input) = self.transcript.finish() {
            self.write(&input, now);
        }
    }

    fn check(&mut self, node: &Node, now: Moment) {
        self.finish(now);
        (self.inputs, self.checked) = (0, now);
        match serde_json::to_vec(&node.checkpoint()) {
            Ok(body) => {
                self.journal.checkpoint(Checkpoint { at: now, input: self.journal.last_input(), body });
            }
            Err(error) => tracing::error!(%error, "the core cannot be written down for replay"),
        }
    }

    fn write(&mut self, input: &Input, at: Moment) {
        self.inputs = self.inputs.saturating_add(1);
        match serde_json::to_string(input) {
            Ok(body) => {
                self.journal.input(InputRow { at, module: input.module().cloned(), body });
            }
            Err(error) => tracing::error!(%error, "the input of the core cannot be recorded for replay"),
        }
    }
}
