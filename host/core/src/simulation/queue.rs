//! Future events, in their order.

use std::collections::BTreeMap;

use crate::id::{AttemptId, CheckerName, CommandName};
use crate::moment::Moment;
use crate::plan::{Plan, PlanError};

#[derive(Debug)]
pub(super) enum Item {
    /// A checker's next run by its schedule, unless that has changed since.
    Run { checker: CheckerName, serial: u64 },
    /// A process checker has another result between two runs.
    News { checker: CheckerName, serial: u64 },
    /// The restart script has answered.
    Answer { attempt: AttemptId, plan: Result<Plan, PlanError> },
    /// A step completes, unless it was abandoned.
    StepEnds { attempt: AttemptId, step: usize },
    /// A kept process ends, unless it has ended before.
    ProcessEnds { command: CommandName, pid: u32, how: String },
    /// A process in the background ends, unless it has ended before.
    BackgroundEnds { pid: u32 },
    /// An event of the scenario.
    Happens(usize),
    /// An event of the scenario ends.
    IsOver(usize),
    /// The application serves from here on: checkers have other results.
    Serves,
}

/// Of events at the same time, the one that was planned first comes first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    runs: BTreeMap<(Moment, u64), Item>,
    others: BTreeMap<(Moment, u64), Item>,
    planned: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Moment, item: Item) {
        self.planned += 1;
        let list = if matches!(item, Item::Run { .. }) { &mut self.runs } else { &mut self.others };
        list.insert((at, self.planned), item);
    }

    pub(super) fn next(&self) -> Option<Moment> {
        let first = |list: &BTreeMap<(Moment, u64), Item>| list.keys().next().map(|(at, _)| *at);
        [first(&self.runs), first(&self.others)].into_iter().flatten().min()
    }

    pub(super) fn next_but_runs(&self) -> Option<Moment> {
        self.others.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let (run, other) = (self.runs.keys().next(), self.others.keys().next());
        let of_runs = match (run, other) {
            (Some(run), Some(other)) => run < other,
            (run, _) => run.is_some(),
        };
        let list = if of_runs { &mut self.runs } else { &mut self.others };
        list.pop_first().map(|(_, item)| item)
    }
}
