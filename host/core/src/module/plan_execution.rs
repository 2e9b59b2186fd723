//! A plan in progress.
//!
//! ```text
//!   Asking ──plan──▶ Step 0 ──▶ Step 1 ──▶ … ──▶ done
//!     │                │  failed or overdue
//!     │ no plan        ├── go on ──────▶ next step
//!     ▼                ├── fail ───────▶ failed (a stop: forced stop)
//!   failed             └── force stop ─▶ forced stop, then next step
//!   (a stop: forced stop; a forced stop: Killing)
//!
//!   a stop, a forced stop: done ──▶ Looking ──▶ done, if all has ended; else failed
//!   Killing ──▶ done, or failed: the application cannot be stopped
//! ```
//! Every part has a deadline and a plan has at most [`MAX_STEPS`] steps, so every plan ends. A forced stop is
//! stacked on top of the plan that needed it; there are never more than two.

mod after_stop;
mod delayed;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::{AttemptId, CheckerName, ModuleName};
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::plan::{
    MAX_STEP_TIME, MAX_STEPS, Occasion, OnFailure, Plan, PlanError, PlanRequest, StepAction, StepError,
    StepFailure,
};
use crate::record::RecordKind;
use crate::snapshot::PlanView;
use crate::verdict::Verdict;

/// The time limit for killed processes to end.
const KILL_TIME: Duration = Duration::from_secs(5);
/// The time limit for each part of the stop of a hung application: it rarely reacts, and is killed after that.
const HANG_TIME: Duration = Duration::from_secs(2);

/// The data of its module that a plan needs.
pub(super) struct Surroundings<'a> {
    pub(super) module: &'a ModuleName,
    pub(super) plan_within: Duration,
    /// The time limit of a kept command's exit.
    pub(super) kept_ends_within: Duration,
    /// The request without its occasion.
    pub(super) request: PlanRequest,
}

