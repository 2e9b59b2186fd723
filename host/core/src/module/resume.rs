//! How a module goes on that an earlier daemon knew, and what it tells the next.
//!
//! ```text
//!   Stopped ────────────────────────────▶ Stopped
//!   Starting, Up, Waiting, settling ────▶ Starting: look how it is (`found_again.rs`)
//!   a plan to stop, restart, clear away ▶ the same plan, from the step that was at work
//!   Draining, Backoff, Failed ──────────▶ the same, with what is left of its time
//! ```
//! The step that was at work is carried out again: nobody knows how far it came.
//! All others are not, so that a restart that was half done is not done twice.

use crate::action::Action;
use crate::memory::{ModuleMemory, Unfinished};
use crate::outbox::Outbox;
use crate::readmission::Readmission;
use crate::record::RecordKind;

use super::{AfterDrain, AfterStop, Module, Phase, Service, State};

impl Module {
    /// What the next daemon has to know. As what the checkers are in force [is noted](Self::note_in_force) before.
    pub(super) fn memory(&self) -> ModuleMemory {
        ModuleMemory {
            wish: self.wish,
            budget: self.budget.clone(),
            streak: self.streak,
            incidents: self.incidents.clone(),
            unfinished: self.unfinished(),
            readmission: Some(self.readmission),
            away: self.service == Service::Unattended,
            serves: self.service.lasts() && !self.application_has_died(),
            checkers: Some(self.in_force.clone()),
            serving: self.serving.clone(),
        }
    }

    fn unfinished(&self) -> Option<Unfinished> {
        let lasting = match &self.state {
            // What is done because the daemon ends, ends with it.
            State::Draining { then: AfterDrain::End | AfterDrain::Rest, .. }
            | State::Stopping { then: AfterStop::Ended, .. } => false,
            State::Restarting(Phase::Plan(_))
            | State::Backoff { .. }
            | State::Failed
            | State::Draining { .. }
            | State::Stopping { .. } => true,
            // Asked for by a person: it is not to be held back by the suspension.
            State::Starting(Phase::Look { held: false, .. } | Phase::Plan(_)) => self.wish.suspended,
            State::Starting(_)
            | State::Restarting(_)
            | State::Stopped
            | State::Up
            | State::Waiting { .. } => false,
        };
        lasting.then(|| Unfinished {
            state: self.state.clone(),
            since: self.since,
            reason: self.reason.clone(),
        })
    }

    /// Tells what outlives the daemon, if it is something else than before.
    pub(super) fn remember(&mut self, out: &mut Outbox<'_>) {
        if !std::mem::take(&mut self.unremembered) {
            return;
        }
        self.note_in_force();
        let memory = Box::new(self.memory());
        if self.remembered.as_ref() != Some(&memory) {
            out.push(Action::Remember { module: self.name.clone(), memory: memory.clone() });
            self.remembered = Some(memory);
        }
    }

    /// Goes on where the last daemon ended.
    pub(super) fn resume(&mut self, unfinished: Option<Unfinished>, out: &mut Outbox<'_>) {
        let Some(Unfinished { state, since, reason }) = unfinished else {
            if self.wish.started && self.service.lasts() {
                self.look_again(out);
            } else if self.wish.started {
                self.look("the module was loaded", true, out);
            }
            self.first_look = self.wish.started;
            return;
        };
        let state = match state {
            State::Starting(_) => {
                self.look("the requested start continues", false, out);
                return;
            }
            State::Restarting(Phase::Plan(run)) => {
                State::Restarting(Phase::Plan(run.resume(&self.around(out.now), out)))
            }
            State::Backoff { clearing, until } => {
                let clearing = clearing.map(|run| run.resume(&self.around(out.now), out));
                // Whatever a clock says that was set between two daemons.
                let latest = out.now + self.policy.backoff.max;
                State::Backoff { clearing, until: until.min(latest) }
            }
            State::Draining { until, then } => {
                State::Draining { until: until.min(out.now + self.policy.drain.longest()), then }
            }
            State::Stopping { run, then } => {
                State::Stopping { run: run.resume(&self.around(out.now), out), then }
            }
            State::Failed => State::Failed,
            // These are never told.
            State::Restarting(_) | State::Stopped | State::Up | State::Waiting { .. } => {
                self.look("the module was loaded", true, out);
                return;
            }
        };
        let decision = format!("go on where the last daemon ended: {}", state.name());
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        self.state = state;
        self.since = since;
        self.reason = reason;
    }
}

/// What load balancers have been told last, if that is not written down: earlier versions did not
/// write it, and what was written may be lost. A drain that is not taken back would last for ever, one
/// `ready` too many a minute. Where no daemon has run before, nothing has been told.
pub(super) fn announced_before(has_predecessor: bool) -> Readmission {
    if has_predecessor { Readmission::Owed } else { Readmission::NotNeeded }
}
