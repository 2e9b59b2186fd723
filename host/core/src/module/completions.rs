//! What comes back of plans and steps, and what a plan has to know of its module.

use std::collections::VecDeque;
use std::time::Duration;

use super::Module;
use super::plan_execution::{PlanExecution, Progress, Surroundings};
use crate::budget::Budget;
use crate::id::{AttemptId, ModuleName};
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::plan::{Incident, Occasion, Plan, PlanError, PlanRequest, StepError};
use crate::policy::ModulePolicy;

impl Module {
    /// The restart script has answered.
    pub(crate) fn plan_made(
        &mut self,
        attempt: AttemptId,
        plan: Result<Plan, PlanError>,
        out: &mut Outbox<'_>,
    ) {
        self.with_run(out, |run, around, out| run.plan_made(attempt, plan, around, out));
        self.advance(out);
    }

    /// A step has ended.
    pub(crate) fn step_ended(
        &mut self,
        attempt: AttemptId,
        step: usize,
        result: Result<String, StepError>,
        out: &mut Outbox<'_>,
    ) {
        self.with_run(out, |run, around, out| run.step_ended(attempt, step, result, around, out));
        self.advance(out);
    }

    /// The host carries a step out later.
    pub(crate) fn step_delayed(
        &mut self,
        step: (AttemptId, usize),
        reason: String,
        within: Duration,
        out: &mut Outbox<'_>,
    ) {
        self.with_run(out, |run, around, out| run.delay(step, reason, within, around, out));
        self.advance(out);
    }

    /// The node lacks what a step needs that is about to fail.
    pub(crate) fn starved(&mut self, attempt: AttemptId) {
        if let Some(run) = self.state.run_mut() {
            run.starve(attempt);
        }
    }

    pub(super) fn with_run(
        &mut self,
        out: &mut Outbox<'_>,
        step: impl FnOnce(&mut PlanExecution, &Surroundings<'_>, &mut Outbox<'_>) -> Progress,
    ) {
        let Some(run) = self.state.run_mut() else { return };
        let around = surroundings(&self.name, &self.policy, &self.budget, &self.incidents, out.now);
        let progress = step(run, &around, out);
        self.unremembered = true;
        self.take_progress(progress, out);
    }

    pub(super) fn around(&self, now: Moment) -> Surroundings<'_> {
        surroundings(&self.name, &self.policy, &self.budget, &self.incidents, now)
    }

    pub(super) fn cancel_run(&mut self, out: &mut Outbox<'_>) {
        if let Some(run) = self.state.run_mut() {
            run.cancel(&self.name, out);
        }
    }
}

pub(super) fn surroundings<'a>(
    name: &'a ModuleName,
    policy: &ModulePolicy,
    budget: &Budget,
    incidents: &VecDeque<Incident>,
    now: Moment,
) -> Surroundings<'a> {
    let within = policy.budget.within;
    Surroundings {
        module: name,
        plan_within: policy.plan_within,
        kept_ends_within: policy.kept_ends_within(),
        request: PlanRequest {
            occasion: Occasion::Start,
            history: incidents.iter().filter(|i| now.since(i.at) < within).cloned().collect(),
            restarts: budget.spent(&policy.budget, now),
            restarts_allowed: policy.budget.restarts,
        },
    }
}
