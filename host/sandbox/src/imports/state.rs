//! `bellwether:guest/state`: a small store that persists from run to run.
//!
//! ```text
//!   StateHandle ──draft──▶ Draft ──the run answered──▶ commit: seen by the next run
//!                            └────trapped, timed out──▶ dropped: as if it never ran
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::bindings::state::Host;
use crate::store::Run;

/// The overhead that is counted for each entry, so that empty ones are not free.
const ENTRY_COST: usize = 16;

/// Is notified when a state has changed.
pub trait StateObserver: fmt::Debug + Send + Sync {
    /// Called after every change, on the thread of the run. Must not block.
    fn changed(&self);
}

/// The state of one checker or restart script. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct StateHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    contents: Mutex<Arc<Contents>>,
    observer: OnceLock<Arc<dyn StateObserver>>,
}

/// The content of a state at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StateContents(Arc<Contents>);

#[derive(Debug, Clone, Default)]
struct Contents {
    values: BTreeMap<String, Vec<u8>>,
    size: usize,
}

impl StateContents {
    /// The values, ordered by key.
    pub fn values(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.0.values
    }

    /// Whether nothing was stored in between.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl StateHandle {
    /// A state with the values that an earlier daemon stored.
    pub fn holding(values: BTreeMap<String, Vec<u8>>) -> Self {
        let state = Self::default();
        state.put(values);
        state
    }

    /// Replaces the present values.
    pub fn replace(&self, values: BTreeMap<String, Vec<u8>>) {
        self.put(values);
        self.report_change();
    }

    fn put(&self, values: BTreeMap<String, Vec<u8>>) {
        let size = values.iter().map(|(key, value)| key.len() + value.len() + ENTRY_COST).sum();
        *self.lock() = Arc::new(Contents { values, size });
    }

    /// A copy of the present content.
    pub fn contents(&self) -> StateContents {
        StateContents(Arc::clone(&self.lock()))
    }

    /// Reports every change from now on to `observer`. Only the first call has an effect.
    pub fn observe(&self, observer: Arc<dyn StateObserver>) {
        let _ = self.0.observer.set(observer);
    }

    fn report_change(&self) {
        if let Some(observer) = self.0.observer.get() {
            observer.changed();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Contents>> {
        self.0.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of bytes in use.
    pub fn size(&self) -> usize {
        self.draft(u64::MAX).contents.size
    }

    /// Another store with the same contents.
    #[must_use]
    pub fn copy(&self) -> Self {
        let contents = Mutex::new(Arc::clone(&self.lock()));
        Self(Arc::new(Shared { contents, observer: OnceLock::new() }))
    }

    /// For one run, which may fill it up to `limit` bytes, keys included.
    pub(crate) fn draft(&self, limit: u64) -> Draft {
        let contents = Arc::clone(&self.lock());
        Draft { contents, changed: false, limit: usize::try_from(limit).unwrap_or(usize::MAX) }
    }

    pub(crate) fn commit(&self, draft: Draft) {
        if draft.changed {
            *self.lock() = draft.contents;
            self.report_change();
        }
    }
}

/// A run's own view of the state. Copied only when it is changed.
pub(crate) struct Draft {
    contents: Arc<Contents>,
    changed: bool,
    limit: usize,
}

impl Draft {
    fn get(&self, key: &str) -> Option<&Vec<u8>> {
        self.contents.values.get(key)
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        let cost = |value: &[u8]| key.len() + value.len() + ENTRY_COST;
        let before = self.get(&key).map_or(0, |old| cost(old));
        let size = self.contents.size - before + cost(&value);
        if size > self.limit && size > self.contents.size {
            return Err(format!(
                "the state would hold {size} bytes; {} are allowed, keys and {ENTRY_COST} bytes for each entry included",
                self.limit
            ));
        }
        let contents = self.change();
        contents.size = size;
        contents.values.insert(key, value);
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        if let Some(old) = self.get(key) {
            let freed = key.len() + old.len() + ENTRY_COST;
            let contents = self.change();
            contents.size -= freed;
            contents.values.remove(key);
        }
    }

    fn change(&mut self) -> &mut Contents {
        self.changed = true;
        Arc::make_mut(&mut self.contents)
    }
}

impl Host for Run {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.state.get(&key).cloned())
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        Ok(self.state.set(key, value))
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        self.state.remove(&key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_STATE: usize = 64 << 10;

    #[test]
    fn a_draft_is_seen_only_once_it_is_committed() {
        let state = StateHandle::default();
        let mut draft = state.draft(MAX_STATE as u64);
        draft.set("runs".to_owned(), vec![1]).unwrap();
        assert_eq!(draft.get("runs"), Some(&vec![1]));
        assert_eq!(state.draft(MAX_STATE as u64).get("runs"), None);
        state.commit(draft);
        assert_eq!(state.draft(MAX_STATE as u64).get("runs"), Some(&vec![1]));

        let mut dropped = state.draft(MAX_STATE as u64);
        dropped.remove("runs");
        drop(dropped);
        assert_eq!(state.draft(MAX_STATE as u64).get("runs"), Some(&vec![1]));
    }

    #[test]
    fn the_size_is_kept_exactly_and_never_above_the_limit() {
        let state = StateHandle::default();
        let mut draft = state.draft(MAX_STATE as u64);
        let most = MAX_STATE - ENTRY_COST - 1;
        draft.set("k".to_owned(), vec![0; most]).unwrap();
        assert_eq!(draft.contents.size, MAX_STATE);
        let error = draft.set("k".to_owned(), vec![0; most + 1]).unwrap_err();
        assert!(error.contains("65537 bytes; 65536 are allowed"), "{error}");
        assert!(draft.set(String::new(), Vec::new()).is_err());
        draft.set("k".to_owned(), vec![0; 3]).unwrap();
        draft.remove("absent");
        assert_eq!(draft.contents.size, 4 + ENTRY_COST);
        draft.remove("k");
        assert_eq!(draft.contents.size, 0);
    }
}
