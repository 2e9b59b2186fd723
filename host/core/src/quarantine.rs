//! Versions of components that did not work, and when each may be tried again.
//!
//! ```text
//!            it failed                       its time has come
//!   free ─────────────▶ quarantined ──────────────────────────▶ may be tried
//!                          ▲   10 s, 20 s, 40 s … 1 h               │    │ it works
//!                          └────────────────────────────────────────┘    ▼
//!                                     it failed again                   free
//! ```
//! Identified by name and digest: another version of the same file is another case. A new daemon takes the cases over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// The first delay; each further one is twice as long.
pub const FIRST_WAIT: Duration = Duration::from_secs(10);
pub const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// The maximum number of cases: beyond it, the one whose last attempt is oldest is forgotten.
pub const MAX_CASES: usize = 256;

/// One version that did not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// What happened, in one sentence.
    pub why: String,
    /// Since when it is known not to work.
    pub since: Moment,
    /// How often it was tried.
    pub tries: u32,
    /// The time of the next attempt.
    pub next: Moment,
}

/// The longest time that a new daemon waits with an attempt that is due.
const WAIT_AT_START: Duration = Duration::from_mins(1);
/// A case this long after its next attempt is out of date: no daemon was running then to make it.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// All quarantined versions, by file and digest. Stored across daemons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(String, Case)>", into = "Vec<(String, Case)>")]
pub struct Quarantine(BTreeMap<(String, String), Case>);

impl From<Vec<(String, Case)>> for Quarantine {
    fn from(cases: Vec<(String, Case)>) -> Self {
        let cases = cases.into_iter().take(MAX_CASES);
        Self(cases.map(|(what, case)| ((what, case.digest.clone()), case)).collect())
    }
}

impl From<Quarantine> for Vec<(String, Case)> {
    fn from(quarantine: Quarantine) -> Self {
        quarantine.0.into_iter().map(|((what, _), case)| (what, case)).collect()
    }
}

impl Quarantine {
    /// The version of the file `what` with this digest has failed.
    pub fn put(&mut self, what: &str, digest: &str, why: &str, now: Moment) -> Case {
        let key = (what.to_owned(), digest.to_owned());
        let before = self.0.get(&key);
        let tries = before.map_or(0, |case| case.tries).saturating_add(1);
        let case = Case {
            digest: digest.to_owned(),
            why: why.to_owned(),
            since: before.map_or(now, |case| case.since),
            tries,
            next: now + wait(tries),
        };
        if self.0.len() >= MAX_CASES && before.is_none() {
            self.forget_oldest();
        }
        self.0.insert(key, case.clone());
        case
    }

    /// A new daemon takes over the cases of the one before. None is tried at once: the version before it has to run
    /// first, so that there is something to compare with. The clock may have been set between two boots: no wait
    /// becomes longer by that.
    pub fn resume(&mut self, now: Moment) {
        self.0.retain(|_, case| now.since(case.next) <= FORGOTTEN_AFTER);
        for case in self.0.values_mut() {
            let wait = wait(case.tries);
            case.since = case.since.min(now);
            case.next = case.next.clamp(now + wait.min(WAIT_AT_START), now + wait);
        }
    }

    /// The case of this version, if it must not be tried yet.
    pub fn holds(&self, what: &str, digest: &str, now: Moment) -> Option<&Case> {
        let case = self.0.get(&(what.to_owned(), digest.to_owned()))?;
        (now < case.next).then_some(case)
    }

    /// The digests of all versions of this file that must not be tried yet.
    pub fn held(&self, what: &str, now: Moment) -> BTreeSet<String> {
        let of_file = self.0.iter().filter(|((file, _), case)| file == what && now < case.next);
        of_file.map(|((_, digest), _)| digest.clone()).collect()
    }

    /// Removes the version: it works after all.
    pub fn release(&mut self, what: &str, digest: &str) {
        self.0.remove(&(what.to_owned(), digest.to_owned()));
    }

    fn forget_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, case)| case.next).map(|(key, _)| key.clone());
        oldest.map(|key| self.0.remove(&key));
    }
}

