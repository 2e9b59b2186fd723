//! Which checkers are run, and how often.

use super::checker::Checker;
use super::{Module, Phase, State};
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::policy::{CheckerKind, OnDown};
use crate::verdict::Verdict;

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
        self.missing_at = self.checkers.values().map(Checker::missing_until).min().unwrap_or(Moment::NEVER);
    }

    /// Runs the checkers that the state needs, at the pace that it needs.
    /// Processes are always looked at (that costs next to nothing, and shows what
    /// is left of a stopped application); prerequisites unless the module is
    /// stopped; all others while the application should be alive.
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
        let settling = self.state.is_settling();
        (self.overdue_at, self.missing_at) = (Moment::NEVER, Moment::NEVER);
        for (name, checker) in &mut self.checkers {
            if !settling {
                checker.end_start();
            }
            let is_awaited = awaited.as_ref() == Some(name);
            let wanted = alive
                || is_awaited
                || checker.policy.kind == CheckerKind::Process
                || (checker.policy.on_down == OnDown::Wait && !asleep);
            let hurry = eager && checker.verdict() != Verdict::Up;
            let pace = hurry || is_awaited || checker.asked() || checker.is_trusted();
            checker.set_watch(wanted.then_some(pace), &self.name, name, out);
            self.overdue_at = self.overdue_at.min(checker.overdue_at());
            self.missing_at = self.missing_at.min(checker.missing_until());
        }
    }
}
