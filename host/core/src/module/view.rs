//! The published view of a module.

use std::collections::BTreeSet;

use crate::id::CheckerName;
use crate::moment::Moment;
use crate::observation::ProcessFact;
use crate::snapshot::{CheckerView, Load, ModuleView, ON_PROBATION};
use crate::verdict::Verdict;

use super::checker::Checker;
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
        let gating = || self.checkers.iter().filter(|(_, c)| c.policy.on_down.gates_health());
        if let Some((name, checker)) = gating().find(|(_, c)| c.verdict() == Verdict::Down) {
            return Err(NotReady::Down { checker: name.clone(), said: checker.said().to_owned() });
        }
        if gating().next().is_none() {
            return Err(NotReady::NoSay);
        }
        if let Some(name) = self.awaits_first_run() {
            return Err(NotReady::AwaitsFirstRun(name.clone()));
        }
        if !gating().any(|(_, c)| c.verdict() == Verdict::Up || c.stood()) {
            let said = gating().next().map_or("", |(_, c)| c.said());
            return Err(NotReady::CannotTell(said.to_owned()));
        }
        Ok(())
    }

    /// Whether the health answer is positive. Evaluated after every event, so it only examines the checkers and
    /// creates no texts.
    pub(crate) fn is_ready(&self) -> bool {
        if !matches!(self.state, State::Up) {
            return false;
        }
        let mut can_tell = false;
        for checker in self.checkers.values().filter(|c| c.policy.on_down.gates_health()) {
            if checker.verdict() == Verdict::Down {
                return false;
            }
            can_tell |= checker.verdict() == Verdict::Up || checker.stood();
        }
        can_tell && self.awaits_first_run().is_none()
    }

    /// What a starting application still lacks, according to a checker.
    fn not_up_yet(&self) -> Option<String> {
        if !self.state.is_settling() {
            return None;
        }
        let (name, checker) = self.application_checkers().find(|(_, c)| c.judge.failing())?;
        Some(format!("{}; checker `{name}` is not yet up: {}", self.reason, checker.said()))
    }

    /// Why it is up.
    pub(super) fn up_reason(&self) -> String {
        if self.trusted_until.is_some() {
            return "the application was found again and was ready a moment ago; not every checker has run since"
                .to_owned();
        }
        let mut gating = self.checkers.iter().filter(|(_, c)| c.policy.on_down.gates_health());
        let remark = gating.find_map(|(name, c)| match c.verdict() {
            Verdict::Up | Verdict::Undecided if c.cannot_tell() => {
                Some(format!("checker `{name}` cannot tell: {}", c.said()))
            }
            Verdict::Down | Verdict::Undecided if c.on_probation() => {
                Some(format!("checker `{name}` is {ON_PROBATION}: {}", c.said()))
            }
            Verdict::Down => {
                Some(format!("checker `{name}` keeps it out of the load balancer: {}", c.said()))
            }
            Verdict::Up | Verdict::Undecided => None,
        });
        match remark {
            Some(remark) => format!("the application serves; {remark}"),
            None => "the application serves: every checker is up".to_owned(),
        }
    }

    /// The load that load balancers are told with a positive answer.
    fn load(&self) -> Option<Load> {
        let notices = || self.checkers.values().filter(|c| !c.policy.on_down.gates_health());
        let load =
            || if notices().any(|c| c.verdict() == Verdict::Down) { Load::Degraded } else { Load::Full };
        self.policy.degrade.then(load)
    }

    /// Whether the health answer and the state are those that this view shows.
    pub(crate) fn answers_like(&self, view: &ModuleView) -> bool {
        self.state.name() == view.state
            && self.is_ready() == view.ready
            && self.load() == view.load
            && self.readmission.until() == view.readmit_until
    }

    pub(crate) fn view(&self, now: Moment) -> ModuleView {
        let readiness = self.readiness();
        debug_assert_eq!(readiness.is_ok(), self.is_ready(), "{readiness:?}");
        let deadline = if matches!(self.state, State::Backoff { .. } | State::Draining { .. }) {
            self.due()
        } else {
            Moment::NEVER
        };
        let mut processes: Vec<ProcessFact> = Vec::new();
        let mut known: BTreeSet<(u32, &str)> = BTreeSet::new();
        for observation in self.checkers.values().filter(|c| c.watched()).filter_map(|c| c.last.as_ref()) {
            for process in &observation.processes {
                if known.insert((process.pid, &process.name)) {
                    processes.push(process.clone());
                }
            }
        }
        ModuleView {
            name: self.name.clone(),
            changed: 0,
            state: self.state.name(),
            ready: readiness.is_ok(),
            since: self.since,
            ready_since: now,
            reason: readiness.err().map_or_else(|| self.up_reason(), |why| why.to_string()),
            wish: self.wish,
            next: (deadline != Moment::NEVER && deadline != ASKED).then_some(deadline),
            restarts: self.budget.spent(&self.policy.budget, now),
            restarts_allowed: self.policy.budget.restarts,
            restarts_within: self.policy.budget.within,
            drain: self.drain_lasts(),
            load: self.load(),
            probed_every: self.probed_every,
            readmit_until: self.readmission.until(),
            plan: self.state.run().and_then(PlanExecution::view),
            processes,
            checkers: self.checkers.iter().map(|(name, c)| checker_view(name, c)).collect(),
        }
    }
}

fn checker_view(name: &CheckerName, checker: &Checker) -> CheckerView {
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
