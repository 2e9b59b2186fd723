//! Rate limit of sign-in attempts.
//!
//! ```text
//!   free ──too many failures──▶ waits, twice as long after each ──quiet for a while, or let in──▶ free
//! ```
//! A delayed user has to wait, but is never locked out: an attacker who fails on purpose can delay the owner of a
//! name by seconds only.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::moment::Moment;

/// The limits of one throttle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The number of failures without a delay.
    pub free: u32,
    /// The delay after one more failure; each further failure doubles it.
    pub first: Duration,
    pub most: Duration,
    /// The failures are forgotten after this time without an attempt.
    pub forget: Duration,
    /// The maximum number of keys that are remembered; the oldest attempts are forgotten first.
    pub capacity: usize,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    failures: u32,
    last: Moment,
}

/// The failures of each key.
#[derive(Debug)]
pub struct Throttle<K> {
    rule: Rule,
    tries: BTreeMap<K, Tries>,
}

impl<K: Ord + Clone> Throttle<K> {
    /// A throttle without any attempts.
    pub fn new(rule: Rule) -> Self {
        Self { rule, tries: BTreeMap::new() }
    }

    /// Begins an attempt. It counts as failed until [`succeeded`](Self::succeeded) is called, so that concurrent
    /// attempts count, too.
    ///
    /// # Errors
    /// The remaining delay, if it comes too early. Such an attempt is not made, and does not count.
    pub fn begin(&mut self, key: &K, now: Moment) -> Result<(), Duration> {
        let earlier = self.tries.get(key).filter(|tries| now.since(tries.last) < self.rule.forget).copied();
        if let Some(tries) = earlier {
            let due = tries.last + self.wait(tries.failures);
            if now < due {
                return Err(due.since(now));
            }
        }
        let failures = earlier.map_or(0, |tries| tries.failures).saturating_add(1);
        self.make_room(key, now);
        self.tries.insert(key.clone(), Tries { failures, last: now });
        Ok(())
    }

    /// The last attempt has succeeded.
    pub fn succeeded(&mut self, key: &K) {
        self.tries.remove(key);
    }

    fn wait(&self, failures: u32) -> Duration {
        let Some(behind) = failures.checked_sub(self.rule.free) else { return Duration::ZERO };
        let doubled = 2_u32.checked_pow(behind).and_then(|times| self.rule.first.checked_mul(times));
        doubled.unwrap_or(self.rule.most).min(self.rule.most)
    }

    fn make_room(&mut self, key: &K, now: Moment) {
        if self.tries.len() < self.rule.capacity || self.tries.contains_key(key) {
            return;
        }
        let forget = self.rule.forget;
        self.tries.retain(|_, tries| now.since(tries.last) < forget);
        while self.tries.len() >= self.rule.capacity {
            let oldest = self.tries.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.tries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: Rule = Rule {
        free: 3,
        first: Duration::from_secs(1),
        most: Duration::from_secs(8),
        forget: Duration::from_secs(100),
        capacity: 4,
    };

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_wait_doubles_behind_the_free_tries_and_has_a_limit() {
        let mut throttle = Throttle::new(RULE);
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..8 {
            while let Err(wait) = throttle.begin(&"eve", at(now)) {
                waits.push(wait.as_secs());
                now += i64::try_from(wait.as_secs()).unwrap();
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 8]);
    }

    #[test]
    fn one_who_waits_does_not_keep_others_waiting() {
        let mut throttle = Throttle::new(RULE);
        while throttle.begin(&"eve", at(0)).is_ok() {}
        assert_eq!(throttle.begin(&"alice", at(0)), Ok(()));
    }

    #[test]
    fn being_let_in_and_a_long_time_forget_everything() {
        let mut throttle = Throttle::new(RULE);
        while throttle.begin(&"eve", at(0)).is_ok() {}
        assert_eq!(throttle.begin(&"eve", at(100)), Ok(()));
        while throttle.begin(&"eve", at(100)).is_ok() {}
        throttle.succeeded(&"eve");
        assert_eq!(throttle.begin(&"eve", at(100)), Ok(()));
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_never_more_tries_are_let_through_than_the_rule_says(
            tries in prop::collection::vec((0_u8..20, 0_i64..3), 0..300),
        ) {
            let mut throttle = Throttle::new(RULE);
            let mut now = 0;
            let mut made: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
            for (key, step) in tries {
                now += step;
                if throttle.begin(&key, at(now)).is_ok() {
                    made.entry(key).or_default().push(now);
                }
                prop_assert!(throttle.tries.len() <= RULE.capacity);
            }
            if made.len() <= RULE.capacity {
                for times in made.values() {
                    // After the free ones, no two within the same second.
                    for pair in times.windows(2).skip(2) {
                        prop_assert!(pair[1] > pair[0]);
                    }
                }
            }
        }
    }
}
