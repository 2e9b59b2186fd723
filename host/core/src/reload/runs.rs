//! Runs of checkers that have ended and have not been reported to the reload yet.
//!
//! Checkers run at any time and wait for nothing. However late the reload takes the runs, only a limited number is
//! kept, and its decisions are the same as if each run had been reported: of a version, the first runs of each
//! checker count ([`RUNS`]), and the last one.

use std::collections::BTreeMap;

use super::event::Run;
use super::file::ComponentKey;
use crate::probation::{Ending, RUNS, User};

/// The maximum number for one checker, of all versions together.
const MOST: usize = 32;

/// Runs that have ended.
#[derive(Debug, Default)]
pub struct Runs(BTreeMap<(ComponentKey, User), Vec<(String, Ending)>>);

impl Runs {
    /// Adds a run that has ended.
    pub fn push(&mut self, run: Run) {
        let Run { component, digest, user, ending } = run;
        let runs = self.0.entry((component, user)).or_default();
        let same = runs.iter().rev().take_while(|(version, _)| *version == digest).count();
        if same > RUNS as usize || runs.len() >= MOST {
            runs.pop();
        }
        runs.push((digest, ending));
    }

    /// Takes all of them, in the order in which each checker ran.
    pub fn take(&mut self) -> Vec<Run> {
        let each = std::mem::take(&mut self.0).into_iter();
        let runs = each.flat_map(|((component, user), runs)| {
            runs.into_iter().map(move |(digest, ending)| {
                let (component, user) = (component.clone(), user.clone());
                Run { component, digest, user, ending }
            })
        });
        runs.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::file::ComponentKind;
    use super::*;
    use crate::id::{CheckerName, ComponentName, ModuleName};
    use crate::probation::Conduct;

    fn run(version: u8, broke: bool) -> Run {
        Run {
            component: (ComponentKind::Checker, ComponentName::new("c").unwrap()),
            digest: version.to_string(),
            user: (ModuleName::new("m").unwrap(), CheckerName::new("c").unwrap()),
            ending: if broke { Ending::Broke("trapped".to_owned()) } else { Ending::Answered },
        }
    }

    /// Version 2 has just replaced version 1, whose last run ended like this.
    fn replaced(broke: bool) -> Conduct {
        let mut conduct = Conduct::default();
        conduct.trusted("1");
        let last = run(1, broke);
        conduct.ran(&last.digest, &last.user, &last.ending);
        conduct.replaced("2");
        conduct
    }

    fn told(mut conduct: Conduct, runs: &[Run]) -> (bool, bool, Option<Ending>) {
        for run in runs {
            conduct.ran(&run.digest, &run.user, &run.ending);
        }
        let last = conduct.last(&run(2, false).user).cloned();
        (conduct.relapse().is_some(), conduct.on_probation(), last)
    }

    proptest! {
        #[test]
        fn what_is_kept_says_the_same_as_all_of_them(
            broke_before: bool,
            late in 0_u8..3,
            runs in prop::collection::vec(prop::bool::weighted(0.2), 0..100),
        ) {
            // Some runs of the old version end late.
            let all: Vec<Run> = (0..late).map(|_| run(1, true)).chain(runs.iter().map(|broke| run(2, *broke))).collect();
            let mut kept = Runs::default();
            for run in &all {
                kept.push(run.clone());
            }
            let kept = kept.take();
            prop_assert!(kept.len() <= MOST);
            prop_assert_eq!(told(replaced(broke_before), &kept), told(replaced(broke_before), &all));
        }
    }
}
