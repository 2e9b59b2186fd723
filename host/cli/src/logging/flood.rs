//! Limits repeated messages, so that they do not fill a disk.
//!
//! ```text
//!   said ──fewer than its rule allows──▶ passed on
//!     └──── more within the window ────▶ held, and counted; the next that passes says how many
//! ```

use std::time::{Duration, Instant};

/// A limit of repetitions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// This number of messages,
    pub(super) times: u32,
    /// within this length of time.
    pub(super) within: Duration,
}

/// The limit for identical messages.
pub(super) const EQUAL: Rule = Rule { times: 5, within: Duration::from_secs(60) };
/// The limit for messages from one place in the code, for one module: such messages differ in a number only.
pub(super) const ALIKE: Rule = Rule { times: 100, within: Duration::from_secs(10) };

/// Two messages with the same slot replace each other: then more is passed on, never less.
const PLACES: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct CallSite {
    key: u64,
    since: Instant,
    said: u32,
    held: u64,
}

#[derive(Debug)]
pub(super) struct Flood(Vec<Option<CallSite>>);

impl Flood {
    pub(super) fn new() -> Self {
        Self(vec![None; PLACES])
    }

    /// Whether it is passed on: `Some` with the number of similar messages that were suppressed before.
    pub(super) fn admit(&mut self, key: u64, rule: Rule, now: Instant) -> Option<u64> {
        let index = usize::try_from(key % PLACES as u64).unwrap_or(0);
        let place = self.0.get_mut(index)?;
        match place {
            Some(place) if place.key == key && now.duration_since(place.since) < rule.within => {
                if place.said < rule.times {
                    place.said += 1;
                    return Some(0);
                }
                place.held += 1;
                None
            }
            place => {
                let held = place.filter(|place| place.key == key).map_or(0, |place| place.held);
                *place = Some(CallSite { key, since: now, said: 1, held: 0 });
                Some(held)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_too_often_is_held_and_counted_and_all_else_passes() {
        let (mut flood, start) = (Flood::new(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let passed = (0..1000).filter(|n| flood.admit(7, EQUAL, at(*n)).is_some()).count();
        assert_eq!(passed, 5);
        assert_eq!(flood.admit(8, EQUAL, at(1000)), Some(0), "another one is not kept from anything");
        assert_eq!(flood.admit(7, EQUAL, at(59_999)), None);
        assert_eq!(flood.admit(7, EQUAL, at(60_000)), Some(996), "then it is said how many were held");
        assert_eq!(flood.admit(7, EQUAL, at(60_001)), Some(0));
    }

    #[test]
    fn a_minute_of_a_flood_is_a_few_lines() {
        let (mut flood, start) = (Flood::new(), Instant::now());
        let passed =
            (0..60_000).filter(|n| flood.admit(1, ALIKE, start + Duration::from_millis(*n)).is_some());
        assert_eq!(passed.count(), 600);
    }
}
