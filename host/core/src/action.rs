//! Everything the core can ask for. No choice is left in an action.

use std::time::Duration;

use crate::command::CommandOutcome;
use crate::id::{AttemptId, CheckerName, Generation, ModuleName, RequestId};
use crate::memory::ModuleMemory;
use crate::plan::{PlanRequest, StepAction};
use crate::record::Record;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Run this checker now and then by its schedule, until told otherwise.
    /// Takes the place of an earlier watch of the same checker.
    Watch {
        /// Of which module.
        module: ModuleName,
        /// Which checker.
        checker: CheckerName,
        /// To be said with each observation.
        generation: Generation,
        /// The application is just starting or expected to change: look more often.
        eager: bool,
    },
    /// Stop running this checker.
    Unwatch {
        /// Of which module.
        module: ModuleName,
        /// Which checker.
        checker: CheckerName,
    },
    /// Ask the restart script. Answered by [`PlanMade`](crate::event::Event::PlanMade).
    MakePlan {
        /// Of which module.
        module: ModuleName,
        /// To be said with the answer.
        attempt: AttemptId,
        /// What the script is told.
        request: PlanRequest,
        /// How long it may think.
        timeout: Duration,
    },
    /// Carry out a step. Answered by [`StepEnded`](crate::event::Event::StepEnded).
    /// The steps that only need time or a verdict are the core's own and never come here.
    RunStep {
        /// Of which module.
        module: ModuleName,
        /// To be said with the answer.
        attempt: AttemptId,
        /// Likewise.
        step: usize,
        /// What to do.
        action: StepAction,
        /// How long the core will wait before it cancels.
        timeout: Duration,
    },
    /// Give up a step that was asked for: end its command, forget its wait.
    CancelStep {
        /// Of which module.
        module: ModuleName,
        /// Which attempt.
        attempt: AttemptId,
        /// Which step of it.
        step: usize,
    },
    /// End every process that the module keeps, at once (SIGKILL to its group).
    /// What the host does when there is no plan for a forced stop, or it fails.
    /// Answered by [`StepEnded`](crate::event::Event::StepEnded) with step 0.
    KillKept {
        /// Of which module.
        module: ModuleName,
        /// To be said with the answer.
        attempt: AttemptId,
    },
    /// Look whether what the module runs has ended, now that a plan to stop it is done.
    /// Answered by [`StepEnded`](crate::event::Event::StepEnded) with step 0: an error
    /// names what still runs.
    LookStopped {
        /// Of which module.
        module: ModuleName,
        /// To be said with the answer.
        attempt: AttemptId,
        /// What has been told to end may take so long.
        within: Duration,
    },
    /// Remember this of a module, so that it outlives the daemon.
    Remember {
        /// Of which module.
        module: ModuleName,
        /// What.
        memory: Box<ModuleMemory>,
    },
    /// Write this down.
    Record(Record),
    /// A command's answer.
    Answer {
        /// Whose.
        request: RequestId,
        /// What became of it.
        outcome: CommandOutcome,
    },
}

impl Action {
    /// Whether something is done, and not only written down.
    pub(crate) fn is_more_than_writing(&self) -> bool {
        !matches!(self, Self::Record(_) | Self::Remember { .. })
    }
}
