//! `GET /api/v1/status`, and what is in it. What may be null has to be there all the same.

use serde::Deserialize;
use serde_json::Value;

/// Everything about a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Status {
    /// By name.
    pub modules: Vec<Module>,
    /// By name, too.
    pub components: Vec<Component>,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// In the order of the node's file.
    pub notifications: Vec<Notification>,
    /// Where the console is, if there is one.
    pub console: Option<Console>,
}

/// One module.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: State,
    /// What the load balancer is told.
    pub ready: bool,
    /// Since when it is in this state.
    pub since: String,
    /// Why it is in it.
    pub reason: String,
    /// Whether nothing is acted on.
    pub suspended: bool,
    /// What a person wants.
    pub wanted: Wanted,
    /// Automatic restarts that count.
    pub restarts: u64,
    /// How long health says no before the application is stopped, in seconds.
    pub drain_s: f64,
    /// What is being carried out, if anything is.
    #[serde(deserialize_with = "Option::deserialize")]
    pub plan: Option<Value>,
    /// What its process checkers see.
    pub processes: Vec<Process>,
    /// By name.
    pub checkers: Vec<Checker>,
}

/// What a module does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The application is stopped, as a person wants.
    Stopped,
    /// It is being started, or not seen to be well yet.
    Starting,
    /// It serves.
    Up,
    /// It is being restarted.
    Restarting,
    /// It is tried again at a known time.
    Backoff,
    /// A person must look.
    Failed,
    /// Health says no, and the application serves still.
    Draining,
    /// It is being stopped.
    Stopping,
    /// Something that it needs is down.
    Waiting,
}

/// What a person wants of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// That the application runs.
    Started,
    /// That it does not.
    Stopped,
}

/// A process of a module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
}

/// One checker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Checker {
    /// Its name.
    pub name: String,
    /// `process` or `component`.
    pub kind: String,
    /// What its observations add up to.
    pub verdict: Verdict,
    /// Since when.
    pub since: String,
    /// What it saw last, if anything.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last: Option<Observation>,
}

/// What the observations of a checker add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The resource is well.
    Up,
    /// It is not.
    Down,
    /// It is not known.
    Undecided,
}

/// What one run of a checker saw.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Observation {
    /// The outcome.
    pub status: Outcome,
    /// One sentence.
    pub summary: String,
    /// When the run ended.
    pub at: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What it measured.
    pub measurements: Vec<Measurement>,
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The resource is well.
    Pass,
    /// It works, and somebody should look at it.
    Warn,
    /// It is not well.
    Fail,
    /// The run could not tell.
    Unknown,
}

/// A number that a run measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Measurement {
    /// What of.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}

/// A checker or a restart script that is loaded, or cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Component {
    /// `checker` or `restart-script`.
    pub kind: String,
    /// Its file without `.wasm`.
    pub name: String,
    /// Of the bytes in force.
    pub digest: String,
    /// `file` or `embedded`.
    pub origin: String,
    /// Why the file that is there is not in force, if it is not.
    #[serde(deserialize_with = "Option::deserialize")]
    pub error: Option<String>,
    /// The version that is there does not work.
    #[serde(deserialize_with = "Option::deserialize")]
    pub quarantine: Option<Quarantine>,
    /// The version that is there waits for approval.
    #[serde(deserialize_with = "Option::deserialize")]
    pub waiting: Option<Waiting>,
}

/// A version that does not work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Quarantine {
    /// Of its bytes.
    pub digest: String,
    /// What happened.
    pub why: String,
}

/// A version that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Waiting {
    /// What for.
    pub asks: Vec<String>,
}

/// Somebody who is told what happens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Notification {
    /// Still to be delivered.
    pub waiting: u64,
    /// Tries that failed since the last that did not.
    pub failing: u64,
    /// Why the last one did.
    #[serde(deserialize_with = "Option::deserialize")]
    pub why: Option<String>,
}

/// Where the console is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Console {
    /// Its address.
    pub url: String,
    /// Of its certificate, if it shows one.
    pub fingerprint: Option<String>,
}

impl Status {
    /// The module of that name.
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|module| module.name == name)
    }

    /// The checker component of that name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|found| found.kind == "checker" && found.name == name)
    }

    /// The first problem with these words in it.
    pub fn problem(&self, words: &str) -> Option<&str> {
        self.problems.iter().map(String::as_str).find(|problem| problem.contains(words))
    }
}

impl Module {
    /// The checker of that name.
    pub fn checker(&self, name: &str) -> Option<&Checker> {
        self.checkers.iter().find(|checker| checker.name == name)
    }

    /// The process ids, in their order.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.pid).collect()
    }
}

impl Observation {
    /// The number of that name.
    pub fn measured(&self, name: &str) -> Option<f64> {
        self.measurements.iter().find(|measurement| measurement.name == name).map(|found| found.value)
    }
}
