//! The tasks that have to beat, and what follows when one does not.
//!
//! ```text
//!             no beat within its bound            within what is beyond hope
//!   alive ──────────────────────────▶ stalled ─────────────────────────────▶ lost
//!     ▲                                  │                       the process ends itself
//!     └────────────── a beat ────────────┘
//! ```
//! A watchdog that was itself suspended (with the machine, or as a process) does not count that time: all tasks get
//! their whole limit again.

use std::time::Duration;

use crate::moment::{Moment, plain};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedTask {
    /// Its name in a sentence: `the core`.
    pub name: &'static str,
    /// Without a beat for this long, it is stalled.
    pub bound: Duration,
    /// Without a beat for this long, only a new process helps. `None`: it is waited for.
    pub hope: Option<Duration>,
}

/// A change that the watchdog reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatChange {
    /// It does not beat.
    Stalled(WatchedTask, Duration),
    /// The task beats again, after this time.
    Recovered(WatchedTask, Duration),
    /// The task has not beaten for so long that the process should end.
    Lost(WatchedTask, Duration),
}

impl HeartbeatChange {
    /// One sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Stalled(task, silent) => {
                format!("{} has stalled: no heartbeat for {}", task.name, plain(*silent))
            }
            Self::Recovered(task, silent) => {
                format!("{} is running again; it had stalled for {}", task.name, plain(*silent))
            }
            Self::Lost(task, silent) => format!(
                "{} has stalled for {}: the daemon exits so that it is restarted; the applications keep running",
                task.name,
                plain(*silent)
            ),
        }
    }
}

/// Checks the watched tasks.
#[derive(Debug)]
pub struct Watchdog {
    tasks: Vec<(WatchedTask, Judged)>,
    /// The intended interval of the checks.
    every: Duration,
    looked: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Judged {
    /// The last beat, or when it was excused.
    heard: Moment,
    stalled: bool,
}

impl Watchdog {
    /// All are alive at the beginning. It is meant to be called at the interval `every`.
    pub fn new(tasks: &[WatchedTask], every: Duration, now: Moment) -> Self {
        let judged = Judged { heard: now, stalled: false };
        Self { tasks: tasks.iter().map(|task| (*task, judged)).collect(), every, looked: now }
    }

    /// Takes the last beats, in the order of the tasks, and says what has changed.
    pub fn judge(&mut self, beats: &[Moment], now: Moment) -> Vec<HeartbeatChange> {
        let away = now.since(self.looked) > self.every * 4;
        self.looked = now;
        let mut changes = Vec::new();
        for ((task, judged), beat) in self.tasks.iter_mut().zip(beats) {
            let before = judged.heard;
            // An idle task has its beat far in the future.
            judged.heard = judged.heard.max((*beat).min(now));
            if away {
                judged.heard = judged.heard.max(now);
            }
            let silent = now.since(judged.heard);
            if silent < task.bound {
                if std::mem::take(&mut judged.stalled) {
                    changes.push(HeartbeatChange::Recovered(*task, judged.heard.since(before)));
                }
            } else if task.hope.is_some_and(|hope| silent >= hope) {
                changes.push(HeartbeatChange::Lost(*task, silent));
            } else if !std::mem::replace(&mut judged.stalled, true) {
                changes.push(HeartbeatChange::Stalled(*task, silent));
            }
        }
        changes
    }

    /// The present problems, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let stalled = self.tasks.iter().filter(|(_, judged)| judged.stalled);
        stalled
            .map(|(task, judged)| HeartbeatChange::Stalled(*task, self.looked.since(judged.heard)).sentence())
            .collect()
    }

    /// Whether all tasks are alive that the process cannot work without.
    pub fn vital(&self) -> bool {
        self.tasks.iter().all(|(task, judged)| task.hope.is_none() || !judged.stalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CORE: WatchedTask =
        WatchedTask { name: "the core", bound: Duration::from_secs(2), hope: Some(Duration::from_secs(10)) };
    const DISK: WatchedTask = WatchedTask { name: "the journal", bound: Duration::from_secs(5), hope: None };

    fn at(second: i64) -> Moment {
        Moment::from_micros(1_000_000_000 + second * 1_000_000)
    }

    /// One look a second; the core beats in the first of these seconds only, the disk never.
    fn watch(core_beats: impl Fn(i64) -> bool, until: i64) -> (Watchdog, Vec<(i64, HeartbeatChange)>) {
        let mut dog = Watchdog::new(&[CORE, DISK], SECOND, at(0));
        let (mut beat, mut told) = (at(0), Vec::new());
        for second in 1..=until {
            if core_beats(second) {
                beat = at(second);
            }
            told.extend(
                dog.judge(&[beat, at(second)], at(second)).into_iter().map(|change| (second, change)),
            );
        }
        (dog, told)
    }

    #[test]
    fn one_who_beats_is_never_spoken_of() {
        let (dog, told) = watch(|_| true, 100);
        assert_eq!((told.len(), dog.vital(), dog.problems().len()), (0, true, 0));
    }

    #[test]
    fn a_stall_is_said_once_and_so_is_its_end() {
        let (dog, told) = watch(|second| !(3..8).contains(&second), 20);
        let expected = [
            (4, HeartbeatChange::Stalled(CORE, 2 * SECOND)),
            (8, HeartbeatChange::Recovered(CORE, 6 * SECOND)),
        ];
        assert_eq!((told.as_slice(), dog.vital()), (expected.as_slice(), true));
    }

    #[test]
    fn what_is_beyond_hope_is_lost() {
        let (dog, told) = watch(|_| false, 10);
        assert_eq!(told.last(), Some(&(10, HeartbeatChange::Lost(CORE, 10 * SECOND))));
        assert!(!dog.vital());
        assert_eq!(dog.problems(), ["the core has stalled: no heartbeat for 10s"]);
    }

    #[test]
    fn what_can_be_waited_for_is_never_lost_and_not_vital() {
        let mut dog = Watchdog::new(&[CORE, DISK], SECOND, at(0));
        for second in 1..100 {
            for change in dog.judge(&[at(second), at(0)], at(second)) {
                assert_eq!((second, change), (5, HeartbeatChange::Stalled(DISK, 5 * SECOND)));
            }
        }
        assert!(dog.vital());
        assert_eq!(dog.problems().len(), 1);
    }

    #[test]
    fn one_at_rest_is_alive_and_is_judged_again_once_it_works() {
        let mut dog = Watchdog::new(&[CORE], SECOND, at(0));
        for second in 1..100 {
            assert_eq!(dog.judge(&[Moment::NEVER], at(second)), []);
        }
        assert_eq!(dog.judge(&[at(100)], at(100)), []);
        assert_eq!(dog.judge(&[at(100)], at(101)), []);
        assert_eq!(dog.judge(&[at(100)], at(102)), [HeartbeatChange::Stalled(CORE, 2 * SECOND)]);
    }

    #[test]
    fn time_in_which_the_watchdog_was_away_counts_against_nobody() {
        let mut dog = Watchdog::new(&[CORE, DISK], SECOND, at(0));
        assert_eq!(dog.judge(&[at(1), at(1)], at(1)), []);
        assert_eq!(dog.judge(&[at(1), at(1)], at(3600)), [], "the machine was suspended");
        assert_eq!(dog.judge(&[at(1), at(1)], at(3601)), []);
        assert_eq!(dog.judge(&[at(1), at(1)], at(3602)), [HeartbeatChange::Stalled(CORE, 2 * SECOND)]);
    }
}
