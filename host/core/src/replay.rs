//! Replays the input of an earlier core, and compares the decisions.
//!
//! ```text
//!   Nobody ──a beginning, a checkpoint──▶ Told again ──line──▶ the records that follow
//!      ▲                                     │
//!      └───────── a line is missing ─────────┘
//! ```
//! A core that gets the same input writes the same records, with the same numbers. With another policy its input
//! cannot be the same: see [`what_if`].

pub mod what_if;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::action::Action;
use crate::command::CommandOutcome;
use crate::moment::Moment;
use crate::node::{Checkpoint, Node};
use crate::record::{Record, RecordKind};
use crate::transcript::{self, Input};

/// One line of a transcript, and its time.
#[derive(Debug, Clone)]
pub struct Line {
    pub at: Moment,
    pub input: Input,
}

/// A core that replays a transcript.
#[derive(Debug, Default)]
pub struct Replay {
    node: Option<Node>,
    /// The records of each stretch without a gap.
    stretches: Vec<Vec<Record>>,
    told: u64,
    untold: u64,
}

impl Replay {
    /// From a checkpoint, or else from the first beginning.
    pub fn new(checkpoint: Option<Checkpoint>) -> Self {
        let node = checkpoint.map(Node::restore);
        Self { stretches: vec![Vec::new()], node, ..Self::default() }
    }

    /// Handles the next line. Returns the actions of the core.
    pub fn tell(&mut self, line: &Line) -> Vec<Action> {
        if let Input::Began(beginning) = &line.input {
            self.node = Some(Node::new(beginning.clone()));
            self.stretches.push(Vec::new());
        }
        let Some(node) = &mut self.node else {
            self.untold += 1;
            return Vec::new();
        };
        self.told += 1;
        let actions = transcript::tell(node, &line.input, line.at);
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.extend(actions.iter().filter_map(|action| match action {
                Action::Record(record) => Some(record.clone()),
                _ => None,
            }));
        }
        actions
    }

    /// Lines are missing here: the following ones are skipped until the next beginning.
    pub fn miss(&mut self) {
        self.node = None;
        self.stretches.push(Vec::new());
    }

    /// The present core, if there is one.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The numbers of the first and the last record that were written again, if there are any.
    pub fn numbers(&self) -> Option<(u64, u64)> {
        let records = || self.stretches.iter().flatten().map(|record| record.seq);
        Some((records().min()?, records().max()?))
    }

    /// Compares the records that were written again with the original ones.
    pub fn compare(&self, recorded: &BTreeMap<u64, Record>) -> Comparison {
        let mut comparison = Comparison { told: self.told, untold: self.untold, ..Comparison::default() };
        for stretch in &self.stretches {
            comparison.take(stretch, recorded);
        }
        comparison
    }
}

/// The result of a replay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// The number of lines that were replayed.
    pub told: u64,
    /// The number of lines that could not be replayed, because earlier ones are missing.
    pub untold: u64,
    /// The number of records that are the same.
    pub same: u64,
    /// The number of records that were written again and are not in the journal: the last ones of a daemon that was
    /// killed.
    pub unrecorded: u64,
    /// The differences, in the order of the records; the first one is decisive.
    pub differences: Vec<Difference>,
}

/// A record that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The original record; `None` if there was none.
    pub recorded: Option<Record>,
    /// The record of the replay; `None` if there is none.
    pub replayed: Option<Record>,
}

/// The maximum number of differences; the first one is decisive.
const MAX_DIFFERENCES: usize = 100;

impl Comparison {
    fn take(&mut self, stretch: &[Record], recorded: &BTreeMap<u64, Record>) {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { return };
        let of_blindness = |record: &Record| matches!(record.kind, RecordKind::CannotTell { .. });
        // Earlier versions did not record it: without it, all following records keep their original numbers.
        let unknown_then = !recorded.range(first.seq..=last.seq).any(|(_, record)| of_blindness(record));
        let known_to = recorded.range(first.seq..=last.seq).next_back().map_or(0, |(seq, _)| *seq);
        let (mut written, mut left_out) = (BTreeMap::new(), 0_u64);
        for record in stretch {
            if unknown_then && of_blindness(record) && record.seq - left_out <= known_to {
                left_out += 1;
            } else {
                written.insert(record.seq - left_out, record);
            }
        }
        let Some(last) = written.keys().next_back().copied() else { return };
        for (seq, then) in recorded.range(first.seq..=last) {
            let now = written.get(seq).copied();
            if now.is_some_and(|now| now.module == then.module && gist(&now.kind) == gist(&then.kind)) {
                self.same += 1;
            } else if self.differences.len() < MAX_DIFFERENCES {
                let difference = Difference { recorded: Some(then.clone()), replayed: now.cloned() };
                self.differences.push(difference);
            }
        }
        let missing = written.keys().filter(|seq| !recorded.contains_key(seq)).count();
        self.unrecorded += missing as u64;
    }
}

/// The part of a record that is a decision, without texts of evidence.
pub fn gist(kind: &RecordKind) -> String {
    match kind {
        RecordKind::Verdict { checker, from, to, .. } => format!("checker `{checker}`: {from} → {to}"),
        RecordKind::Incident { incident } => format!("incident of checker `{}`", incident.checker),
        RecordKind::CannotTell { checker, .. } => format!("checker `{checker}` cannot tell"),
        RecordKind::Decision { decision, .. } => format!("decided to {decision}"),
        RecordKind::State { from, to, .. } => format!("{from} → {to}"),
        RecordKind::Plan { occasion, steps, .. } => format!("plan for {occasion}: {}", steps.join(", then ")),
        RecordKind::NoPlan { occasion, .. } => format!("no plan for {occasion}"),
        RecordKind::Step { step, ok, .. } => {
            format!("{step}: {}", if *ok { "done" } else { "failed" })
        }
        RecordKind::Command { command, outcome, .. } => {
            let outcome = match outcome {
                CommandOutcome::Accepted(_) => "accepted",
                CommandOutcome::AlreadySo(_) => "nothing to do",
                CommandOutcome::Denied(_) => "denied",
            };
            format!("`{command}`: {outcome}")
        }
        RecordKind::Reload { .. }
        | RecordKind::Quarantine { .. }
        | RecordKind::Approval { .. }
        | RecordKind::Access { .. }
        | RecordKind::Farm { .. }
        | RecordKind::Daemon { .. } => kind.sentence(),
    }
}
