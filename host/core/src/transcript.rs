//! Records the core's input for a replay.
//!
//! ```text
//!   event ──▶ does it repeat what is known? ──no──▶ a line: the event
//!                        │ yes
//!                        └──▶ counted, and told before the next line that is about its
//!                             module, or that comes when its silence would be noticed
//! ```
//! A healthy checker repeats the same result every second. Only the number of repetitions is kept: so the input of
//! weeks stays small, and a core that replays it makes the same decisions, at the same moments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::event::Event;
use crate::id::{CheckerName, ModuleName};
use crate::moment::Moment;
use crate::node::{Beginning, Node};

/// One line of the input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A daemon began, with an empty core.
    Began(Beginning),
    /// The core handled this event.
    Told(Event),
    /// Checkers repeated their last results.
    Repeated(Vec<Repetition>),
}

/// A checker repeated its last result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetition {
    pub module: ModuleName,
    pub checker: CheckerName,
    /// The number of repetitions.
    pub times: u64,
    /// When the core handled the last one.
    pub last: Moment,
}

impl Input {
    /// The module that it concerns, if it concerns one.
    pub fn module(&self) -> Option<&ModuleName> {
        match self {
            Self::Told(event) => event.module(),
            Self::Began(_) | Self::Repeated(_) => None,
        }
    }
}

/// Examines the core's input, and returns what has to be recorded.
#[derive(Debug, Default)]
pub struct Transcript {
    repeated: BTreeMap<(ModuleName, CheckerName), Counted>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    times: u64,
    last: Moment,
    /// A replay expects the next line about the checker by this time.
    expected: Moment,
}

impl Transcript {
    /// Called before the core handles `event`. Returns the lines to be written.
    pub fn take(&mut self, node: &Node, event: &Event, now: Moment) -> Vec<Input> {
        if node.repeats(event, now) {
            if let Event::Observed { module, checker, .. } = event {
                let key = (module.clone(), checker.clone());
                let expected = node.expected(module, checker).unwrap_or(now);
                let counted = self.repeated.entry(key).or_insert(Counted { times: 0, last: now, expected });
                counted.times += 1;
                counted.last = now;
            }
            return Vec::new();
        }
        let mut lines: Vec<Input> = self
            .settle(|module, expected| event.module().is_none_or(|told| told == module) || expected <= now)
            .into_iter()
            .collect();
        lines.push(Input::Told(event.clone()));
        lines
    }

    /// Everything that was only counted up to now: before a checkpoint, and at the end.
    pub fn finish(&mut self) -> Option<Input> {
        self.settle(|_, _| true)
    }

    fn settle(&mut self, concerned: impl Fn(&ModuleName, Moment) -> bool) -> Option<Input> {
        let taken = self.repeated.extract_if(.., |(module, _), counted| concerned(module, counted.expected));
        let repetition =
            |((module, checker), Counted { times, last, .. })| Repetition { module, checker, times, last };
        let repetitions: Vec<Repetition> = taken.map(repetition).collect();
        (!repetitions.is_empty()).then_some(Input::Repeated(repetitions))
    }
}

/// Passes one line to a core, and returns its actions. A beginning has to be handled by the caller.
pub fn tell(node: &mut Node, input: &Input, at: Moment) -> Vec<Action> {
    match input {
        Input::Began(_) => Vec::new(),
        Input::Told(event) => node.handle(event.clone(), at),
        Input::Repeated(repetitions) => {
            for repetition in repetitions {
                node.repeat(repetition);
            }
            Vec::new()
        }
    }
}
