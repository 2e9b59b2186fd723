//! What the core was told, for telling it again.
//!
//! ```text
//!   event ──▶ does it repeat what is known? ──no──▶ a line: the event
//!                        │ yes
//!                        └──▶ counted, and told before the next line that is about its
//!                             module, or that comes when its silence would be noticed
//! ```
//! A checker that is well says the same every second. Of that only the number is
//! kept: so a transcript of weeks stays small, and a core that is told it decides
//! the same, at the same moments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::event::Event;
use crate::id::{CheckerName, ModuleName};
use crate::moment::Moment;
use crate::node::{Beginning, Node};

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A daemon began, with an empty core.
    Began(Beginning),
    /// The core was told this.
    Told(Event),
    /// Checkers said what they had said before.
    Repeated(Vec<Repetition>),
}

/// A checker said what it had said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetition {
    /// Of which module.
    pub module: ModuleName,
    /// Which checker.
    pub checker: CheckerName,
    /// So often.
    pub times: u64,
    /// When the core was told the last time.
    pub last: Moment,
}

impl Input {
    /// Which module it is about, if about one.
    pub fn module(&self) -> Option<&ModuleName> {
        match self {
            Self::Told(event) => event.module(),
            Self::Began(_) | Self::Repeated(_) => None,
        }
    }
}

/// Sees what the core is told, and says what of it is to be written down.
#[derive(Debug, Default)]
pub struct Transcript {
    repeated: BTreeMap<(ModuleName, CheckerName), Counted>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    times: u64,
    last: Moment,
    /// Whoever reads the transcript expects to hear of it by then.
    expected: Moment,
}

impl Transcript {
    /// Before the core is told `event`. Returns the lines to be written.
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

    /// All that was only counted up to now: before a checkpoint, and at the end.
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

/// Tells a core one line again, and returns what it does then. A beginning is
/// up to whoever reads.
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
