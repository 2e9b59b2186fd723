//! What follows from the state and the verdicts as they are.

use crate::id::CheckerName;
use crate::moment::{Moment, plain};
use crate::outbox::Outbox;
use crate::plan::Occasion;
use crate::policy::{CheckerKind, OnDown};
use crate::record::RecordKind;
use crate::verdict::Verdict;

use super::checker::Checker;
use super::{ASKED, AfterDrain, AfterStop, Module, Phase, State};

impl Module {
    /// Makes at most one move. Returns whether it made one.
    pub(super) fn evaluate(&mut self, out: &mut Outbox<'_>) -> bool {
        match &self.state {
            State::Starting(Phase::Look { until, held }) | State::Restarting(Phase::Look { until, held }) => {
                let (until, held) = (*until, *held && self.wish.suspended);
                self.evaluate_look(until, held, out)
            }
            State::Starting(Phase::Settle { until }) | State::Restarting(Phase::Settle { until }) => {
                let until = *until;
                self.evaluate_settle(until, out)
            }
            State::Up => self.evaluate_up(out),
            State::Draining { until, then: AfterDrain::Rest } => {
                if out.now >= *until {
                    self.state = State::Draining { until: Moment::NEVER, then: AfterDrain::Rest };
                }
                false
            }
            // What has died serves nobody: there is nothing left to drain.
            State::Draining { until, then } if out.now >= *until || self.application_has_died() => {
                match then {
                    AfterDrain::Stop => self.begin_stop(AfterStop::Stopped, "stopped by a person", out),
                    AfterDrain::Restart => {
                        self.begin_restart(Occasion::Restart, "restarted by a person".to_owned(), out);
                    }
                    AfterDrain::End | AfterDrain::Rest => {
                        self.begin_stop(AfterStop::Ended, "the daemon ends, and stops its applications", out);
                    }
                }
                true
            }
            State::Backoff { clearing: None, until }
                if !self.ending && (*until == ASKED || (out.now >= *until && !self.wish.suspended)) =>
            {
                self.start_or_wait("the next try is due", out);
                true
            }
            State::Waiting { .. } if !self.wish.suspended && !self.ending => self.evaluate_waiting(out),
            State::Starting(Phase::Plan(_))
            | State::Restarting(Phase::Plan(_))
            | State::Draining { .. }
            | State::Backoff { .. }
            | State::Waiting { .. }
            | State::Stopped
            | State::Failed
            | State::Stopping { .. } => false,
        }
    }

    /// The application runs already if its process checkers say so; where there
    /// are none, if all others do. `held`: it is not to be started if it does not.
    fn evaluate_look(&mut self, until: Moment, held: bool, out: &mut Outbox<'_>) -> bool {
        let native: Vec<&Checker> = self
            .checkers
            .values()
            .filter(|c| c.policy.kind == CheckerKind::Process && c.policy.on_down != OnDown::Wait)
            .collect();
        let witnesses = if native.is_empty() {
            self.application_checkers().map(|(_, checker)| checker).collect()
        } else {
            native
        };
        let late = out.now >= until;
        if !late && !witnesses.iter().all(|c| c.spoken() && !c.native_could_not_tell()) {
            return false;
        }
        let runs = !witnesses.is_empty() && witnesses.iter().all(|c| c.spoken() && c.saw_life());
        if runs {
            self.settle("the application runs already: waiting for the checkers to be up", out);
            return true;
        }
        if held {
            "suspended: the application is not started".clone_into(&mut self.reason);
            return false;
        }
        let undecided = self.prerequisites().any(|(_, c)| c.verdict() == Verdict::Undecided);
        if undecided && !late {
            return false;
        }
        self.start_or_wait("the application does not run yet", out);
        true
    }

    fn start_or_wait(&mut self, reason: &str, out: &mut Outbox<'_>) {
        let missing = self.prerequisites().find(|(_, c)| c.verdict() != Verdict::Up);
        match missing.map(|(name, _)| name.clone()) {
            Some(name) => self.wait_for(name, out),
            None => self.begin_start(reason, out),
        }
    }

    fn evaluate_settle(&mut self, until: Moment, out: &mut Outbox<'_>) -> bool {
        if let Some(moved) = self.stop_for_prerequisite(out) {
            return moved;
        }
        let down = self.application_checkers().find(|(_, c)| {
            c.verdict() == Verdict::Down && matches!(c.policy.on_down, OnDown::Restart | OnDown::Stop)
        });
        if down.is_some() && self.wish.suspended {
            return false;
        }
        if let Some((name, checker)) = down {
            let reason = format!("the start failed: checker `{name}` is down: {}", checker.said());
            match checker.policy.on_down {
                OnDown::Stop => self.stop_for(&name.clone(), reason, out),
                OnDown::Restart | OnDown::Wait | OnDown::Out | OnDown::Notify => {
                    self.try_again(None, reason, out);
                }
            }
            return true;
        }
        let gating = || self.checkers.values().filter(|c| c.policy.on_down.gates_health());
        let settled = |c: &Checker| {
            c.verdict() == Verdict::Up
                || c.cannot_tell()
                || (c.verdict() == Verdict::Down && c.policy.on_down == OnDown::Out)
        };
        let somebody_knows = gating().next().is_none() || gating().any(|c| c.verdict() == Verdict::Up);
        if gating().all(settled) && somebody_knows {
            self.streak.came_up(out.now);
            let reason = self.up_reason();
            self.enter(State::Up, reason, out);
            return true;
        }
        let overdue = until == Moment::NEVER || out.now >= until;
        if overdue && !self.wish.suspended {
            return self.settle_overdue(out);
        }
        false
    }

