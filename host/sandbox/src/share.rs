//! Limits how many of the shared threads one checker can use.
//!
//! A run that is ended leaves behind operations that cannot be interrupted: a look-up of a name whose server does
//! not respond, a read from a disk that hangs. They still count for the next run of the same checker, so that one
//! checker never uses up the threads of all others, however often it runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bellwether_core::id::ModuleName;
use tokio::sync::Semaphore;

use bellwether_os::names;

/// The maximum number of concurrent calls that wait for a disk.
const FILES: usize = 2;

/// The share of one checker or restart script. Each operation in progress holds a part of it.
#[derive(Debug)]
pub(super) struct Share {
    /// For look-ups of names.
    pub(super) names: names::Share,
    /// For calls that wait for a disk.
    pub(super) files: Arc<Semaphore>,
}

impl Default for Share {
    fn default() -> Self {
        Self { names: names::Share::default(), files: Arc::new(Semaphore::new(FILES)) }
    }
}

/// The shares that are in use.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<Owner, Weak<Share>>>);

/// A module and its checker; `None` for its restart script.
type Owner = (ModuleName, Option<String>);

impl Shares {
    /// The share of this owner: the same one as long as it is in use.
    pub(super) fn of(&self, module: &ModuleName, checker: Option<&str>) -> Arc<Share> {
        let owner = (module.clone(), checker.map(str::to_owned));
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(&owner).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Share::default());
        shares.insert(owner, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lasts_as_long_as_anything_of_it_is_under_way() {
        let shares = Shares::default();
        let (web, db): (ModuleName, ModuleName) = ("web".parse().unwrap(), "db".parse().unwrap());
        let first = shares.of(&web, Some("home"));
        assert!(Arc::ptr_eq(&first, &shares.of(&web, Some("home"))));
        for other in [shares.of(&web, Some("pages")), shares.of(&web, None), shares.of(&db, Some("home"))] {
            assert!(!Arc::ptr_eq(&first, &other));
        }
        drop(first);
        let _again = shares.of(&web, Some("home"));
        assert_eq!(shares.0.lock().unwrap().len(), 1, "the others are over");
    }
}
