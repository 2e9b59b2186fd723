//! When checkers run: with the pacing of the daemon.
//!
//! ```text
//!   Watch ──▶ runs by its schedule ──Unwatch──▶ gone
//!              │ ▲ another pace, another watch: another serial number,
//!              └─┘ and what was planned under the old one is void
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{CheckerName, Generation};
use crate::moment::Moment;
use crate::observation::{Observation, Status};

use super::cast::{Cast, Sees};
use super::queue::{Item, Queue};

/// How soon processes are noticed that are found by their properties.
const STARTED: Duration = Duration::from_millis(250);
/// The same while they are expected to start.
const STARTED_EAGER: Duration = Duration::from_millis(50);
/// More runs than a request to a restart script includes.
const TOLD: u64 = 12;
/// The number of unknown results after which a verdict is still valid.
const UNKNOWNS: u32 = 3;

#[derive(Debug)]
struct Sight {
    generation: Generation,
    eager: bool,
    /// Since when it has had this pace, or when it has last passed.
    paced_since: Moment,
    serial: u64,
    due: Moment,
    /// Fails may count from here on that did not before.
    grace_until: Moment,
    last: Option<(Status, String, usize)>,
    /// The number of equal results in a row.
    same: u64,
}

/// The checkers that are watched.
#[derive(Debug, Default)]
pub(super) struct Sights {
    by_checker: BTreeMap<CheckerName, Sight>,
    serial: u64,
    left_out: u64,
    /// Whether every single run is simulated.
    whole: bool,
}

/// The part of an observation that makes it different from others.
fn gist(seen: &Observation) -> (Status, String, usize) {
    (seen.status, seen.summary.clone(), seen.processes.len())
}

impl Sights {
    pub(super) fn watch(
        &mut self,
        cast: &Cast,
        checker: CheckerName,
        generation: Generation,
        eager: bool,
        now: Moment,
        queue: &mut Queue,
    ) {
        let Some((role, policy)) = cast.role(&checker) else { return };
        let before = self.by_checker.remove(&checker).filter(|sight| sight.generation == generation);
        let due = match (&role.sees, &before) {
            (Sees::Kept { .. } | Sees::Processes { .. }, _) => now,
            (Sees::Component, Some(before)) if eager => before.due.min(now + role.pace(true, Duration::ZERO)),
            (Sees::Component, Some(_)) => now + role.interval,
            (Sees::Component, None) if eager => now,
            (Sees::Component, None) => now + role.first,
        };
        self.serial += 1;
        let serial = self.serial;
        let sight = match before {
            Some(before) => Sight { eager, paced_since: now, serial, due, ..before },
            None => Sight {
                generation,
                eager,
                paced_since: now,
                serial,
                due,
                grace_until: now + policy.thresholds.grace,
                last: None,
                same: 0,
            },
        };
        self.by_checker.insert(checker.clone(), sight);
        queue.push(due, Item::Run { checker, serial });
    }

    pub(super) fn unwatch(&mut self, checker: &CheckerName) {
        self.by_checker.remove(checker);
    }

    /// Whether the checker has another result now, between two runs.
    pub(super) fn is_news(&self, checker: &CheckerName, serial: u64, seen: &Observation) -> bool {
        let sight = self.by_checker.get(checker).filter(|sight| sight.serial == serial);
        sight.is_some_and(|sight| sight.last.as_ref() != Some(&gist(seen)))
    }

    /// Plans the next run. Returns whether this one is still wanted.
    pub(super) fn begin_run(
        &mut self,
        cast: &Cast,
        checker: &CheckerName,
        serial: u64,
        passes: bool,
        now: Moment,
        queue: &mut Queue,
    ) -> bool {
        let Some((role, _)) = cast.role(checker) else { return false };
        let Some(sight) = self.by_checker.get_mut(checker).filter(|sight| sight.serial == serial) else {
            return false;
        };
        if passes {
            sight.paced_since = now;
        }
        sight.due = now + role.pace(sight.eager, now.since(sight.paced_since));
        queue.push(sight.due, Item::Run { checker: checker.clone(), serial });
        true
    }

