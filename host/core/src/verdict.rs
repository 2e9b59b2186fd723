//! Derives a verdict from observations.
//!
//! ```text
//!              rise passes in a row
//!   Undecided ─────────────────────▶ Up
//!       ▲ │                          │ ▲
//!       │ └── fall fails in a row ─┐ │ │ rise passes in a row
//!       │                          ▼ ▼ │
//!       └─── fall unknowns ─────── Down
//!            in a row (also from Up)
//! ```
//! With a number of fails among a number of runs (`fall = "3 of 10"`), that many among the last runs are sufficient
//! as well, in a row or not; when a checker comes up, the count starts from zero.
//!
//! While the application starts, fails may leave it undecided instead of down, or be shown and not counted: see
//! [`Weight`].
//!
//! Fails within the start grace are shown and not counted; the grace ends early when the verdict is up. Unknown is
//! never counted as fail unless the operator asks for that; but a verdict that has not been confirmed for `fall`
//! runs (at least three) is discarded: what is shown must not be older than what is known.

mod window;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::observation::Status;
use crate::policy::Thresholds;

use self::window::Window;

/// The verdict that follows from the observations of a checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The resource is healthy.
    Up,
    /// The resource is not healthy.
    Down,
    /// Not known yet, or no longer known.
    #[default]
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Undecided => "undecided",
        })
    }
}

/// The effect of a failure on the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It counts as a failure.
    Counts,
    /// The application is just starting: as many of them as would take the checker down leave it undecided.
    Excused,
    /// It is shown, and counts no more than the ones before it.
    Shown,
}

/// The maximum number of last runs in which fails are counted.
pub const MOST_LOOKED_BACK: u32 = window::MOST;
/// The minimum number of unknown results in a row before a verdict is discarded.
const MIN_UNKNOWNS: u32 = 3;

/// The counters behind one verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judge {
    verdict: Verdict,
    since: Moment,
    /// The run of equal answers that the last observation belongs to.
    streak: Option<(CountsAs, u32)>,
    /// The last runs that count.
    #[serde(default)]
    window: Window,
    /// Fails before this moment are not counted.
    grace_until: Moment,
}

/// What a run counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum CountsAs {
    Good,
    Bad,
    Nothing,
}

impl Judge {
    /// A judge without any observation.
    pub fn new(now: Moment) -> Self {
        Self {
            verdict: Verdict::Undecided,
            since: now,
            streak: None,
            window: Window::default(),
            grace_until: now,
        }
    }

    /// The verdict at present.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Since when it has this verdict.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// Whether the checker ran at least as often as would be sufficient for a verdict, and all of its last runs
    /// were unknown.
    pub fn cannot_tell(&self, thresholds: &Thresholds) -> bool {
        matches!(self.streak, Some((CountsAs::Nothing, n)) if n >= Self::unknowns_to_tell(thresholds))
    }

    /// The number of unknown results in a row which mean that the checker cannot determine its status.
    pub fn unknowns_to_tell(thresholds: &Thresholds) -> u32 {
        thresholds.fall.max(MIN_UNKNOWNS)
    }

    /// Repeats the last result this many times, where that makes no difference.
    pub fn repeat(&mut self, times: u64) {
        if let Some((answer, length)) = &mut self.streak {
            self.window.repeat(*answer == CountsAs::Bad, times);
            *length = length.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        }
    }

    /// Whether the last runs were equal for so long that one more of them makes no difference.
    pub fn settled(&self, thresholds: &Thresholds) -> bool {
        let enough = thresholds.rise.max(thresholds.fall).max(MIN_UNKNOWNS);
        matches!(self.streak, Some((_, n)) if n >= enough)
    }

    /// Whether the last run was a failure, counted or not.
    pub fn failing(&self) -> bool {
        matches!(self.streak, Some((CountsAs::Bad, _)))
    }

    /// Whether the last runs failed so often that it is down, unless they were excused.
    pub fn has_failed_enough(&self, thresholds: &Thresholds) -> bool {
        let among_others =
            || thresholds.fall_of.is_some_and(|runs| self.window.fails(runs) >= thresholds.fall);
        matches!(self.streak, Some((CountsAs::Bad, n)) if n > 0 && (n >= thresholds.fall || among_others()))
    }

    /// The fails among the last runs, and the number of runs, where these are counted and some of them passed.
    pub fn fails_among_others(&self, thresholds: &Thresholds) -> Option<(u32, u32)> {
        let runs = thresholds.fall_of?;
        let fails = self.window.fails(runs);
        let in_a_row = matches!(self.streak, Some((CountsAs::Bad, n)) if n >= thresholds.fall);
        (fails >= thresholds.fall && !in_a_row).then_some((fails, runs))
    }

