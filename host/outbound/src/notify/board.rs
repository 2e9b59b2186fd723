//! The state of notifications, for everything that shows it. Readers and writers do not wait for each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bellwether_core::id::TargetName;
use bellwether_core::notify::{Notifier, Target};

/// Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    standing: ArcSwap<Standing>,
    counts: BTreeMap<TargetName, TargetCounts>,
    /// The recipients of a target that were left out at the last delivery.
    not_all: Mutex<BTreeMap<TargetName, String>>,
}

#[derive(Debug, Default)]
struct Standing {
    targets: BTreeMap<TargetName, Target>,
    problem: Option<String>,
}

/// What was counted for one target since the daemon's start.
#[derive(Debug, Default)]
pub struct TargetCounts {
    /// The number of successful attempts.
    pub delivered: AtomicU64,
    /// The number of failed attempts.
    pub failed: AtomicU64,
    /// Notifications that were discarded.
    pub given_up: AtomicU64,
}

impl Board {
    pub(crate) fn new(targets: impl Iterator<Item = TargetName>) -> Self {
        let counts = targets.map(|target| (target, TargetCounts::default())).collect();
        Self(Arc::new(Inner { standing: ArcSwap::default(), counts, not_all: Mutex::default() }))
    }

    pub(super) fn show(&self, notifier: &Notifier, problem: Option<&str>) {
        let targets = notifier.targets().into_iter().map(|(name, target)| (name.clone(), target)).collect();
        self.0.standing.store(Arc::new(Standing { targets, problem: problem.map(str::to_owned) }));
    }

    pub(super) fn count(&self, target: &TargetName, delivered: bool) {
        if let Some(counts) = self.0.counts.get(target) {
            let count = if delivered { &counts.delivered } else { &counts.failed };
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn not_all(&self, target: &TargetName, why: Option<String>) {
        let mut not_all = self.0.not_all.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => not_all.insert(target.clone(), why),
            None => not_all.remove(target),
        };
    }

    pub(super) fn count_given_up(&self, target: &TargetName) {
        if let Some(counts) = self.0.counts.get(target) {
            counts.given_up.fetch_add(1, Relaxed);
        }
    }

    /// Each target, with its counts.
    pub fn targets(&self) -> Vec<(TargetName, Target, &TargetCounts)> {
        let standing = self.0.standing.load();
        let target = |name| standing.targets.get(name).cloned().unwrap_or_default();
        self.0.counts.iter().map(|(name, counts)| (name.clone(), target(name), counts)).collect()
    }

    /// The problems, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let standing = self.0.standing.load();
        let given_up = standing.targets.iter().filter_map(|(name, target)| {
            let title = target.given_up.as_ref()?;
            let why = target.failed.as_ref().map_or("", |(_, why)| why.as_str());
            Some(format!("notify {name}: abandoned: {title} ({why})"))
        });
        let unwritten = standing
            .problem
            .as_ref()
            .map(|problem| format!("notify: state/notifications.json cannot be written: {problem}"));
        let not_all = self.0.not_all.lock().unwrap_or_else(PoisonError::into_inner);
        let not_all = not_all
            .iter()
            .map(|(name, why)| format!("notify {name}: not all recipients were notified: {why}"));
        given_up.chain(not_all).chain(unwritten).collect()
    }
}
