//! Whether a new version of a component may stay active.
//!
//! ```text
//!                    its trial run broke, and the old version's last one did not
//!   loaded ──trial──────────────────────────────────────────────────▶ quarantined
//!             │ answered, or nothing to compare with
//!             ▼
//!        probation: the first runs of each of its users
//!             │                    │ one broke, and the old version's last one did not
//!             │ enough of them     └──▶ relapsed: the old version comes back
//!             ▼
//!           stays
//! ```
//! A run breaks when it gives no answer by its own fault: a trap, its time, a limit. Its answer is irrelevant here,
//! even if it is `fail`.

use std::collections::BTreeMap;

use crate::id::{CheckerName, ModuleName};

/// The number of runs of each user that are on probation.
pub const RUNS: u32 = 3;

/// A checker that runs the component.
pub type User = (ModuleName, CheckerName);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With an answer of any kind.
    Answered,
    /// Without one, by its own fault. The reason in words.
    Broke(String),
}

/// How the runs of one component end, from version to version.
#[derive(Debug, Clone, Default)]
pub struct Conduct {
    version: String,
    last: BTreeMap<User, Ending>,
    /// The last result of each user with the last proven version.
    measure: BTreeMap<User, Ending>,
    /// The number of each user's runs that are still to be compared with it.
    left: BTreeMap<User, u32>,
    relapse: Option<String>,
}

impl Conduct {
    /// Starts counting the runs of this version. Returns whether the previous version was proven: only a proven
    /// version is worth a rollback, and is the measure of the new one.
    pub fn replaced(&mut self, version: &str) -> bool {
        let proved = self.has_proved_itself();
        let last = std::mem::take(&mut self.last);
        if proved {
            self.measure.extend(last);
        }
        self.left = self.measure.keys().map(|user| (user.clone(), RUNS)).collect();
        version.clone_into(&mut self.version);
        self.relapse = None;
        proved
    }

    /// This version is activated, or activated again, without another to compare it with.
    pub fn trusted(&mut self, version: &str) {
        *self = Self { version: version.to_owned(), ..Self::default() };
    }

    /// A run has ended. Returns whether the version has relapsed by it: see [`Conduct::relapse`]. Pending runs of
    /// other versions do not count.
    pub fn ran(&mut self, version: &str, user: &User, ending: &Ending) -> bool {
        if version != self.version {
            return false;
        }
        self.last.insert(user.clone(), ending.clone());
        let (Some(before), Some(left)) = (self.measure.get(user), self.left.get_mut(user)) else {
            return false;
        };
        let verdict = judge(before, ending);
        *left -= 1;
        if *left == 0 {
            self.left.remove(user);
        }
        let Err(why) = verdict else { return false };
        let (module, checker) = user;
        self.left.clear();
        self.relapse = Some(format!("checker `{checker}` of module `{module}`: {why}"));
        true
    }

    /// Why this version must be rolled back, if it must.
    pub fn relapse(&self) -> Option<(&str, &str)> {
        self.relapse.as_deref().map(|why| (self.version.as_str(), why))
    }

    /// Whether its runs are still being compared.
    pub fn on_probation(&self) -> bool {
        !self.left.is_empty()
    }

    /// How the last run of the active version ended for this user.
    pub fn last(&self, user: &User) -> Option<&Ending> {
        self.last.get(user)
    }

    /// There is nothing to compare with, or one user at least has completed the probation.
    fn has_proved_itself(&self) -> bool {
        self.relapse.is_none() && (self.measure.is_empty() || self.left.len() < self.measure.len())
    }
}

/// Whether a run of a new version is good enough, given the last one of the previous version.
pub fn judge<'e>(before: &Ending, now: &'e Ending) -> Result<(), &'e str> {
    match (before, now) {
        (Ending::Answered, Ending::Broke(why)) => Err(why),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(checker: &str) -> User {
        (ModuleName::new("web").unwrap(), CheckerName::new(checker).unwrap())
    }

    fn ending(broke: bool) -> Ending {
        if broke { Ending::Broke("trapped".to_owned()) } else { Ending::Answered }
    }

    /// Whether version 2 relapses in these runs, after these runs of version 1.
    fn relapses(old: &[bool], new: &[bool]) -> bool {
        let mut conduct = Conduct::default();
        conduct.trusted("1");
        for broke in old {
            assert!(!conduct.ran("1", &user("a"), &ending(*broke)));
        }
        conduct.replaced("2");
        new.iter().any(|broke| conduct.ran("2", &user("a"), &ending(*broke)))
    }

    #[test]
    fn a_version_relapses_when_it_breaks_where_the_old_one_answered() {
        let (well, broke) = (false, true);
        for (old, new, expected) in [
            (&[well][..], &[broke][..], true),
            (&[well], &[well, well, broke], true),
            (&[well], &[well, well, well, broke], false),
            (&[broke], &[broke, broke, broke], false),
            // The last run counts.
            (&[well, broke], &[broke], false),
            (&[broke, well], &[broke], true),
            // There is nothing to compare with.
            (&[], &[broke], false),
        ] {
            assert_eq!(relapses(old, new), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_run_of_the_old_version_that_ends_late_is_not_held_against_the_new_one() {
        let mut conduct = Conduct::default();
        conduct.trusted("1");
        conduct.ran("1", &user("a"), &Ending::Answered);
        conduct.replaced("2");
        assert!(!conduct.ran("1", &user("a"), &ending(true)));
        assert!(conduct.on_probation() && conduct.relapse().is_none());
    }

    #[test]
    fn a_relapse_says_whose_run_it_was_and_is_over_when_the_old_version_is_back() {
        let mut conduct = Conduct::default();
        conduct.trusted("1");
        conduct.ran("1", &user("a"), &Ending::Answered);
        conduct.ran("1", &user("b"), &Ending::Answered);
        conduct.replaced("2");
        assert!(!conduct.ran("2", &user("a"), &Ending::Answered));
        assert!(conduct.ran("2", &user("b"), &ending(true)));
        assert_eq!(conduct.relapse(), Some(("2", "checker `b` of module `web`: trapped")));
        assert!(!conduct.ran("2", &user("a"), &ending(true)), "once is enough");
        conduct.trusted("1");
        assert_eq!((conduct.relapse(), conduct.on_probation()), (None, false));
    }

    #[test]
    fn the_measure_is_the_last_version_that_has_proved_itself() {
        let mut conduct = Conduct::default();
        conduct.trusted("1");
        conduct.ran("1", &user("a"), &Ending::Answered);
        assert!(conduct.replaced("2"));
        // Replaced before it could prove itself, twice.
        assert!(!conduct.replaced("3"));
        assert!(conduct.ran("3", &user("a"), &ending(true)));
        let mut conduct = Conduct::default();
        conduct.trusted("1");
        conduct.ran("1", &user("a"), &ending(true));
        conduct.replaced("2");
        for _ in 0..RUNS {
            conduct.ran("2", &user("a"), &Ending::Answered);
        }
        assert!(conduct.replaced("3"));
        assert!(conduct.ran("3", &user("a"), &ending(true)), "version 2 is the measure now");
    }

    proptest! {
        #[test]
        fn it_is_as_the_first_runs_say(
            old in prop::collection::vec(any::<bool>(), 0..5),
            new in prop::collection::vec(any::<bool>(), 0..8),
        ) {
            let answered_before = old.last() == Some(&false);
            let breaks = new.iter().take(RUNS as usize).any(|broke| *broke);
            prop_assert_eq!(relapses(&old, &new), answered_before && breaks);
        }
    }
}