    /// The time to come up is over. A checker that saw a failure decides; where
    /// nobody can tell, nothing is done, for unknown is no failure. No time is set
    /// any more then: from here on every event is looked at as the last one.
    fn settle_overdue(&mut self, out: &mut Outbox<'_>) -> bool {
        let failing = self
            .application_checkers()
            .find(|(_, c)| c.judge.failing() && c.policy.on_down != OnDown::Out)
            .map(|(name, c)| format!("checker `{name}`: {}", c.said()));
        if let Some(failing) = failing {
            let late = plain(self.policy.start_within);
            self.try_again(None, format!("the application is not up after {late}: {failing}"), out);
            return true;
        }
        let silent = self
            .checkers
            .iter()
            .find(|(_, c)| c.policy.on_down.gates_health() && c.verdict() == Verdict::Undecided)
            .map(|(name, c)| format!("checker `{name}` cannot tell: {}", c.said()));
        self.reason = silent.unwrap_or_else(|| "waiting for the checkers to be up".to_owned());
        if let State::Starting(Phase::Settle { until }) | State::Restarting(Phase::Settle { until }) =
            &mut self.state
        {
            *until = Moment::NEVER;
        }
        false
    }

    fn evaluate_up(&mut self, out: &mut Outbox<'_>) -> bool {
        if self.wish.suspended {
            return false;
        }
        if let Some(moved) = self.stop_for_prerequisite(out) {
            return moved;
        }
        let worst = self
            .application_checkers()
            .filter(|(_, c)| c.verdict() == Verdict::Down)
            .filter(|(_, c)| matches!(c.policy.on_down, OnDown::Restart | OnDown::Stop))
            .min_by_key(|(_, c)| (c.policy.on_down != OnDown::Stop, c.judge.since()));
        let Some((name, checker)) = worst else { return false };
        let reason = format!("checker `{name}` is down: {}", checker.said());
        if checker.policy.on_down == OnDown::Stop {
            self.stop_for(&name.clone(), reason, out);
        } else {
            let incident = checker.incident(name);
            self.try_again(Some(incident), reason, out);
        }
        true
    }

    fn evaluate_waiting(&mut self, out: &mut Outbox<'_>) -> bool {
        let missing = self.prerequisites().find(|(_, c)| c.verdict() != Verdict::Up);
        let Some((name, said)) = missing.map(|(name, c)| (name.clone(), c.said().to_owned())) else {
            self.look("every prerequisite is up", false, out);
            return true;
        };
        self.reason = format!("waits for prerequisite `{name}`: {said}");
        self.state = State::Waiting { prerequisite: name };
        false
    }

    fn stop_for_prerequisite(&mut self, out: &mut Outbox<'_>) -> Option<bool> {
        let (name, said) = self
            .prerequisites()
            .find(|(_, c)| c.verdict() == Verdict::Down)
            .map(|(name, c)| (name.clone(), c.said().to_owned()))?;
        if self.wish.suspended {
            return Some(false);
        }
        let reason = format!("prerequisite `{name}` is down: {said}");
        let decision = "stop, and start again when it is up".to_owned();
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        self.begin_stop(AfterStop::Waiting(name), reason, out);
        Some(true)
    }

    fn stop_for(&mut self, checker: &CheckerName, reason: String, out: &mut Outbox<'_>) {
        let decision = format!("stop: that is what checker `{checker}` is for");
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        self.begin_stop(AfterStop::Failed(reason.clone()), reason, out);
    }

    fn application_has_died(&self) -> bool {
        self.application_checkers().any(|(_, c)| {
            c.policy.kind == CheckerKind::Process && c.verdict() == Verdict::Down && !c.saw_life()
        })
    }

    fn prerequisites(&self) -> impl Iterator<Item = (&CheckerName, &Checker)> {
        self.checkers.iter().filter(|(_, c)| c.policy.on_down == OnDown::Wait)
    }

    /// Those that look at the application itself and have a say.
    fn application_checkers(&self) -> impl Iterator<Item = (&CheckerName, &Checker)> {
        self.checkers.iter().filter(|(_, c)| match c.policy.on_down {
            OnDown::Restart | OnDown::Stop | OnDown::Out => true,
            OnDown::Wait | OnDown::Notify => false,
        })
    }
}
