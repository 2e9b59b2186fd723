//! The states of a module.

use serde::{Deserialize, Serialize};

use super::plan_execution::PlanExecution;
use crate::id::CheckerName;
use crate::moment::Moment;
use crate::state::StateName;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Stopped,
    Starting(Phase),
    Up,
    Restarting(Phase),
    /// First clears away what is left of the failed try.
    Backoff {
        clearing: Option<PlanExecution>,
        until: Moment,
    },
    Failed,
    Draining {
        until: Moment,
        then: AfterDrain,
    },
    Stopping {
        run: PlanExecution,
        then: AfterStop,
    },
    Waiting {
        prerequisite: CheckerName,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Does the application run already? Are the prerequisites there?
    /// `held`: while suspended, only look, for nobody has asked for a start.
    Look { until: Moment, held: bool },
    /// The plan is being made or carried out.
    Plan(PlanExecution),
    /// The plan is done: are the checkers up?
    Settle {
        until: Moment,
        /// By when something of the application must have been seen.
        #[serde(default)]
        appears_by: Option<Moment>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AfterDrain {
    Stop,
    Restart,
    /// The daemon ends, and takes the application with it.
    End,
    /// The daemon ends, and leaves the application as it is.
    Rest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AfterStop {
    Stopped,
    Waiting(CheckerName),
    Failed(String),
    /// With the daemon: a person still wants it started.
    Ended,
}

impl State {
    pub(super) fn name(&self) -> StateName {
        match self {
            Self::Stopped => StateName::Stopped,
            Self::Starting(_) => StateName::Starting,
            Self::Up => StateName::Up,
            Self::Restarting(_) => StateName::Restarting,
            Self::Backoff { .. } => StateName::Backoff,
            Self::Failed => StateName::Failed,
            Self::Draining { .. } => StateName::Draining,
            Self::Stopping { .. } => StateName::Stopping,
            Self::Waiting { .. } => StateName::Waiting,
        }
    }

    pub(super) fn is_settling(&self) -> bool {
        matches!(self, Self::Starting(Phase::Settle { .. }) | Self::Restarting(Phase::Settle { .. }))
    }

    /// Whether checkers are begun anew before what they say counts.
    pub(super) fn is_before_settling(&self) -> bool {
        matches!(
            self,
            Self::Starting(Phase::Look { .. } | Phase::Plan(_))
                | Self::Restarting(Phase::Look { .. } | Phase::Plan(_))
        )
    }

    pub(super) fn run(&self) -> Option<&PlanExecution> {
        match self {
            Self::Starting(Phase::Plan(run))
            | Self::Restarting(Phase::Plan(run))
            | Self::Backoff { clearing: Some(run), .. }
            | Self::Stopping { run, .. } => Some(run),
            Self::Stopped
            | Self::Starting(Phase::Look { .. } | Phase::Settle { .. })
            | Self::Up
            | Self::Restarting(Phase::Look { .. } | Phase::Settle { .. })
            | Self::Backoff { clearing: None, .. }
            | Self::Failed
            | Self::Draining { .. }
            | Self::Waiting { .. } => None,
        }
    }

    pub(super) fn run_mut(&mut self) -> Option<&mut PlanExecution> {
        match self {
            Self::Starting(Phase::Plan(run))
            | Self::Restarting(Phase::Plan(run))
            | Self::Backoff { clearing: Some(run), .. }
            | Self::Stopping { run, .. } => Some(run),
            Self::Stopped
            | Self::Starting(Phase::Look { .. } | Phase::Settle { .. })
            | Self::Up
            | Self::Restarting(Phase::Look { .. } | Phase::Settle { .. })
            | Self::Backoff { clearing: None, .. }
            | Self::Failed
            | Self::Draining { .. }
            | Self::Waiting { .. } => None,
        }
    }
}
