//! Plans as data. A restart script makes a plan, the host carries it out.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// The default time limit of a step.
const USUAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The processes that a step concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Those of a kept command, with everything they have started (the process group).
    Command(String),
    /// Those that a process checker of the module finds.
    Checker(String),
}

impl Target {
    /// The processes of a kept command.
    pub fn command(name: impl Into<String>) -> Self {
        Self::Command(name.into())
    }

    /// The processes that a process checker finds.
    pub fn checker(name: impl Into<String>) -> Self {
        Self::Checker(name.into())
    }
}

/// The signals a plan may send (signal(7)). In a configuration: `"term"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "signal(7) says what each is for")]
pub enum Signal {
    Hup,
    Int,
    Quit,
    Abrt,
    Kill,
    Usr1,
    Usr2,
    Alrm,
    Term,
    Cont,
    Ttin,
    Ttou,
    Winch,
    Pwr,
}

/// The verdict of a checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Verdict {
    Up,
    Down,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepAction {
    /// Run a declared command to completion. It must exit with 0.
    Run {
        /// The name of the command in `[commands]`.
        command: String,
        /// Arguments that are added after the declared ones. A host may refuse any.
        arguments: Vec<String>,
    },
    /// Start a kept command, unless it is running.
    Keep(String),
    /// Send a signal. It is not a failure if the target has ended.
    Signal(Target, Signal),
    /// Wait until no process of the target is alive.
    AwaitExit(Target),
    /// Wait until a checker of the module has this verdict.
    AwaitChecker(String, Verdict),
    /// Do nothing for this time.
    Pause(Duration),
}

/// The effect of a failed or overdue step on the rest of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The plan has failed.
    Fail,
    /// Continue with the next step.
    GoOn,
    /// Carry out a forced stop, then continue with the next step. Inside a forced
    /// stop the same as `Fail`.
    ForceStop,
}

/// One step of a plan. By default its time limit is ten seconds, and the plan fails if it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What the step does.
    pub action: StepAction,
    /// The time limit of the step.
    pub timeout: Duration,
    /// The effect of a failure.
    pub on_failure: OnFailure,
}

impl Step {
    /// Run a declared command to completion.
    pub fn run(command: impl Into<String>) -> Self {
        Self::new(StepAction::Run { command: command.into(), arguments: Vec::new() })
    }

    /// Start a kept command, unless it is running.
    pub fn keep(command: impl Into<String>) -> Self {
        Self::new(StepAction::Keep(command.into()))
    }

    /// Send a signal to the target.
    pub fn signal(target: Target, signal: Signal) -> Self {
        Self::new(StepAction::Signal(target, signal))
    }

    /// Wait until no process of the target is alive.
    pub fn await_exit(target: Target) -> Self {
        Self::new(StepAction::AwaitExit(target))
    }

    /// Wait until a checker has this verdict.
    pub fn await_checker(checker: impl Into<String>, verdict: Verdict) -> Self {
        Self::new(StepAction::AwaitChecker(checker.into(), verdict))
    }

    /// Do nothing for this time.
    pub fn pause(duration: Duration) -> Self {
        Self::new(StepAction::Pause(duration)).timeout(duration.saturating_add(USUAL_TIMEOUT))
    }

    /// Sets the time limit of the step.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// If it fails, continue with the next step.
    #[must_use]
    pub fn or_go_on(self) -> Self {
        Self { on_failure: OnFailure::GoOn, ..self }
    }

    /// If it fails, carry out a forced stop, then continue with the next step.
    #[must_use]
    pub fn or_force_stop(self) -> Self {
        Self { on_failure: OnFailure::ForceStop, ..self }
    }

    fn new(action: StepAction) -> Self {
        Self { action, timeout: USUAL_TIMEOUT, on_failure: OnFailure::Fail }
    }
}

/// The answer of a restart script.
///
/// ```
/// use bellwether_guest::{Plan, Step};
/// use std::time::Duration;
///
/// let plan = Plan::new("restart nginx")
///     .then(Step::run("stop").timeout(Duration::from_secs(30)).or_force_stop())
///     .then(Step::keep("start"));
/// assert_eq!(plan.steps.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its purpose, in half a sentence: `restart nginx`.
    pub summary: String,
    /// The steps, carried out in order; a host accepts at most 64.
    pub steps: Vec<Step>,
    /// Further information, by name. The host ignores unknown names.
    pub attributes: Vec<(String, String)>,
}

impl Plan {
    /// A plan without steps, which succeeds.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), steps: Vec::new(), attributes: Vec::new() }
    }

    /// Adds a step at the end.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds several steps at the end.
    #[must_use]
    pub fn then_all(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }
}