/// The progress of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    Working,
    Done,
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanExecution {
    /// The last frame is active; those below wait for it.
    frames: Vec<Frame>,
    /// The node lacked a resource for a step.
    #[serde(default)]
    starved: bool,
    /// Whether the application hangs.
    #[serde(default)]
    hangs: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Frame {
    attempt: AttemptId,
    occasion: Occasion,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    Asking {
        until: Moment,
    },
    Step {
        plan: Plan,
        index: usize,
        until: Moment,
        /// Work that the host does before it carries out the step.
        #[serde(default)]
        delay: Option<String>,
    },
    Killing {
        until: Moment,
    },
    /// The plan (its summary, and the number of its steps) is done: check whether everything has ended.
    Looking {
        plan: String,
        steps: usize,
        /// The time limit for processes that were asked to exit.
        #[serde(default)]
        within: Duration,
        until: Moment,
    },
}

impl PlanExecution {
    /// Continues a plan of an earlier daemon: the step in progress is repeated, and nothing before it.
    pub(super) fn resume(mut self, around: &Surroundings<'_>, out: &mut Outbox<'_>) -> Self {
        // Attempts of an earlier daemon will not be answered.
        for frame in &mut self.frames {
            frame.attempt = out.next_attempt();
        }
        let Some(frame) = self.frames.last_mut() else { return self };
        match &mut frame.stage {
            Stage::Asking { .. } => {
                let occasion = frame.occasion.clone();
                self.frames.pop();
                self.ask(occasion, around, out);
            }
            Stage::Killing { until } => {
                *until = out.now + KILL_TIME;
                out.push(Action::KillKept { module: around.module.clone(), attempt: frame.attempt });
            }
            Stage::Looking { within, until, .. } => {
                *until = out.now + *within + after_stop::SPARE;
                let (module, attempt) = (around.module.clone(), frame.attempt);
                out.push(Action::LookStopped { module, attempt, within: *within });
            }
            // The result of a plan that is complete is handled at the next evaluation.
            Stage::Step { .. } => drop(self.enter_step(around, out)),
        }
        self
    }

    pub(super) fn begin(occasion: Occasion, around: &Surroundings<'_>, out: &mut Outbox<'_>) -> Self {
        let mut run = Self { frames: Vec::new(), starved: false, hangs: false };
        run.ask(occasion, around, out);
        run
    }

    /// The application hangs: the time limits of its stop are shorter.
    pub(super) fn of_one_that_hangs(self, hangs: bool) -> Self {
        Self { hangs, ..self }
    }

    fn ask(&mut self, occasion: Occasion, around: &Surroundings<'_>, out: &mut Outbox<'_>) {
        let attempt = out.next_attempt();
        let mut request = PlanRequest { occasion: occasion.clone(), ..around.request.clone() };
        if let Occasion::Incident(this) = &occasion {
            // It is the occasion, and not part of the history yet.
            request.history.retain(|earlier| (earlier.at, &earlier.checker) != (this.at, &this.checker));
        }
        out.push(Action::MakePlan {
            module: around.module.clone(),
            attempt,
            request,
            timeout: around.plan_within,
        });
        let until = out.now + around.plan_within;
        self.frames.push(Frame { attempt, occasion, stage: Stage::Asking { until } });
    }

    /// When time alone has an effect.
    pub(super) fn deadline(&self) -> Moment {
        self.frames.last().map_or(Moment::NEVER, |frame| match frame.stage {
            Stage::Asking { until }
            | Stage::Step { until, .. }
            | Stage::Killing { until }
            | Stage::Looking { until, .. } => until,
        })
    }

    /// The checker whose verdict the present step waits for.
    pub(super) fn awaited(&self) -> Option<(&CheckerName, Verdict)> {
        match &self.frames.last()?.stage {
            Stage::Step { plan, index, .. } => match &plan.steps.get(*index)?.action {
                StepAction::AwaitChecker(checker, verdict) => Some((checker, *verdict)),
                StepAction::Run { .. }
                | StepAction::Keep(_)
                | StepAction::Signal(..)
                | StepAction::AwaitExit(_)
                | StepAction::Pause(_) => None,
            },
            Stage::Asking { .. } | Stage::Killing { .. } | Stage::Looking { .. } => None,
        }
    }

    pub(super) fn view(&self) -> Option<PlanView> {
        let frame = self.frames.last()?;
        let occasion = frame.occasion.word().to_owned();
        Some(match &frame.stage {
            Stage::Asking { .. } => PlanView {
                occasion,
                summary: "asking the restart script".to_owned(),
                steps: Vec::new(),
                step: 0,
            },
            Stage::Step { plan, index, delay, .. } => PlanView {
                occasion,
                summary: plan.summary.clone(),
                steps: delayed::in_words(&plan.steps, *index, delay.as_deref()),
                step: *index,
            },
            Stage::Killing { .. } => PlanView {
                occasion,
                summary: "end every kept process".to_owned(),
                steps: vec!["send SIGKILL to every kept process".to_owned()],
                step: 0,
            },
            Stage::Looking { plan, .. } => PlanView {
                occasion,
                summary: plan.clone(),
                steps: vec![after_stop::LOOK.to_owned()],
                step: 0,
            },
        })
    }

    /// The restart script has answered. Late and unrelated answers are ignored.
    pub(super) fn plan_made(
        &mut self,
        attempt: AttemptId,
        plan: Result<Plan, PlanError>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        let asked = self
            .frames
            .last_mut()
            .filter(|frame| frame.attempt == attempt && matches!(frame.stage, Stage::Asking { .. }));
        let Some(frame) = asked else { return Progress::Working };
        let occasion = frame.occasion.word().to_owned();
        let plan = plan.and_then(checked);
        match plan {
            Err(reason) => {
                out.record(Some(around.module), RecordKind::NoPlan { occasion, reason: reason.to_string() });
                self.fail(format!("no plan: {reason}"), around, out)
            }
            Ok(plan) => {
                let steps = plan.steps.iter().map(|s| s.action.to_string()).collect();
                let summary = plan.summary.clone();
                out.record(Some(around.module), RecordKind::Plan { occasion, summary, steps });
                frame.stage = Stage::Step { plan, index: 0, until: Moment::NEVER, delay: None };
                self.enter_step(around, out)
            }
        }
    }

    /// The node lacks a resource for a step. Late and unrelated reports are ignored.
    pub(super) fn starve(&mut self, attempt: AttemptId) {
        self.starved |= self.frames.last().is_some_and(|frame| frame.attempt == attempt);
    }

    /// Whether a failure is caused by the node.
    pub(super) fn is_starved(&self) -> bool {
        self.starved
    }

    /// A step has ended. Late and unrelated answers are ignored.
    pub(super) fn step_ended(
        &mut self,
        attempt: AttemptId,
        step: usize,
        result: Result<String, StepError>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        let Some(frame) = self.frames.last().filter(|frame| frame.attempt == attempt) else {
            return Progress::Working;
        };
        match &frame.stage {
            Stage::Step { index, .. } if *index == step => self.end_step(result, around, out),
            Stage::Killing { .. } => self.killed(result, around, out),
            Stage::Looking { .. } => self.looked(result, around, out),
            Stage::Step { .. } | Stage::Asking { .. } => Progress::Working,
        }
    }

    /// Time has passed, or a verdict has changed. Steps that complete immediately follow each other immediately.
    pub(super) fn advance(
        &mut self,
        verdict_of: impl Fn(&CheckerName) -> Option<Verdict>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        for _ in 0..MAX_STEPS {
            let before = self.place();
            let progress = self.advance_once(&verdict_of, around, out);
            if progress != Progress::Working || self.place() == before {
                return progress;
            }
        }
        Progress::Working
    }

    /// The step and attempt in progress; `None` while there is no plan.
    fn place(&self) -> Option<(AttemptId, Option<usize>)> {
        self.frames.last().map(|frame| match frame.stage {
            Stage::Step { index, .. } => (frame.attempt, Some(index)),
            Stage::Asking { .. } | Stage::Killing { .. } | Stage::Looking { .. } => (frame.attempt, None),
        })
    }

    fn advance_once(
        &mut self,
        verdict_of: impl Fn(&CheckerName) -> Option<Verdict>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        if self.frames.is_empty() {
            return Progress::Done;
        }
        if let Some((checker, wanted)) = self.awaited()
            && verdict_of(checker) == Some(wanted)
        {
            return self.end_step(Ok(format!("it is {wanted}")), around, out);
        }
        if out.now < self.deadline() {
            return Progress::Working;
        }
        let Some(frame) = self.frames.last() else { return Progress::Done };
        match &frame.stage {
            Stage::Asking { .. } => {
                let (attempt, late) = (frame.attempt, PlanError::TimedOut(around.plan_within));
                self.plan_made(attempt, Err(late), around, out)
            }
            Stage::Killing { .. } => self.killed(Err(StepError::StillThere(KILL_TIME)), around, out),
            Stage::Looking { within, .. } => {
                let late = StepError::NotTold(*within + after_stop::SPARE);
                self.looked(Err(late), around, out)
            }
            Stage::Step { plan, index, .. } => {
                let (attempt, index) = (frame.attempt, *index);
                let step = &plan.steps[index];
                if let StepAction::Pause(_) = step.action {
                    return self.end_step(Ok("over".to_owned()), around, out);
                }
                let late = StepError::TimedOut(time_for(plan, index, &frame.occasion, self.hangs));
                if !matches!(step.action, StepAction::AwaitChecker(..)) {
                    out.push(Action::CancelStep { module: around.module.clone(), attempt, step: index });
                }
                self.end_step(Err(late), around, out)
            }
        }
    }

    /// Abandons all work in progress.
    pub(super) fn cancel(&mut self, module: &ModuleName, out: &mut Outbox<'_>) {
        for frame in self.frames.drain(..) {
            let step = match frame.stage {
                Stage::Step { index, .. } => index,
                Stage::Killing { .. } | Stage::Looking { .. } => 0,
                Stage::Asking { .. } => continue,
            };
            out.push(Action::CancelStep { module: module.clone(), attempt: frame.attempt, step });
        }
    }

    /// Begins the next step of the last frame; at the plan's end, returns to the frame below.
    fn enter_step(&mut self, around: &Surroundings<'_>, out: &mut Outbox<'_>) -> Progress {
        let hangs = self.hangs;
        loop {
            let Some(frame) = self.frames.last_mut() else { return Progress::Done };
            let attempt = frame.attempt;
            let Stage::Step { plan, index, until, delay } = &mut frame.stage else {
                return Progress::Working;
            };
            *delay = None;
            let index = *index;
            let Some(step) = plan.steps.get(index) else {
                if matches!(frame.occasion, Occasion::Stop | Occasion::ForcedStop(_)) {
                    self.look(around, out);
                    return Progress::Working;
                }
                self.leave_frame();
                continue;
            };
            let timeout = time_for(plan, index, &frame.occasion, hangs);
            *until = out.now + timeout;
            match &step.action {
                StepAction::Pause(duration) => *until = out.now + (*duration).min(MAX_STEP_TIME),
                StepAction::AwaitChecker(..) => {}
                action @ (StepAction::Run { .. }
                | StepAction::Keep(_)
                | StepAction::Signal(..)
                | StepAction::AwaitExit(_)) => out.push(Action::RunStep {
                    module: around.module.clone(),
                    attempt,
                    step: index,
                    action: action.clone(),
                    timeout,
                }),
            }
            return Progress::Working;
        }
    }

    /// The last frame is done: the one below continues.
    fn leave_frame(&mut self) {
        self.frames.pop();
        if let Some(Frame { stage: Stage::Step { index, .. }, .. }) = self.frames.last_mut() {
            *index += 1;
        }
    }

    fn end_step(
        &mut self,
        result: Result<String, StepError>,
        around: &Surroundings<'_>,
        out: &mut Outbox<'_>,
    ) -> Progress {
        let Some(frame) = self.frames.last_mut() else { return Progress::Done };
        let Stage::Step { plan, index, .. } = &mut frame.stage else { return Progress::Working };
        let step = &plan.steps[*index];
        let (ok, text) = match &result {
            Ok(text) => (true, text.clone()),
            Err(error) => (false, error.to_string()),
        };
        let name = step.action.to_string();
        out.record(Some(around.module), RecordKind::Step { step: name.clone(), ok, result: text });
        let forced = matches!(frame.occasion, Occasion::ForcedStop(_));
        match (result, step.on_failure) {
            (Ok(_), _) | (Err(_), OnFailure::GoOn) => {
                *index += 1;
                self.enter_step(around, out)
            }
            (Err(reason), OnFailure::ForceStop) if !forced => {
                let failure =
                    StepFailure { plan: plan.summary.clone(), step: *index, reason: reason.to_string() };
                self.ask(Occasion::ForcedStop(Some(failure)), around, out);
                Progress::Working
            }
            (Err(reason), OnFailure::Fail | OnFailure::ForceStop) => {
                self.fail(format!("{name} failed: {reason}"), around, out)
            }
        }
    }
}

/// The time limit of the step with this number.
fn time_for(plan: &Plan, index: usize, occasion: &Occasion, hangs: bool) -> Duration {
    let step = &plan.steps[index];
    // A signal that is followed by another signal waits: it is part of the stop as long as an exit is waited for.
    let stops = plan.steps[index..].iter().any(|step| matches!(step.action, StepAction::AwaitExit(_)));
    let polite = matches!(occasion, Occasion::Stop)
        || step.on_failure == OnFailure::ForceStop
        || (step.on_failure == OnFailure::GoOn && stops);
    let ends = matches!(step.action, StepAction::Run { .. } | StepAction::AwaitExit(_));
    let forced = matches!(occasion, Occasion::ForcedStop(_));
    if hangs && polite && ends && !forced { step.timeout.min(HANG_TIME) } else { step.timeout }
}

/// Whatever a script answers, the plan that is carried out is bounded.
fn checked(mut plan: Plan) -> Result<Plan, PlanError> {
    if plan.steps.len() > MAX_STEPS {
        return Err(PlanError::TooManySteps(plan.steps.len()));
    }
    for step in &mut plan.steps {
        step.timeout = step.timeout.min(MAX_STEP_TIME);
    }
    Ok(plan)
}
