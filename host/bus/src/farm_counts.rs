//! How many nodes of the farm there are in each state, and when certificates expire: for the metrics.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// The numbers of a farm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FarmCounts {
    /// The number of nodes in each state, this node among them: `heard`, `unknown` …
    pub nodes: Vec<(&'static str, u64)>,
    /// When each certificate ends, in seconds since the Unix epoch: `node`, `authority`.
    pub certificates: Vec<(&'static str, u64)>,
}

/// The latest numbers; empty without a farm. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct PublishedFarmCounts(Arc<ArcSwap<FarmCounts>>);

impl PublishedFarmCounts {
    /// Publishes these in place of those before.
    pub fn publish(&self, counts: FarmCounts) {
        self.0.store(Arc::new(counts));
    }

    /// Those that were published last.
    pub fn get(&self) -> Arc<FarmCounts> {
        self.0.load_full()
    }
}
