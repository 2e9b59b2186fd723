//! The answer of `GET /api/v1/status`. Fields that may be null have to exist all the same.

use serde::Deserialize;
use serde_json::Value;

/// The status of a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Status {
    pub modules: Vec<Module>,
    pub components: Vec<Component>,
    /// The problems, one sentence each.
    pub problems: Vec<String>,
    /// In the order of the node's file.
    pub notifications: Vec<Notification>,
    /// The console's address, if there is a console.
    pub console: Option<Console>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Module {
    pub name: String,
    pub state: State,
    /// Whether the health check passes.
    pub ready: bool,
    /// Since when it is in this state.
    pub since: String,
    /// Why it is in this state.
    pub reason: String,
    /// Whether automatic actions are suspended.
    pub suspended: bool,
    pub wanted: Wanted,
    /// Automatic restarts that count against the budget.
    pub restarts: u64,
    /// How long the health check fails before the application is stopped, in seconds.
    pub drain_s: f64,
    /// The plan in progress, if there is one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub plan: Option<Value>,
    /// The processes found by its process checkers.
    pub processes: Vec<Process>,
    pub checkers: Vec<Checker>,
}

/// The states of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The application is stopped, as desired by a user.
    Stopped,
    /// It is being started, or has not been seen to be healthy yet.
    Starting,
    /// The application is serving.
    Up,
    /// It is being restarted.
    Restarting,
    /// It is retried at a known time.
    Backoff,
    /// It waits for an operator.
    Failed,
    /// The health check fails, and the application still serves.
    Draining,
    /// It is being stopped.
    Stopping,
    /// A prerequisite is down.
    Waiting,
}

/// The desired state of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The application should run.
    Started,
    /// The application should not run.
    Stopped,
}

/// A process of a module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Process {
    pub pid: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Checker {
    pub name: String,
    /// The kind: `process` or `component`.
    pub kind: String,
    /// The verdict of the checker.
    pub verdict: Verdict,
    /// Since when it has this verdict.
    pub since: String,
    /// The last observation, if there is one.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last: Option<Observation>,
}

/// The verdicts of a checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The resource is healthy.
    Up,
    /// The resource is not healthy.
    Down,
    /// The status is not known.
    Undecided,
}

/// The result of one run of a checker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Observation {
    pub status: Outcome,
    pub summary: String,
    /// When the run ended.
    pub at: String,
    /// The duration in microseconds.
    pub took_us: u64,
    pub measurements: Vec<Measurement>,
}

/// The statuses of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The resource is healthy.
    Pass,
    /// It works, but needs attention.
    Warn,
    /// It is not healthy.
    Fail,
    /// The status could not be determined.
    Unknown,
}

/// A value that a run measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Measurement {
    pub name: String,
    pub value: f64,
    pub unit: String,
}

/// A checker or restart script, including those that could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Component {
    /// The kind: `checker` or `restart-script`.
    pub kind: String,
    /// Its file without `.wasm`.
    pub name: String,
    /// The digest of the active version.
    pub digest: String,
    /// The source: `file` or `embedded`.
    pub origin: String,
    /// Why the present file is not active, if it is not.
    #[serde(deserialize_with = "Option::deserialize")]
    pub error: Option<String>,
    /// The present version does not work.
    #[serde(deserialize_with = "Option::deserialize")]
    pub quarantine: Option<Quarantine>,
    /// The present version waits for approval.
    #[serde(deserialize_with = "Option::deserialize")]
    pub waiting: Option<Waiting>,
}

/// A version that does not work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Quarantine {
    /// The digest of its file.
    pub digest: String,
    /// Why it does not work.
    pub why: String,
}

/// A version that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Waiting {
    /// The grants that it requests.
    pub asks: Vec<String>,
}

/// The state of a notification target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Notification {
    /// Notifications that are still to be delivered.
    pub waiting: u64,
    /// Failed attempts since the last success.
    pub failing: u64,
    /// The error of the last failure.
    #[serde(deserialize_with = "Option::deserialize")]
    pub why: Option<String>,
}

/// The address of the console.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Console {
    pub url: String,
    /// The fingerprint of its certificate, if it has one.
    pub fingerprint: Option<String>,
}

impl Status {
    /// The module with that name.
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|module| module.name == name)
    }

    /// The checker component with that name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|found| found.kind == "checker" && found.name == name)
    }

    /// The first problem with these words in it.
    pub fn problem(&self, words: &str) -> Option<&str> {
        self.problems.iter().map(String::as_str).find(|problem| problem.contains(words))
    }
}

impl Module {
    /// The checker with that name.
    pub fn checker(&self, name: &str) -> Option<&Checker> {
        self.checkers.iter().find(|checker| checker.name == name)
    }

    /// The process ids in ascending order.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.pid).collect()
    }
}

impl Observation {
    /// The measurement with that name.
    pub fn measured(&self, name: &str) -> Option<f64> {
        self.measurements.iter().find(|measurement| measurement.name == name).map(|found| found.value)
    }
}
