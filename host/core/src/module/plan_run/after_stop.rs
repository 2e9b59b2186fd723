//! What comes after a stop, and after one that does not work.
//!
//! A plan is whatever a restart script says. One without steps, or one whose steps
//! all went on after they had failed, has stopped nothing. So the host looks once
//! a plan to stop is done, and what still runs makes the stop a failed one.

use std::time::Duration;

use crate::action::Action;
use crate::outbox::Outbox;
use crate::plan::{Occasion, StepFailure};
use crate::record::RecordKind;

use super::{KILL_TIME, PlanRun, Progress, Stage, Surroundings};

/// What ends in the background takes its time. More than the host waits for it.
pub(super) const LOOK_TIME: Duration = Duration::from_secs(15);
/// The look in words, as a step.
pub(super) const LOOK: &str = "look whether the application has ended";

impl PlanRun {
    /// The plan of the last frame is done. Has it stopped the application?
    pub(super) fn look(&mut self, around: &Surroundings<'_>, out: &mut Outbox<'_>) {
        let Some(frame) = self.frames.last_mut() else { return };
        let (plan, steps) = match &frame.stage {
            Stage::Step { plan, .. } => (plan.summary.clone(), plan.steps.len()),
            Stage::Asking { .. } | Stage::Killing { .. } | Stage::Looking { .. } => (String::new(), 0),
        };
        // Late answers to its steps are no answers to this.
        frame.attempt = out.next_attempt();
        frame.stage = Stage::Looking { plan, steps, until: out.now + LOOK_TIME };
        out.push(Action::LookStopped { module: around.module.clone(), attempt: frame.attempt });
    }

    /// The host has looked.
    pub(super) fn looked(
        &mut self,
        result: Result<String, String>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        match result {
            Ok(_) => {
                self.leave_frame();
                self.enter_step(around, out)
            }
            Err(reason) => {
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
        result: Result<String, String>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        let (ok, text) = match &result {
            Ok(text) => (true, text.clone()),
            Err(text) => (false, text.clone()),
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
