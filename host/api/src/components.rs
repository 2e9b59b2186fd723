//! Checkers and restart scripts as files.

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
    /// What it can be used for.
    pub kind: ComponentKind,
    /// Its file name without `.wasm`.
    pub name: String,
    /// As it says itself; unknown if it never could.
    pub version: Option<String>,
    /// BLAKE3 of the bytes in force, in hexadecimal.
    pub digest: String,
    /// Where these come from.
    pub origin: Origin,
    /// Why the file that is there now is not in force, if it is not.
    pub error: Option<String>,
    /// The version that is there now does not work.
    #[serde(default)]
    pub quarantine: Option<QuarantineStatus>,
    /// The version that is there now waits for approval.
    #[serde(default)]
    pub waiting: Option<WaitingStatus>,
}

/// A version that does not work and is not tried again for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineStatus {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// What happened.
    pub why: String,
    /// Since when it is known.
    pub since: String,
    /// How often it was tried.
    pub tries: u32,
    /// Not tried again before.
    pub next: String,
}

impl QuarantineStatus {
    /// A case as the core knows it.
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

/// A version that asks for more than the one before it, and runs once a person has let it in or a
/// module grants what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingStatus {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// As it says itself.
    pub version: String,
    /// What it asks for, in the notation of grants.
    pub asks: Vec<String>,
}

/// What a component can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentKind {
    /// `checkers/`
    Checker,
    /// `restart-scripts/`
    RestartScript,
}

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It is part of the binary.
    Embedded,
    /// It was dropped into the root.
    File,
}

/// The answer to an approval: what was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalAnswer {
    /// Its file: `checkers/http.wasm`.
    pub what: String,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// As it says itself.
    pub version: String,
    /// What it asks for and has not been granted, in the notation of grants.
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
    /// A JSON Schema of its configuration; empty if it takes none.
    pub config_schema: Option<String>,
    /// What it would like to be allowed.
    pub asks: Vec<AskLine>,
    /// Who uses it, and what it may do there.
    pub uses: Vec<UseLine>,
}

/// Something that a component would like to be allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskLine {
    /// Which kind of grant.
    pub kind: String,
    /// Which one; empty if that depends on its configuration.
    pub value: String,
    /// What for.
    pub reason: String,
}

/// One place where a component is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UseLine {
    /// By which module.
    pub module: String,
    /// As which checker; nothing if it is the restart script.
    pub checker: Option<String>,
    /// In which file.
    pub file: String,
    /// In which line of it.
    pub line: usize,
    /// What it is granted there, in the notation of grants.
    pub granted: Vec<String>,
    /// What it asks for and is not granted there.
    pub missing: Vec<String>,
    /// What it is granted there and does not ask for.
    pub unasked: Vec<String>,
    /// What of that its runs have used, since the daemon has started. A variable of the environment
    /// counts as used when it is handed over.
    #[serde(default)]
    pub used: Vec<UsedGrant>,
    /// What its runs cost here, since the daemon has started.
    pub cost: Option<CostStatus>,
}

/// A grant that has allowed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedGrant {
    /// In the notation of grants, as it is granted.
    pub grant: String,
    /// When last.
    pub at: String,
}

/// What the runs of a component cost for one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostStatus {
    /// So many.
    pub runs: u64,
    /// How long one took, in microseconds: the mean.
    pub took_us: u64,
    /// Of a processor, in microseconds: the mean.
    pub cpu_us: u64,
    /// Of the last one, in bytes, when it was most.
    pub memory: u64,
    /// How often something was refused to them.
    pub refusals: u64,
}

impl ComponentDetail {
    /// What is known of it. `about` is what it says of itself, if it ever could.
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
    /// One use, beside what the component asks for.
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
