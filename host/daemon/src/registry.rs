//! The components that are loaded, and the files that could not be.
//!
//! ```text
//!   standard (in the binary) ──▶ in force ◀── file of the same name
//!                                   ▲ │ a file that is refused: the last good
//!                                   │ │ version stays in force, with the error beside it
//!                                   └─┘ file removed: the standard one again, or none
//! ```
//! Written by the reload alone; read at the start of every run, without a lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_core::id::ComponentName;

use crate::config::ComponentKind;
use crate::sandbox::component::Component;

/// Which component: its folder and its name.
pub type ComponentKey = (ComponentKind, ComponentName);

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the binary.
    Embedded,
    /// It was dropped into the root.
    File,
}

/// One name in the folder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What runs, if anything ever could.
    pub component: Option<(Component, Origin)>,
    /// Why the file that is there now is not in force, if it is not.
    pub error: Option<String>,
}

/// All of them. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<ArcSwap<BTreeMap<ComponentKey, Entry>>>);

impl Registry {
    /// What runs under this name.
    pub fn get(&self, kind: ComponentKind, name: &ComponentName) -> Option<Component> {
        let entries = self.0.load();
        let entry = entries.get(&(kind, name.clone()))?;
        entry.component.as_ref().map(|(component, _)| component.clone())
    }

    /// The schema of its configuration, for checking a module's file against.
    pub fn config_schema(&self, kind: ComponentKind, name: &ComponentName) -> Option<String> {
        self.get(kind, name).map(|component| component.about().config_schema.clone())
    }

    /// Everything, by kind and name.
    pub fn entries(&self) -> Arc<BTreeMap<ComponentKey, Entry>> {
        self.0.load_full()
    }

    /// A version that is good. The next run uses it.
    pub(crate) fn put(&self, key: ComponentKey, component: Component, origin: Origin) {
        self.change(|entries| {
            entries.insert(key, Entry { component: Some((component, origin)), error: None });
        });
    }

    /// A file that is refused. What ran before runs on.
    pub(crate) fn refuse(&self, key: ComponentKey, error: String) {
        self.change(|entries| {
            entries.entry(key).or_insert(Entry { component: None, error: None }).error = Some(error);
        });
    }

    /// The file is gone, and nothing takes its place.
    pub(crate) fn remove(&self, key: &ComponentKey) {
        self.change(|entries| {
            entries.remove(key);
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<ComponentKey, Entry>)) {
        let mut entries = BTreeMap::clone(&self.0.load());
        change(&mut entries);
        self.0.store(Arc::new(entries));
    }
}
