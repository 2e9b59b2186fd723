//! An application that the last core knew to be ready is found again, and stays ready.
//!
//! ```text
//!   Starting, first look ── runs, and is the same ──▶ Up, ready by the verdicts of the last core
//!        │                                              │                │
//!        │ runs, and is not known                       │ each has run   │ one of them is late
//!        ▼                                              ▼                ▼
//!   Starting, settles                                  Up          Up, not ready until it has run
//! ```
//! A daemon that is restarted has no reason to say no of an application that serves, and a load
//! balancer would take the node out. What is known is only carried over if the application is seen
//! to be the same: its process runs, and ran when the last core knew it; or, where no checker looks
//! at processes, every checker has run and saw that it is well. A checker that runs and fails counts
//! as if there had been one core all along.

use std::time::Duration;

use crate::id::CheckerName;
use crate::memory::Serving;
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::policy::{CheckerKind, OnDown};

use super::checker::Checker;
use super::starting::uptime;
use super::{Module, State};

/// Verdicts of the last core count for so long, or for as long as one run of the slowest checker may take.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// How exactly it is known when a process was started: its age is measured a little before it is told.
const ROUNDING: Duration = Duration::from_secs(1);

impl Module {
    /// Whether this core has yet to find out whether the application runs.
    pub(crate) fn is_first_look(&self) -> bool {
        self.first_look
    }

    /// Whether the application, which runs, is the one that was ready under the last core.
    pub(super) fn serves_as_before(&self) -> bool {
        let Some(serving) = self.serving.as_ref().filter(|_| self.first_look) else { return false };
        let gating = || self.checkers.iter().filter(|(_, c)| c.policy.on_down.gates_health());
        let nothing_against = gating()
            .all(|(name, c)| serving.verdicts.contains_key(name) && !(c.spoken() && c.judge.failing()));
        let is_native =
            |c: &Checker| c.policy.kind == CheckerKind::Process && c.policy.on_down != OnDown::Wait;
        let mut native = gating().filter(|(_, c)| is_native(c)).peekable();
        let known = if native.peek().is_some() {
            native
                .all(|(name, c)| serving.processes.get(name).is_some_and(|pid| sees(c, *pid, serving.since)))
        } else {
            gating().all(|(_, c)| c.spoken() && c.saw_life())
        };
        nothing_against && known
    }

    /// The application goes on as the last core knew it.
    pub(super) fn go_on_serving(&mut self, out: &mut Outbox<'_>) {
        let Some(serving) = self.serving.clone() else { return };
        for (name, checker) in &mut self.checkers {
            let verdict = serving.verdicts.get(name).copied().unwrap_or_default();
            checker.trust(verdict, out.now);
        }
        self.enter(State::Up, "the application was found again, and serves on", out);
        let slowest = self.checkers.values().filter(|c| c.is_trusted()).map(|c| c.policy.timeout).max();
        self.trusted_until = slowest.map(|timeout| out.now + timeout.max(TRUSTED_FOR));
    }

    /// Checkers that have run speak for themselves. What one that has not run by now said earlier counts no more.
    pub(super) fn end_trust(&mut self, now: Moment) {
        let Some(until) = self.trusted_until else { return };
        if !self.checkers.values().any(Checker::is_trusted) {
            self.trusted_until = None;
            self.reason = self.up_reason();
        } else if now >= until {
            self.trusted_until = Some(Moment::NEVER);
            self.checkers.values_mut().filter(|c| c.is_trusted()).for_each(|c| c.distrust(now));
        }
    }

    /// Whose answer is late, if that is so: until it comes, nobody knows whether the application serves.
    pub(super) fn awaits_first_run(&self) -> Option<&CheckerName> {
        self.trusted_until.filter(|until| *until == Moment::NEVER)?;
        let mut late =
            self.checkers.iter().filter(|(_, c)| c.policy.on_down.gates_health() && c.is_trusted());
        late.next().map(|(name, _)| name)
    }

    /// Keeps in mind what the application is like while it is ready.
    pub(super) fn keep_serving(&mut self, now: Moment) {
        // What the last core knew is good for the next one, too, until this one knows better.
        if self.first_look || (self.trusted_until.is_some() && self.readiness().is_ok()) {
            return;
        }
        let serving = self.readiness().is_ok().then(|| Serving {
            since: now,
            verdicts: self.checkers.iter().map(|(name, c)| (name.clone(), c.verdict())).collect(),
            processes: self
                .checkers
                .iter()
                .filter_map(|(name, c)| Some((name.clone(), lowest(c)?)))
                .collect(),
        });
        let same = match (&self.serving, &serving) {
            (Some(before), Some(now)) => before.verdicts == now.verdicts && before.processes == now.processes,
            (before, now) => before.is_none() && now.is_none(),
        };
        if !same {
            self.serving = serving;
            self.unremembered = true;
        }
    }
}

fn lowest(checker: &Checker) -> Option<u32> {
    checker.last.as_ref()?.processes.iter().map(|process| process.pid).min()
}

/// Whether a process checker sees this process, which was there at that moment. An id that was given to another
/// process since is told from it by the age of the oldest process.
fn sees(checker: &Checker, pid: u32, at: Moment) -> bool {
    let Some(last) = checker.last.as_deref().filter(|_| checker.spoken()) else { return false };
    let is_there = last.processes.iter().any(|process| process.pid == pid);
    is_there && uptime(last).is_some_and(|uptime| last.at - uptime <= at + ROUNDING)
}
