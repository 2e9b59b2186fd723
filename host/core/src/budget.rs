//! The number of remaining automatic restarts, and the delay before the next one.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::policy::{BackoffPolicy, BudgetPolicy};

/// Automatic restarts within the sliding window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    spent: VecDeque<Moment>,
}

impl Budget {
    /// Restarts within the window that ends now.
    pub fn spent(&self, policy: &BudgetPolicy, now: Moment) -> u32 {
        let inside = self.spent.iter().filter(|at| now.since(**at) < policy.within).count();
        u32::try_from(inside).unwrap_or(u32::MAX)
    }

    /// Takes one restart, if one is left. Returns how many are spent with it.
    pub fn take(&mut self, policy: &BudgetPolicy, now: Moment) -> Option<u32> {
        while self.spent.front().is_some_and(|at| now.since(*at) >= policy.within) {
            self.spent.pop_front();
        }
        let spent = self.spent(policy, now);
        (spent < policy.restarts).then(|| {
            self.spent.push_back(now);
            spent + 1
        })
    }

    /// Limits all times to `now`: the clock was set back since.
    pub fn no_later_than(&mut self, now: Moment) {
        for at in &mut self.spent {
            *at = (*at).min(now);
        }
    }

    /// An operator has acted: count from zero.
    pub fn reset(&mut self) {
        self.spent.clear();
    }
}

/// An application that was up for less than this did not come up: it ended as soon as it was started.
const AT_ONCE: Duration = Duration::from_millis(250);
/// A delay is at most this long, or a fraction of the time for which the application has not worked, whichever is
/// longer: a dependency that was missing for a minute is used soon after it is back, and one that was missing for
/// hours is tried rarely.
const PATIENT: Duration = Duration::from_secs(15);
const PATIENT_PART: u32 = 10;

/// The failures in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// The next delay is the first one, doubled one time less than this.
    tries: u32,
    /// The number of failures in a row.
    #[serde(default)]
    failures: u32,
    /// When the application last came up.
    up_since: Option<Moment>,
    /// Since when it has not worked for long enough to have recovered.
    #[serde(default)]
    failing_since: Option<Moment>,
}

/// The consequences of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The delay before the next attempt.
    pub wait: Duration,
    /// The number of failures in a row, including this one.
    pub number: u32,
    /// For how long it has not worked.
    pub failing_for: Duration,
    /// The application was up, and had been healthy before: the cause is new. Otherwise it has not started, or
    /// fails for the same cause as before.
    pub is_new: bool,
}

impl Streak {
    /// The application came up.
    pub fn came_up(&mut self, now: Moment) {
        self.up_since = Some(now);
    }

    /// The application failed, or did not start. Returns the delay before the next attempt: none if it was up and
    /// had been healthy before, otherwise longer each time. `jitter` in 0..=1 shortens it by up to a quarter, so
    /// that nodes which fail together do not return together.
    pub fn failed(&mut self, policy: &BackoffPolicy, jitter: f64, now: Moment) -> Failure {
        let up_for = self.up_since.take().map(|since| now.since(since));
        if up_for.is_some_and(|up| up >= policy.max) {
            *self = Self::default();
        }
        let failing_for = now.since(*self.failing_since.get_or_insert(now));
        let was_up = up_for.is_some_and(|up| up >= AT_ONCE);
        let waits = self.tries + u32::from(self.tries == 0 && !was_up);
        let wait = match waits {
            0 => Duration::ZERO,
            n => {
                let doubled = policy.first.saturating_mul(1 << (n - 1).min(30)).min(policy.max);
                let patient = PATIENT.max(failing_for / PATIENT_PART).max(policy.first);
                doubled.min(patient).mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
            }
        };
        self.tries = waits.saturating_add(1);
        self.failures = self.failures.saturating_add(1);
        let is_new = was_up && self.failures == 1;
        Failure { wait, number: self.failures, failing_for, is_new }
    }

    /// Limits all times to `now`: the clock was set back since.
    pub fn no_later_than(&mut self, now: Moment) {
        self.up_since = self.up_since.map(|at| at.min(now));
        self.failing_since = self.failing_since.map(|at| at.min(now));
    }

    /// An operator has acted: count from zero.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    const BACKOFF: BackoffPolicy =
        BackoffPolicy { first: Duration::from_secs(1), max: Duration::from_secs(8) };

    fn waits(streak: &mut Streak, policy: &BackoffPolicy, count: usize) -> Vec<u64> {
        (0..count).map(|_| streak.failed(policy, 0.0, at(100)).wait.as_secs()).collect()
    }

