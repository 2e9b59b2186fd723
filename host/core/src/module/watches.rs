//! Which checkers are run, and how often.

use super::checkers::Keeper;
use super::{Module, Phase, State};
use crate::id::CheckerName;
use crate::outbox::Outbox;
use crate::policy::{CheckerKind, OnDown};
use crate::verdict::Verdict;

/// How a state wants checkers to be run.
#[expect(clippy::struct_excessive_bools, reason = "each of them is a fact of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pace {
    /// The application should be alive: all of them are run.
    alive: bool,
    /// What is not up is looked at more often.
    eager: bool,
    /// Nothing is to happen by itself: prerequisites are not run either.
    asleep: bool,
    settling: bool,
    awaited: Option<CheckerName>,
}

impl Module {
    /// Whether the application should be alive now, so that a checker going
    /// down is news.
    pub(super) fn expects_life(&self) -> bool {
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

    /// The module as a checkpoint has it. What follows from its checkers is found out again: a checkpoint of an earlier
    /// version may hold a process that is missing without saying by when the module has to look at it.
    pub(crate) fn restored(&mut self) {
        self.missing_at = self.checkers.missing_until();
    }

    /// Runs the checkers that the state needs, at the pace that it needs.
    /// Processes are always looked at (that costs next to nothing, and shows what
    /// is left of a stopped application); prerequisites unless the module is
    /// stopped; all others while the application should be alive. Only those that have changed are looked at,
    /// unless the state wants something else than before.
    pub(super) fn adjust_watches(&mut self, out: &mut Outbox<'_>) {
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
