//! Which of the last runs failed, for a checker that is down after M fails in the last N runs.

use serde::{Deserialize, Serialize};

/// The last runs, the latest in the lowest bit; a set bit is a fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Window(u64);

/// The maximum number of runs that are remembered.
pub(super) const MOST: u32 = 60;

impl Window {
    pub(super) fn push(&mut self, failed: bool) {
        self.0 = (self.0 << 1) | u64::from(failed);
    }

    /// Adds the same run several times.
    pub(super) fn repeat(&mut self, failed: bool, times: u64) {
        for _ in 0..times.min(u64::BITS.into()) {
            self.push(failed);
        }
    }

    /// Fails among the last `runs`.
    pub(super) fn fails(self, runs: u32) -> u32 {
        let kept = self.0 & u64::MAX.checked_shr(u64::BITS - runs.min(MOST)).unwrap_or(0);
        kept.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_counts_what_a_list_counts(runs in proptest::collection::vec(any::<bool>(), 0..200), of in 0u32..=MOST) {
            let mut window = Window::default();
            for failed in &runs {
                window.push(*failed);
            }
            let listed = runs.iter().rev().take(of as usize).filter(|failed| **failed).count();
            prop_assert_eq!(window.fails(of) as usize, listed);
        }

        #[test]
        fn many_at_once_are_as_many_one_by_one(before: u64, failed: bool, times in 0u64..200) {
            let (mut at_once, mut one_by_one) = (Window(before), Window(before));
            at_once.repeat(failed, times);
            (0..times).for_each(|_| one_by_one.push(failed));
            prop_assert_eq!(at_once, one_by_one);
        }
    }
}
