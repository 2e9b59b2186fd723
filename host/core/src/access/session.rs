//! The lifetime of a sign-in.
//!
//! ```text
//!   begun ──▶ used ──▶ used ──▶ … ──▶ ended: idle for too long, too old, or ended by a change
//!              └── each use puts off the idle end, never the last one
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// A sign-in that is not used for this long has ended.
pub const IDLE: Duration = Duration::from_mins(30);
/// The maximum lifetime of a sign-in, even if it is used.
pub const LIFE: Duration = Duration::from_hours(12);
/// The default lifetime of a one-time link.
pub const ONE_TIME: Duration = Duration::from_secs(60);
/// The maximum lifetime of a one-time link.
pub const ONE_TIME_MOST: Duration = Duration::from_mins(10);

/// When a sign-in began, and when it was used last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    pub began: Moment,
    /// When it was used last.
    pub used: Moment,
}

impl Use {
    /// A sign-in that begins now.
    pub fn begin(now: Moment) -> Self {
        Self { began: now, used: now }
    }

    /// When it ends, if it is not used again.
    pub fn ends(&self) -> Moment {
        (self.used + IDLE).min(self.began + LIFE)
    }

    /// Whether it has ended.
    pub fn is_over(&self, now: Moment) -> bool {
        // A sign-in that seems to begin in the future was stored on another time line.
        now >= self.ends() || self.began > now
    }

    /// Records that it is used now.
    #[must_use]
    pub fn again(self, now: Moment) -> Self {
        Self { used: self.used.max(now), ..self }
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
    fn half_an_hour_without_a_use_ends_it() {
        let session = Use::begin(at(0));
        assert!(!session.is_over(at(1_799)));
        assert!(session.is_over(at(1_800)));
        assert!(!session.again(at(1_799)).is_over(at(3_500)));
    }

    #[test]
    fn a_sign_in_from_the_future_is_none() {
        assert!(Use::begin(at(10)).is_over(at(9)));
    }

    proptest! {
        #[test]
        fn no_use_makes_it_older_than_its_life(uses in prop::collection::vec(0_i64..1_000, 0..200)) {
            let (mut now, mut session) = (0, Use::begin(at(0)));
            for step in uses {
                now += step;
                session = session.again(at(now));
                prop_assert!(session.ends() <= at(0) + LIFE);
                prop_assert_eq!(session.is_over(at(now)), at(now) >= at(0) + LIFE);
            }
        }
    }
}
