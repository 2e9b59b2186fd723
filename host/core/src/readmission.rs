//! Whether a load balancer that keeps what it was told has to be told that it may use the node again.
//!
//! ```text
//!   NotNeeded ── a drain begins ──▶ Owed ── serves ──▶ Until ── a minute later ──▶ (nothing is said)
//!                                    ▲                   │
//!                                    └─ serves no more ──┘ within that minute
//! ```
//! `HAProxy` keeps the administrative state that an agent gives it (`drain`) until an agent, or a
//! person, gives it another one. A person sets the same state by hand, for maintenance or for a
//! canary, and must not find it undone. So the node takes back what it said itself, for as long as
//! an agent-check needs to come by, and leaves the rest alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// For so long the node says `ready` once it serves again after a drain. Agent-checks come by far
/// more often (`agent-inter` is 2 s unless it is set).
pub const READMIT_FOR: Duration = Duration::from_mins(1);

/// What has to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readmission {
    /// Nothing: no drain was announced.
    #[default]
    NotNeeded,
    /// A drain was announced, and the application does not serve again yet.
    Owed,
    /// It serves again. The node is readmitted until then.
    Until(Moment),
}

impl Readmission {
    /// How it stands after whatever has happened: `drains` is whether a drain is announced at this
    /// moment, `serves` whether the application is said to serve.
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

    /// Until when a node that serves is to be readmitted, if it is.
    pub fn until(self) -> Option<Moment> {
        match self {
            Self::Until(until) => Some(until),
            Self::NotNeeded | Self::Owed => None,
        }
    }

    /// A clock that was set back does not make it last longer.
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
            // It is not known whether it was asked within so short a time.
            (Until(at(70)), false, false, 50, Owed),
            (Until(at(70)), false, false, 70, NotNeeded),
            (Until(at(70)), true, false, 80, Owed),
        ] {
            assert_eq!(before.follow(drains, serves, at(now)), after, "{before:?} {drains} {serves} {now}");
        }
    }

    proptest! {
        /// Whatever happens: after a drain, an application that serves for a minute was readmitted for
        /// the whole of it; one that was never drained never is.
        #[test]
        fn what_was_announced_is_taken_back_and_nothing_else(
            steps in proptest::collection::vec((0u8..3, 1i64..90), 1..60),
        ) {
            let (mut readmission, mut now, mut drained) = (Readmission::default(), 0, false);
            let mut serves_since = None;
            for (what, seconds) in steps {
                now += seconds;
                let (drains, serves) = (what == 0, what == 1);
                // What was served from the last step to this one was a minute, or it was not.
                drained &= readmission.until().is_none_or(|until| until > at(now));
                readmission = readmission.follow(drains, serves, at(now));
                drained |= drains;
                if !serves {
                    serves_since = None;
                } else if serves_since.is_none() {
                    serves_since = Some(now);
                }
                // What is left of one that was taken back for long enough says nothing any more.
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
