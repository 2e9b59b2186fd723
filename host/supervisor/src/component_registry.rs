//! The loaded components, and the files that could not be loaded.
//!
//! ```text
//!   standard (in the binary) ──▶ in force ◀── file of the same name
//!                                   ▲ │ a file that is refused: the last good
//!                                   │ │ version stays in force, with the error beside it
//!                                   │ │ a new version that relapses: the one before it again
//!                                   └─┘ file removed: the standard one again, or none
//! ```
//! Only the reload writes components; they are read at the start of every run, without a lock. Runs report how they
//! ended; the reload takes these reports, and the core decides what they mean.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use bellwether_core::id::ComponentName;
use bellwether_core::probation::{Ending, User};
use bellwether_core::quarantine::Case;
pub use bellwether_core::reload::{ComponentKey, Origin, Waiting};
use bellwether_core::reload::{Run, Runs};
use tokio::sync::Notify;

use bellwether_bus::component_counts::{ComponentCounts, PublishedComponentCounts};
use bellwether_config::ComponentKind;
use bellwether_sandbox::component::Component;

/// The component of one name.
#[derive(Debug, Clone, Default)]
pub struct RegisteredComponent {
    /// The active version, if there ever was one.
    pub component: Option<(Component, Origin)>,
    /// Why the present file is not active, if it is not.
    pub error: Option<String>,
    /// The present version does not work.
    pub quarantined: Option<Case>,
    /// The present version requests more grants than the one before it.
    pub waiting: Option<Waiting>,
}

/// All components. Cheap to clone; all clones are the same registry.
#[derive(Debug, Clone, Default)]
pub struct ComponentRegistry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: ArcSwap<BTreeMap<ComponentKey, RegisteredComponent>>,
    counts: PublishedComponentCounts,
    /// Runs that have not been reported to the reload yet.
    runs: Mutex<Runs>,
    broke: Notify,
}

/// Pins its holder to one version, once it is told to: a checker whose config changes together with its component
/// keeps the version that its config was written for until it ends.
#[derive(Debug, Clone, Default)]
pub struct Pin(Arc<OnceLock<Option<Component>>>);

impl Pin {
    /// Pins this version, or none, from now on.
    pub(crate) fn to(&self, component: Option<Component>) {
        // Pinned only once: the active version has changed since then.
        drop(self.0.set(component));
    }
}

impl ComponentRegistry {
    /// The active component of this name.
    pub fn get(&self, kind: ComponentKind, name: &ComponentName) -> Option<Component> {
        let entries = self.0.entries.load();
        let entry = entries.get(&(kind, name.clone()))?;
        entry.component.as_ref().map(|(component, _)| component.clone())
    }

    /// The component of this name for the holder of this pin.
    pub(crate) fn get_for(&self, pin: &Pin, kind: ComponentKind, name: &ComponentName) -> Option<Component> {
        // Looked up before the pin is read: the pin is set before the new version is activated.
        let in_force = self.get(kind, name);
        pin.0.get().map_or(in_force, Option::clone)
    }

    /// The schema of its configuration, for checking a module's file.
    pub fn config_schema(&self, kind: ComponentKind, name: &ComponentName) -> Option<String> {
        self.get(kind, name).map(|component| component.about().config_schema.clone())
    }

    /// All entries, by kind and name.
    pub fn entries(&self) -> Arc<BTreeMap<ComponentKey, RegisteredComponent>> {
        self.0.entries.load_full()
    }

    /// How many there are, for all who show it.
    pub fn counts(&self) -> &PublishedComponentCounts {
        &self.0.counts
    }

    /// Reports that a run of this version has ended like this.
    pub fn ran(&self, key: &ComponentKey, component: &Component, user: &User, ending: &Ending) {
        let (digest, broke) = (component.digest().to_owned(), matches!(ending, Ending::Broke(_)));
        let (component, user, ending) = (key.clone(), user.clone(), ending.clone());
        self.runs().push(Run { component, digest, user, ending });
        if broke {
            self.0.broke.notify_one();
        }
    }

    /// The runs that have ended since the last call.
    pub(crate) fn take_runs(&self) -> Vec<Run> {
        self.runs().take()
    }

    /// Returns when a run has broken, so that a version that breaks again is rolled back immediately.
    pub(crate) async fn broke(&self) {
        self.0.broke.notified().await;
    }

    /// Activates versions, all at the same time. The next run uses them. What is wrong with the present file, if it is
    /// another version, stays shown until it is [cleared](Self::clear).
    pub(crate) fn put(&self, versions: Vec<(ComponentKey, Component, Origin)>) {
        self.change(|entries| {
            for (key, component, origin) in versions {
                entries.entry(key).or_default().component = Some((component, origin));
            }
        });
    }

    /// Records a file that is rejected. The active version stays active.
    pub(crate) fn refuse(
        &self,
        key: ComponentKey,
        error: String,
        quarantined: Option<Case>,
        waiting: Option<Waiting>,
    ) {
        self.change(|entries| {
            let entry = entries.entry(key).or_default();
            (entry.error, entry.quarantined, entry.waiting) = (Some(error), quarantined, waiting);
        });
    }

    /// The file is the active version: nothing is rejected any more.
    pub(crate) fn clear(&self, key: &ComponentKey) {
        if self.0.entries.load().get(key).is_none_or(|entry| entry.error.is_none()) {
            return;
        }
        self.change(|entries| {
            if let Some(entry) = entries.get_mut(key) {
                (entry.error, entry.quarantined, entry.waiting) = (None, None, None);
            }
            entries.retain(|_, entry| entry.component.is_some() || entry.error.is_some());
        });
    }

    /// Removes the component, without a replacement.
    pub(crate) fn remove(&self, key: &ComponentKey) {
        self.change(|entries| {
            entries.remove(key);
        });
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<ComponentKey, RegisteredComponent>)) {
        let mut entries = BTreeMap::clone(&self.0.entries.load());
        change(&mut entries);
        let counts = count(&entries);
        self.0.entries.store(Arc::new(entries));
        self.0.counts.publish(counts);
    }
}

fn count(entries: &BTreeMap<ComponentKey, RegisteredComponent>) -> ComponentCounts {
    let count =
        |is: fn(&RegisteredComponent) -> bool| entries.values().filter(|entry| is(entry)).count() as u64;
    ComponentCounts {
        active: count(|entry| entry.component.is_some()),
        refused: count(|entry| entry.error.is_some()),
        quarantined: count(|entry| entry.quarantined.is_some()),
        waiting: count(|entry| entry.waiting.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_counts_follow_every_change() {
        let registry = ComponentRegistry::default();
        let counts = registry.counts().clone();
        let key = |name: &str| (ComponentKind::Checker, ComponentName::new(name).unwrap());
        let waiting = Waiting { digest: "d".to_owned(), version: "2".to_owned(), asks: Vec::new() };
        registry.refuse(key("http"), "it is too large".to_owned(), None, None);
        registry.refuse(key("tcp"), "it asks for more".to_owned(), None, Some(waiting));
        let refused = ComponentCounts { refused: 2, waiting: 1, ..ComponentCounts::default() };
        assert_eq!(counts.get(), refused);
        registry.clear(&key("http"));
        assert_eq!(counts.get(), ComponentCounts { refused: 1, ..refused });
        registry.remove(&key("tcp"));
        assert_eq!(counts.get(), ComponentCounts::default());
    }
}