    /// Starts again: the previous results belong to an application that is gone. Fails are not counted until
    /// `grace_until`.
    pub fn begin(&mut self, now: Moment, grace_until: Moment) {
        if self.verdict != Verdict::Undecided {
            self.since = now;
        }
        self.verdict = Verdict::Undecided;
        self.streak = None;
        self.window = Window::default();
        self.grace_until = grace_until;
    }

    /// The resource was healthy a moment ago, according to an earlier daemon.
    pub fn carry_up(&mut self, now: Moment) {
        self.verdict = Verdict::Up;
        self.since = now;
    }

    /// From here on every fail counts.
    pub fn end_grace(&mut self, now: Moment) {
        self.grace_until = self.grace_until.min(now);
    }

    /// Processes one observation. Returns the previous verdict, if it changed.
    pub fn observe(
        &mut self,
        status: Status,
        weight: Weight,
        thresholds: &Thresholds,
        now: Moment,
    ) -> Option<Verdict> {
        let answer = match status {
            Status::Pass | Status::Warn => CountsAs::Good,
            Status::Fail => CountsAs::Bad,
            Status::Unknown if thresholds.unknown_is_fail => CountsAs::Bad,
            Status::Unknown => CountsAs::Nothing,
        };
        if answer == CountsAs::Bad && now < self.grace_until {
            self.streak = Some((CountsAs::Bad, 0));
            return None;
        }
        if answer == CountsAs::Bad && weight == Weight::Shown {
            if !self.failing() {
                self.streak = Some((CountsAs::Bad, 0));
            }
            return None;
        }
        let length = match self.streak {
            Some((last, n)) if last == answer => n.saturating_add(1),
            _ => 1,
        };
        self.streak = Some((answer, length));
        self.window.push(answer == CountsAs::Bad);
        let enough = self.has_failed_enough(thresholds);
        let next = match answer {
            CountsAs::Good if length >= thresholds.rise => Verdict::Up,
            CountsAs::Bad if enough && weight == Weight::Excused => Verdict::Undecided,
            CountsAs::Bad if enough => Verdict::Down,
            CountsAs::Nothing if length >= Self::unknowns_to_tell(thresholds) => Verdict::Undecided,
            CountsAs::Good | CountsAs::Bad | CountsAs::Nothing => self.verdict,
        };
        if next == self.verdict {
            return None;
        }
        if next == Verdict::Up {
            self.grace_until = now;
            self.window = Window::default();
        }
        self.since = now;
        Some(std::mem::replace(&mut self.verdict, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn run(thresholds: Thresholds, script: &str) -> String {
        let mut judge = Judge::new(Moment::default());
        script
            .chars()
            .map(|c| {
                let status = match c {
                    'p' => Status::Pass,
                    'w' => Status::Warn,
                    'f' => Status::Fail,
                    _ => Status::Unknown,
                };
                judge.observe(status, Weight::Counts, &thresholds, Moment::default());
                match judge.verdict() {
                    Verdict::Up => 'U',
                    Verdict::Down => 'D',
                    Verdict::Undecided => '.',
                }
            })
            .collect()
    }

    #[test]
    fn rise_and_fall_count_answers_in_a_row() {
        let t = Thresholds { rise: 2, fall: 3, ..Thresholds::default() };
        assert_eq!(run(t, "ppfpfffpwp"), ".UUUUUDDUU");
    }

    #[test]
    fn unknown_is_not_a_fail_and_breaks_a_row_of_fails() {
        let t = Thresholds { rise: 1, fall: 2, ..Thresholds::default() };
        assert_eq!(run(t, "pfufuff"), "UUUUUUD");
    }

    #[test]
    fn unknown_is_a_fail_when_the_operator_asks_for_it() {
        let t = Thresholds { rise: 1, fall: 2, unknown_is_fail: true, ..Thresholds::default() };
        assert_eq!(run(t, "puu"), "UUD");
    }

    #[test]
    fn a_verdict_that_nobody_can_confirm_is_given_up() {
        let t = Thresholds::default();
        assert_eq!(run(t, "puuup"), "UUU.U");
        assert_eq!(run(t, "fuuuu"), "DDD..");
    }

    #[test]
    fn so_many_fails_of_so_many_runs_are_down_although_others_pass_in_between() {
        let in_a_row = Thresholds { rise: 2, fall: 3, ..Thresholds::default() };
        assert_eq!(run(in_a_row, "ppfpfpfpfpfp"), ".UUUUUUUUUUU", "half of all runs fail, and it is up");
        let of_ten = Thresholds { fall_of: Some(10), ..in_a_row };
        assert_eq!(run(of_ten, "ppfpfpfpfpfpp"), ".UUUUUDDDDDDU", "and stays down until it rises");
        assert_eq!(run(of_ten, "ppfffpp"), ".UUUDDU", "in a row counts as before");
        assert_eq!(run(of_ten, "ppfpfpfppfpfppf"), ".UUUUUDDUUUUUUD", "what comes up begins with no fail");
        assert_eq!(run(of_ten, "ppfpppppfppppppf"), ".UUUUUUUUUUUUUUU", "too long ago");
        assert_eq!(run(of_ten, "ppfufuf"), ".UUUUUD", "unknown is no fail, and breaks nothing here");
    }

    #[test]
    fn fails_within_the_grace_are_not_counted_until_the_first_up() {
        let t = Thresholds { rise: 1, fall: 1, ..Thresholds::default() };
        let at = |s| Moment::default() + Duration::from_secs(s);
        let mut judge = Judge::new(at(0));
        judge.begin(at(0), at(10));
        assert_eq!(judge.observe(Status::Fail, Weight::Counts, &t, at(1)), None);
        assert!(judge.failing());
        assert_eq!(judge.observe(Status::Pass, Weight::Counts, &t, at(2)), Some(Verdict::Undecided));
        assert_eq!(judge.observe(Status::Fail, Weight::Counts, &t, at(9)), Some(Verdict::Up));

        judge.begin(at(20), at(30));
        assert_eq!(judge.observe(Status::Fail, Weight::Counts, &t, at(29)), None);
        assert_eq!(judge.observe(Status::Fail, Weight::Counts, &t, at(30)), Some(Verdict::Undecided));
    }

    #[test]
    fn what_is_excused_never_turns_it_down_and_what_is_shown_is_not_counted() {
        let t = Thresholds { rise: 1, fall: 2, ..Thresholds::default() };
        let mut judge = Judge::new(Moment::default());
        let mut see = |status, weight| {
            judge.observe(status, weight, &t, Moment::default());
            (judge.verdict(), judge.failing())
        };
        for _ in 0..10 {
            assert_eq!(see(Status::Fail, Weight::Excused), (Verdict::Undecided, true));
        }
        assert_eq!(see(Status::Pass, Weight::Excused), (Verdict::Up, false));
        assert_eq!(see(Status::Fail, Weight::Excused), (Verdict::Up, true));
        assert_eq!(see(Status::Fail, Weight::Excused), (Verdict::Undecided, true), "up no longer");
        assert_eq!(see(Status::Pass, Weight::Counts), (Verdict::Up, false));
        assert_eq!(see(Status::Fail, Weight::Counts), (Verdict::Up, true));
        for _ in 0..10 {
            assert_eq!(see(Status::Fail, Weight::Shown), (Verdict::Up, true));
        }
        assert_eq!(see(Status::Fail, Weight::Counts), (Verdict::Down, true), "the second that counts");
    }

    /// The verdict, computed from the whole history.
    fn reference(history: &[Status], t: &Thresholds) -> Verdict {
        let mut verdict = Verdict::Undecided;
        let mut up_since = 0;
        for end in 1..=history.len() {
            let last = |n: u32, good: &dyn Fn(Status) -> bool| {
                let n = n as usize;
                end >= n && history[end - n..end].iter().all(|s| good(*s))
            };
            let is_pass = |s| matches!(s, Status::Pass | Status::Warn);
            let is_fail = |s| s == Status::Fail || (t.unknown_is_fail && s == Status::Unknown);
            let among = t.fall_of.is_some_and(|runs| {
                let from = up_since.max(end.saturating_sub(runs as usize));
                let fails = history[from..end].iter().filter(|s| is_fail(**s)).count();
                is_fail(history[end - 1]) && fails >= t.fall as usize
            });
            if last(t.rise, &is_pass) {
                if verdict != Verdict::Up {
                    up_since = end;
                }
                verdict = Verdict::Up;
            } else if last(t.fall, &is_fail) || among {
                verdict = Verdict::Down;
            } else if !t.unknown_is_fail && last(t.fall.max(3), &|s| s == Status::Unknown) {
                verdict = Verdict::Undecided;
            }
        }
        verdict
    }

    proptest! {
        #[test]
        fn the_verdict_is_what_a_look_at_the_whole_history_says(
            history in proptest::collection::vec(prop_oneof![
                Just(Status::Pass), Just(Status::Warn), Just(Status::Fail), Just(Status::Unknown)
            ], 0..60),
            rise in 1u32..5, fall in 1u32..5, more in proptest::option::of(0u32..12), unknown_is_fail: bool,
        ) {
            let fall_of = more.map(|more| fall + more);
            let t = Thresholds { rise, fall, fall_of, grace: Duration::ZERO, unknown_is_fail };
            let mut judge = Judge::new(Moment::default());
            for status in &history {
                let before = judge.verdict();
                let changed = judge.observe(*status, Weight::Counts, &t, Moment::default());
                prop_assert_eq!(changed.is_some(), before != judge.verdict());
            }
            prop_assert_eq!(judge.verdict(), reference(&history, &t));
        }
    }
}
