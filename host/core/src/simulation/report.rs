//! What came of a simulation.

use std::time::Duration;

use crate::id::ModuleName;
use crate::record::RecordKind;
use crate::snapshot::{ModuleView, Snapshot};
use crate::state::StateName;

use super::judging;
use super::scenario::{Expectation, Look};

/// The whole of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What happened, in its order.
    pub timeline: Vec<TimelineEntry>,
    /// In short.
    pub summary: Summary,
    /// What was expected, in the order of the scenario.
    pub outcomes: Vec<Outcome>,
    /// How it could be seen to be, whenever that changed; the first at the beginning.
    pub(super) samples: Vec<Sample>,
    /// Every state that was entered, if only for a moment.
    pub(super) entered: Vec<(Duration, StateName)>,
    restarts: u32,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    /// When, from the scenario's beginning.
    pub at: Duration,
    /// What.
    pub kind: EntryKind,
}

/// What can be told.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryKind {
    /// The scenario made it happen.
    Scenario(String),
    /// The core wrote it down, as it does in the journal.
    Record(RecordKind),
    /// What the load balancer is told has changed.
    Health {
        /// To this.
        ready: bool,
        /// Why.
        reason: String,
    },
}

impl EntryKind {
    /// One sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Scenario(text) => text.clone(),
            Self::Record(kind) => kind.sentence(),
            Self::Health { ready: true, .. } => "the health check passes".to_owned(),
            Self::Health { ready: false, reason } => format!("the health check fails: {reason}"),
        }
    }
}

/// In short.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// How it was at the beginning.
    pub begin: Option<Seen>,
    /// How it was at the end.
    pub end: Option<Seen>,
    /// How long it was simulated.
    pub lasted: Duration,
    /// How long the load balancer was told no, in all.
    pub not_ready: Duration,
    /// Automatic restarts in all.
    pub restarts: u32,
    /// Runs of checkers, the ones included that were left out because they saw nothing new.
    pub runs: u64,
}

/// How a module could be seen to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its state.
    pub state: StateName,
    /// What the load balancer is told.
    pub ready: bool,
    /// Why.
    pub reason: String,
}

/// What became of an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its line in the scenario's file; 0 if it is in none.
    pub line: usize,
    /// What was expected, in words.
    pub expected: String,
    /// What was instead, if it was not so.
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
    /// Whether all is as expected.
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

    /// Takes down how the module is to be seen now.
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
