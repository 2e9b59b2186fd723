//! How a module continues that an earlier daemon knew, and what it stores for the next.
//!
//! ```text
//!   Stopped ────────────────────────────▶ Stopped
//!   Starting, Up, Waiting, settling ────▶ Starting: look how it is (`found_again.rs`)
//!   a plan to stop, restart, clear away ▶ the same plan, from the step that was at work
//!   Draining, Backoff, Failed ──────────▶ the same, with what is left of its time
//! ```
//! The step in progress is carried out again, because it is unknown how far it came. Other steps are not repeated,
//! so that a restart that was half done is not done twice.

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
            desired: self.desired,
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
            // Actions for the shutdown end with the daemon.
            State::Draining { then: AfterDrain::End | AfterDrain::Rest, .. }
            | State::Stopping { then: AfterStop::Ended, .. } => false,
            State::Restarting(Phase::Plan(_))
            | State::Backoff { .. }
            | State::Failed
            | State::Draining { .. }
            | State::Stopping { .. } => true,
            // Asked for by a person: it is not to be held back by the suspension.
            State::Starting(Phase::Look { held: false, .. } | Phase::Plan(_)) => self.desired.suspended,
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

    /// Stores the state that outlives the daemon, if it has changed.
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

    /// Continues where the last daemon ended.
    pub(super) fn resume(&mut self, unfinished: Option<Unfinished>, out: &mut Outbox<'_>) {
        let Some(Unfinished { state, since, reason }) = unfinished else {
            if self.desired.started && self.service.lasts() {
                self.look_again(out);
            } else if self.desired.started {
                self.look("the module was loaded", true, out);
            }
            self.first_look = self.desired.started;
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
                // Whatever a clock shows that was set between two daemons.
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
            // These are never stored.
            State::Restarting(_) | State::Stopped | State::Up | State::Waiting { .. } => {
                self.look("the module was loaded", true, out);
                return;
            }
        };
        let decision = format!("continue where the last daemon ended: {}", state.name());
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        self.state = state;
        self.since = since;
        self.reason = reason;
    }
}

/// The last announcement to load balancers, if it is not stored: earlier versions did not store it, and the file
/// may be lost. A drain that is not cancelled would last forever, whereas one `ready` too many lasts a minute.
/// Where no daemon has run before, nothing has been announced.
pub(super) fn announced_before(has_predecessor: bool) -> Readmission {
    if has_predecessor { Readmission::Owed } else { Readmission::NotNeeded }
}
