//! Checkers and restart scripts in answers of the API.

use std::time::Duration;

use bellwether_core::grant::{GrantKind, GrantRequest};
use bellwether_core::quarantine::Case;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bellwether_bus::metrics::RunCost;
use bellwether_config::ComponentUse;
use bellwether_core::about::About;
use bellwether_os::clock::Clock;

/// One checker or restart script as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentStatus {
    /// Whether it is a checker or a restart script.
    pub kind: ComponentKind,
    /// Its file name without `.wasm`.
    pub name: String,
    /// The version that it reports; absent if it could never be loaded.
    pub version: Option<String>,
    /// BLAKE3 of the active version, in hexadecimal.
    pub digest: String,
    /// The source of the active version.
    pub origin: Origin,
    /// Why the current file is not active, if it is not.
    pub error: Option<String>,
    /// The current version does not work and is quarantined.
    #[serde(default)]
    pub quarantine: Option<QuarantineStatus>,
    /// The current version waits for approval.
    #[serde(default)]
    pub waiting: Option<WaitingStatus>,
}

/// A version that does not work and is not retried for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineStatus {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// Why it does not work, in one sentence.
    pub why: String,
    /// Since when it is known not to work.
    pub since: String,
    /// The number of attempts.
    pub tries: u32,
    /// The time of the next attempt.
    pub next: String,
}

impl QuarantineStatus {
    /// In the form of the API.
    pub fn new(case: &Case, clock: Clock) -> Self {
        Self {
            digest: case.digest.clone(),
            why: case.why.clone(),
            since: clock.timestamp(case.since),
            tries: case.tries,
            next: clock.timestamp(case.next),
        }
    }
}

/// A version that requests more grants than the previous one, and runs once an admin has approved it or a
/// module grants what it requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingStatus {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// The version that it reports.
    pub version: String,
    /// The grants that it requests, in the notation of grants.
    pub asks: Vec<String>,
}

/// The kind of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// A file in `checkers/`.
    Checker,
    /// A file in `restart-scripts/`.
    RestartScript,
}

/// The source of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It is built in.
    Embedded,
    /// It is a file in the root.
    File,
}

/// The answer to an approval: the approved version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalAnswer {
    /// The component's file: `checkers/http.wasm`.
    pub what: String,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// The version that it reports.
    pub version: String,
    /// The grants that it requests and does not have, in the notation of grants.
    pub asks: Vec<String>,
}

/// Everything about one component: `GET /api/v1/components/FOLDER/NAME`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentDetail {
    /// As in the list.
    #[serde(flatten)]
    pub status: ComponentStatus,
    /// What it checks or does, in one sentence.
    pub summary: Option<String>,
    /// The JSON Schema of its configuration; empty if it has none.
    pub config_schema: Option<String>,
    /// The grants that it requests.
    pub asks: Vec<AskLine>,
    /// Where it is used, and with which grants.
    pub uses: Vec<UseLine>,
}

/// A grant that a component requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskLine {
    /// The kind of grant.
    pub kind: String,
    /// The value; empty if it depends on the configuration.
    pub value: String,
    /// Why it requests the grant.
    pub reason: String,
}

/// One place where a component is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UseLine {
    /// The name of the module.
    pub module: String,
    /// The checker; absent if it is the restart script.
    pub checker: Option<String>,
    /// The module's file, relative to the root.
    pub file: String,
    /// The line in the file.
    pub line: usize,
    /// The grants there, in the notation of grants.
    pub granted: Vec<String>,
    /// The grants that it requests and does not have there.
    pub missing: Vec<String>,
    /// The grants there that it does not request.
    pub unasked: Vec<String>,
    /// The grants that its runs have used since the daemon started. An environment variable counts as used
    /// when it is passed to the component.
    #[serde(default)]
    pub used: Vec<UsedGrant>,
    /// The cost of its runs here, since the daemon started.
    pub cost: Option<CostStatus>,
}

/// A grant that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedGrant {
    /// The grant, in the notation of grants.
    pub grant: String,
    /// The time of the last use.
    pub at: String,
}

/// The cost of a component's runs for one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostStatus {
    /// The number of runs.
    pub runs: u64,
    /// The mean duration, in microseconds.
    pub took_us: u64,
    /// The mean CPU time, in microseconds.
    pub cpu_us: u64,
    /// The peak memory of the last run, in bytes.
    pub memory: u64,
    /// The number of refused calls.
    pub refusals: u64,
}

impl ComponentDetail {
    /// The component with everything that is known of it. `about`: its own description, if it could ever be loaded.
    pub fn new(status: ComponentStatus, about: Option<About>, uses: Vec<UseLine>) -> Self {
        let (summary, config_schema, grants) = match about {
            Some(about) => (Some(about.summary), Some(about.config_schema), about.grants),
            None => (None, None, Vec::new()),
        };
        let ask = |ask: GrantRequest| AskLine { kind: ask.kind, value: ask.value, reason: ask.reason };
        Self { status, summary, config_schema, asks: grants.into_iter().map(ask).collect(), uses }
    }
}

impl UseLine {
    /// One use, compared with the grants that the component requests.
    pub fn new(of: &ComponentUse, asked: &[GrantRequest], cost: &RunCost, clock: Clock) -> Self {
        let shown =
            |(kind, value): &(GrantKind, String)| format!("{} {value}", kind.word()).trim_end().to_owned();
        let listed = |list: Vec<(GrantKind, String)>| -> Vec<String> { list.iter().map(shown).collect() };
        let used = of.grants.list().into_iter().filter_map(|grant| {
            let at = cost.used.get(&grant)?;
            Some(UsedGrant { grant: shown(&grant), at: clock.timestamp(*at) })
        });
        Self {
            module: of.module.to_string(),
            checker: of.checker.as_ref().map(ToString::to_string),
            file: of.file.clone(),
            line: of.line,
            granted: listed(of.grants.list()),
            missing: of.missing(asked).iter().map(GrantRequest::to_add).collect(),
            unasked: listed(of.unasked(asked)),
            used: used.collect(),
            cost: (cost.runs > 0).then(|| CostStatus::new(cost)),
        }
    }
}

impl CostStatus {
    fn new(cost: &RunCost) -> Self {
        let mean = |all: Duration| {
            let runs = u128::from(cost.runs.max(1));
            u64::try_from(all.as_micros() / runs).unwrap_or(u64::MAX)
        };
        Self {
            runs: cost.runs,
            took_us: mean(cost.took),
            cpu_us: mean(cost.cpu),
            memory: cost.memory,
            refusals: cost.refusals,
        }
    }
}
