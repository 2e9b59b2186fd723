//! The output of commands with `--json`, and further answers of the API.

use serde::Deserialize;
use serde_json::Value;

/// The output of `token create`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Secret {
    pub secret: String,
}

/// The answer of `POST /api/v1/modules/MODULE/COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Commanded {
    /// `accepted`, `already-so` or `denied`.
    pub outcome: String,
}

/// The output of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Findings {
    pub findings: Vec<Finding>,
}

/// One finding of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// The topic of the finding.
    pub topic: String,
    /// `ok`, `advice` or `problem`.
    pub level: String,
    pub what: String,
    /// The remedy, if there is one.
    pub next: Option<String>,
}

/// The output of `validate`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Validation {
    /// Whether the files are valid.
    pub ok: bool,
    /// The errors in the files.
    pub mistakes: Vec<Mistake>,
    /// Components that cannot be used.
    pub broken: Vec<Broken>,
    /// Notes that are not errors.
    pub notes: Vec<Note>,
}

/// An error in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: u64,
    /// The column, counted from 1.
    pub column: u64,
}

/// A component that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Broken {
    /// The file, relative to the root.
    pub file: String,
}

/// A grant that a component requests and does not have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Note {
    /// The text that grants it.
    pub add: String,
}

/// The output of `inspect` for a component.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Inspection {
    pub kind: String,
    /// Its file without `.wasm`.
    pub name: String,
    pub config_schema: Value,
    /// Its uses, if a root was given.
    pub uses: Option<Vec<InspectedUse>>,
}

/// One use of a component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InspectedUse {
    pub module: String,
    /// The checker; `None` for the restart script.
    pub checker: Option<String>,
    /// Grants that it has and does not request.
    pub unasked: Vec<Unasked>,
    /// Grants that it requests and does not have.
    pub missing: Vec<Note>,
}

/// A grant that is not requested.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Unasked {
    /// The kind of the grant.
    pub kind: String,
    pub value: String,
}

/// The answer of `GET /api/v1/components/FOLDER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ComponentDetail {
    /// The uses of the component.
    pub uses: Vec<Use>,
}

/// One use of the component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Use {
    pub module: String,
    /// The checker; `None` for the restart script.
    pub checker: Option<String>,
    /// The grants of this use.
    pub granted: Vec<String>,
    /// The grants that were used.
    pub used: Vec<UsedGrant>,
    /// The cost of its runs, once there was one.
    pub cost: Option<Cost>,
}

/// A grant that was used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UsedGrant {
    /// In the notation of grants.
    pub grant: String,
    pub at: String,
}

/// The cost of a component's runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Cost {
    /// The number of runs.
    pub runs: u64,
}

/// The output of `simulate`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Simulation {
    /// Whether all expectations are met.
    pub ok: bool,
    pub module: String,
    pub seed: u64,
    pub end: End,
    pub summary: Summary,
    pub timeline: Vec<TimelineEntry>,
    pub expectations: Vec<Expectation>,
}

/// The output of `simulate` for an invalid scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Mistaken {
    /// The errors in the scenario.
    pub mistakes: Vec<Mistake>,
}

/// The state at the end of a simulation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct End {
    pub state: super::State,
}

/// The numbers of a simulation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Summary {
    /// The number of automatic restarts.
    pub restarts: u64,
    /// Its duration in milliseconds.
    pub for_ms: u64,
}

/// An event of a simulation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TimelineEntry {
    /// The kind: `state` and others.
    pub kind: String,
    /// Of a state: the new state.
    pub to: Option<String>,
}

/// The outcome of an expectation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expectation {
    /// Whether it was met.
    pub met: bool,
}

/// The output of `replay`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Replay {
    /// Whether all decisions are the same.
    pub ok: bool,
    /// The number of equal records.
    pub same: u64,
    /// The number of events that were skipped.
    pub untold: u64,
    /// The number of records that are not in the journal.
    pub unrecorded: u64,
}

/// The output of `replay` with another file of a module.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OtherPolicy {
    /// The first difference, if there is one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub differs_at: Option<Value>,
}
