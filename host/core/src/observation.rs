//! The result of one run of a checker.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{CheckerName, ModuleName};
use crate::moment::Moment;

/// The four possible results of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The resource is healthy.
    Pass,
    /// The resource works, but needs attention. Counts as pass.
    Warn,
    /// The resource was checked and is not healthy.
    Fail,
    /// The status could not be determined. Never counted as fail unless the operator asks for that.
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

/// Why a checker was not run on request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// There is no module of this name.
    #[error("there is no module `{0}`")]
    NoModule(ModuleName),
    /// The module has no checker of this name.
    #[error("module `{module}` has no checker `{checker}`; it has {others}")]
    NoChecker {
        module: ModuleName,
        /// The name that was asked for.
        checker: CheckerName,
        /// The names of its checkers.
        others: String,
    },
    /// The module is being loaded, and its components are not loaded yet.
    #[error("the module is just being loaded")]
    Loading,
    /// The checker ended without a result.
    #[error("the checker did not answer")]
    NoAnswer,
    /// The checker did not answer within this time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// A value that a checker measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Lower case with dashes, without the unit: `response-time`.
    pub name: String,
    /// The value, in `unit`.
    pub value: f64,
    /// `ms`, `s`, `bytes`, `%`, or empty for a count.
    pub unit: String,
}

/// A process that a checker counts as the module's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFact {
    /// The process id on this node.
    pub pid: u32,
    /// Its short name (`comm`).
    pub name: String,
}

/// The result of one run of a checker, with a reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub status: Status,
    /// One sentence for an on-call engineer.
    pub summary: String,
    /// The values that it measured.
    pub measurements: Vec<Measurement>,
    /// Further details, by name. Later versions can add others.
    pub attributes: Vec<(String, String)>,
    /// The processes it found; empty except for process checkers.
    pub processes: Vec<ProcessFact>,
    /// When the run ended.
    pub at: Moment,
    /// The duration of the run.
    pub took: Duration,
}

/// The attribute of a fail because there was no answer in time.
const HANG: (&str, &str) = ("hang", "true");
/// The attribute of a fail because a kept process has ended.
const ENDED: (&str, &str) = ("ended", "true");

impl Observation {
    /// All texts in it that come from outside; see [`Event::texts`](crate::event::Event::texts).
    pub fn texts(&mut self) -> Vec<&mut String> {
        let Self { status: _, summary, measurements, attributes, processes, at: _, took: _ } = self;
        let measured = measurements.iter_mut().flat_map(|Measurement { name, value: _, unit }| [name, unit]);
        let said = attributes.iter_mut().flat_map(|(name, value)| [name, value]);
        let seen = processes.iter_mut().map(|ProcessFact { pid: _, name }| name);
        [summary].into_iter().chain(measured).chain(said).chain(seen).collect()
    }

    /// Whether it reports that the resource exists and did not answer in time.
    pub fn is_of_a_hang(&self) -> bool {
        self.status == Status::Fail
            && self.attributes.iter().any(|(key, value)| (key.as_str(), value.as_str()) == HANG)
    }

    /// Whether it reports that a kept process has ended.
    pub fn is_of_an_end(&self) -> bool {
        self.status == Status::Fail
            && self.attributes.iter().any(|(key, value)| (key.as_str(), value.as_str()) == ENDED)
    }

    /// The same observation, marked as reporting that a kept process has ended.
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
