//! The transitions: each changes the state, and records why.

use std::time::Duration;

use crate::budget::Failure;
use crate::id::CheckerName;
use crate::moment::{Moment, plain};
use crate::outbox::Outbox;
use crate::plan::{Incident, Occasion};
use crate::policy::OnDown;
use crate::record::{KEEP_TRYING, RecordKind};
use crate::state::StateName;

use super::checker::Checker;
use super::plan_execution::{PlanExecution, Progress};
use super::probation::Probation;
use super::{AfterDrain, AfterStop, LOOK_TIME, Module, Phase, Service, State};

/// The maximum duration of a start that repeatedly reports progress.
const MAX_START: Duration = Duration::from_hours(24);

/// A notification is sent for a start that has failed for this long, although it is retried.
const NEWS: Duration = Duration::from_mins(1);

/// Why the application is retried.
pub(super) enum Cause {
    /// A plan has failed.
    Plan,
    /// According to this checker, it did not come up.
    Start(CheckerName),
    /// A checker went down.
    Incident(Incident),
}

impl Module {
    pub(super) fn enter(&mut self, state: State, reason: impl Into<String>, out: &mut Outbox<'_>) {
        let reason = reason.into();
        let from = if self.service.is_untold() { StateName::Up } else { self.state.name() };
        let to = state.name();
        self.state = state;
        self.follow_service();
        self.doubt = None;
        (self.first_look, self.trusted_until) = (false, None);
        self.unremembered = true;
        if from != to {
            self.since = out.now;
            out.record(Some(&self.name), RecordKind::State { from, to, reason: reason.clone() });
        }
        self.reason = reason;
    }

    /// Whether the application is up, or was and nothing has been done to end it.
    fn follow_service(&mut self) {
        let lasts = match &self.state {
            State::Up => true,
            State::Draining { .. } | State::Starting(Phase::Look { .. } | Phase::Settle { .. }) => {
                self.service.lasts()
            }
            State::Stopped
            | State::Starting(Phase::Plan(_))
            | State::Restarting(_)
            | State::Backoff { .. }
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => false,
        };
        self.service = if lasts { Service::Lasts } else { Service::Over };
        if !lasts {
            // What was known before an edit was about an application that is gone.
            for name in self.checkers.such(|c| c.stood) {
                let mut checker = self.checkers.get_mut(&name);
                checker.iter_mut().filter_map(|c| c.probation.as_mut()).for_each(Probation::forget);
            }
        }
    }

    /// Checks whether the application runs already.
    pub(super) fn look(&mut self, reason: &str, held: bool, out: &mut Outbox<'_>) {
        let look = self.looking(held, out);
        self.enter(look, reason, out);
    }

    /// The same, without a record.
    pub(super) fn begin_look(&mut self, held: bool, out: &mut Outbox<'_>) {
        self.state = self.looking(held, out);
    }

    fn looking(&mut self, held: bool, out: &mut Outbox<'_>) -> State {
        self.checkers.for_each(|_, checker| {
            if checker.policy.on_down != OnDown::Wait {
                // Failures of an application that does not run yet do not count.
                checker.begin(Moment::NEVER, out);
            } else if !checker.watched() {
                checker.begin(out.now, out);
            }
        });
        State::Starting(Phase::Look { until: out.now + LOOK_TIME, held })
    }

    /// Waits until the checkers are up. Earlier observations no longer count. `starts_for`: the remaining time of
    /// the start; none for an application that has been running for long.
    pub(super) fn settle(&mut self, reason: &str, starts_for: Option<Duration>, out: &mut Outbox<'_>) {
        self.checkers.for_each(|_, checker| {
            if checker.policy.on_down != OnDown::Wait {
                checker.begin_start(starts_for.is_some(), out);
            }
        });
        let appears_within = self.policy.appear_within.filter(|_| starts_for.is_some());
        let phase = Phase::Settle {
            until: out.now + starts_for.unwrap_or(self.policy.start_within),
            appears_by: appears_within.map(|within| out.now + within),
        };
        let state = if let State::Restarting(_) = self.state {
            State::Restarting(phase)
        } else {
            State::Starting(phase)
        };
        self.enter(state, reason, out);
    }

    /// A checker reports progress of the start: it gets its whole time again, up to a maximum.
    pub(super) fn extend_start(&mut self, now: Moment) {
        let (latest, extended) = (self.since + MAX_START, now + self.policy.start_within);
        if let State::Starting(Phase::Settle { until, .. }) | State::Restarting(Phase::Settle { until, .. }) =
            &mut self.state
            && *until != Moment::NEVER
        {
            *until = extended.min(latest).max(*until);
        }
    }

