//! Everything the core can be told.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::id::{AttemptId, CheckerName, Generation, ModuleName, RequestId};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::observation::Observation;
use crate::plan::{Plan, PlanError, StepError};
use crate::policy::ModulePolicy;
use crate::record::RecordKind;
use crate::shutdown::Shutdown;

/// What a person wants of a module. It outlives the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DesiredState {
    /// The application should run.
    pub started: bool,
    /// Nothing should be acted on.
    pub suspended: bool,
    /// Until then; nothing if it is until somebody resumes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_until: Option<Moment>,
}

impl Default for DesiredState {
    fn default() -> Self {
        Self { started: true, suspended: false, suspended_until: None }
    }
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A module's file was read for the first time, or differs from before.
    ModuleLoaded {
        /// Which module.
        module: ModuleName,
        /// What the file says.
        policy: Arc<ModulePolicy>,
        /// What the last core knew of it; counts only for a module that is new to this one.
        memory: Option<Box<ModuleMemory>>,
    },
    /// A module's file is gone: stop watching. The application is left as it is.
    ModuleRemoved {
        /// Which module.
        module: ModuleName,
    },
    /// A checker has run.
    Observed {
        /// Of which module.
        module: ModuleName,
        /// Which checker.
        checker: CheckerName,
        /// As it was in the [`Watch`](crate::action::Action::Watch) that this answers.
        generation: Generation,
        /// What it saw.
        observation: Observation,
    },
    /// The restart script has answered, or cannot.
    PlanMade {
        /// Of which module.
        module: ModuleName,
        /// As it was in the [`MakePlan`](crate::action::Action::MakePlan) that this answers.
        attempt: AttemptId,
        /// The plan, or why there is none.
        plan: Result<Plan, PlanError>,
    },
    /// A step has been carried out, or could not be.
    StepEnded {
        /// Of which module.
        module: ModuleName,
        /// As it was in the [`RunStep`](crate::action::Action::RunStep) that this answers.
        attempt: AttemptId,
        /// Likewise.
        step: usize,
        /// What came of it: a word for the journal, or the reason why not.
        result: Result<String, StepError>,
    },
    /// The node lacks what a step of this attempt needs (descriptors, memory, processes, room on
    /// the disk): that it fails says nothing of the application. Comes before its
    /// [`StepEnded`](Self::StepEnded).
    Starved {
        /// Of which module.
        module: ModuleName,
        /// As it was in the [`RunStep`](crate::action::Action::RunStep) that it is about.
        attempt: AttemptId,
    },
    /// A step is carried out later: what the last run of its command has left has to end first. Comes
    /// before its [`StepEnded`](Self::StepEnded), at most once.
    StepDelayed {
        /// Of which module.
        module: ModuleName,
        /// As it was in the [`RunStep`](crate::action::Action::RunStep) that it is about.
        attempt: AttemptId,
        /// Likewise.
        step: usize,
        /// What is waited for: `waiting for 1 process of the last run: postgres 4711`.
        reason: String,
        /// For at most so long; the time of the step begins then.
        within: Duration,
    },
    /// Somebody asks for something.
    Commanded {
        /// To be answered with [`Action::Answer`](crate::action::Action::Answer).
        request: RequestId,
        /// Of which module.
        module: ModuleName,
        /// What.
        command: Command,
        /// For how long, if not until another command: of [`Command::Suspend`] only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lasts: Option<Duration>,
        /// Who, and from where: `root on the local socket`.
        by: String,
        /// Why, if that was said: `new version`. It is written down, and is no part of the module's state.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Something worth remembering happened outside the core (a reload, a start).
    Noted {
        /// Of which module, if of one.
        module: Option<ModuleName>,
        /// What.
        kind: RecordKind,
    },
    /// How often load balancers ask about a module has changed.
    Probed {
        /// Which module.
        module: ModuleName,
        /// How often the slowest of those asks that ask regularly. `None`: none does.
        every: Option<Duration>,
    },
    /// The daemon ends, and the applications are not simply left as they are.
    Ending(Shutdown),
    /// Nothing: time has passed.
    Tick,
}

impl Event {
    /// All texts in it that come from outside: from guests, applications, clients and files. The party that tells the
    /// core something makes them [fit to be shown](crate::text::tidy) first, so that nothing else has to.
    pub fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Observed { module: _, checker: _, generation: _, observation } => observation.texts(),
            Self::PlanMade { module: _, attempt: _, plan } => match plan {
                // Arguments are for programs, and are not shown.
                Ok(Plan { summary, steps: _ }) => vec![summary],
                Err(error) => error.texts(),
            },
            Self::StepEnded { module: _, attempt: _, step: _, result } => match result {
                Ok(text) => vec![text],
                Err(error) => error.texts(),
            },
            Self::StepDelayed { module: _, attempt: _, step: _, reason, within: _ } => vec![reason],
            Self::Commanded { request: _, module: _, command: _, lasts: _, by, reason } => {
                [by].into_iter().chain(reason).collect()
            }
            Self::Noted { module: _, kind } => kind.texts(),
            // A policy is made of names and numbers, a memory of texts that came in with earlier events.
            Self::ModuleLoaded { module: _, policy: _, memory: _ }
            | Self::ModuleRemoved { module: _ }
            | Self::Starved { module: _, attempt: _ }
            | Self::Probed { module: _, every: _ }
            | Self::Ending(_)
            | Self::Tick => Vec::new(),
        }
    }

    /// Which module it is about, if about one.
    pub fn module(&self) -> Option<&ModuleName> {
        match self {
            Self::ModuleLoaded { module, .. }
            | Self::ModuleRemoved { module }
            | Self::Observed { module, .. }
            | Self::PlanMade { module, .. }
            | Self::StepEnded { module, .. }
            | Self::Starved { module, .. }
            | Self::StepDelayed { module, .. }
            | Self::Commanded { module, .. }
            | Self::Probed { module, .. } => Some(module),
            Self::Noted { module, .. } => module.as_ref(),
            Self::Ending(_) | Self::Tick => None,
        }
    }
}
