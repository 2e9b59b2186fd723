//! What to do, as data. A restart script makes a plan, the host carries it out.

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

/// The processes a step is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Those of a kept command, with all they have started (the process group).
    Command(CommandName),
    /// Those that a process checker finds.
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
    /// All of them.
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

    /// The signal of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name().to_ascii_uppercase())
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAction {
    /// Run a declared command to its end; it must exit with 0.
    Run {
        /// Its declared name.
        command: CommandName,
        /// Added behind the declared arguments.
        arguments: Vec<String>,
    },
    /// Start a kept command, unless it runs.
    Keep(CommandName),
    /// Send a signal. A target that has ended is no failure.
    Signal(Target, Signal),
    /// Wait until no process of the target is alive.
    AwaitExit(Target),
    /// Wait until a checker has this verdict.
    AwaitChecker(CheckerName, Verdict),
    /// Do nothing for so long.
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

/// What a failed or overdue step means for the rest of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The plan has failed.
    Fail,
    /// Go on with the next step.
    GoOn,
    /// Carry out a forced stop, then go on. Inside a forced stop the same as `Fail`.
    ForceStop,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What to do.
    pub action: StepAction,
    /// How long it may take.
    pub timeout: Duration,
    /// What if it does not work.
    pub on_failure: OnFailure,
}

/// What a restart script answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it does, in half a sentence.
    pub summary: String,
    /// Carried out one after the other; at most [`MAX_STEPS`].
    pub steps: Vec<Step>,
}

/// A plan is something a person can read.
pub const MAX_STEPS: usize = 64;
/// No step takes longer, so that every plan ends.
pub const MAX_STEP_TIME: Duration = Duration::from_hours(1);

/// One earlier run of a checker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastObservation {
    /// When it ended.
    pub at: Moment,
    /// What it saw.
    pub status: Status,
    /// Its reason.
    pub summary: String,
}

/// A verdict that turned down, as a restart script and the journal see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// When the verdict turned.
    pub at: Moment,
    /// Whose verdict.
    pub checker: CheckerName,
    /// The reason, in one sentence.
    pub summary: String,
    /// The checker's last runs, the latest last.
    pub observations: Vec<PastObservation>,
}

/// Why a plan is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// The application should start.
    Start,
    /// The application should stop.
    Stop,
    /// A stop failed or took too long. With the step that failed, if one did.
    ForcedStop(Option<StepFailure>),
    /// A person wants the application restarted.
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

/// A step that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// The plan's summary.
    pub plan: String,
    /// Which step, from 0.
    pub step: usize,
    /// What went wrong.
    pub reason: String,
}

/// What a restart script is told. The host adds what only it knows (the
/// declared commands and which of them run).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// Why a plan is wanted.
    pub occasion: Occasion,
    /// Earlier incidents within the budget's window, the latest last.
    pub history: Vec<Incident>,
    /// Automatic restarts within the budget's window, this one included.
    pub restarts: u32,
    /// How many are allowed.
    pub restarts_allowed: u32,
}

impl PlanRequest {
    /// A plan for this occasion, before which nothing has happened.
    pub fn without_history(occasion: Occasion, budget: &BudgetPolicy) -> Self {
        Self { occasion, history: Vec::new(), restarts: 0, restarts_allowed: budget.restarts }
    }
}
