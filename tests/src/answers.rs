//! The daemon's answers, as far as the tests read them.
//!
//! This is the tests' own definition of the contract, and not the daemon's types: a field that is renamed there is
//! missing here. Fields that the tests do not read are omitted; those that they read must exist and have the right
//! type.

mod event;
mod farm;
mod reports;
mod status;

use serde::de::DeserializeOwned;

pub use event::Event;
pub use farm::{FarmNode, FarmStatus, Hearing, NotHearing};
pub use reports::{
    Broken, Commanded, ComponentDetail, Cost, End, Expectation, Finding, Findings, InspectedUse, Inspection,
    Mistake, Mistaken, Note, OtherPolicy, Replay, Secret, Simulation, Summary, TimelineEntry, Unasked, Use,
    UsedGrant, Validation,
};
pub use status::{
    Checker, Component, Console, Measurement, Module, Notification, Observation, Outcome, Process,
    Quarantine, State, Status, Verdict, Waiting, Wanted,
};

/// Parses output or an answer as this type.
///
/// # Panics
/// If it has another form; the message shows it.
pub fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// The same for every line.
///
/// # Panics
/// If a line has another form; the message shows it.
pub fn read_lines<T: DeserializeOwned>(text: &str) -> Vec<T> {
    text.lines().map(read).collect()
}
