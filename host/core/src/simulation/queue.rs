//! What is going to happen, in its order.

use std::collections::BTreeMap;

use crate::id::{AttemptId, CheckerName, CommandName};
use crate::moment::Moment;
use crate::plan::{Plan, PlanError};

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Item {
    /// A checker's next run by its schedule, unless that has changed since.
    Run { checker: CheckerName, serial: u64 },
    /// A process checker sees something between two runs.
    News { checker: CheckerName, serial: u64 },
    /// The restart script has answered.
    Answer { attempt: AttemptId, plan: Result<Plan, PlanError> },
    /// A step comes to its end, unless it was given up.
    StepEnds { attempt: AttemptId, step: usize },
    /// A kept process ends, unless it has ended before.
    ProcessEnds { command: CommandName, pid: u32, how: String },
    /// Likewise, one in the background.
    BackgroundEnds { pid: u32 },
    /// What the scenario says happens.
    Happens(usize),
    /// It is over.
    IsOver(usize),
    /// The application serves from here on: checkers see something else.
    Serves,
}

/// Of what happens at the same time, what was planned first happens first.
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
