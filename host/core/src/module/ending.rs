//! The shutdown of the daemon: what its modules still do.

use crate::outbox::Outbox;
use crate::shutdown::Shutdown;

use super::{AfterDrain, AfterStop, Module, State};

impl Module {
    /// From now on, only the actions of the shutdown are started. The desired state is unchanged.
    pub(crate) fn end(&mut self, shutdown: Shutdown, out: &mut Outbox<'_>) {
        self.ending = true;
        // Maintenance: nothing is acted on.
        if !self.desired.suspended {
            match shutdown {
                Shutdown::Drain => self.end_by_drain(out),
                Shutdown::Stop => self.end_by_stop(out),
            }
        }
        self.advance(out);
    }

    fn end_by_drain(&mut self, out: &mut Outbox<'_>) {
        let drains = !self.drain_lasts().is_zero();
        match &mut self.state {
            State::Up if drains => {
                self.drain(
                    AfterDrain::Rest,
                    "the daemon is shutting down and leaves the application running".to_owned(),
                    out,
                );
            }
            State::Draining { then: then @ AfterDrain::Restart, .. } => *then = AfterDrain::Rest,
            State::Up
            | State::Draining { .. }
            | State::Stopped
            | State::Starting(_)
            | State::Restarting(_)
            | State::Backoff { .. }
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => {}
        }
    }

    fn end_by_stop(&mut self, out: &mut Outbox<'_>) {
        let drains = !self.drain_lasts().is_zero();
        let reason = "the daemon is shutting down and stops its applications";
        match &mut self.state {
            State::Up if drains => self.drain(AfterDrain::End, reason.to_owned(), out),
            State::Draining { then: then @ AfterDrain::Restart, .. } => *then = AfterDrain::End,
            State::Up | State::Starting(_) | State::Restarting(_) | State::Backoff { .. } => {
                self.begin_stop(AfterStop::Ended, reason, out);
            }
            // A user's stop continues, and what is stopped stays stopped.
            State::Draining { .. }
            | State::Stopped
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => {}
        }
    }
}