/// The delay after this many attempts.
fn wait(tries: u32) -> Duration {
    let doublings = tries.saturating_sub(1).min(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn every_failure_doubles_the_wait_up_to_an_hour() {
        let mut quarantine = Quarantine::default();
        let mut now = at(0);
        let mut waits = Vec::new();
        for tries in 1..=12 {
            let case = quarantine.put("checkers/x.wasm", "d", "trapped", now);
            assert_eq!((case.tries, case.since), (tries, at(0)));
            waits.push(case.next.since(now).as_secs());
            now = case.next;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]);
    }

    #[test]
    fn a_version_is_held_until_its_time_and_no_other_is() {
        let mut quarantine = Quarantine::default();
        quarantine.put("checkers/x.wasm", "d", "trapped", at(0));
        for (what, digest, seconds, held) in [
            ("checkers/x.wasm", "d", 0, true),
            ("checkers/x.wasm", "d", 9, true),
            ("checkers/x.wasm", "d", 10, false),
            ("checkers/x.wasm", "e", 1, false),
            ("checkers/y.wasm", "d", 1, false),
        ] {
            assert_eq!(
                quarantine.holds(what, digest, at(seconds)).is_some(),
                held,
                "{what} {digest} {seconds}"
            );
        }
        let held = |what, seconds| quarantine.held(what, at(seconds)).into_iter().collect::<Vec<_>>();
        assert_eq!((held("checkers/x.wasm", 9), held("checkers/x.wasm", 10)), (vec!["d".to_owned()], vec![]));
        assert_eq!(held("checkers/y.wasm", 0), Vec::<String>::new());
        quarantine.release("checkers/x.wasm", "d");
        assert_eq!(quarantine.holds("checkers/x.wasm", "d", at(0)), None);
        assert_eq!(quarantine.put("checkers/x.wasm", "d", "trapped", at(5)).tries, 1);
    }

    #[test]
    fn the_next_daemon_takes_the_cases_over_and_waits_no_longer_than_this_one() {
        // After one attempt the wait is 10 s, after six 320 s.
        for (tries, clock, held_for) in [
            (1, 0, 10),
            (1, 5, 10),
            (1, 1000, 10),
            (1, -100_000, 10),
            (6, 0, 320),
            (6, 100, 220),
            (6, 300, 60),
            (6, 1000, 60),
            (6, -100_000, 320),
        ] {
            let mut quarantine = Quarantine::default();
            let start = Moment::from_micros(1_000_000_000_000);
            let cases = (0..tries).map(|_| quarantine.put("checkers/x.wasm", "d", "trapped", start));
            let case = cases.last().unwrap();
            let text = serde_json::to_string(&quarantine).unwrap();
            let mut next: Quarantine = serde_json::from_str(&text).unwrap();
            assert_eq!(next, quarantine);
            let now = Moment::from_micros(start.as_micros() + clock * 1_000_000);
            next.resume(now);
            let held = |seconds| next.holds("checkers/x.wasm", "d", now + Duration::from_secs(seconds));
            assert_eq!((held(held_for), held(held_for - 1).is_some()), (None, true), "{tries} {clock}");
            let failed = next.put("checkers/x.wasm", "d", "trapped", now);
            assert_eq!((failed.tries, failed.since), (case.tries + 1, start.min(now)), "{clock}");
        }
    }

    #[test]
    fn cases_of_long_ago_are_forgotten() {
        for (late, known) in [(10, 1), (11, 0)] {
            let mut quarantine = Quarantine::default();
            quarantine.put("checkers/x.wasm", "d", "trapped", at(0));
            quarantine.resume(at(late) + FORGOTTEN_AFTER);
            assert_eq!(quarantine.0.len(), known, "{late}");
        }
    }

    #[test]
    fn a_flood_of_bad_versions_takes_only_so_much_memory() {
        let mut quarantine = Quarantine::default();
        for n in 0..1000 {
            quarantine.put("checkers/x.wasm", &n.to_string(), "trapped", at(n));
        }
        assert_eq!(quarantine.0.len(), MAX_CASES);
        assert!(quarantine.holds("checkers/x.wasm", "999", at(1000)).is_some());
    }
}
