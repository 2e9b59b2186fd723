//! Records when a checker can no longer determine its status: nothing monitors its resource any more, and no health
//! answer shows that.

use serde::{Deserialize, Serialize};

use super::Module;
use super::checker::Checker;
use crate::id::CheckerName;
use crate::moment::Moment;
use crate::observation::Status;
use crate::outbox::Outbox;
use crate::record::RecordKind;
use crate::verdict::{Judge, Verdict};

/// The unknown results of a checker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blindness {
    /// When the first of the unknown results in a row was.
    since: Option<Moment>,
    /// It is recorded, and the checker has been neither up nor down since.
    recorded: bool,
}

impl Blindness {
    /// The checker has run.
    pub(super) fn see(&mut self, status: Status, now: Moment) {
        self.since = (status == Status::Unknown).then(|| self.since.unwrap_or(now));
    }
}

impl Checker {
    /// Whether one more unknown result may lead to a record.
    pub(super) fn may_go_blind(&self) -> bool {
        !self.blindness.recorded && self.verdict() == Verdict::Undecided && self.cannot_tell()
    }

    /// When it is blind, if it cannot tell until then. The runs of a start follow each other closely: only what lasts
    /// as long as so many runs at the usual pace is blindness.
    pub(super) fn blind_at(&self) -> Moment {
        let runs = Judge::unknowns_to_tell(&self.policy.thresholds);
        let long = self.policy.interval.saturating_mul(runs.saturating_sub(1));
        let since = self.blindness.since.filter(|_| self.may_go_blind());
        since.map_or(Moment::NEVER, |since| since + long)
    }

    /// Takes note that it cannot tell any more. Returns after how many runs, the first time since it was up
    /// or down.
    fn goes_blind(&mut self, now: Moment) -> Option<u32> {
        let goes_blind = now >= self.blind_at();
        self.blindness.recorded |= goes_blind;
        goes_blind.then(|| Judge::unknowns_to_tell(&self.policy.thresholds))
    }
}

impl Module {
    /// Records that a checker can no longer determine its status, while the application should be running. For a
    /// prerequisite, this is not repeated while the module waits for it: that is recorded already.
    pub(super) fn tell_of_blindness(&mut self, name: &CheckerName, out: &mut Outbox<'_>) {
        let expected = self.expects_life();
        let Some(mut checker) = self.checkers.get_mut(name) else { return };
        if checker.verdict() != Verdict::Undecided && checker.blindness.recorded {
            checker.blindness.recorded = false;
        }
        if !expected || !checker.may_go_blind() {
            return;
        }
        if let Some(runs) = checker.goes_blind(out.now) {
            let summary = checker.said().to_owned();
            let kind = RecordKind::CannotTell { checker: name.clone(), runs, summary };
            out.record(Some(&self.name), kind);
        }
    }
}
