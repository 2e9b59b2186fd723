//! How many components are active, and how many files of components are not: for the metrics.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// How many there are at present. A file can count more than once: one that is quarantined is also refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ComponentCounts {
    /// Components that run.
    pub active: u64,
    /// Files that are refused.
    pub refused: u64,
    /// Versions that do not work.
    pub quarantined: u64,
    /// Versions that wait for approval.
    pub waiting: u64,
}

/// The latest counts. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct PublishedComponentCounts(Arc<ArcSwap<ComponentCounts>>);

impl PublishedComponentCounts {
    /// Publishes these in place of those before.
    pub fn publish(&self, counts: ComponentCounts) {
        self.0.store(Arc::new(counts));
    }

    /// Those that were published last.
    pub fn get(&self) -> ComponentCounts {
        **self.0.load()
    }
}
