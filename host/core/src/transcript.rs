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

/// Sees what the core is told, and says what of it is to be written down.
#[derive(Debug)]
pub struct Transcript {
    repeated: BTreeMap<ModuleName, BTreeMap<CheckerName, Counted>>,
    /// Before this, none of those is expected.
    quiet_until: Moment,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { repeated: BTreeMap::new(), quiet_until: Moment::NEVER }
    }
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
                let expected = node.expected(module, checker).unwrap_or(now);
                let of_module = self.repeated.entry(module.clone()).or_default();
                let fresh = Counted { times: 0, last: now, expected };
                let counted = of_module.entry(checker.clone()).or_insert(fresh);
                counted.times += 1;
                counted.last = now;
                self.quiet_until = self.quiet_until.min(counted.expected);
            }
            return Vec::new();
        }
        let mut lines: Vec<Input> = self.settle(event.module(), now).into_iter().collect();
        lines.push(Input::Told(event.clone()));
        lines
    }

    /// Everything that was only counted up to now: before a checkpoint, and at the end.
    pub fn finish(&mut self) -> Option<Input> {
        self.settle(None, Moment::NEVER)
    }

    /// Takes out what is about the module that the next line is about, of all modules if it is about none, and what is
    /// expected by now. The others are not looked at before one of them is.
    fn settle(&mut self, about: Option<&ModuleName>, now: Moment) -> Option<Input> {
        let mut taken: BTreeMap<ModuleName, BTreeMap<CheckerName, Counted>> = BTreeMap::new();
        match about {
            Some(about) => taken.extend(self.repeated.remove_entry(about)),
            None => taken = std::mem::take(&mut self.repeated),
        }
        if self.quiet_until <= now {
            for (module, counted) in &mut self.repeated {
                let expected = counted.extract_if(.., |_, counted| counted.expected <= now);
                taken.entry(module.clone()).or_default().extend(expected);
            }
            self.repeated.retain(|_, counted| !counted.is_empty());
            let left = self.repeated.values().flat_map(BTreeMap::values);
            self.quiet_until = left.map(|counted| counted.expected).min().unwrap_or(Moment::NEVER);
        }
        let repetitions: Vec<Repetition> = taken
            .into_iter()
            .flat_map(|(module, counted)| {
                counted.into_iter().map(move |(checker, Counted { times, last, .. })| Repetition {
                    module: module.clone(),
                    checker,
                    times,
                    last,
                })
            })
            .collect();
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
