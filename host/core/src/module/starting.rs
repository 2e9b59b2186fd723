//! The meaning of a checker's results while its application is starting.
//!
//! ```text
//!   Unseen ──processes──▶ Seen ──none──▶ Missing ──none for some time──▶ Gone
//!                          ▲ └───────────processes────┘                    │
//!                          └──────────────────processes────────────────────┘
//! ```
//! The checkers of a starting application fail until it serves. Only the end of its process ends the start:
//! immediately for a kept process, because the host knows its end; after a moment for a process that was found by
//! its properties, because a pid file may be rewritten and a program may fork once more.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::observation::{Observation, Status};
use crate::policy::{CheckerKind, CheckerPolicy, OnDown};
use crate::verdict::Weight;

/// Processes that were seen and have disappeared have ended if they do not return within this time.
const GONE: Duration = Duration::from_secs(3);
/// The measurement with the progress of a start.
const PROGRESS: &str = "progress";
/// The measurement with the age of processes, in seconds.
const UPTIME: &str = "uptime";

/// A start, from the view of one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Starting {
    /// Failures do not end the start.
    excuses: bool,
    life: Life,
    /// When a failure was counted last.
    counted: Option<Moment>,
    /// The greatest progress that was measured.
    progress: Option<f64>,
}

/// The processes that have been seen since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Life {
    Unseen,
    Seen,
    Missing { until: Moment },
    Gone,
}

impl Starting {
    pub(super) fn new(excuses: bool) -> Self {
        Self { excuses, life: Life::Unseen, counted: None, progress: None }
    }

    /// Whether nothing of the application has been seen yet.
    pub(super) fn unseen(&self) -> bool {
        self.life == Life::Unseen
    }

    /// When missing processes must be present again.
    pub(super) fn missing_until(&self) -> Option<Moment> {
        match self.life {
            Life::Missing { until } => Some(until),
            Life::Unseen | Life::Seen | Life::Gone => None,
        }
    }

    /// Whether processes have just been missing for too long.
    pub(super) fn give_up_missing(&mut self, now: Moment) -> bool {
        let over = self.missing_until().is_some_and(|until| now >= until);
        if over {
            self.life = Life::Gone;
        }
        over
    }

    /// Whether the start makes progress.
    pub(super) fn advances(&self, seen: &Observation) -> bool {
        match (measured(seen, PROGRESS), self.progress) {
            (Some(now), Some(before)) => now > before,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Processes an observation. Returns its effect if it is a failure.
    pub(super) fn weigh(
        &mut self,
        policy: &CheckerPolicy,
        eager: bool,
        seen: &Observation,
        now: Moment,
    ) -> Weight {
        if self.advances(seen) {
            self.progress = measured(seen, PROGRESS);
        }
        let alive = shows_life(seen);
        self.follow_life(alive, seen.status, now);
        let ends = policy.kind == CheckerKind::Process && seen.status == Status::Fail && !alive;
        if ends && (policy.kept || !self.excuses || self.life == Life::Gone) {
            return Weight::Counts;
        }
        let bad = match seen.status {
            Status::Pass | Status::Warn => return Weight::Counts,
            Status::Fail => true,
            Status::Unknown => policy.thresholds.unknown_is_fail,
        };
        match policy.on_down {
            OnDown::Restart | OnDown::Stop if self.excuses => return Weight::Excused,
            OnDown::Restart | OnDown::Stop | OnDown::Wait | OnDown::Out | OnDown::Notify => {}
        }
        // It runs more often than its thresholds assume.
        let early = self.counted.is_some_and(|before| now.since(before) < policy.interval);
        if bad && eager && early && policy.kind == CheckerKind::Component {
            return Weight::Shown;
        }
        if bad {
            self.counted = Some(now);
        }
        Weight::Counts
    }

    fn follow_life(&mut self, alive: bool, status: Status, now: Moment) {
        self.life = match self.life {
            _ if alive => Life::Seen,
            Life::Seen if status == Status::Fail => Life::Missing { until: now + GONE },
            same @ (Life::Unseen | Life::Seen | Life::Missing { .. } | Life::Gone) => same,
        };
    }
}

/// Whether the run found something alive. Processes beyond their limits are a failure, but alive.
pub(super) fn shows_life(seen: &Observation) -> bool {
    matches!(seen.status, Status::Pass | Status::Warn) || !seen.processes.is_empty()
}

/// The age of the processes that were seen, if it was measured.
pub(super) fn uptime(seen: &Observation) -> Option<Duration> {
    Duration::try_from_secs_f64(measured(seen, UPTIME)?).ok()
}

fn measured(seen: &Observation, name: &str) -> Option<f64> {
    seen.measurements.iter().find(|measured| measured.name == name).map(|measured| measured.value)
}
