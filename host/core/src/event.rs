//! The events that the core handles.

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

/// The desired state of a module. It outlives the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DesiredState {
    /// The application should run.
    pub started: bool,
    /// Automatic actions are suspended.
    pub suspended: bool,
    /// The end of the suspension; `None` if it lasts until it is resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_until: Option<Moment>,
}

impl Default for DesiredState {
    fn default() -> Self {
        Self { started: true, suspended: false, suspended_until: None }
    }
}

/// An event for the core.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A module's file was read for the first time, or has changed.
    ModuleLoaded {
        module: ModuleName,
        /// The content of the file.
        policy: Arc<ModulePolicy>,
        /// The state that the last core persisted; used only for a module that is new to this one.
        memory: Option<Box<ModuleMemory>>,
    },
    /// A module's file was removed: stop monitoring. The application is left as it is.
    ModuleRemoved { module: ModuleName },
    /// A checker has run.
    Observed {
        module: ModuleName,
        checker: CheckerName,
        /// As it was in the [`Watch`](crate::action::Action::Watch) that this answers.
        generation: Generation,
        observation: Observation,
    },
    /// The restart script has answered, or has failed.
    PlanMade {
        module: ModuleName,
        /// As it was in the [`MakePlan`](crate::action::Action::MakePlan) that this answers.
        attempt: AttemptId,
        /// The plan, or why there is none.
        plan: Result<Plan, PlanError>,
    },
    /// A step has been carried out, or has failed.
    StepEnded {
        module: ModuleName,
        /// As it was in the [`RunStep`](crate::action::Action::RunStep) that this answers.
        attempt: AttemptId,
        step: usize,
        /// The outcome: a text for the journal, or the reason why it failed.
        result: Result<String, StepError>,
    },
    /// The node lacks a resource for a step of this attempt (descriptors, memory, processes, disk space): its
    /// failure says nothing about the application. Comes before its [`StepEnded`](Self::StepEnded).
    Starved {
        module: ModuleName,
        /// As it was in the [`RunStep`](crate::action::Action::RunStep) that it is about.
        attempt: AttemptId,
    },
    /// A step is delayed: leftovers of the last run of its command have to end first. Comes before its
    /// [`StepEnded`](Self::StepEnded), at most once.
    StepDelayed {
        module: ModuleName,
        /// As it was in the [`RunStep`](crate::action::Action::RunStep) that it is about.
        attempt: AttemptId,
        step: usize,
        /// What is waited for: `waiting for 1 process of the last run: postgres 4711`.
        reason: String,
        /// The maximum delay; the time limit of the step begins after it.
        within: Duration,
    },
    /// A user gives a command.
    Commanded {
        /// To be answered with [`Action::Answer`](crate::action::Action::Answer).
        request: RequestId,
        module: ModuleName,
        command: Command,
        /// The duration, of [`Command::Suspend`] only; `None`: until another command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lasts: Option<Duration>,
        /// The user and the origin: `root on the local socket`.
        by: String,
        /// The reason, if one was given: `new version`. It is recorded, and is not part of the module's state.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Something to be recorded happened outside the core (a reload, a start).
    Noted {
        /// The module, if it concerns one.
        module: Option<ModuleName>,
        kind: RecordKind,
    },
    /// The probe interval of a module's load balancers has changed.
    Probed {
        module: ModuleName,
        /// The interval of the slowest client that probes regularly. `None`: there is none.
        every: Option<Duration>,
    },
    /// The daemon is shutting down, and the applications are not simply left running.
    Ending(Shutdown),
    /// Only time has passed.
    Tick,
}

impl Event {
    /// All texts in it that come from outside: from guests, applications, clients and files. The sender of the
    /// event [escapes](crate::text::tidy) them first, so that no later code has to.
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
            // A policy consists of names and numbers, and a memory of texts that came in with earlier events.
            Self::ModuleLoaded { module: _, policy: _, memory: _ }
            | Self::ModuleRemoved { module: _ }
            | Self::Starved { module: _, attempt: _ }
            | Self::Probed { module: _, every: _ }
            | Self::Ending(_)
            | Self::Tick => Vec::new(),
        }
    }

    /// The module that it concerns, if it concerns one.
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
