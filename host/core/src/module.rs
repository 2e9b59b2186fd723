//! One module: its state, and the one function that moves it on.
//!
//! ```text
//!            start                      all checkers up
//!  Stopped ─────────▶ Starting ───────────────────────────▶ Up ────┐ a checker goes down
//!    ▲  ▲              ▲  │ failed                        ▲  │     │ and its action is restart
//!    │  │  next try    │  ▼                               │  │     ▼
//!    │  └──────────── Backoff ◀───────── failed ──────────┴──│── Restarting
//!    │                    │ budget spent                     │      ▲
//!    │                    ▼                                  │ stop, restart
//!  Stopping ◀───────── Failed                                ▼      │
//!    ▲  │                                                  Draining ┘
//!    │  └── a prerequisite is down ──▶ Waiting ── it is up ──▶ Starting
//!    └── stop, from anywhere
//! ```
//! The happy path: `Starting` first looks whether the application runs already
//! (a daemon that was restarted must not restart the application), else asks
//! the restart script for a plan and carries it out; then it settles, that is,
//! waits until the checkers are up. From `Up`, a checker that goes down leads
//! to `Restarting`: the plan for that incident, then settling, then `Up`.
//!
//! Whatever is decided is decided from the state and the verdicts as they are
//! (never from an edge that could be missed), so suspending, resuming and
//! reloading need no special case: they change what is there to be seen.

// A new state must be thought about wherever one is matched.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod blindness;
mod checker;
mod checkers;
mod command;
mod ending;
mod evaluate;
mod found_again;
mod loading;
mod moves;
mod plan_execution;
mod prerequisites;
mod probation;
mod resume;
mod starting;
mod view;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Streak};
use crate::event::Wish;
use crate::id::{AttemptId, CheckerName, Generation, ModuleName};
use crate::memory::{ModuleMemory, Serving};
use crate::moment::Moment;
use crate::observation::{Observation, Status};
use crate::outbox::Outbox;
use crate::pieces::{PerChecker, Pieces};
use crate::plan::{Incident, Occasion, Plan, PlanError, PlanRequest, StepError};
use crate::policy::{CheckerKind, ModulePolicy, OnDown};
use crate::readmission::Readmission;
use crate::record::RecordKind;
use crate::snapshot::CheckerView;
use crate::state::StateName;
use crate::verdict::Verdict;

use checker::Checker;
#[cfg(test)]
pub(crate) use checkers::looks;
use checkers::{Checkers, Keeper};
use found_again::Service;
use plan_execution::{PlanExecution, Progress, Surroundings};
use prerequisites::Doubt;
pub(crate) use probation::InForce;

/// So many earlier incidents are told to a restart script.
const INCIDENTS: usize = 20;
/// How long `Starting` looks whether the application runs already, or for a prerequisite.
const LOOK_TIME: Duration = Duration::from_secs(10);
/// The next try was asked for by a person: it waits for nothing, not even for a resume.
const ASKED: Moment = Moment::from_micros(i64::MIN);
/// A look at silent checkers that comes later than this after its time blames nobody.
const LATE: Duration = Duration::from_secs(5);
/// No event moves a module further than this many states at once.
const MAX_MOVES: usize = 16;

/// One module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Module {
    name: ModuleName,
    policy: Arc<ModulePolicy>,
    wish: Wish,
    state: State,
    since: Moment,
    reason: String,
    budget: Budget,
    streak: Streak,
    checkers: Checkers,
    incidents: VecDeque<Incident>,
    /// What outlives the daemon may have changed since it was told.
    unremembered: bool,
    /// What was told last of it.
    #[serde(skip)]
    remembered: Option<Box<ModuleMemory>>,
    /// When the next of the checkers would have been silent for too long.
    overdue_at: Moment,
    /// By when processes that were seen in this start must be there again.
    #[serde(default = "never")]
    missing_at: Moment,
    /// A checker went down, and prerequisites are asked first whether it is their doing.
    #[serde(default)]
    doubt: Option<Doubt>,
    /// The daemon ends: nothing is begun any more.
    ending: bool,
    /// What a load balancer was told and has to be taken back.
    #[serde(default)]
    readmission: Readmission,
    /// Whether the application is up, or was and nothing has been done since to end it.
    #[serde(default)]
    service: Service,
    /// How often the slowest of those asks that ask regularly.
    #[serde(default)]
    probed_every: Option<Duration>,
    /// What the application was like when it was ready last, under this core or the one before.
    #[serde(default)]
    serving: Option<Serving>,
    /// Whether this core has yet to find out whether the application runs.
    #[serde(default)]
    first_look: bool,
    /// The application was found again, and verdicts of the last core count until then at the latest.
    #[serde(default)]
    trusted_until: Option<Moment>,
    /// How the checkers that have not changed since are run.
    #[serde(skip)]
    paced: Option<Pace>,
    /// As what each of them is in force, and how it was shown last: [`Checkers`] knows which have changed since.
    #[serde(skip)]
    in_force: PerChecker<InForce>,
    #[serde(skip)]
    pictures: Pieces<CheckerView>,
}

