//! The result of one run of a checker.

use std::fmt::Display;

/// The four results of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The resource is healthy.
    Pass,
    /// The resource works, but needs attention. Counts as pass.
    Warn,
    /// The resource was examined and is unhealthy.
    Fail,
    /// Could not tell: the checker itself is at fault (its configuration, a missing grant).
    /// A resource that does not answer is a fail.
    Unknown,
}

/// A value that a checker measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Lower case with dashes, without the unit: `response-time`.
    pub name: String,
    /// The value, in `unit`.
    pub value: f64,
    /// `ms`, `s`, `bytes`, `%`, or empty for a count.
    pub unit: String,
}

/// The result of one run of a checker, with a reason.
///
/// ```
/// use bellwether_guest::{Observation, Status};
///
/// let seen = Observation::warn("the queue is 83 % full").measure("fill", 83.0, "%");
/// assert_eq!(seen.status, Status::Warn);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Pass, warn, fail or unknown.
    pub status: Status,
    /// One sentence that an on-call engineer understands without the documentation.
    pub summary: String,
    /// The measurements of the run.
    pub measurements: Vec<Measurement>,
    /// Further information, by name. The host ignores unknown names.
    pub attributes: Vec<(String, String)>,
}

impl Observation {
    /// The resource is healthy.
    pub fn pass(summary: impl Into<String>) -> Self {
        Self::new(Status::Pass, summary)
    }

    /// The resource works, but needs attention.
    pub fn warn(summary: impl Into<String>) -> Self {
        Self::new(Status::Warn, summary)
    }

    /// The resource was examined and is unhealthy.
    pub fn fail(summary: impl Into<String>) -> Self {
        Self::new(Status::Fail, summary)
    }

    /// The resource exists, but gave no answer in time. This is a fail; the host also knows that the
    /// resource hangs, and keeps the polite phase of a stop short.
    pub fn hang(summary: impl Into<String>) -> Self {
        Self::fail(summary).attribute("hang", "true")
    }

    /// The status could not be determined, because the checker itself is at fault.
    pub fn unknown(summary: impl Into<String>) -> Self {
        Self::new(Status::Unknown, summary)
    }

    /// An observation without measurements.
    pub fn new(status: Status, summary: impl Into<String>) -> Self {
        Self { status, summary: summary.into(), measurements: Vec::new(), attributes: Vec::new() }
    }

    /// Adds a measurement. Units: `ms`, `s`, `bytes`, `%`, or empty for a count.
    #[must_use]
    pub fn measure(mut self, name: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        self.measurements.push(Measurement { name: name.into(), value, unit: unit.into() });
        self
    }

    /// Adds further information: a name and a value.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

/// A checker may return a `Result`: an error becomes an unknown observation.
impl<T: Into<Self>, E: Display> From<Result<T, E>> for Observation {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(seen) => seen.into(),
            // `{:#}` includes the whole chain of causes.
            Err(error) => Self::unknown(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_unknown_and_never_a_fail() {
        let seen: Observation = Err::<Observation, _>("no such key `user`").into();
        assert_eq!(seen, Observation::unknown("no such key `user`"));
        let seen: Observation = Ok::<_, String>(Observation::pass("fine")).into();
        assert_eq!(seen, Observation::pass("fine"));
    }
}
