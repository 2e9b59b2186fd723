//! How many automatic restarts are left, and how long to wait before the next.

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

    /// Nothing has happened later than `now`: the clock was set back since.
    pub fn no_later_than(&mut self, now: Moment) {
        for at in &mut self.spent {
            *at = (*at).min(now);
        }
    }

    /// A person looked at it: count from zero.
    pub fn reset(&mut self) {
        self.spent.clear();
    }
}

/// How often in a row it did not work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    tries: u32,
    /// When the application was last seen to come up.
    up_since: Option<Moment>,
}

impl Streak {
    /// The application came up.
    pub fn came_up(&mut self, now: Moment) {
        self.up_since = Some(now);
    }

    /// The application failed, or did not start. Returns how long to wait before
    /// the next try: not at all if it had been well for long enough, else longer
    /// each time. `jitter` in 0..=1 takes off up to a quarter, so that nodes which
    /// fail together do not return together.
    pub fn failed(&mut self, policy: &BackoffPolicy, jitter: f64, now: Moment) -> Duration {
        let recovered = self.up_since.take().is_some_and(|since| now.since(since) >= policy.max);
        if recovered {
            self.tries = 0;
        }
        let delay = match self.tries {
            0 => Duration::ZERO,
            n => {
                let doubled = policy.first.saturating_mul(1 << (n - 1).min(30)).min(policy.max);
                doubled.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
            }
        };
        self.tries = self.tries.saturating_add(1);
        delay
    }

    /// Nothing has happened later than `now`: the clock was set back since.
    pub fn no_later_than(&mut self, now: Moment) {
        self.up_since = self.up_since.map(|at| at.min(now));
    }

    /// A person looked at it: count from zero.
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

    #[test]
    fn the_first_try_is_made_at_once_and_later_waits_double_up_to_the_most() {
        let mut streak = Streak::default();
        let waits: Vec<u64> = (0..6).map(|_| streak.failed(&BACKOFF, 0.0, at(0)).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 8]);
    }

    #[test]
    fn an_application_that_was_well_for_the_longest_wait_has_recovered() {
        let mut streak = Streak::default();
        for _ in 0..5 {
            streak.failed(&BACKOFF, 0.0, at(0));
        }
        streak.came_up(at(10));
        assert_eq!(streak.failed(&BACKOFF, 0.0, at(17)).as_secs(), 8, "well for 7 s only");
        streak.came_up(at(20));
        assert_eq!(streak.failed(&BACKOFF, 0.0, at(28)), Duration::ZERO);
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
                prop_assert!(streak.failed(&BACKOFF, jitter, at(0)) <= BACKOFF.max);
            }
        }
    }
}