/// How a state wants checkers to be run.
#[expect(clippy::struct_excessive_bools, reason = "each of them is a fact of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pace {
    /// The application should be alive: all of them are run.
    alive: bool,
    /// What is not up is looked at more often.
    eager: bool,
    /// Nothing is to happen by itself: prerequisites are not run either.
    asleep: bool,
    settling: bool,
    awaited: Option<CheckerName>,
}

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
    fn name(&self) -> StateName {
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

    fn is_settling(&self) -> bool {
        matches!(self, Self::Starting(Phase::Settle { .. }) | Self::Restarting(Phase::Settle { .. }))
    }

    /// Whether checkers are begun anew before what they say counts.
    fn is_before_settling(&self) -> bool {
        matches!(
            self,
            Self::Starting(Phase::Look { .. } | Phase::Plan(_))
                | Self::Restarting(Phase::Look { .. } | Phase::Plan(_))
        )
    }

    fn run(&self) -> Option<&PlanExecution> {
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

    fn run_mut(&mut self) -> Option<&mut PlanExecution> {
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

impl Module {
    /// Load balancers ask so often now.
    pub(crate) fn probed(&mut self, every: Option<Duration>) {
        self.probed_every = every;
    }

    fn drain_lasts(&self) -> Duration {
        self.policy.drain.lasts(self.probed_every)
    }

    /// A checker has run.
    pub(crate) fn observed(
        &mut self,
        name: &CheckerName,
        generation: Generation,
        observation: Observation,
        out: &mut Outbox<'_>,
    ) {
        let expected = self.expects_life();
        let Some(mut checker) = self.checkers.get_mut(name) else { return };
        let status = observation.status;
        let (advances, on_probation) = (checker.advances(generation, &observation), checker.on_probation());
        let from = checker.observe(generation, observation, out.now);
        drop(checker);
        if let Some(from) = from {
            self.tell_of_verdict(name, from, status, expected, out);
        }
        self.tell_of_blindness(name, out);
        if advances {
            self.extend_start(out.now);
        }
        self.tell_of_probation(name, on_probation, out);
        self.advance(out);
    }

    /// A verdict has changed; `expected`: while the application should be alive.
    fn tell_of_verdict(
        &mut self,
        name: &CheckerName,
        from: Verdict,
        status: Status,
        expected: bool,
        out: &mut Outbox<'_>,
    ) {
        let Some(checker) = self.checkers.get(name) else { return };
        let to = checker.verdict();
        // It is told once, when it settles: what is seen before is looked at again then.
        if to == Verdict::Up && self.state.is_before_settling() && checker.policy.on_down != OnDown::Wait {
            return;
        }
        let summary = checker.why();
        let incident = (to == Verdict::Down && expected).then(|| checker.incident(name));
        let checker = name.clone();
        out.record(Some(&self.name), RecordKind::Verdict { checker, from, to, status, summary });
        if let Some(incident) = incident {
            self.keep_incident(incident, out);
        }
    }

    /// Whoever should run a checker and says nothing must not leave its last verdict standing.
    fn hear_the_silent(&mut self, out: &mut Outbox<'_>) {
        if out.now < self.overdue_at {
            return;
        }
        // The core itself was late (a machine that was suspended): nobody is blamed for that.
        let late = out.now.since(self.overdue_at) > LATE;
        if late {
            self.checkers.for_each(|_, checker| checker.excuse(out.now));
            return;
        }
        let expected = self.expects_life();
        let mut names = self.checkers.overdue(out.now);
        if expected {
            names.extend(self.checkers.blind(out.now));
        }
        for name in names {
            let missed = self.checkers.get_mut(&name).and_then(|mut checker| checker.miss(out.now));
            if let Some(from) = missed {
                self.tell_of_verdict(&name, from, Status::Unknown, expected, out);
            }
            self.tell_of_blindness(&name, out);
        }
    }

    /// Whether a run of a checker tells nothing that is not known.
    pub(crate) fn repeats(&self, name: &CheckerName, generation: Generation, seen: &Observation) -> bool {
        let expected = self.expects_life();
        let repeats = |checker: &Checker| {
            // How long it has been unable to tell is decided by.
            let may_go_blind = expected && checker.may_go_blind();
            !may_go_blind && checker.repeats(generation, seen)
        };
        self.checkers.get(name).is_some_and(repeats)
    }

    /// The last run of a checker so often once more, the last time at `last`.
    pub(crate) fn repeat(&mut self, name: &CheckerName, times: u64, last: Moment) {
        if let Some(mut checker) = self.checkers.get_mut(name) {
            checker.repeat(times, last);
        }
        self.overdue_at = self.checkers.overdue_at();
    }

    /// By when the checker is expected to say something.
    pub(crate) fn expected(&self, name: &CheckerName) -> Option<Moment> {
        self.checkers.get(name).map(Checker::overdue_at)
    }

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

    /// When something happens by itself; [`Moment::NEVER`] if nothing does.
    pub(crate) fn deadline(&self) -> Moment {
        let due = self.state.run().map_or_else(|| self.due(), PlanExecution::deadline);
        let trusted = self.trusted_until.unwrap_or(Moment::NEVER);
        let suspended = self.wish.suspended_until.unwrap_or(Moment::NEVER);
        let due = due.min(suspended);
        due.min(self.overdue_at).min(self.missing_at).min(self.doubt_until()).min(trusted)
    }

    /// Processes that were seen in this start, and have been missing since for too long, have ended.
    fn give_up_missing(&mut self, out: &mut Outbox<'_>) {
        // A run since the last move may have brought a later time, which is looked at below.
        if out.now < self.missing_at {
            return;
        }
        let expected = self.expects_life();
        for name in self.checkers.missing(out.now) {
            let gone = self.checkers.get_mut(&name).and_then(|mut checker| checker.give_up_missing(out.now));
            if let Some(from) = gone {
                self.tell_of_verdict(&name, from, Status::Fail, expected, out);
            }
        }
    }

    /// When the state itself is over.
    fn due(&self) -> Moment {
        match &self.state {
            State::Starting(Phase::Look { held: true, .. })
            | State::Restarting(Phase::Look { held: true, .. })
                if self.wish.suspended =>
            {
                Moment::NEVER
            }
            State::Starting(Phase::Look { until, .. })
            | State::Restarting(Phase::Look { until, .. })
            | State::Draining { until, .. } => *until,
            // Nothing is tried again while suspended: resuming looks again.
            State::Starting(Phase::Settle { until, appears_by })
            | State::Restarting(Phase::Settle { until, appears_by })
                // While prerequisites are asked, nothing else is decided.
                if !self.wish.suspended && !self.ending && self.doubt.is_none() =>
            {
                appears_by.unwrap_or(Moment::NEVER).min(*until)
            }
            State::Backoff { until, .. } if !self.wish.suspended && !self.ending => *until,
            State::Starting(Phase::Plan(_) | Phase::Settle { .. })
            | State::Restarting(Phase::Plan(_) | Phase::Settle { .. })
            | State::Backoff { .. }
            | State::Stopped
            | State::Up
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => Moment::NEVER,
        }
    }

    /// Moves on as far as the state, the verdicts and the time allow, then
    /// runs the checkers that the new state needs.
    pub(crate) fn advance(&mut self, out: &mut Outbox<'_>) {
        self.end_suspension(out);
        self.hear_the_silent(out);
        self.give_up_missing(out);
        for _ in 0..MAX_MOVES {
            let checkers = &self.checkers;
            let verdict_of = |name: &CheckerName| checkers.get(name).map(Checker::verdict);
            if let Some(run) = self.state.run_mut() {
                let around = surroundings(&self.name, &self.policy, &self.budget, &self.incidents, out.now);
                let progress = run.advance(verdict_of, &around, out);
                self.unremembered = true;
                self.take_progress(progress, out);
            }
            if !self.evaluate(out) {
                break;
            }
        }
        self.adjust_watches(out);
        self.readmit(out);
        self.keep_serving(out.now);
        self.remember(out);
    }

    /// Keeps in mind what load balancers have been told.
    fn readmit(&mut self, out: &Outbox<'_>) {
        let drains = matches!(self.state, State::Draining { .. });
        let readmission = self.readmission.follow(drains, self.is_ready(), out.now);
        self.unremembered |= readmission != self.readmission;
        self.readmission = readmission;
    }

    /// Whether a drain was announced that has not been taken back.
    pub(crate) fn owes_readmission(&self) -> bool {
        self.readmission == Readmission::Owed
    }

    fn with_run(
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

    fn around(&self, now: Moment) -> Surroundings<'_> {
        surroundings(&self.name, &self.policy, &self.budget, &self.incidents, now)
    }

    fn cancel_run(&mut self, out: &mut Outbox<'_>) {
        if let Some(run) = self.state.run_mut() {
            run.cancel(&self.name, out);
        }
    }

    /// Whether the application should be alive now, so that a checker going
    /// down is news.
    fn expects_life(&self) -> bool {
        match self.state {
            State::Up
            | State::Starting(Phase::Settle { .. })
            | State::Restarting(Phase::Settle { .. })
            | State::Draining { .. } => true,
            State::Stopped
            | State::Starting(Phase::Look { .. } | Phase::Plan(_))
            | State::Restarting(Phase::Look { .. } | Phase::Plan(_))
            | State::Backoff { .. }
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => false,
        }
    }

    /// Runs the checkers that the state needs, at the pace that it needs.
    /// Processes are always looked at (that costs next to nothing, and shows what
    /// is left of a stopped application); prerequisites unless the module is
    /// stopped; all others while the application should be alive. Only those that have changed are looked at,
    /// unless the state wants something else than before.
    fn adjust_watches(&mut self, out: &mut Outbox<'_>) {
        let awaited = self.state.run().and_then(|run| run.awaited()).map(|(name, _)| name.clone());
        let (alive, eager, asleep) = match self.state {
            State::Up | State::Draining { .. } => (true, false, false),
            State::Starting(Phase::Look { .. } | Phase::Settle { .. })
            | State::Restarting(Phase::Look { .. } | Phase::Settle { .. }) => (true, true, false),
            State::Starting(Phase::Plan(_)) | State::Restarting(Phase::Plan(_)) => (false, true, false),
            State::Backoff { .. } | State::Stopping { .. } | State::Waiting { .. } => (false, false, false),
            State::Stopped | State::Failed => (false, false, true),
        };
        let pace = Pace { alive, eager, asleep, settling: self.state.is_settling(), awaited };
        let names: Vec<CheckerName> = if self.paced.as_ref() == Some(&pace) {
            self.checkers.changed(Keeper::Watches).iter().cloned().collect()
        } else {
            self.checkers.names().cloned().collect()
        };
        for name in &names {
            let Some(mut checker) = self.checkers.get_mut(name) else { continue };
            if !pace.settling {
                checker.end_start();
            }
            let is_awaited = pace.awaited.as_ref() == Some(name);
            let wanted = alive
                || is_awaited
                || checker.policy.kind == CheckerKind::Process
                || (checker.policy.on_down == OnDown::Wait && !asleep);
            let hurry = eager && checker.verdict() != Verdict::Up;
            let often = hurry || is_awaited || checker.asked() || checker.is_trusted();
            checker.set_watch(wanted.then_some(often), &self.name, name, out);
        }
        self.checkers.known(Keeper::Watches);
        self.paced = Some(pace);
        self.overdue_at = self.checkers.overdue_at();
        self.missing_at = self.checkers.missing_until();
    }
}

fn never() -> Moment {
    Moment::NEVER
}

fn surroundings<'a>(
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
