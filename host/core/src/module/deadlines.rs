//! When something happens by itself.

use super::plan_execution::PlanExecution;
use super::{Module, Phase, State};
use crate::moment::Moment;

impl Module {
    /// When something happens by itself; [`Moment::NEVER`] if nothing does.
    pub(crate) fn deadline(&self) -> Moment {
        let due = self.state.run().map_or_else(|| self.due(), PlanExecution::deadline);
        let trusted = self.trusted_until.unwrap_or(Moment::NEVER);
        let suspended = self.desired.suspended_until.unwrap_or(Moment::NEVER);
        let due = due.min(suspended);
        due.min(self.overdue_at).min(self.missing_at).min(self.doubt_until()).min(trusted)
    }

    /// When the state itself is over.
    pub(super) fn due(&self) -> Moment {
        match &self.state {
            State::Starting(Phase::Look { held: true, .. })
            | State::Restarting(Phase::Look { held: true, .. })
                if self.desired.suspended =>
            {
                Moment::NEVER
            }
            State::Starting(Phase::Look { until, .. })
            | State::Restarting(Phase::Look { until, .. })
            | State::Draining { until, .. } => *until,
            // Nothing is tried again while suspended: resuming looks again.
            State::Starting(Phase::Settle { until, appears_by })
            | State::Restarting(Phase::Settle { until, appears_by })
                // While prerequisites are asked, nothing else is decided.
                if !self.desired.suspended && !self.ending && self.doubt.is_none() =>
            {
                appears_by.unwrap_or(Moment::NEVER).min(*until)
            }
            State::Backoff { until, .. } if !self.desired.suspended && !self.ending => *until,
            State::Starting(Phase::Plan(_) | Phase::Settle { .. })
            | State::Restarting(Phase::Plan(_) | Phase::Settle { .. })
            | State::Backoff { .. }
            | State::Stopped
            | State::Up
            | State::Failed
            | State::Stopping { .. }
            | State::Waiting { .. } => Moment::NEVER,
        }
    }
}
