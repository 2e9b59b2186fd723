//! What commands print with `--json`, and further answers of the API.

use serde::Deserialize;
use serde_json::Value;

/// `token create`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Secret {
    /// What to send.
    pub secret: String,
}

/// `POST /api/v1/modules/MODULE/COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Commanded {
    /// `accepted`, `already-so` or `denied`.
    pub outcome: String,
}

/// `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Findings {
    /// By topic.
    pub findings: Vec<Finding>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub topic: String,
    /// `ok`, `advice` or `problem`.
    pub level: String,
    /// One sentence.
    pub what: String,
    /// What to do, if anything.
    pub next: Option<String>,
}

/// `validate`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Validation {
    /// Whether the files are right.
    pub ok: bool,
    /// What is wrong in them.
    pub mistakes: Vec<Mistake>,
    /// Components that cannot be used.
    pub broken: Vec<Broken>,
    /// What is no mistake.
    pub notes: Vec<Note>,
}

/// Something that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Mistake {
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
}

/// A component that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Broken {
    /// Below the root.
    pub file: String,
}

/// What a component asks for and is not granted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Note {
    /// What to write to grant it.
    pub add: String,
}

/// `inspect` of a component.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Inspection {
    /// `checker` or `restart-script`.
    pub kind: String,
    /// Its file without `.wasm`.
    pub name: String,
    /// A JSON Schema.
    pub config_schema: Value,
    /// Where it is used, if a root was named.
    pub uses: Option<Vec<InspectedUse>>,
}

/// One place where a component is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InspectedUse {
    /// By which module.
    pub module: String,
    /// As which checker.
    pub checker: Option<String>,
    /// What it is granted and does not ask for.
    pub unasked: Vec<Unasked>,
    /// What it asks for and is not granted.
    pub missing: Vec<Note>,
}

/// Something that is granted for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Unasked {
    /// Which kind of grant.
    pub kind: String,
    /// Which one.
    pub value: String,
}

/// `GET /api/v1/components/FOLDER/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ComponentDetail {
    /// Where it is used.
    pub uses: Vec<Use>,
}

/// One place where it is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Use {
    /// By which module.
    pub module: String,
    /// As which checker; nothing for the restart script.
    pub checker: Option<String>,
    /// What it is granted.
    pub granted: Vec<String>,
    /// What of that it has used.
    pub used: Vec<UsedGrant>,
    /// What its runs cost, once there was one.
    pub cost: Option<Cost>,
}

/// A grant that was used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UsedGrant {
    /// As it is granted.
    pub grant: String,
    /// When last.
    pub at: String,
}

/// What runs cost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Cost {
    /// So many.
    pub runs: u64,
}

/// `simulate`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Simulation {
    /// Whether all is as expected.
    pub ok: bool,
    /// Of which module.
    pub module: String,
    /// Of the chance in it.
    pub seed: u64,
    /// How it ends.
    pub end: End,
    /// In numbers.
    pub summary: Summary,
    /// What happens.
    pub timeline: Vec<TimelineEntry>,
    /// What was expected.
    pub expectations: Vec<Expectation>,
}

/// `simulate` of a scenario with mistakes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Mistaken {
    /// In the scenario.
    pub mistakes: Vec<Mistake>,
}

/// How a simulation ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct End {
    /// Of the module.
    pub state: super::State,
}

/// A simulation in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Summary {
    /// Automatic ones.
    pub restarts: u64,
    /// How long it is, in milliseconds.
    pub for_ms: u64,
}

/// Something that happens in a simulation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TimelineEntry {
    /// `state` and others.
    pub kind: String,
    /// Of a state: what it is then.
    pub to: Option<String>,
}

/// Something that was expected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expectation {
    /// Whether it was so.
    pub met: bool,
}

/// `replay`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Replay {
    /// Whether it decides the same.
    pub ok: bool,
    /// So many decisions are the same.
    pub same: u64,
    /// Events that were not told.
    pub untold: u64,
    /// Decisions that are not in the journal.
    pub unrecorded: u64,
}

/// `replay` with another file of a module.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OtherPolicy {
    /// From where on it decides something else.
    #[serde(deserialize_with = "Option::deserialize")]
    pub differs_at: Option<Value>,
}