    /// Counts a result. Returns the watch that it belongs to.
    pub(super) fn saw(&mut self, checker: &CheckerName, seen: &Observation) -> Option<Generation> {
        let sight = self.by_checker.get_mut(checker)?;
        let graced = seen.at < sight.grace_until;
        let seen = gist(seen);
        if sight.last.as_ref() == Some(&seen) {
            sight.same += 1;
        } else {
            (sight.last, sight.same) = (Some(seen), 1);
        }
        if !graced && sight.grace_until != Moment::NEVER {
            // From this run on it counts: skipping can begin only now.
            (sight.grace_until, sight.same) = (Moment::NEVER, 1);
        }
        Some(sight.generation)
    }

    /// Something has changed that checkers may notice.
    pub(super) fn unsettle(&mut self) {
        for sight in self.by_checker.values_mut() {
            sight.same = 0;
        }
    }

    /// Process checkers among `whom` notice immediately, or soon, that processes have started or ended.
    pub(super) fn wake(
        &self,
        cast: &Cast,
        now: Moment,
        whom: impl Fn(&CheckerName) -> Option<ProcessChange>,
        queue: &mut Queue,
    ) {
        for (checker, sight) in &self.by_checker {
            let (Some((role, _)), Some(change)) = (cast.role(checker), whom(checker)) else { continue };
            let delay = match (&role.sees, change) {
                (Sees::Component, _) => continue,
                (Sees::Kept { .. }, _) | (Sees::Processes { .. }, ProcessChange::Ended) => Duration::ZERO,
                (Sees::Processes { .. }, ProcessChange::Started) if sight.eager => STARTED_EAGER,
                (Sees::Processes { .. }, ProcessChange::Started) => STARTED,
            };
            queue.push(now + delay, Item::News { checker: checker.clone(), serial: sight.serial });
        }
    }

    /// Skips runs that repeat the previous results. Enough of them are simulated before any event that everything
    /// that looks back at them finds them.
    pub(super) fn leave_out_quiet_runs(&mut self, cast: &Cast, until: Moment, queue: &mut Queue) {
        let settles = |name: &CheckerName| {
            let fall_and_rise = |t: &crate::policy::Thresholds| {
                u64::from(t.rise.max(t.fall).max(t.fall_of.unwrap_or(0)).max(UNKNOWNS))
            };
            cast.policy.checkers.get(name).map_or(TOLD, |policy| fall_and_rise(&policy.thresholds) + TOLD)
        };
        if self.whole || self.by_checker.iter().any(|(name, sight)| sight.same < settles(name)) {
            return;
        }
        let graces = self.by_checker.values().map(|sight| sight.grace_until);
        let until = graces.fold(until, Moment::min);
        for (checker, sight) in &mut self.by_checker {
            let Some((role, _)) = cast.role(checker) else { continue };
            let pace = role.pace(sight.eager, sight.due.since(sight.paced_since));
            if sight.eager && pace < role.interval {
                // Its pace changes from run to run.
                continue;
            }
            let played = pace.saturating_mul(u32::try_from(settles(checker)).unwrap_or(u32::MAX));
            let quiet = until.since(sight.due + played);
            let count = quiet.as_micros() / pace.as_micros().max(1);
            let Ok(count) = u32::try_from(count) else { continue };
            if count == 0 {
                continue;
            }
            self.serial += 1;
            sight.serial = self.serial;
            sight.due = sight.due + pace.saturating_mul(count);
            self.left_out += u64::from(count);
            queue.push(sight.due, Item::Run { checker: checker.clone(), serial: sight.serial });
        }
    }

    #[cfg(test)]
    pub(super) fn leave_nothing_out(&mut self) {
        self.whole = true;
    }

    /// The number of runs that were skipped.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// What has happened to processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessChange {
    Started,
    Ended,
}