    pub(super) fn begin_start(&mut self, reason: &str, out: &mut Outbox<'_>) {
        let run = PlanExecution::begin(Occasion::Start, &self.around(out.now), out);
        self.enter(State::Starting(Phase::Plan(run)), reason, out);
    }

    pub(super) fn begin_restart(&mut self, occasion: Occasion, reason: String, out: &mut Outbox<'_>) {
        let run = PlanExecution::begin(occasion, &self.around(out.now), out);
        self.enter(State::Restarting(Phase::Plan(run)), reason, out);
    }

    /// Stops the application, whatever is in progress.
    pub(super) fn begin_stop(&mut self, then: AfterStop, reason: impl Into<String>, out: &mut Outbox<'_>) {
        self.cancel_run(out);
        let run = PlanExecution::begin(Occasion::Stop, &self.around(out.now), out);
        self.enter(State::Stopping { run, then }, reason, out);
    }

    pub(super) fn drain(&mut self, then: AfterDrain, reason: String, out: &mut Outbox<'_>) {
        let time = match then {
            AfterDrain::Stop | AfterDrain::Restart => self.drain_lasts(),
            AfterDrain::End | AfterDrain::Rest => self.policy.drain.lasts_at_the_end(self.probed_every),
        };
        self.enter(State::Draining { until: out.now + time, then }, reason, out);
    }

    /// The application no longer serves, or did not start: try again, if the budget allows. The failure of an
    /// application that was healthy counts once; if it does not stay up after that, or does not start, it is
    /// retried for some time before it counts: the cause may disappear by itself.
    pub(super) fn try_again(&mut self, cause: Cause, reason: String, out: &mut Outbox<'_>) {
        self.unremembered = true;
        let (incident, hangs) = match cause {
            Cause::Plan => (None, false),
            Cause::Start(checker) => (None, self.hangs(&checker)),
            Cause::Incident(incident) => {
                let hangs = self.hangs(&incident.checker);
                (Some(incident), hangs)
            }
        };
        let jitter = out.jitter();
        let failure = self.streak.failed(&self.policy.backoff, jitter, out.now);
        let wait = failure.wait;
        let when = if wait.is_zero() { String::new() } else { format!(" in {}", plain(wait)) };
        let (decision, reason) = if !failure.is_new && failure.failing_for < self.policy.keep_trying {
            let tried = plain(self.policy.keep_trying);
            let again = if failure.failing_for < NEWS { "try again" } else { KEEP_TRYING };
            let decision = format!(
                "{again}{when} (not counted: an application that does not stay up is retried for {tried})"
            );
            (decision, with_row(reason, &failure))
        } else if let Some(spent) = self.budget.take(&self.policy.budget, out.now) {
            let (allowed, window) = (self.policy.budget.restarts, plain(self.policy.budget.within));
            (format!("restart{when} (number {spent} of {allowed} within {window})"), reason)
        } else {
            let all_spent = self.policy.budget.all_spent();
            let decision = format!("stop: {all_spent}");
            let why = format!("{}; {all_spent}", with_row(reason.clone(), &failure));
            out.record(Some(&self.name), RecordKind::Decision { decision, reason });
            self.begin_stop(AfterStop::Failed(why.clone()), why, out);
            return;
        };
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        match incident {
            Some(incident) if wait.is_zero() => {
                let occasion = Occasion::Incident(incident);
                let run = PlanExecution::begin(occasion, &self.around(out.now), out).of_one_that_hangs(hangs);
                self.enter(State::Restarting(Phase::Plan(run)), reason, out);
            }
            Some(_) | None => {
                self.cancel_run(out);
                let run = PlanExecution::begin(Occasion::Stop, &self.around(out.now), out);
                let clearing = Some(run.of_one_that_hangs(hangs));
                self.enter(State::Backoff { clearing, until: out.now + wait }, reason, out);
            }
        }
    }

    fn hangs(&self, checker: &CheckerName) -> bool {
        self.checkers.get(checker).is_some_and(Checker::saw_a_hang)
    }

    /// The node lacks a resource for the start: retry for as long as it takes. It is not the application's fault,
    /// so its budget is not used.
    fn try_later(&mut self, reason: String, out: &mut Outbox<'_>) {
        let jitter = out.jitter();
        let failure = self.streak.failed(&self.policy.backoff, jitter, out.now);
        let delay = failure.wait.max(self.policy.backoff.first);
        let when = plain(delay);
        let decision = format!("try again in {when} (not counted: this node lacks resources for a start)");
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        let clearing = Some(PlanExecution::begin(Occasion::Stop, &self.around(out.now), out));
        self.enter(State::Backoff { clearing, until: out.now + delay }, reason, out);
    }

