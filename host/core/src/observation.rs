//! What one run of a checker saw.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{CheckerName, ModuleName};
use crate::moment::Moment;

/// The four things a run can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The resource is well.
    Pass,
    /// The resource works, and somebody should look at it. Counts as pass.
    Warn,
    /// The resource was looked at and is not well.
    Fail,
    /// Could not tell. Never counted as fail unless the operator asks for that.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        })
    }
}

/// Why a checker that a person asked for was not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// There is no module of this name.
    #[error("there is no module `{0}`")]
    NoModule(ModuleName),
    /// The module has no checker of this name.
    #[error("module `{module}` has no checker `{checker}`; it has {others}")]
    NoChecker {
        /// The module.
        module: ModuleName,
        /// The name that was asked for.
        checker: CheckerName,
        /// The names of its checkers.
        others: String,
    },
    /// The module is being loaded, and its components are not there yet.
    #[error("the module is just being loaded")]
    Loading,
    /// The checker ended without having seen anything.
    #[error("the checker gave no answer")]
    NoAnswer,
    /// The checker has so long to answer.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// A number that a checker measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Lower case with dashes, without the unit: `response-time`.
    pub name: String,
    /// The number, in `unit`.
    pub value: f64,
    /// `ms`, `s`, `bytes`, `%`, or empty for a count.
    pub unit: String,
}

/// A process that a checker counts to the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFact {
    /// The process id on this node.
    pub pid: u32,
    /// Its short name (`comm`).
    pub name: String,
}

/// What one run of a checker saw, with a reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The outcome.
    pub status: Status,
    /// One sentence for an on-call engineer.
    pub summary: String,
    /// Numbers measured on the way.
    pub measurements: Vec<Measurement>,
    /// What else the checker says, by name. Room for later versions to grow.
    pub attributes: Vec<(String, String)>,
    /// The processes seen; empty but for process checkers.
    pub processes: Vec<ProcessFact>,
    /// When the run ended.
    pub at: Moment,
    /// How long it took.
    pub took: Duration,
}

/// The attribute of a fail that came for want of an answer.
const HANG: (&str, &str) = ("hang", "true");
/// The attribute of a fail that came because a kept process, which ran, has ended.
const ENDED: (&str, &str) = ("ended", "true");

impl Observation {
    /// All texts in it, as [`Event::texts`](crate::event::Event::texts) has them.
    pub fn texts(&mut self) -> Vec<&mut String> {
        let Self { status: _, summary, measurements, attributes, processes, at: _, took: _ } = self;
        let measured = measurements.iter_mut().flat_map(|Measurement { name, value: _, unit }| [name, unit]);
        let said = attributes.iter_mut().flat_map(|(name, value)| [name, value]);
        let seen = processes.iter_mut().map(|ProcessFact { pid: _, name }| name);
        [summary].into_iter().chain(measured).chain(said).chain(seen).collect()
    }

    /// Whether it says that the resource was there and gave no answer in time.
    pub fn is_of_a_hang(&self) -> bool {
        self.status == Status::Fail
            && self.attributes.iter().any(|(key, value)| (key.as_str(), value.as_str()) == HANG)
    }

    /// Whether it says that a process which the host keeps has ended.
    pub fn is_of_an_end(&self) -> bool {
        self.status == Status::Fail
            && self.attributes.iter().any(|(key, value)| (key.as_str(), value.as_str()) == ENDED)
    }

    /// The same observation, which says that a process which the host keeps has ended.
    #[must_use]
    pub fn of_an_end(mut self) -> Self {
        self.attributes.push((ENDED.0.to_owned(), ENDED.1.to_owned()));
        self
    }

    /// An observation without measurements.
    pub fn new(status: Status, summary: impl Into<String>, at: Moment) -> Self {
        Self {
            status,
            summary: summary.into(),
            measurements: Vec::new(),
            attributes: Vec::new(),
            processes: Vec::new(),
            at,
            took: Duration::ZERO,
        }
    }
}
