//! Which commands of users are valid in which state, and their effects.
//!
//! A user's command resets the budget and the backoff; a user's stop takes precedence over whatever is in progress.

use std::time::Duration;

use crate::command::{Command, CommandOutcome, DeniedReason, Order, with_reason};
use crate::moment::{Moment, plain};
use crate::outbox::Outbox;
use crate::plan::Occasion;
use crate::record::{ACT_AGAIN, RecordKind};

use super::{ASKED, AfterDrain, AfterStop, Module, Phase, State};

use CommandOutcome::{Accepted, AlreadySo, Denied};

const ACTING_AGAIN: &str = "acting on checkers again";

fn accepted(what: &str) -> CommandOutcome {
    Accepted(what.to_owned())
}

fn already(why: &str) -> CommandOutcome {
    AlreadySo(why.to_owned())
}

impl Module {
    /// Carries out a command, as far as that is possible immediately.
    pub(crate) fn command(&mut self, order: Order, by: &str, out: &mut Outbox<'_>) -> CommandOutcome {
        let Order { command, lasts, reason } = order;
        let before = self.desired;
        // The command is told before what it leads to: its outcome is known first.
        let outcome = self.judge_command(command, lasts);
        // The reason is recorded only here: load balancers are told why a module is in its state.
        let signed = with_reason(by, reason.as_deref());
        out.record(Some(&self.name), RecordKind::Command { command, by: signed, outcome: outcome.clone() });
        match (&outcome, command) {
            (Denied(_), _) => return outcome,
            (Accepted(_) | AlreadySo(_), Command::Stop) => self.desired.started = false,
            (Accepted(_), Command::Start | Command::Restart) => self.desired.started = true,
            (Accepted(_), Command::Suspend) => self.suspend(lasts.map(|lasts| out.now + lasts)),
            (Accepted(_), Command::Resume) => self.lift(),
            (Accepted(_), Command::Reset | Command::Confirm)
            | (
                AlreadySo(_),
                Command::Start
                | Command::Restart
                | Command::Suspend
                | Command::Resume
                | Command::Reset
                | Command::Confirm,
            ) => {}
        }
        if matches!(outcome, Accepted(_)) {
            self.perform(command, by, out);
        }
        self.unremembered |= self.desired != before || matches!(outcome, Accepted(_));
        self.advance(out);
        outcome
    }

    /// The outcome of a command in the present state.
    fn judge_command(&self, command: Command, lasts: Option<Duration>) -> CommandOutcome {
        match command {
            Command::Start => self.judge_start(),
            Command::Stop => self.judge_stop(),
            Command::Restart => self.judge_restart(),
            Command::Suspend => self.judge_suspend(lasts),
            Command::Resume if !self.desired.suspended => already("it is not suspended"),
            Command::Resume => accepted(ACTING_AGAIN),
            Command::Reset => self.judge_reset(),
            Command::Confirm => match self.on_probation() {
                Some(names) => Accepted(format!("the results of {names} take effect from now on")),
                None => already("no checker is on probation"),
            },
        }
    }

    fn judge_suspend(&self, lasts: Option<Duration>) -> CommandOutcome {
        let until_resumed = self.desired.suspended && self.desired.suspended_until.is_none();
        match lasts {
            None if until_resumed => already("it is suspended"),
            None => accepted("checkers keep running, but no automatic action is taken until `resume`"),
            Some(lasts) => Accepted(format!(
                "checkers keep running, but no automatic action is taken for {}, or until `resume`",
                plain(lasts)
            )),
        }
    }

    fn suspend(&mut self, until: Option<Moment>) {
        self.desired.suspended = true;
        self.desired.suspended_until = until;
    }

    fn lift(&mut self) {
        self.desired.suspended = false;
        self.desired.suspended_until = None;
    }

    /// A suspension with a duration ends after that time.
    pub(super) fn end_suspension(&mut self, out: &mut Outbox<'_>) {
        if self.desired.suspended_until.is_none_or(|until| out.now < until) {
            return;
        }
        self.lift();
        self.unremembered = true;
        let kind = RecordKind::Decision {
            decision: ACT_AGAIN.to_owned(),
            reason: "the time of the suspension is over".to_owned(),
        };
        out.record(Some(&self.name), kind);
    }

    fn judge_start(&self) -> CommandOutcome {
        match &self.state {
            State::Stopped | State::Failed => accepted("starting the application"),
            State::Backoff { .. } => accepted("trying again now"),
            State::Draining { then: AfterDrain::Stop, .. } => accepted("the stop is cancelled"),
            State::Draining { then: AfterDrain::Restart, .. } => already("it is being restarted"),
            State::Draining { then: AfterDrain::End | AfterDrain::Rest, .. } => Denied(DeniedReason::Ending),
            State::Starting(Phase::Look { held: true, .. }) if self.desired.suspended => {
                accepted("starting the application")
            }
            State::Starting(_) | State::Restarting(_) => already("it is being started"),
            State::Up => already("it is up"),
            State::Waiting { prerequisite } => AlreadySo(format!(
                "it waits for prerequisite `{prerequisite}` and starts automatically when that is up"
            )),
            State::Stopping { .. } => Denied(DeniedReason::Stopping),
        }
    }