    /// A plan has completed or failed.
    pub(super) fn take_progress(&mut self, progress: Progress, out: &mut Outbox<'_>) {
        let failure = match progress {
            Progress::Working => return,
            Progress::Done => None,
            Progress::Failed(reason) => Some(reason),
        };
        let starved = self.state.run().is_some_and(PlanExecution::is_starved);
        match (&mut self.state, failure) {
            (State::Starting(Phase::Plan(_)) | State::Restarting(Phase::Plan(_)), None) => {
                let starts_for = Some(self.policy.start_within);
                self.settle("started: waiting for the checkers to be up", starts_for, out);
            }
            (State::Starting(Phase::Plan(_)) | State::Restarting(Phase::Plan(_)), Some(reason))
                if self.desired.suspended =>
            {
                let reason = format!("the plan failed: {reason}; suspended: no action is taken");
                self.settle(&reason, Some(self.policy.start_within), out);
            }
            (State::Starting(Phase::Plan(_)), Some(reason)) if starved => {
                self.try_later(format!("the start failed: {reason}"), out);
            }
            (State::Restarting(Phase::Plan(_)), Some(reason)) if starved => {
                self.try_later(format!("the restart failed: {reason}"), out);
            }
            (State::Starting(Phase::Plan(_)), Some(reason)) => {
                self.state = State::Starting(Phase::Settle { until: Moment::NEVER, appears_by: None });
                self.try_again(Cause::Plan, format!("the start failed: {reason}"), out);
            }
            (State::Restarting(Phase::Plan(_)), Some(reason)) => {
                self.state = State::Restarting(Phase::Settle { until: Moment::NEVER, appears_by: None });
                self.try_again(Cause::Plan, format!("the restart failed: {reason}"), out);
            }
            (State::Backoff { clearing, .. }, None) => *clearing = None,
            // A leftover in the background may yet end, and may be another process that its checkers take for it;
            // or the node lacks the resources to find out. The next attempt checks first.
            (State::Backoff { clearing, .. }, Some(_)) if starved || !self.policy.keeps() => {
                *clearing = None;
            }
            (State::Backoff { .. }, Some(reason)) => {
                self.enter(State::Failed, reason, out);
            }
            (State::Stopping { then, .. }, None) => {
                let then = then.clone();
                self.stopped(then, out);
            }
            (State::Stopping { then: AfterStop::Waiting(prerequisite), .. }, Some(_))
                if !self.policy.keeps() =>
            {
                let prerequisite = prerequisite.clone();
                self.wait_for(prerequisite, out);
            }
            // It is left to the next daemon, which will check its state.
            (State::Stopping { then: AfterStop::Ended, .. }, Some(reason)) => {
                let left = State::Draining { until: Moment::NEVER, then: AfterDrain::Rest };
                self.enter(left, format!("the daemon is shutting down and leaves it running: {reason}"), out);
            }
            (State::Stopping { .. }, Some(reason)) => self.enter(State::Failed, reason, out),
            (
                State::Stopped
                | State::Starting(_)
                | State::Up
                | State::Restarting(_)
                | State::Failed
                | State::Draining { .. }
                | State::Waiting { .. },
                _,
            ) => {}
        }
    }

    pub(super) fn stopped(&mut self, then: AfterStop, out: &mut Outbox<'_>) {
        match then {
            AfterStop::Stopped => self.enter(State::Stopped, "stopped by an operator", out),
            AfterStop::Failed(reason) => self.enter(State::Failed, reason, out),
            AfterStop::Waiting(prerequisite) => self.wait_for(prerequisite, out),
            AfterStop::Ended => {
                self.enter(State::Stopped, "stopped with the daemon: the next one starts it again", out);
            }
        }
    }

    pub(super) fn wait_for(&mut self, prerequisite: CheckerName, out: &mut Outbox<'_>) {
        let said = self.checkers.get(&prerequisite).map_or("", Checker::said);
        let reason = format!("waits for prerequisite `{prerequisite}`: {said}");
        self.enter(State::Waiting { prerequisite }, reason, out);
    }
}

/// What failed, and how often in a row.
fn with_row(reason: String, failure: &Failure) -> String {
    match failure.number {
        0 | 1 => reason,
        number => {
            format!("{reason}; it has failed {number} times in a row, for {}", plain(failure.failing_for))
        }
    }
}
