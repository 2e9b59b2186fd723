//! What the core was told, for telling it again.
//!
//! ```text
//!   event ──▶ does it repeat what is known? ──no──▶ a line: the event
//!                        │ yes
//!                        └──▶ counted, and told with the next line that is about its module
//! ```
//! A checker that is well says the same every second. Of that only the number is
//! kept: so a transcript of weeks stays small, and a core that is told it decides
//! the same, at the same moments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// A checker said what it had said before.
    Repeated {
        /// Of which module.
        module: ModuleName,
        /// Which checker.
        checker: CheckerName,
        /// So often.
        times: u64,
    },
}

impl Input {
    /// Which module it is about, if about one.
    pub fn module(&self) -> Option<&ModuleName> {
        match self {
            Self::Repeated { module, .. } => Some(module),
            Self::Told(event) => event.module(),
            Self::Began(_) => None,
        }
    }
}

/// Sees what the core is told, and says what of it is to be written down.
#[derive(Debug, Default)]
pub struct Transcript {
    repeated: BTreeMap<(ModuleName, CheckerName), u64>,
}

impl Transcript {
    /// Before the core is told `event`. Returns the lines to be written.
    pub fn take(&mut self, node: &Node, event: &Event, now: Moment) -> Vec<Input> {
        if node.repeats(event, now) {
            if let Event::Observed { module, checker, .. } = event {
                *self.repeated.entry((module.clone(), checker.clone())).or_default() += 1;
            }
            return Vec::new();
        }
        let mut lines = self.settle(|module| event.module().is_none_or(|told| told == module));
        lines.push(Input::Told(event.clone()));
        lines
    }

    /// All that was only counted up to now: before a checkpoint, and at the end.
    pub fn finish(&mut self) -> Vec<Input> {
        self.settle(|_| true)
    }

    fn settle(&mut self, concerned: impl Fn(&ModuleName) -> bool) -> Vec<Input> {
        let taken = self.repeated.extract_if(.., |(module, _), _| concerned(module));
        taken.map(|((module, checker), times)| Input::Repeated { module, checker, times }).collect()
    }
}

/// No core is told the same more often than this at once: it would change nothing.
const MOST_REPEATED: u64 = 10_000;

/// Tells a core one line again. A beginning is up to whoever reads.
pub fn tell(node: &mut Node, input: &Input, at: Moment, mut done: impl FnMut(Vec<crate::action::Action>)) {
    match input {
        Input::Began(_) => {}
        Input::Told(event) => done(node.handle(event.clone(), at)),
        Input::Repeated { module, checker, times } => {
            for _ in 0..(*times).min(MOST_REPEATED) {
                let Some(event) = node.repeated(module, checker) else { return };
                done(node.handle(event, at));
            }
        }
    }
}
