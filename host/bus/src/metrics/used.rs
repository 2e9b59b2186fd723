//! Which grants were used, and when last: unused ones can be removed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwether_core::grant::GrantKind;
use bellwether_core::moment::Moment;

/// The maximum for one checker. Grants that its file no longer contains are included.
const KEPT: usize = 256;

/// The grants that one checker or restart script has used. Only its own runs wait for each other here.
#[derive(Debug, Default)]
pub(super) struct UsedGrants(Mutex<BTreeMap<(GrantKind, String), Moment>>);

impl UsedGrants {
    /// Records the grants that a run has used.
    pub(super) fn note(&self, used: &[(GrantKind, String)], at: Moment) {
        let mut all = self.lock();
        for grant in used {
            if let Some(last) = all.get_mut(grant) {
                *last = at;
                continue;
            }
            if all.len() >= KEPT {
                let oldest = all.iter().min_by_key(|(_, last)| **last).map(|(grant, _)| grant.clone());
                oldest.and_then(|oldest| all.remove(&oldest));
            }
            all.insert(grant.clone(), at);
        }
    }

    /// Each with the time of its last use.
    pub(super) fn all(&self) -> BTreeMap<(GrantKind, String), Moment> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(GrantKind, String), Moment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_moment_when_it_was_used_last_and_the_oldest_goes_first() {
        let used = UsedGrants::default();
        let grant = |n: usize| (GrantKind::Env, format!("V{n}"));
        let at = Moment::from_micros;
        used.note(&[grant(0), grant(1)], at(1));
        used.note(&[grant(0)], at(2));
        assert_eq!(used.all(), [(grant(0), at(2)), (grant(1), at(1))].into());
        for n in 2..=KEPT {
            used.note(&[grant(n)], at(3));
        }
        let all = used.all();
        assert_eq!(all.len(), KEPT);
        assert!(all.contains_key(&grant(0)) && !all.contains_key(&grant(1)));
    }
}