    fn judge_stop(&self) -> CommandOutcome {
        let drain = self.drain_lasts();
        match &self.state {
            State::Stopped => already("it is stopped"),
            State::Stopping { then: AfterStop::Stopped, .. } => already("it is being stopped"),
            State::Draining { then: AfterDrain::Stop, .. } => already("it is draining, then stops"),
            State::Up if !drain.is_zero() => Accepted(format!(
                "the health check fails from now on; the application stops in {}",
                plain(drain)
            )),
            State::Draining { then: AfterDrain::Restart, .. } => {
                accepted("it stops after the drain instead of restarting")
            }
            State::Draining { then: AfterDrain::End | AfterDrain::Rest, .. } => Denied(DeniedReason::Ending),
            State::Up
            | State::Starting(_)
            | State::Restarting(_)
            | State::Backoff { .. }
            | State::Failed
            | State::Waiting { .. }
            | State::Stopping { .. } => accepted("stopping the application"),
        }
    }

    fn judge_restart(&self) -> CommandOutcome {
        let drain = self.drain_lasts();
        match &self.state {
            State::Up if !drain.is_zero() => Accepted(format!(
                "the health check fails from now on; the application restarts in {}",
                plain(drain)
            )),
            State::Up
            | State::Failed
            | State::Starting(Phase::Settle { .. })
            | State::Restarting(Phase::Settle { .. }) => accepted("restarting the application"),
            State::Backoff { .. } => accepted("trying again now"),
            State::Draining { then: AfterDrain::Stop, .. } => {
                accepted("it restarts after the drain instead of stopping")
            }
            State::Draining { then: AfterDrain::Restart, .. } => already("it is draining, then restarts"),
            State::Draining { then: AfterDrain::End | AfterDrain::Rest, .. } => Denied(DeniedReason::Ending),
            State::Starting(_) | State::Restarting(_) => already("it is being started"),
            State::Stopped => Denied(DeniedReason::Stopped),
            State::Stopping { .. } => Denied(DeniedReason::Stopping),
            State::Waiting { prerequisite } => Denied(DeniedReason::Waiting(prerequisite.to_string())),
        }
    }

    fn judge_reset(&self) -> CommandOutcome {
        if matches!(self.state, State::Failed) {
            accepted("the failure is cleared; the module is stopped")
        } else if self.budget == crate::budget::Budget::default() {
            already("no restarts are counted")
        } else {
            accepted("the count of restarts is cleared")
        }
    }

    fn perform(&mut self, command: Command, by: &str, out: &mut Outbox<'_>) {
        match command {
            Command::Suspend | Command::Resume => return,
            Command::Confirm => return self.confirm(out),
            Command::Start | Command::Stop | Command::Restart | Command::Reset => {}
        }
        self.budget.reset();
        self.streak.reset();
        match command {
            Command::Start => self.perform_start(by, out),
            Command::Stop => self.perform_stop(by, out),
            Command::Restart => self.perform_restart(by, out),
            Command::Reset => {
                if matches!(self.state, State::Failed) {
                    self.desired.started = false;
                    self.enter(State::Stopped, format!("the failure was reset by {by}"), out);
                }
            }
            Command::Suspend | Command::Resume | Command::Confirm => {}
        }
    }

    fn perform_start(&mut self, by: &str, out: &mut Outbox<'_>) {
        match &mut self.state {
            State::Backoff { until, .. } => *until = ASKED,
            State::Draining { .. } => self.enter(State::Up, format!("the stop was cancelled by {by}"), out),
            State::Stopped
            | State::Failed
            | State::Starting(_)
            | State::Up
            | State::Restarting(_)
            | State::Stopping { .. }
            | State::Waiting { .. } => self.look(&format!("started by {by}"), false, out),
        }
    }

    fn perform_stop(&mut self, by: &str, out: &mut Outbox<'_>) {
        let drains = !self.drain_lasts().is_zero();
        let reason = format!("stopped by {by}");
        match &mut self.state {
            State::Stopping { then, .. } => *then = AfterStop::Stopped,
            State::Draining { then, .. } => *then = AfterDrain::Stop,
            State::Up if drains => self.drain(AfterDrain::Stop, reason, out),
            State::Up
            | State::Stopped
            | State::Starting(_)
            | State::Restarting(_)
            | State::Backoff { .. }
            | State::Failed
            | State::Waiting { .. } => self.begin_stop(AfterStop::Stopped, reason, out),
        }
    }

    fn perform_restart(&mut self, by: &str, out: &mut Outbox<'_>) {
        let drains = !self.drain_lasts().is_zero();
        let reason = format!("restarted by {by}");
        match &mut self.state {
            State::Backoff { until, .. } => *until = ASKED,
            State::Draining { then, .. } => *then = AfterDrain::Restart,
            State::Up if drains => self.drain(AfterDrain::Restart, reason, out),
            State::Up
            | State::Stopped
            | State::Starting(_)
            | State::Restarting(_)
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => self.begin_restart(Occasion::Restart, reason, out),
        }
    }
}
