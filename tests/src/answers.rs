//! What the daemon answers, as far as the tests read it.
//!
//! This is the tests' own view of the contract, and not the daemon's types: a field that is renamed there
//! is missed here. What the tests do not read is not named; what they read must be there, and of its kind.

mod event;
mod reports;
mod status;

use serde::de::DeserializeOwned;

pub use event::Event;
pub use reports::{
    Broken, Commanded, ComponentDetail, Cost, End, Expectation, Finding, Findings, InspectedUse, Inspection,
    Mistake, Mistaken, Note, OtherPolicy, Replay, Secret, Simulation, Summary, TimelineEntry, Unasked, Use,
    UsedGrant, Validation,
};
pub use status::{
    Checker, Component, Console, Measurement, Module, Notification, Observation, Outcome, Process,
    Quarantine, State, Status, Verdict, Waiting, Wanted,
};

/// What was printed or answered, as this.
///
/// # Panics
/// If it is something else; says what.
pub fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// The same of every line.
///
/// # Panics
/// If one is something else; says which.
pub fn read_lines<T: DeserializeOwned>(text: &str) -> Vec<T> {
    text.lines().map(read).collect()
}
