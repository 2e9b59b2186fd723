//! JSON Schemas of the core's types, for the description of the API. The core itself does not depend on schemars.
#![expect(dead_code, reason = "only their descriptions are used")]

use schemars::JsonSchema;

/// The state of a module.
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

/// The verdict of a checker.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Up,
    Down,
    Undecided,
}

/// The result of one run.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pass,
    Warn,
    Fail,
    Unknown,
}

/// How much attention a module needs, the worst first.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Attention {
    Down,
    Moving,
    Held,
    Warned,
    Well,
}

/// The role of a user or token.
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

/// The action when a checker goes down.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDown {
    Restart,
    Stop,
    Wait,
    Out,
    Notify,
}

/// The role of an entry in the chain.
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

/// A plan in progress.
#[derive(JsonSchema)]
pub(super) struct Plan {
    /// The reason for the plan.
    occasion: String,
    /// The summary of the script.
    summary: String,
    /// Its steps in words.
    steps: Vec<String>,
    /// The current step, from 0.
    step: usize,
}

/// A process that belongs to the module.
#[derive(JsonSchema)]
pub(super) struct Process {
    /// The process id on this node.
    pid: u32,
    /// The short name of its program.
    name: String,
}

/// A value that a checker measured.
#[derive(JsonSchema)]
pub(super) struct Measurement {
    /// Without the unit: `response-time`.
    name: String,
    /// The value, in `unit`.
    value: f64,
    /// `ms`, `s`, `bytes`, `%`, or empty for a count.
    unit: String,
}

/// The effect of a command.
#[derive(JsonSchema)]
pub struct Consequence {
    /// The command that is previewed.
    command: Command,
    /// Why it would have no effect; absent if it would have one.
    idle: Option<String>,
    /// The effects, one sentence each.
    sentences: Vec<String>,
    /// It makes the health check fail.
    takes_out: bool,
    /// No node would serve the module.
    last_ready: bool,
}

/// A command for a module.
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
