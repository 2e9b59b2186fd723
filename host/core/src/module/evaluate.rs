//! The consequences of the present state and verdicts.

use crate::id::CheckerName;
use crate::moment::{Moment, plain};
use crate::outbox::Outbox;
use crate::plan::Occasion;
use crate::policy::{CheckerKind, OnDown};
use crate::record::RecordKind;
use crate::verdict::Verdict;

use super::checker::Checker;
use super::checkers::Facets;
use super::moves::Cause;
use super::{ASKED, AfterDrain, AfterStop, Module, Phase, State};

impl Module {
    /// Makes at most one transition. Returns whether it made one.
    pub(super) fn evaluate(&mut self, out: &mut Outbox<'_>) -> bool {
        match &self.state {
            State::Starting(Phase::Look { until, held }) | State::Restarting(Phase::Look { until, held }) => {
                let (until, held) = (*until, *held && self.desired.suspended);
                self.evaluate_look(until, held, out)
            }
            State::Starting(Phase::Settle { until, appears_by })
            | State::Restarting(Phase::Settle { until, appears_by }) => {
                let (until, appears_by) = (*until, *appears_by);
                self.evaluate_settle(until, appears_by, out)
            }
            State::Up => self.evaluate_up(out),
            State::Draining { until, then: AfterDrain::Rest } => {
                if out.now >= *until {
                    self.state = State::Draining { until: Moment::NEVER, then: AfterDrain::Rest };
                }
                false
            }
            // An application that has died serves no sessions, so there is nothing to drain.
            State::Draining { until, then } if out.now >= *until || self.application_has_died() => {
                match then {
                    AfterDrain::Stop => self.begin_stop(AfterStop::Stopped, "stopped by an operator", out),
                    AfterDrain::Restart => {
                        self.begin_restart(Occasion::Restart, "restarted by an operator".to_owned(), out);
                    }
                    AfterDrain::End | AfterDrain::Rest => {
                        self.begin_stop(
                            AfterStop::Ended,
                            "the daemon is shutting down and stops its applications",
                            out,
                        );
                    }
                }
                true
            }
            State::Backoff { clearing: None, until }
                if !self.ending && (*until == ASKED || (out.now >= *until && !self.desired.suspended)) =>
            {
                if self.runs_in_the_background() {
                    self.look(
                        "the next attempt is due, and a part of the application is still running",
                        false,
                        out,
                    );
                } else {
                    self.start_or_wait("the next attempt is due", out);
                }
                true
            }
            State::Waiting { .. } if !self.desired.suspended && !self.ending => self.evaluate_waiting(out),
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

    /// The application runs already if its process checkers say so; without any, if all others do. `held`: it is
    /// not to be started if it does not run.
    fn evaluate_look(&mut self, until: Moment, held: bool, out: &mut Outbox<'_>) -> bool {
        let checkers = &self.checkers;
        let witness = self.witness();
        // Where all that could tell was edited, the application is taken to be as it was.
        let unproven = self.service.lasts() && !checkers.any(&witness) && checkers.any(|c| c.on_probation);
        let asked = |c: &Facets| if unproven { c.is_of_application() } else { witness(c) };
        let late = out.now >= until;
        let told = late || checkers.all(|c| !asked(c) || (c.spoken && !c.native_could_not_tell));
        if !told && (!unproven || !self.serves_as_before()) {
            return false;
        }
        let has_ended = || checkers.any(|c| asked(c) && c.spoken && c.saw_its_end);
        let runs = if unproven { !has_ended() } else { self.all_see_life(asked) };
        if runs {
            self.is_found(out);
            return true;
        }
        if held {
            "suspended: the application is not started".clone_into(&mut self.reason);
            self.first_look = false;
            return false;
        }
        let undecided = self.checkers.any(|c| c.is_prerequisite() && c.verdict == Verdict::Undecided);
        if undecided && !late {
            return false;
        }
        if !self.act_on_death(out) {
            self.start_or_wait("the application does not run yet", out);
        }
        true
    }

    /// Which checkers tell whether the application runs. One on probation does not.
    fn witness(&self) -> impl Fn(&Facets) -> bool + use<> {
        let native = self.checkers.any(Facets::is_native);
        move |c| !c.on_probation && if native { c.is_native() } else { c.is_of_application() }
    }

    /// Those that tell whether the application runs.
    pub(super) fn witnesses(&self) -> Vec<&Checker> {
        self.checkers.each(self.witness()).map(|(_, checker)| checker).collect()
    }

    /// Whether there are such checkers, and all of them have seen that it lives.
    fn all_see_life(&self, such: impl Fn(&Facets) -> bool) -> bool {
        self.checkers.any(&such) && self.checkers.all(|c| !such(c) || c.sees_life())
    }

    /// Whether an application that is not kept runs, according to its process checkers. They are run in every
    /// state.
    fn runs_in_the_background(&self) -> bool {
        !self.policy.keeps() && self.all_see_life(|c| c.is_native() && !c.on_probation)
    }

    fn start_or_wait(&mut self, reason: &str, out: &mut Outbox<'_>) {
        let missing = self.missing_prerequisite();
        match missing.map(|(name, _)| name.clone()) {
            Some(name) => self.wait_for(name, out),
            None => self.begin_start(reason, out),
        }
    }

    fn evaluate_settle(&mut self, until: Moment, appears_by: Option<Moment>, out: &mut Outbox<'_>) -> bool {
        if let Some(moved) = self.stop_for_prerequisite(out) {
            return moved;
        }
        if self.desired.suspended && self.checkers.any(is_acted_on) {
            return false;
        }
        // Of what counts until it is up, there is only that the application has ended.
        if let Some(down) = self.worst() {
            if !self.is_not_a_prerequisites_doing(&down, out) {
                return false;
            }
            let said = self.checkers.get(&down).map_or("", Checker::said);
            let reason = format!("the start failed: checker `{down}` is down: {said}");
            self.give_up_start(&down, reason, out);
            return true;
        }
        self.doubt = None;
        let settled = |c: &Facets| {
            (c.on_probation && c.spoken)
                || (c.verdict == Verdict::Up && !c.failing)
                || c.cannot_tell
                || (c.verdict == Verdict::Down && c.on_down == OnDown::Out)
        };
        let somebody_knows = !self.checkers.any(Facets::gates_health)
            || self.checkers.any(|c| c.gates_health() && (c.verdict == Verdict::Up || c.stood));
        if somebody_knows && self.checkers.all(|c| !c.gates_health() || settled(c)) {
            self.streak.came_up(out.now);
            let reason = self.up_reason();
            self.enter(State::Up, reason, out);
            return true;
        }
        if self.desired.suspended {
            return false;
        }
        if until == Moment::NEVER || out.now >= until {
            return self.settle_overdue(out);
        }
        appears_by.is_some_and(|by| out.now >= by) && self.settle_unseen(out)
    }

    /// The time to come up is over. A checker that saw a failure decides; if all are unknown, nothing is done,
    /// because unknown is not a failure. Then no further time limit is set: from here on every event may decide.
    fn settle_overdue(&mut self, out: &mut Outbox<'_>) -> bool {
        let failing = self
            .checkers
            .first(|c| c.is_of_application() && c.failing && c.on_down != OnDown::Out && !c.on_probation)
            .map(|(name, c)| (name.clone(), format!("checker `{name}`: {}", c.said())));
        if let Some((name, failing)) = failing {
            let late = plain(self.policy.start_within);
            self.give_up_start(&name, format!("the application is not up after {late}: {failing}"), out);
            return true;
        }
        let silent = self
            .checkers
            .first(|c| c.gates_health() && c.verdict == Verdict::Undecided)
            .map(|(name, c)| format!("checker `{name}` cannot tell: {}", c.said()));
        self.reason = silent.unwrap_or_else(|| "waiting for the checkers to be up".to_owned());
        if let State::Starting(Phase::Settle { until, appears_by })
        | State::Restarting(Phase::Settle { until, appears_by }) = &mut self.state
        {
            (*until, *appears_by) = (Moment::NEVER, None);
        }
        false
    }

    /// The time to be seen is over. An application without any process or answer is not starting: its start has
    /// left nothing behind.
    fn settle_unseen(&mut self, out: &mut Outbox<'_>) -> bool {
        if let State::Starting(Phase::Settle { appears_by, .. })
        | State::Restarting(Phase::Settle { appears_by, .. }) = &mut self.state
        {
            *appears_by = None;
        }
        let answers = self.application_checkers().any(|(_, c)| c.spoken() && c.saw_life());
        let unseen = self.application_checkers().find(|(_, c)| c.has_not_appeared() && !c.on_probation());
        let Some((name, said)) = unseen.filter(|_| !answers).map(|(name, c)| (name.clone(), c.said())) else {
            return false;
        };
        let late = plain(self.policy.appear_within.unwrap_or(self.policy.start_within));
        let reason =
            format!("the start left nothing behind that was seen within {late}: checker `{name}`: {said}");
        self.give_up_start(&name, reason, out);
        true
    }

    fn give_up_start(&mut self, because_of: &CheckerName, reason: String, out: &mut Outbox<'_>) {
        match self.checkers.get(because_of).map(|c| c.policy.on_down) {
            Some(OnDown::Stop) => self.stop_for(because_of, reason, out),
            Some(OnDown::Restart | OnDown::Wait | OnDown::Out | OnDown::Notify) | None => {
                self.try_again(Cause::Start(because_of.clone()), reason, out);
            }
        }
    }

    fn evaluate_up(&mut self, out: &mut Outbox<'_>) -> bool {
        self.end_trust(out.now);
        if self.desired.suspended {
            return false;
        }
        if let Some(moved) = self.stop_for_prerequisite(out) {
            return moved;
        }
        let Some(down) = self.worst() else {
            self.doubt = None;
            return false;
        };
        if !self.is_not_a_prerequisites_doing(&down, out) {
            return false;
        }
        let Some(checker) = self.checkers.get(&down) else { return false };
        let reason = format!("checker `{down}` is down: {}", checker.said());
        if checker.policy.on_down == OnDown::Stop {
            self.stop_for(&down, reason, out);
        } else {
            let incident = checker.incident(&down);
            self.try_again(Cause::Incident(incident), reason, out);
        }
        true
    }

    /// The checker that is down and is acted on first.
    fn worst(&self) -> Option<CheckerName> {
        self.checkers
            .each(is_acted_on)
            .map(|(name, c)| (c.policy.on_down != OnDown::Stop, c.judge.since(), name))
            .min()
            .map(|(_, _, name)| name.clone())
    }

    fn evaluate_waiting(&mut self, out: &mut Outbox<'_>) -> bool {
        let missing = self.missing_prerequisite();
        let Some((name, said)) = missing.map(|(name, c)| (name.clone(), c.said().to_owned())) else {
            self.look("every prerequisite is up", false, out);
            return true;
        };
        self.reason = format!("waits for prerequisite `{name}`: {said}");
        self.state = State::Waiting { prerequisite: name };
        false
    }

    pub(super) fn stop_for(&mut self, checker: &CheckerName, reason: String, out: &mut Outbox<'_>) {
        let decision = format!("stop: that is what checker `{checker}` is for");
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        self.begin_stop(AfterStop::Failed(reason.clone()), reason, out);
    }

    pub(super) fn application_has_died(&self) -> bool {
        self.checkers.any(|c| {
            c.is_of_application()
                && c.kind == CheckerKind::Process
                && c.verdict == Verdict::Down
                && !c.saw_life
        })
    }

    /// The checkers that observe the application itself and affect its state.
    pub(super) fn application_checkers(&self) -> impl Iterator<Item = (&CheckerName, &Checker)> {
        self.checkers.iter().filter(|(_, c)| match c.policy.on_down {
            OnDown::Restart | OnDown::Stop | OnDown::Out => true,
            OnDown::Wait | OnDown::Notify => false,
        })
    }
}

/// Whether it is down, and the application is restarted or stopped for that.
fn is_acted_on(c: &Facets) -> bool {
    matches!(c.on_down, OnDown::Restart | OnDown::Stop)
        && c.verdict == Verdict::Down
        && (!c.on_probation || c.saw_its_end)
}
