//! The moves: each leaves one state for another, and says why.

use crate::id::CheckerName;
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::plan::{Incident, Occasion};
use crate::policy::OnDown;
use crate::record::RecordKind;

use super::checker::Checker;
use super::plan_run::{PlanRun, Progress};
use super::{AfterDrain, AfterStop, LOOK_TIME, Module, Phase, State};

impl Module {
    pub(super) fn enter(&mut self, state: State, reason: impl Into<String>, out: &mut Outbox<'_>) {
        let reason = reason.into();
        let (from, to) = (self.state.name(), state.name());
        self.state = state;
        self.unremembered = true;
        if from != to {
            self.since = out.now;
            out.record(Some(&self.name), RecordKind::State { from, to, reason: reason.clone() });
        }
        self.reason = reason;
    }

    /// Sees whether the application runs already.
    pub(super) fn look(&mut self, reason: &str, held: bool, out: &mut Outbox<'_>) {
        for checker in self.checkers.values_mut() {
            if checker.policy.on_down != OnDown::Wait {
                // Nothing is held against an application that does not run yet.
                checker.begin(Moment::NEVER, out);
            } else if !checker.watched() {
                checker.begin(out.now, out);
            }
        }
        self.enter(State::Starting(Phase::Look { until: out.now + LOOK_TIME, held }), reason, out);
    }

    /// Waits until the checkers are up. What they saw before counts no more.
    pub(super) fn settle(&mut self, reason: &str, out: &mut Outbox<'_>) {
        for checker in self.checkers.values_mut() {
            if checker.policy.on_down != OnDown::Wait {
                checker.begin(out.now + checker.policy.thresholds.grace, out);
            }
        }
        let phase = Phase::Settle { until: out.now + self.policy.start_within };
        let state = if let State::Restarting(_) = self.state {
            State::Restarting(phase)
        } else {
            State::Starting(phase)
        };
        self.enter(state, reason, out);
    }

    pub(super) fn begin_start(&mut self, reason: &str, out: &mut Outbox<'_>) {
        let run = PlanRun::begin(Occasion::Start, &self.around(out.now), out);
        self.enter(State::Starting(Phase::Plan(run)), reason, out);
    }

    pub(super) fn begin_restart(&mut self, occasion: Occasion, reason: String, out: &mut Outbox<'_>) {
        let run = PlanRun::begin(occasion, &self.around(out.now), out);
        self.enter(State::Restarting(Phase::Plan(run)), reason, out);
    }

    /// Stops the application, whatever is under way.
    pub(super) fn begin_stop(&mut self, then: AfterStop, reason: impl Into<String>, out: &mut Outbox<'_>) {
        self.cancel_run(out);
        let run = PlanRun::begin(Occasion::Stop, &self.around(out.now), out);
        self.enter(State::Stopping { run, then }, reason, out);
    }

    pub(super) fn drain(&mut self, then: AfterDrain, reason: String, out: &mut Outbox<'_>) {
        self.enter(State::Draining { until: out.now + self.policy.drain, then }, reason, out);
    }

    /// The application serves no more, or did not start: try again, if the budget allows.
    pub(super) fn try_again(&mut self, incident: Option<Incident>, reason: String, out: &mut Outbox<'_>) {
        let (allowed, within) = (self.policy.budget.restarts, self.policy.budget.within);
        let window = crate::moment::plain(within);
        self.unremembered = true;
        let Some(spent) = self.budget.take(&self.policy.budget, out.now) else {
            let all_spent = self.policy.budget.all_spent();
            let decision = format!("stop: {all_spent}");
            out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
            let why = format!("{reason}; {all_spent}");
            self.begin_stop(AfterStop::Failed(why.clone()), why, out);
            return;
        };
        let jitter = out.jitter();
        let delay = self.streak.failed(&self.policy.backoff, jitter, out.now);
        let when =
            if delay.is_zero() { String::new() } else { format!(" in {}", crate::moment::plain(delay)) };
        let decision = format!("restart{when} (number {spent} of {allowed} within {window})");
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        match incident {
            Some(incident) if delay.is_zero() => {
                self.begin_restart(Occasion::Incident(incident), reason, out);
            }
            Some(_) | None => {
                self.cancel_run(out);
                let clearing = Some(PlanRun::begin(Occasion::Stop, &self.around(out.now), out));
                self.enter(State::Backoff { clearing, until: out.now + delay }, reason, out);
            }
        }
    }

    /// The node lacks what a start needs: try again for as long as it takes. Not the application's
    /// fault, so its budget is left alone.
    fn try_later(&mut self, reason: String, out: &mut Outbox<'_>) {
        let jitter = out.jitter();
        let delay = self.streak.failed(&self.policy.backoff, jitter, out.now).max(self.policy.backoff.first);
        let when = crate::moment::plain(delay);
        let decision = format!("try again in {when} (not counted: this node lacks what a start needs)");
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        let clearing = Some(PlanRun::begin(Occasion::Stop, &self.around(out.now), out));
        self.enter(State::Backoff { clearing, until: out.now + delay }, reason, out);
    }

    /// A plan has come to its end, or not.
    pub(super) fn take_progress(&mut self, progress: Progress, out: &mut Outbox<'_>) {
        let failure = match progress {
            Progress::Working => return,
            Progress::Done => None,
            Progress::Failed(reason) => Some(reason),
        };
        let starved = self.state.run().is_some_and(PlanRun::is_starved);
        match (&mut self.state, failure) {
            (State::Starting(Phase::Plan(_)) | State::Restarting(Phase::Plan(_)), None) => {
                self.settle("started: waiting for the checkers to be up", out);
            }
            (State::Starting(Phase::Plan(_)) | State::Restarting(Phase::Plan(_)), Some(reason))
                if self.wish.suspended =>
            {
                self.settle(&format!("the plan failed: {reason}; suspended: nothing is done about it"), out);
            }
            (State::Starting(Phase::Plan(_)), Some(reason)) if starved => {
                self.try_later(format!("the start failed: {reason}"), out);
            }
            (State::Restarting(Phase::Plan(_)), Some(reason)) if starved => {
                self.try_later(format!("the restart failed: {reason}"), out);
            }
            (State::Starting(Phase::Plan(_)), Some(reason)) => {
                self.state = State::Starting(Phase::Settle { until: Moment::NEVER });
                self.try_again(None, format!("the start failed: {reason}"), out);
            }
            (State::Restarting(Phase::Plan(_)), Some(reason)) => {
                self.state = State::Restarting(Phase::Settle { until: Moment::NEVER });
                self.try_again(None, format!("the restart failed: {reason}"), out);
            }
            (State::Backoff { clearing, .. }, None) => *clearing = None,
            (State::Backoff { .. }, Some(reason)) => {
                self.enter(State::Failed, reason, out);
            }
            (State::Stopping { then, .. }, None) => {
                let then = then.clone();
                self.stopped(then, out);
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
            AfterStop::Stopped => self.enter(State::Stopped, "stopped by a person", out),
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
