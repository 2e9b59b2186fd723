//! What checkers see, and what it means that they are silent.

use std::time::Duration;

use super::Module;
use super::checker::Checker;
use crate::id::{CheckerName, Generation};
use crate::moment::Moment;
use crate::observation::{Observation, Status};
use crate::outbox::Outbox;
use crate::policy::OnDown;
use crate::record::RecordKind;
use crate::verdict::Verdict;

/// A look at silent checkers that comes later than this after its time blames nobody.
const LATE: Duration = Duration::from_secs(5);

impl Module {
    /// A checker has run.
    pub(crate) fn observed(
        &mut self,
        name: &CheckerName,
        generation: Generation,
        observation: Observation,
        out: &mut Outbox<'_>,
    ) {
        let expected = self.expects_life();
        let Some(mut checker) = self.checkers.get_mut(name) else { return };
        let status = observation.status;
        let (advances, on_probation) = (checker.advances(generation, &observation), checker.on_probation());
        let from = checker.observe(generation, observation, out.now);
        drop(checker);
        if let Some(from) = from {
            self.tell_of_verdict(name, from, status, expected, out);
        }
        self.tell_of_blindness(name, out);
        if advances {
            self.extend_start(out.now);
        }
        self.tell_of_probation(name, on_probation, out);
        self.advance(out);
    }

    /// A verdict has changed; `expected`: while the application should be alive.
    pub(super) fn tell_of_verdict(
        &mut self,
        name: &CheckerName,
        from: Verdict,
        status: Status,
        expected: bool,
        out: &mut Outbox<'_>,
    ) {
        let Some(checker) = self.checkers.get(name) else { return };
        let to = checker.verdict();
        // It is told once, when it settles: what is seen before is looked at again then.
        if to == Verdict::Up && self.state.is_before_settling() && checker.policy.on_down != OnDown::Wait {
            return;
        }
        let summary = checker.why();
        let incident = (to == Verdict::Down && expected).then(|| checker.incident(name));
        let checker = name.clone();
        out.record(Some(&self.name), RecordKind::Verdict { checker, from, to, status, summary });
        if let Some(incident) = incident {
            self.keep_incident(incident, out);
        }
    }

    /// Whoever should run a checker and says nothing must not leave its last verdict standing.
    pub(super) fn hear_the_silent(&mut self, out: &mut Outbox<'_>) {
        if out.now < self.overdue_at {
            return;
        }
        // The core itself was late (a machine that was suspended): nobody is blamed for that.
        let late = out.now.since(self.overdue_at) > LATE;
        if late {
            self.checkers.for_each(|_, checker| checker.excuse(out.now));
            return;
        }
        let expected = self.expects_life();
        let mut names = self.checkers.overdue(out.now);
        if expected {
            names.extend(self.checkers.blind(out.now));
        }
        for name in names {
            let missed = self.checkers.get_mut(&name).and_then(|mut checker| checker.miss(out.now));
            if let Some(from) = missed {
                self.tell_of_verdict(&name, from, Status::Unknown, expected, out);
            }
            self.tell_of_blindness(&name, out);
        }
    }

    /// Processes that were seen in this start, and have been missing since for too long, have ended.
    pub(super) fn give_up_missing(&mut self, out: &mut Outbox<'_>) {
        // A run since the last move may have brought a later time, which is looked at below.
        if out.now < self.missing_at {
            return;
        }
        let expected = self.expects_life();
        for name in self.checkers.missing(out.now) {
            let gone = self.checkers.get_mut(&name).and_then(|mut checker| checker.give_up_missing(out.now));
            if let Some(from) = gone {
                self.tell_of_verdict(&name, from, Status::Fail, expected, out);
            }
        }
    }

    /// Whether a run of a checker tells nothing that is not known.
    pub(crate) fn repeats(&self, name: &CheckerName, generation: Generation, seen: &Observation) -> bool {
        let expected = self.expects_life();
        let repeats = |checker: &Checker| {
            // How long it has been unable to tell is decided by.
            let may_go_blind = expected && checker.may_go_blind();
            !may_go_blind && checker.repeats(generation, seen)
        };
        self.checkers.get(name).is_some_and(repeats)
    }

    /// The last run of a checker so often once more, the last time at `last`.
    pub(crate) fn repeat(&mut self, name: &CheckerName, times: u64, last: Moment) {
        if let Some(mut checker) = self.checkers.get_mut(name) {
            checker.repeat(times, last);
        }
        self.overdue_at = self.checkers.overdue_at();
    }

    /// By when the checker is expected to say something.
    pub(crate) fn expected(&self, name: &CheckerName) -> Option<Moment> {
        self.checkers.get(name).map(Checker::overdue_at)
    }
}
