//! Whether a load balancer that keeps an announced drain has to be told that it may use the node again.
//!
//! ```text
//!   NotNeeded ── a drain begins ──▶ Owed ── serves ──▶ Until ── a minute later ──▶ (nothing is said)
//!                                    ▲                   │
//!                                    └─ serves no more ──┘ within that minute
//! ```
//! `HAProxy` keeps the administrative state that an agent sets (`drain`) until an agent, or an operator, sets
//! another one. Operators set the same state by hand, for maintenance or for a canary, and it must not be undone.
//! So the node cancels its own announcement, for as long as an agent-check needs to arrive, and changes nothing
//! else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// How long the node answers `ready` once it serves again after a drain. Agent-checks are far more frequent
/// (`agent-inter` is 2 s by default).
pub const READMIT_FOR: Duration = Duration::from_mins(1);

/// What has to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readmission {
    /// Nothing, because no drain was announced.
    #[default]
    NotNeeded,
    /// A drain was announced, and the application does not serve again yet.
    Owed,
    /// It serves again. The node answers `ready` until then.
    Until(Moment),
}

impl Readmission {
    /// The state after an event: `drains` is whether a drain is announced at this moment, `serves` whether the
    /// answer is positive.
    #[must_use]
    pub fn follow(self, drains: bool, serves: bool, now: Moment) -> Self {
        match self {
            _ if drains => Self::Owed,
            Self::Owed if serves => Self::Until(now + READMIT_FOR),
            Self::Until(until) if !serves && now < until => Self::Owed,
            Self::Until(_) if !serves => Self::NotNeeded,
            other @ (Self::NotNeeded | Self::Owed | Self::Until(_)) => other,
        }
    }

    /// How long a serving node has to answer `ready`, if it has to.
    pub fn until(self) -> Option<Moment> {
        match self {
            Self::Until(until) => Some(until),
            Self::NotNeeded | Self::Owed => None,
        }
    }

    /// A clock that was set back does not prolong it.
    #[must_use]
    pub fn no_later_than(self, now: Moment) -> Self {
        match self {
            Self::Until(until) => Self::Until(until.min(now + READMIT_FOR)),
            other @ (Self::NotNeeded | Self::Owed) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_drain_is_taken_back_for_a_minute_once_the_application_serves_again() {
        use Readmission::{NotNeeded, Owed, Until};
        for (before, drains, serves, now, after) in [
            (NotNeeded, false, true, 0, NotNeeded),
            (NotNeeded, false, false, 0, NotNeeded),
            (NotNeeded, true, false, 0, Owed),
            (Owed, true, false, 5, Owed),
            (Owed, false, false, 3600, Owed),
            (Owed, false, true, 10, Until(at(70))),
            (Until(at(70)), false, true, 50, Until(at(70))),
            (Until(at(70)), false, true, 80, Until(at(70))),
            // It is not known whether there was a probe within so short a time.
            (Until(at(70)), false, false, 50, Owed),
            (Until(at(70)), false, false, 70, NotNeeded),
            (Until(at(70)), true, false, 80, Owed),
        ] {
            assert_eq!(before.follow(drains, serves, at(now)), after, "{before:?} {drains} {serves} {now}");
        }
    }

    proptest! {
        /// Whatever happens: after a drain, an application that serves for a minute answered `ready` for the whole
        /// minute; one that was never drained never does.
        #[test]
        fn what_was_announced_is_taken_back_and_nothing_else(
            steps in proptest::collection::vec((0u8..3, 1i64..90), 1..60),
        ) {
            let (mut readmission, mut now, mut drained) = (Readmission::default(), 0, false);
            let mut serves_since = None;
            for (what, seconds) in steps {
                now += seconds;
                let (drains, serves) = (what == 0, what == 1);
                // The application served for a minute since the last step, or it did not.
                drained &= readmission.until().is_none_or(|until| until > at(now));
                readmission = readmission.follow(drains, serves, at(now));
                drained |= drains;
                if !serves {
                    serves_since = None;
                } else if serves_since.is_none() {
                    serves_since = Some(now);
                }
                // The remainder of a cancellation that lasted long enough is irrelevant.
                let over = readmission.until().is_none_or(|until| until <= at(now));
                prop_assert!(drained || (over && readmission != Readmission::Owed));
                prop_assert!(!drains || readmission == Readmission::Owed);
                if let (Some(since), Some(until)) = (serves_since, readmission.until()) {
                    prop_assert_eq!(until, at(since) + READMIT_FOR);
                }
                prop_assert!(!(drained && serves && readmission == Readmission::NotNeeded));
            }
        }
    }
}
