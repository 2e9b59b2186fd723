//! A step that the host carries out later, because leftovers of the last run have to end first.

use std::time::Duration;

use crate::id::AttemptId;
use crate::outbox::Outbox;
use crate::plan::{MAX_STEP_TIME, Step};
use crate::record::RecordKind;

use super::{PlanExecution, Progress, Stage, Surroundings};

impl PlanExecution {
    /// The host carries out the step later, after `within` at most; the time limit of the step begins then. Once
    /// for each step, so that every plan ends. Late and unrelated reports are ignored.
    pub(in crate::module) fn delay(
        &mut self,
        (attempt, step): (AttemptId, usize),
        reason: String,
        within: Duration,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        let Some(frame) = self.frames.last_mut().filter(|frame| frame.attempt == attempt) else {
            return Progress::Working;
        };
        let Stage::Step { plan, index, until, delay } = &mut frame.stage else { return Progress::Working };
        let Some(delayed) = plan.steps.get(step).filter(|_| *index == step && delay.is_none()) else {
            return Progress::Working;
        };
        *until = (*until).max(out.now + within.min(MAX_STEP_TIME) + delayed.timeout);
        let kind = RecordKind::Step { step: delayed.action.to_string(), ok: true, result: reason.clone() };
        out.record(Some(around.module), kind);
        *delay = Some(reason);
        Progress::Working
    }
}

/// The steps, and the delay of the one in progress.
pub(super) fn in_words(steps: &[Step], at_work: usize, delay: Option<&str>) -> Vec<String> {
    let in_words = |(index, step): (usize, &Step)| match delay.filter(|_| index == at_work) {
        Some(reason) => format!("{}: {reason}", step.action),
        None => step.action.to_string(),
    };
    steps.iter().enumerate().map(in_words).collect()
}
