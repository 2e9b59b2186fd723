//! The actions that the core requests. An action leaves no decision open.

use std::time::Duration;

use crate::command::CommandOutcome;
use crate::id::{AttemptId, CheckerName, Generation, ModuleName, RequestId};
use crate::memory::ModuleMemory;
use crate::plan::{PlanRequest, StepAction};
use crate::record::Record;

/// An action for the daemon to carry out.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Run this checker by its schedule, until [`Unwatch`](Self::Unwatch). Replaces an earlier watch of the same
    /// checker.
    Watch {
        module: ModuleName,
        checker: CheckerName,
        /// Repeated in each observation.
        generation: Generation,
        /// The application is starting or expected to change: check more often.
        eager: bool,
    },
    /// Stop running this checker.
    Unwatch { module: ModuleName, checker: CheckerName },
    /// Ask the restart script for a plan. Answered by [`PlanMade`](crate::event::Event::PlanMade).
    MakePlan {
        module: ModuleName,
        /// Repeated in the answer.
        attempt: AttemptId,
        /// The request to the script.
        request: PlanRequest,
        /// The time limit of the script.
        timeout: Duration,
    },
    /// Carry out a step. Answered by [`StepEnded`](crate::event::Event::StepEnded). Steps that only wait for time
    /// or a verdict are handled in the core and never become an action.
    RunStep {
        module: ModuleName,
        /// Repeated in the answer.
        attempt: AttemptId,
        step: usize,
        action: StepAction,
        /// How long the core waits before it cancels.
        timeout: Duration,
    },
    /// Cancel a step that was requested: end its command, or abandon its wait.
    CancelStep {
        module: ModuleName,
        attempt: AttemptId,
        /// The step of that attempt.
        step: usize,
    },
    /// Kill every process that the module keeps, immediately (SIGKILL to its group). The default when there is no
    /// plan for a forced stop, or when it fails. Answered by [`StepEnded`](crate::event::Event::StepEnded) with
    /// step 0.
    KillKept {
        module: ModuleName,
        /// Repeated in the answer.
        attempt: AttemptId,
    },
    /// Check whether everything that the module runs has ended, after a plan to stop it is done. Answered by
    /// [`StepEnded`](crate::event::Event::StepEnded) with step 0: an error names what still runs.
    LookStopped {
        module: ModuleName,
        /// Repeated in the answer.
        attempt: AttemptId,
        /// The time limit for processes that were asked to exit.
        within: Duration,
    },
    /// Persist this state of a module, so that it outlives the daemon.
    Remember { module: ModuleName, memory: Box<ModuleMemory> },
    /// Add a record to the journal.
    Record(Record),
    /// Answer a command of a user.
    Answer {
        request: RequestId,
        /// The outcome of the command.
        outcome: CommandOutcome,
    },
}

impl Action {
    /// Whether the picture has to be up to date before it: its effect, or its record, may be compared with the picture.
    pub(crate) fn needs_picture(&self) -> bool {
        !matches!(self, Self::Remember { .. })
    }
}
