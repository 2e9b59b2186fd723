//! What follows a stop, and a stop that fails.
//!
//! A plan is the free choice of a restart script. One without steps, or one whose steps all continued after a
//! failure, has stopped nothing. Therefore the host checks the processes after a plan to stop, and if something
//! still runs, the stop has failed.

use std::time::Duration;

use crate::action::Action;
use crate::outbox::Outbox;
use crate::plan::{MAX_STEP_TIME, Occasion, Plan, StepAction, StepError, StepFailure};
use crate::record::RecordKind;

use super::{HANG_TIME, KILL_TIME, PlanExecution, Progress, Stage, Surroundings};

/// The shortest time limit for processes that were asked to exit.
const LEAST: Duration = Duration::from_secs(10);
/// Processes that were not asked to exit do so within this time, as leftovers of a dead application often do, or
/// not at all.
const UNTOLD: Duration = Duration::from_secs(2);
/// The host gets this much more time to answer than the processes have to end.
pub(super) const SPARE: Duration = Duration::from_secs(5);
/// The check in words, as a step.
pub(super) const LOOK: &str = "check whether the application has ended";

impl PlanExecution {
    /// The plan of the last frame is done: check whether it has stopped the application.
    pub(super) fn look(&mut self, around: &Surroundings<'_>, out: &mut Outbox<'_>) {
        let hangs = self.hangs;
        let Some(frame) = self.frames.last_mut() else { return };
        let (plan, steps, within) = match &frame.stage {
            Stage::Step { plan, .. } => {
                let within = ends_within(plan, around.kept_ends_within);
                (plan.summary.clone(), plan.steps.len(), within)
            }
            Stage::Asking { .. } | Stage::Killing { .. } | Stage::Looking { .. } => (String::new(), 0, LEAST),
        };
        let within = if hangs && frame.occasion == Occasion::Stop { HANG_TIME } else { within };
        // Late answers to its steps are not answers to this.
        frame.attempt = out.next_attempt();
        frame.stage = Stage::Looking { plan, steps, within, until: out.now + within + SPARE };
        let (module, attempt) = (around.module.clone(), frame.attempt);
        out.push(Action::LookStopped { module, attempt, within });
    }

    /// The host has checked.
    pub(super) fn looked(
        &mut self,
        result: Result<String, StepError>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        match result {
            Ok(_) => {
                self.leave_frame();
                self.enter_step(around, out)
            }
            Err(error) => {
                let reason = error.to_string();
                let kind = RecordKind::Step { step: LOOK.to_owned(), ok: false, result: reason.clone() };
                out.record(Some(around.module), kind);
                self.fail(reason, around, out)
            }
        }
    }

    /// The last frame has failed.
    pub(super) fn fail(
        &mut self,
        reason: String,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        let Some(frame) = self.frames.last_mut() else { return Progress::Failed(reason) };
        match &frame.occasion {
            Occasion::Start | Occasion::Restart | Occasion::Incident(_) => Progress::Failed(reason),
            Occasion::Stop => {
                let failure = match &frame.stage {
                    Stage::Step { plan, index, .. } => {
                        Some(StepFailure { plan: plan.summary.clone(), step: *index, reason })
                    }
                    Stage::Looking { plan, steps, .. } => {
                        Some(StepFailure { plan: plan.clone(), step: *steps, reason })
                    }
                    Stage::Asking { .. } | Stage::Killing { .. } => None,
                };
                self.frames.pop();
                self.ask(Occasion::ForcedStop(failure), around, out);
                Progress::Working
            }
            Occasion::ForcedStop(_) => {
                frame.attempt = out.next_attempt();
                frame.stage = Stage::Killing { until: out.now + KILL_TIME };
                out.push(Action::KillKept { module: around.module.clone(), attempt: frame.attempt });
                Progress::Working
            }
        }
    }

    pub(super) fn killed(
        &mut self,
        result: Result<String, StepError>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        let (ok, text) = match &result {
            Ok(text) => (true, text.clone()),
            Err(error) => (false, error.to_string()),
        };
        let step = "send SIGKILL to every kept process".to_owned();
        out.record(Some(around.module), RecordKind::Step { step, ok, result: text });
        if let Err(reason) = result {
            return Progress::Failed(format!("the application cannot be stopped: {reason}"));
        }
        self.leave_frame();
        self.enter_step(around, out)
    }
}

/// The time limit for processes that a plan has asked to exit. A command that asks the application to exit returns
/// immediately, and a signal is sent in an instant: their declared times are for the exit that they request.
fn ends_within(plan: &Plan, kept_ends_within: Duration) -> Duration {
    if plan.steps.is_empty() {
        return UNTOLD;
    }
    let asks = plan.steps.iter().filter(|step| match step.action {
        StepAction::Run { .. } | StepAction::Signal(..) | StepAction::AwaitExit(_) => true,
        StepAction::Keep(_) | StepAction::AwaitChecker(..) | StepAction::Pause(_) => false,
    });
    let longest = asks.map(|step| step.timeout).max().unwrap_or_default();
    longest.max(kept_ends_within).clamp(LEAST, MAX_STEP_TIME)
}
