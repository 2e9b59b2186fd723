//! The result of a simulation.

use std::time::Duration;

use crate::id::ModuleName;
use crate::record::RecordKind;
use crate::snapshot::{ModuleView, Snapshot};
use crate::state::StateName;

use super::judging;
use super::scenario::{Expectation, Look};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What happened, in its order.
    pub timeline: Vec<TimelineEntry>,
    /// In short.
    pub summary: Summary,
    /// The expectations, in the order of the scenario.
    pub outcomes: Vec<Outcome>,
    /// The visible state, whenever it changed; the first one is at the beginning.
    pub(super) samples: Vec<Sample>,
    /// Every state that was entered, even if only for a moment.
    pub(super) entered: Vec<(Duration, StateName)>,
    restarts: u32,
}

/// An entry of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    /// When, from the scenario's beginning.
    pub at: Duration,
    /// The event of the entry.
    pub kind: EntryKind,
}

/// The kinds of entries.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryKind {
    /// An event of the scenario.
    Scenario(String),
    /// A record of the core, as in the journal.
    Record(RecordKind),
    /// The health answer has changed.
    Health {
        /// The new health answer.
        ready: bool,
        /// The reason for the answer.
        reason: String,
    },
}

impl EntryKind {
    /// The entry as one sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Scenario(text) => text.clone(),
            Self::Record(kind) => kind.sentence(),
            Self::Health { ready: true, .. } => "the health check passes".to_owned(),
            Self::Health { ready: false, reason } => format!("the health check fails: {reason}"),
        }
    }
}

/// The result in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// The state at the beginning.
    pub begin: Option<Seen>,
    /// The state at the end.
    pub end: Option<Seen>,
    pub lasted: Duration,
    /// The total time with a negative health answer.
    pub not_ready: Duration,
    /// The total number of automatic restarts.
    pub restarts: u32,
    /// Runs of checkers, including those that were skipped because nothing had changed.
    pub runs: u64,
}

/// The visible state of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The state of the module.
    pub state: StateName,
    /// The health answer at that time.
    pub ready: bool,
    /// The reason for the state.
    pub reason: String,
}

/// The outcome of an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its line in the scenario's file; 0 if it is in none.
    pub line: usize,
    /// The expectation in words.
    pub expected: String,
    /// The actual state, if it differs.
    pub instead: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) state: StateName,
    pub(super) ready: bool,
    pub(super) restarts: u32,
    pub(super) reason: String,
}

impl Sample {
    pub(super) fn is(&self, look: &Look) -> bool {
        look.state.is_none_or(|state| state == self.state)
            && look.ready.is_none_or(|ready| ready == self.ready)
            && look.restarts.is_none_or(|restarts| restarts == self.restarts)
    }

    fn seen(&self) -> Seen {
        Seen { state: self.state, ready: self.ready, reason: self.reason.clone() }
    }
}

impl Report {
    /// Whether all expectations are met.
    pub fn is_as_expected(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.instead.is_none())
    }

    pub(super) fn begin(&mut self, snapshot: &Snapshot, module: &ModuleName) {
        let module = snapshot.module(module.as_str());
        let (state, ready, reason) = match module {
            Some(module) => (module.state, module.ready, module.reason.clone()),
            None => (StateName::Stopped, false, "the daemon begins".to_owned()),
        };
        let first = Sample { at: Duration::ZERO, state, ready, restarts: 0, reason };
        self.entered.push((Duration::ZERO, state));
        self.summary.begin = Some(first.seen());
        self.samples.push(first);
    }

    pub(super) fn push(&mut self, entry: TimelineEntry) {
        match &entry.kind {
            EntryKind::Record(RecordKind::State { to, .. }) => self.entered.push((entry.at, *to)),
            EntryKind::Record(RecordKind::Decision { decision, .. }) if decision.starts_with("restart") => {
                self.restarts += 1;
            }
            EntryKind::Record(_) | EntryKind::Scenario(_) | EntryKind::Health { .. } => {}
        }
        self.timeline.push(entry);
    }

    /// Records the present visible state.
    pub(super) fn look(&mut self, module: &ModuleView, at: Duration) {
        let (state, ready, restarts) = (module.state, module.ready, self.restarts);
        let last = self.samples.last();
        if last.is_some_and(|last| (last.state, last.ready, last.restarts) == (state, ready, restarts)) {
            return;
        }
        if last.is_none_or(|last| last.ready != ready) {
            let kind = EntryKind::Health { ready, reason: module.reason.clone() };
            self.timeline.push(TimelineEntry { at, kind });
        }
        self.samples.push(Sample { at, state, ready, restarts, reason: module.reason.clone() });
    }

    pub(super) fn close(&mut self, lasted: Duration, expectations: &[Expectation]) {
        let ends = self.samples.iter().skip(1).map(|next| next.at).chain([lasted]);
        let lengths =
            self.samples.iter().zip(ends).map(|(sample, end)| (sample, end.saturating_sub(sample.at)));
        self.summary.not_ready = lengths.filter(|(sample, _)| !sample.ready).map(|(_, length)| length).sum();
        self.summary.end = self.samples.last().map(Sample::seen);
        self.summary.lasted = lasted;
        self.summary.restarts = self.restarts;
        self.outcomes = expectations.iter().map(|expectation| judging::judge(self, expectation)).collect();
    }
}
