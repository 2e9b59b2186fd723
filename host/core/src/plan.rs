//! Plans as data. A restart script makes a plan, the host carries it out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{CheckerName, CommandName};
use crate::moment::{Moment, plain};
use crate::observation::Status;
use crate::policy::BudgetPolicy;
use crate::verdict::Verdict;

mod failure;

pub use self::failure::{PlanError, StepError};

/// The processes that a step concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Those of a kept command, with everything they have started (the process group).
    Command(CommandName),
    /// Those that match a process checker.
    Checker(CheckerName),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(name) => write!(f, "`{name}`"),
            Self::Checker(name) => write!(f, "the processes of checker `{name}`"),
        }
    }
}

/// The signals a plan may send (signal(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

impl Signal {
    pub const ALL: [Self; 14] = [
        Self::Hup,
        Self::Int,
        Self::Quit,
        Self::Abrt,
        Self::Kill,
        Self::Usr1,
        Self::Usr2,
        Self::Alrm,
        Self::Term,
        Self::Cont,
        Self::Ttin,
        Self::Ttou,
        Self::Winch,
        Self::Pwr,
    ];

    /// Its name, as in a module's file: `term`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hup => "hup",
            Self::Int => "int",
            Self::Quit => "quit",
            Self::Abrt => "abrt",
            Self::Kill => "kill",
            Self::Usr1 => "usr1",
            Self::Usr2 => "usr2",
            Self::Alrm => "alrm",
            Self::Term => "term",
            Self::Cont => "cont",
            Self::Ttin => "ttin",
            Self::Ttou => "ttou",
            Self::Winch => "winch",
            Self::Pwr => "pwr",
        }
    }

    /// The signal with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name().to_ascii_uppercase())
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAction {
    /// Run a declared command to completion; it must exit with 0.
    Run {
        command: CommandName,
        /// Added after the declared arguments.
        arguments: Vec<String>,
    },
    /// Start a kept command, unless it is running.
    Keep(CommandName),
    /// Send a signal. It is not a failure if the target has ended.
    Signal(Target, Signal),
    /// Wait until no process of the target is alive.
    AwaitExit(Target),
    /// Wait until a checker has this verdict.
    AwaitChecker(CheckerName, Verdict),
    /// Wait for this time.
    Pause(Duration),
}

impl fmt::Display for StepAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { command, .. } => write!(f, "run `{command}`"),
            Self::Keep(command) => write!(f, "start `{command}`"),
            Self::Signal(target, signal) => write!(f, "send {signal} to {target}"),
            Self::AwaitExit(target) => write!(f, "wait until {target} has ended"),
            Self::AwaitChecker(checker, verdict) => write!(f, "wait until checker `{checker}` is {verdict}"),
            Self::Pause(duration) => write!(f, "pause {}", plain(*duration)),
        }
    }
}

/// The effect of a failed or overdue step on the rest of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The plan has failed.
    Fail,
    /// Continue with the next step.
    GoOn,
    /// Carry out a forced stop, then continue. Inside a forced stop the same as `Fail`.
    ForceStop,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub action: StepAction,
    pub timeout: Duration,
    /// What happens if it fails.
    pub on_failure: OnFailure,
}

/// The answer of a restart script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its purpose, in half a sentence.
    pub summary: String,
    /// Carried out one after the other; at most [`MAX_STEPS`].
    pub steps: Vec<Step>,
}

/// A plan must be short enough to read.
pub const MAX_STEPS: usize = 64;
/// The longest time limit of a step, so that every plan ends.
pub const MAX_STEP_TIME: Duration = Duration::from_hours(1);

/// One earlier run of a checker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastObservation {
    pub at: Moment,
    pub status: Status,
    pub summary: String,
}

/// A transition of a verdict to down, for a restart script and the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The time of the transition.
    pub at: Moment,
    /// The checker that went down.
    pub checker: CheckerName,
    /// The reason, in one sentence.
    pub summary: String,
    /// The checker's last runs, the latest last.
    pub observations: Vec<PastObservation>,
}

/// Why a plan is requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// The application should start.
    Start,
    /// The application should stop.
    Stop,
    /// A stop failed or took too long. With the step that failed, if one did.
    ForcedStop(Option<StepFailure>),
    /// A user wants the application restarted.
    Restart,
    /// A checker went down.
    Incident(Incident),
}

impl Occasion {
    /// The word for it in the journal.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::ForcedStop(_) => "forced stop",
            Self::Restart => "restart",
            Self::Incident(_) => "incident",
        }
    }
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// The summary of its plan.
    pub plan: String,
    /// The index of the step, from 0.
    pub step: usize,
    /// Why the step failed.
    pub reason: String,
}

/// The request to a restart script. The host adds what only it knows (the declared commands and which of them are
/// running).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// Why a plan is requested.
    pub occasion: Occasion,
    /// Earlier incidents within the budget's window, the latest last.
    pub history: Vec<Incident>,
    /// Automatic restarts within the budget's window, including this one.
    pub restarts: u32,
    /// The number of restarts that the budget allows.
    pub restarts_allowed: u32,
}

impl PlanRequest {
    /// A request for this occasion, without any history.
    pub fn without_history(occasion: Occasion, budget: &BudgetPolicy) -> Self {
        Self { occasion, history: Vec::new(), restarts: 0, restarts_allowed: budget.restarts }
    }
}
