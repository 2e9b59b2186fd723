//! How the core's words look on the wire, for the description of the API. The core itself knows nothing of it.
#![expect(dead_code, reason = "only their descriptions are used")]

use schemars::JsonSchema;

/// What a module is doing.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Stopped,
    Starting,
    Up,
    Restarting,
    Backoff,
    Failed,
    Draining,
    Stopping,
    Waiting,
}

/// What the observations of a checker add up to.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Up,
    Down,
    Undecided,
}

/// What one run saw.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pass,
    Warn,
    Fail,
    Unknown,
}

/// How much a module needs to be looked at, the worst first.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Attention {
    Down,
    Moving,
    Held,
    Warned,
    Well,
}

/// What somebody may do.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Monitor,
    Control,
    Admin,
}

/// Native, or a component.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Process,
    Component,
}

/// What a checker going down does.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDown {
    Restart,
    Stop,
    Wait,
    Out,
    Notify,
}

/// What something is in the chain.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Link {
    Observation,
    Verdict,
    Incident,
    Decision,
    Plan,
    Step,
    State,
    Command,
    Note,
    Omission,
}

/// A plan that is being carried out.
#[derive(JsonSchema)]
pub(super) struct Plan {
    /// What for.
    occasion: String,
    /// In the script's words.
    summary: String,
    /// Its steps in words.
    steps: Vec<String>,
    /// Which one is at work, from 0.
    step: usize,
}

/// A process that a checker counts to the module.
#[derive(JsonSchema)]
pub(super) struct Process {
    /// The process id on this node.
    pid: u32,
    /// Its short name.
    name: String,
}

/// A number that a checker measured.
#[derive(JsonSchema)]
pub(super) struct Measurement {
    /// Without the unit: `response-time`.
    name: String,
    /// The number, in `unit`.
    value: f64,
    /// `ms`, `s`, `bytes`, `%`, or empty for a count.
    unit: String,
}

/// What a command would do.
#[derive(JsonSchema)]
pub struct Consequence {
    /// Which command.
    command: Command,
    /// Why nothing would come of it; nothing if something would.
    idle: Option<String>,
    /// What happens, a sentence each.
    sentences: Vec<String>,
    /// The load balancer is told no because of it.
    takes_out: bool,
    /// Nobody serves the module then.
    last_ready: bool,
}

/// What a person asks of a module.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Command {
    Start,
    Stop,
    Restart,
    Suspend,
    Resume,
    Reset,
    Confirm,
}
