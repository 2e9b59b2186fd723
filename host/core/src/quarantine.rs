//! Versions of components that did not work, and when each may be tried again.
//!
//! ```text
//!            it failed                       its time has come
//!   free ─────────────▶ quarantined ──────────────────────────▶ may be tried
//!                          ▲   10 s, 20 s, 40 s … 1 h               │    │ it works
//!                          └────────────────────────────────────────┘    ▼
//!                                     it failed again                   free
//! ```
//! Identified by name and digest: another version of the same file is another case.

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

/// All quarantined versions, by file and digest.
#[derive(Debug, Clone, Default)]
pub struct Quarantine(BTreeMap<(String, String), Case>);

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
    fn a_flood_of_bad_versions_takes_only_so_much_memory() {
        let mut quarantine = Quarantine::default();
        for n in 0..1000 {
            quarantine.put("checkers/x.wasm", &n.to_string(), "trapped", at(n));
        }
        assert_eq!(quarantine.0.len(), MAX_CASES);
        assert!(quarantine.holds("checkers/x.wasm", "999", at(1000)).is_some());
    }
}
