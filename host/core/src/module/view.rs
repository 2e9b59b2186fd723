//! The published view of a module.

use crate::id::CheckerName;
use crate::moment::Moment;
use crate::snapshot::{CheckerView, Load, ModuleView, ON_PROBATION};
use crate::verdict::Verdict;

use super::checker::Checker;
use super::checkers::{Facets, Keeper, looks};
use super::plan_execution::PlanExecution;
use super::{ASKED, Module, State};

/// Why the health check fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// The module is in a state other than `Up`, for this reason.
    #[error("{0}")]
    NotUp(String),
    #[error("checker `{checker}` is down: {said}")]
    Down { checker: CheckerName, said: String },
    #[error("no checker affects the health check: all of them only notify")]
    NoSay,
    #[error("checker `{0}` has not answered since the daemon was started")]
    AwaitsFirstRun(CheckerName),
    /// All checkers are unknown; with the summary of one of them.
    #[error("no checker can tell whether the application serves: {0}")]
    CannotTell(String),
}

impl Module {
    /// Whether the module is ready, and if not: why.
    ///
    /// Ready only in `Up`, only while no checker that affects the state is down, and only while at least one of
    /// them is not unknown: an unknown state is not ready.
    pub(crate) fn readiness(&self) -> Result<(), NotReady> {
        if !matches!(self.state, State::Up) {
            return Err(NotReady::NotUp(self.not_up_yet().unwrap_or_else(|| self.reason.clone())));
        }
        let down = self.checkers.first(|c| c.gates_health() && c.verdict == Verdict::Down);
        if let Some((name, checker)) = down {
            return Err(NotReady::Down { checker: name.clone(), said: checker.said().to_owned() });
        }
        let Some((_, first)) = self.checkers.first(Facets::gates_health) else { return Err(NotReady::NoSay) };
        if let Some(name) = self.awaits_first_run() {
            return Err(NotReady::AwaitsFirstRun(name.clone()));
        }
        if !self.checkers.any(can_tell) {
            return Err(NotReady::CannotTell(first.said().to_owned()));
        }
        Ok(())
    }

    /// Whether load balancers are told yes. It is asked after every event: no words are made.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Up)
            && !self.checkers.any(|c| c.gates_health() && c.verdict == Verdict::Down)
            && self.checkers.any(can_tell)
            && self.awaits_first_run().is_none()
    }

    /// What a starting application still lacks, according to a checker.
    fn not_up_yet(&self) -> Option<String> {
        if !self.state.is_settling() {
            return None;
        }
        let (name, checker) = self.checkers.first(|c| c.is_of_application() && c.failing)?;
        Some(format!("{}; checker `{name}` is not yet up: {}", self.reason, checker.said()))
    }

    /// Why it is up.
    pub(super) fn up_reason(&self) -> String {
        if self.trusted_until.is_some() {
            return "the application was found again and was ready a moment ago; not every checker has run since"
                .to_owned();
        }
        let is_remarked = |c: &Facets| {
            c.gates_health()
                && match c.verdict {
                    Verdict::Up => c.cannot_tell,
                    Verdict::Undecided => c.cannot_tell || c.on_probation,
                    Verdict::Down => true,
                }
        };
        let Some((name, c)) = self.checkers.first(is_remarked) else {
            return "the application serves: every checker is up".to_owned();
        };
        let remark = match c.verdict() {
            Verdict::Up | Verdict::Undecided if c.cannot_tell() => {
                format!("checker `{name}` cannot tell: {}", c.said())
            }
            Verdict::Down if !c.on_probation() => {
                format!("checker `{name}` keeps it out of the load balancer: {}", c.said())
            }
            Verdict::Down | Verdict::Undecided | Verdict::Up => {
                format!("checker `{name}` is {ON_PROBATION}: {}", c.said())
            }
        };
        format!("the application serves; {remark}")
    }

    /// The load that load balancers are told with a positive answer.
    fn load(&self) -> Option<Load> {
        let is_noticed = |c: &Facets| !c.gates_health() && c.verdict == Verdict::Down;
        let load = || if self.checkers.any(is_noticed) { Load::Degraded } else { Load::Full };
        self.policy.degrade.then(load)
    }

    /// Whether the health answer and the state are those that this view shows.
    pub(crate) fn answers_like(&self, view: &ModuleView) -> bool {
        self.state.name() == view.state
            && self.is_ready() == view.ready
            && self.load() == view.load
            && self.readmission.until() == view.readmit_until
    }

    /// Of the checkers, those that have changed since are drawn anew.
    pub(crate) fn view(&mut self, now: Moment) -> ModuleView {
        for name in self.checkers.changed(Keeper::Picture) {
            match self.checkers.get(name) {
                Some(checker) => self.pictures.put(checker_view(name, checker)),
                None => self.pictures.remove(name),
            }
        }
        self.checkers.known(Keeper::Picture);
        let readiness = self.readiness();
        debug_assert_eq!(readiness.is_ok(), self.is_ready(), "{readiness:?}");
        let deadline = if matches!(self.state, State::Backoff { .. } | State::Draining { .. }) {
            self.due()
        } else {
            Moment::NEVER
        };
        ModuleView {
            name: self.name.clone(),
            changed: 0,
            state: self.state.name(),
            ready: readiness.is_ok(),
            since: self.since,
            ready_since: now,
            reason: readiness.err().map_or_else(|| self.up_reason(), |why| why.to_string()),
            desired: self.desired,
            next: (deadline != Moment::NEVER && deadline != ASKED).then_some(deadline),
            restarts: self.budget.spent(&self.policy.budget, now),
            restarts_allowed: self.policy.budget.restarts,
            restarts_within: self.policy.budget.within,
            drain: self.drain_lasts(),
            load: self.load(),
            probed_every: self.probed_every,
            readmit_until: self.readmission.until(),
            plan: self.state.run().and_then(PlanExecution::view),
            processes: self.checkers.processes(),
            checkers: self.pictures.clone(),
        }
    }
}

/// Whether the checker knows that the application serves.
fn can_tell(c: &Facets) -> bool {
    c.gates_health() && (c.verdict == Verdict::Up || c.stood)
}

pub(super) fn checker_view(name: &CheckerName, checker: &Checker) -> CheckerView {
    looks::count();
    CheckerView {
        name: name.clone(),
        kind: checker.policy.kind,
        on_down: checker.policy.on_down,
        verdict: checker.verdict(),
        since: checker.judge.since(),
        watched: checker.watched(),
        on_probation: checker.on_probation(),
        definition: checker.policy.definition,
        interval: checker.policy.interval,
        next: checker.next_run(),
        last: checker.last.clone(),
    }
}
