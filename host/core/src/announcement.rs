//! When a command notifies a load balancer that does not probe of the health answer.
//!
//! ```text
//!                     began                    ended well
//!   nothing is told ─────────▶ told of (yes) ─────────────▶ told (yes)
//!         ▲                        │      │                     │
//!         │        ended badly:    │      │ the answer is no    │ the answer is no
//!         └── again after a wait ──┘      ▼ by now              ▼
//!                                  as soon as it has ended: told of (no)
//! ```
//! One command at a time, so that the last notification is the right one. What was announced is not remembered
//! across daemons: each daemon announces once at its start.

use std::time::Duration;

use crate::moment::Moment;

/// A command that failed is retried after this long, then after twice as long, and so on.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest delay of a retry.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What one module's load balancer has been notified of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The last answer that was announced successfully.
    told: Option<bool>,
    /// The answer whose command is running.
    telling: Option<bool>,
    /// How often in a row the command for an answer has failed, and when it may be retried.
    failed: Option<Failed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failed {
    word: bool,
    times: u32,
    again: Moment,
}

impl Announcement {
    /// The answer that has to be announced now, if any. `ready` is the present health answer.
    pub fn due(&self, ready: bool, now: Moment) -> Option<bool> {
        let waits = self.failed.is_some_and(|failed| failed.word == ready && now < failed.again);
        let said = self.told == Some(ready) && self.failed.is_none();
        (self.telling.is_none() && !said && !waits).then_some(ready)
    }

    /// When to ask again, if it only depends on time.
    pub fn next(&self) -> Option<Moment> {
        self.failed.filter(|_| self.telling.is_none()).map(|failed| failed.again)
    }

    /// Whether a command is running.
    pub fn is_telling(&self) -> bool {
        self.telling.is_some()
    }

    /// The command for this answer was started.
    pub fn began(&mut self, word: bool) {
        self.telling = Some(word);
    }

    /// The command has ended. Returns whether that is worth a record: the first failure in a row is, and every
    /// success.
    pub fn ended(&mut self, well: bool, now: Moment) -> bool {
        let Some(word) = self.telling.take() else { return false };
        if well {
            (self.told, self.failed) = (Some(word), None);
            return true;
        }
        let times = self.failed.filter(|failed| failed.word == word).map_or(0, |failed| failed.times);
        let wait = FIRST_WAIT.saturating_mul(1 << times.min(16)).min(LONGEST_WAIT);
        self.failed = Some(Failed { word, times: times.saturating_add(1), again: now + wait });
        times == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: u32) -> Moment {
        Moment::from_micros(i64::from(milliseconds) * 1000)
    }

    #[test]
    fn each_answer_is_told_once() {
        let mut announcement = Announcement::default();
        assert_eq!(announcement.due(false, at(0)), Some(false), "a daemon that starts says how it is");
        announcement.began(false);
        assert_eq!(announcement.due(false, at(1)), None);
        assert!(announcement.ended(true, at(2)));
        assert_eq!(announcement.due(false, at(3)), None);
        assert_eq!(announcement.due(true, at(4)), Some(true));
    }

    #[test]
    fn an_answer_that_changes_meanwhile_is_told_when_the_command_has_ended() {
        let mut announcement = Announcement::default();
        announcement.began(true);
        assert_eq!(announcement.due(false, at(1)), None);
        announcement.ended(true, at(2));
        assert_eq!(announcement.due(false, at(2)), Some(false));
    }

    #[test]
    fn a_command_that_fails_is_run_again_with_growing_waits() {
        let mut announcement = Announcement::default();
        let mut now = 0;
        for (times, wait) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            announcement.began(false);
            assert_eq!(announcement.ended(false, at(now)), times == 0, "only the first is news");
            assert_eq!(announcement.next(), Some(at(now + wait * 1000)));
            assert_eq!(announcement.due(false, at(now + wait * 1000 - 1)), None);
            assert_eq!(announcement.due(true, at(now)), Some(true), "the other word need not wait");
            now += wait * 1000;
            assert_eq!(announcement.due(false, at(now)), Some(false));
        }
        announcement.began(false);
        assert!(announcement.ended(true, at(now)));
        assert_eq!(announcement.next(), None);
    }

    #[test]
    fn a_word_that_may_have_arrived_in_part_is_taken_back() {
        let mut announcement = Announcement::default();
        announcement.began(true);
        announcement.ended(true, at(0));
        announcement.began(false);
        announcement.ended(false, at(1));
        assert_eq!(announcement.due(true, at(2)), Some(true));
    }

    proptest! {
        /// Whatever happens, once the answer stays the same and commands succeed again, it is announced within the
        /// longest delay.
        #[test]
        fn the_last_word_is_the_true_one(turns in proptest::collection::vec((any::<bool>(), any::<bool>(), 0u32..2000), 0..50), ready in any::<bool>()) {
            let mut announcement = Announcement::default();
            let mut now = 0;
            for (answer, well, passed) in turns {
                now += passed;
                if let Some(word) = announcement.due(answer, at(now)) {
                    prop_assert_eq!(word, answer);
                    announcement.began(word);
                } else {
                    announcement.ended(well, at(now));
                }
            }
            announcement.ended(true, at(now));
            now += 30_000;
            if let Some(word) = announcement.due(ready, at(now)) {
                announcement.began(word);
                announcement.ended(true, at(now));
            }
            prop_assert_eq!(announcement.told, Some(ready));
            prop_assert_eq!(announcement.due(ready, at(now)), None);
        }
    }
}