    #[test]
    fn an_application_that_was_up_is_tried_at_once_and_later_waits_double_up_to_the_most() {
        let mut streak = Streak::default();
        streak.came_up(at(99));
        assert_eq!(waits(&mut streak, &BACKOFF, 6), [0, 1, 2, 4, 8, 8]);
    }

    #[test]
    fn one_that_did_not_come_up_or_ended_at_once_is_waited_for_from_the_first_time_on() {
        let mut streak = Streak::default();
        assert_eq!(waits(&mut streak, &BACKOFF, 6), [1, 2, 4, 8, 8, 8]);
        let mut streak = Streak::default();
        streak.came_up(at(100));
        assert_eq!(waits(&mut streak, &BACKOFF, 3), [1, 2, 4]);
    }

    #[test]
    fn what_was_away_for_a_while_is_used_soon_after_it_is_back_and_what_is_away_for_long_is_seldom_asked_for()
    {
        let policy = BackoffPolicy { first: Duration::from_secs(1), max: Duration::from_mins(1) };
        let (mut streak, mut now, mut waits) = (Streak::default(), 0, Vec::new());
        while now < 900 {
            let wait = streak.failed(&policy, 0.0, at(now)).wait.as_secs();
            now += wait;
            waits.push(wait);
        }
        assert_eq!(waits[..7], [1, 2, 4, 8, 15, 15, 15]);
        assert_eq!(waits.last(), Some(&60));
        // The operator's own setting is not shortened.
        let slow = BackoffPolicy { first: Duration::from_secs(30), max: Duration::from_mins(1) };
        assert_eq!(Streak::default().failed(&slow, 0.0, at(0)).wait.as_secs(), 30);
    }

    #[test]
    fn what_fails_an_application_that_was_well_is_new_and_all_that_follows_until_it_is_well_again_is_not() {
        let mut streak = Streak::default();
        let mut fails = |up: Option<u64>, at_second: u64| {
            if let Some(up) = up {
                streak.came_up(at(up));
            }
            streak.failed(&BACKOFF, 0.0, at(at_second)).is_new
        };
        assert!(!fails(None, 10), "it has not started");
        assert!(!fails(Some(10), 10), "it ended at once");
        assert!(!fails(Some(12), 14), "the same again");
        assert!(fails(Some(20), 28), "it was up for the longest wait");
        assert!(!fails(Some(28), 31));
        let mut streak = Streak::default();
        streak.came_up(at(0));
        assert!(streak.failed(&BACKOFF, 0.0, at(1)).is_new, "up for the first time");
    }

    #[test]
    fn failures_in_a_row_and_their_time_are_counted_until_it_has_recovered() {
        let mut streak = Streak::default();
        let tell = |failure: Failure| (failure.number, failure.failing_for.as_secs());
        assert_eq!(tell(streak.failed(&BACKOFF, 0.0, at(10))), (1, 0));
        streak.came_up(at(12));
        assert_eq!(tell(streak.failed(&BACKOFF, 0.0, at(15))), (2, 5));
        streak.came_up(at(20));
        assert_eq!(tell(streak.failed(&BACKOFF, 0.0, at(30))), (1, 0), "up for the longest wait");
    }

    #[test]
    fn an_application_that_was_well_for_the_longest_wait_has_recovered() {
        let mut streak = Streak::default();
        for _ in 0..5 {
            streak.failed(&BACKOFF, 0.0, at(0));
        }
        streak.came_up(at(10));
        assert_eq!(streak.failed(&BACKOFF, 0.0, at(17)).wait.as_secs(), 8, "well for 7 s only");
        streak.came_up(at(20));
        assert_eq!(streak.failed(&BACKOFF, 0.0, at(28)).wait, Duration::ZERO);
    }

    proptest! {
        #[test]
        fn the_budget_is_never_exceeded_in_any_window(
            gaps in proptest::collection::vec(0u64..40, 1..80), restarts in 0u32..6, within in 1u64..60,
        ) {
            let policy = BudgetPolicy { restarts, within: Duration::from_secs(within) };
            let mut budget = Budget::default();
            let (mut now, mut taken) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                let allowed = taken.iter().filter(|t| now - **t < within).count() < restarts as usize;
                prop_assert_eq!(budget.take(&policy, at(now)).is_some(), allowed);
                if allowed { taken.push(now); }
            }
        }

        #[test]
        fn a_wait_is_never_longer_than_the_most(tries in 1usize..80, jitter in 0.0f64..=1.0) {
            let mut streak = Streak::default();
            for _ in 0..tries {
                prop_assert!(streak.failed(&BACKOFF, jitter, at(0)).wait <= BACKOFF.max);
            }
        }
    }
}
