//! The components that are loaded, and the files that could not be.
//!
//! ```text
//!   standard (in the binary) ──▶ in force ◀── file of the same name
//!                                   ▲ │ a file that is refused: the last good
//!                                   │ │ version stays in force, with the error beside it
//!                                   │ │ a new version that relapses: the one before it again
//!                                   └─┘ file removed: the standard one again, or none
//! ```
//! Components are written by the reload alone; read at the start of every run,
//! without a lock. Runs report how they ended; what that means is for the core
//! to say, and for the reload to act on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
pub use bellwether_core::approval::Waiting;
use bellwether_core::id::ComponentName;
use bellwether_core::probation::{Conduct, Ending, User};
use bellwether_core::quarantine::Case;
use tokio::sync::Notify;

use bellwether_config::ComponentKind;
use bellwether_sandbox::component::Component;

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
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// What runs, if anything ever could.
    pub component: Option<(Component, Origin)>,
    /// Why the file that is there now is not in force, if it is not.
    pub error: Option<String>,
    /// The version that is there now does not work.
    pub quarantined: Option<Case>,
    /// The version that is there now asks for more than the one before it.
    pub waiting: Option<Waiting>,
    /// The version to come back to if this one relapses.
    before: Option<(Component, Origin)>,
}

/// A version that must not stay.
#[derive(Debug)]
pub(crate) struct Relapse {
    pub(crate) key: ComponentKey,
    pub(crate) digest: String,
    pub(crate) why: String,
}

/// All of them. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: ArcSwap<BTreeMap<ComponentKey, Entry>>,
    conduct: Mutex<BTreeMap<ComponentKey, Conduct>>,
    relapsed: Notify,
}

/// Holds whoever has it to one version, once it is told to: a checker whose config changes
/// together with its component ends its days with the one that its config was written for.
#[derive(Debug, Clone, Default)]
pub struct Pin(Arc<OnceLock<Option<Component>>>);

impl Pin {
    /// From now on this version, or none.
    pub(crate) fn to(&self, component: Option<Component>) {
        // Pinned once, it stays so: what is in force has moved on since.
        drop(self.0.set(component));
    }
}

impl Registry {
    /// What runs under this name.
    pub fn get(&self, kind: ComponentKind, name: &ComponentName) -> Option<Component> {
        let entries = self.0.entries.load();
        let entry = entries.get(&(kind, name.clone()))?;
        entry.component.as_ref().map(|(component, _)| component.clone())
    }

    /// What runs under this name for the holder of this pin.
    pub fn get_for(&self, pin: &Pin, kind: ComponentKind, name: &ComponentName) -> Option<Component> {
        // Looked up before the pin is looked at: it is pinned before the new version is put.
        let in_force = self.get(kind, name);
        pin.0.get().map_or(in_force, Option::clone)
    }

    /// The schema of its configuration, for checking a module's file against.
    pub fn config_schema(&self, kind: ComponentKind, name: &ComponentName) -> Option<String> {
        self.get(kind, name).map(|component| component.about().config_schema.clone())
    }

    /// Everything, by kind and name.
    pub fn entries(&self) -> Arc<BTreeMap<ComponentKey, Entry>> {
        self.0.entries.load_full()
    }

    /// A run of this version has ended so.
    pub fn ran(&self, key: &ComponentKey, component: &Component, user: &User, ending: &Ending) {
        let relapsed = {
            let mut conduct = self.conduct();
            conduct.get_mut(key).is_some_and(|conduct| conduct.ran(component.digest(), user, ending))
        };
        if relapsed {
            self.0.relapsed.notify_one();
        }
    }

    /// How the last run of the version in force ended for this user.
    pub(crate) fn last_ending(&self, key: &ComponentKey, user: &User) -> Option<Ending> {
        self.conduct().get(key)?.last(user).cloned()
    }

    /// Versions that are good, all at one moment. The next run uses them.
    pub(crate) fn put(&self, versions: Vec<(ComponentKey, Component, Origin)>) {
        let mut conducts = self.conduct();
        self.change(|entries| {
            for (key, component, origin) in versions {
                let conduct = conducts.entry(key.clone()).or_default();
                let Entry { component: old, before, .. } = entries.remove(&key).unwrap_or_default();
                let before = match old {
                    Some((old, _)) if old.digest() == component.digest() => before,
                    Some(old) => {
                        let proved = conduct.replaced(component.digest());
                        if proved { Some(old) } else { before.or(Some(old)) }
                    }
                    None => {
                        conduct.trusted(component.digest());
                        None
                    }
                };
                let component = Some((component, origin));
                entries.insert(key, Entry { component, before, ..Entry::default() });
            }
        });
    }

    /// A file that is refused. What ran before runs on.
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

    /// The file is what is in force: nothing is refused any more.
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

    /// The file is gone, and nothing takes its place.
    pub(crate) fn remove(&self, key: &ComponentKey) {
        self.conduct().remove(key);
        self.change(|entries| {
            entries.remove(key);
        });
    }

    /// Returns when a version has relapsed.
    pub(crate) async fn relapsed(&self) {
        self.0.relapsed.notified().await;
    }

    /// Versions that must not stay.
    pub(crate) fn relapses(&self) -> Vec<Relapse> {
        let conducts = self.conduct();
        let relapse = |(key, conduct): (&ComponentKey, &Conduct)| {
            let (digest, why) = conduct.relapse()?;
            Some(Relapse { key: key.clone(), digest: digest.to_owned(), why: why.to_owned() })
        };
        conducts.iter().filter_map(relapse).collect()
    }

    /// Puts the version before this one in force again.
    pub(crate) fn roll_back(&self, key: &ComponentKey) {
        let mut conducts = self.conduct();
        self.change(|entries| {
            let Some(entry) = entries.get_mut(key) else { return };
            let Some((before, origin)) = entry.before.take() else { return };
            conducts.entry(key.clone()).or_default().trusted(before.digest());
            entry.component = Some((before, origin));
        });
    }

    /// A version that nothing is compared with.
    pub(crate) fn restore(&self, key: ComponentKey, component: Component, origin: Origin) {
        self.conduct().entry(key.clone()).or_default().trusted(component.digest());
        self.change(|entries| {
            entries.insert(key, Entry { component: Some((component, origin)), ..Entry::default() });
        });
    }

    /// Lets go of versions that nobody comes back to.
    pub(crate) fn forget_proved(&self) {
        let conducts = self.conduct();
        let proved = |key: &ComponentKey, entry: &Entry| {
            let done = |conduct: &Conduct| !conduct.on_probation() && conduct.relapse().is_none();
            entry.before.is_some() && conducts.get(key).is_none_or(done)
        };
        if self.0.entries.load().iter().any(|(key, entry)| proved(key, entry)) {
            self.change(|entries| {
                for (key, entry) in entries.iter_mut() {
                    if proved(key, entry) {
                        entry.before = None;
                    }
                }
            });
        }
    }

    fn conduct(&self) -> MutexGuard<'_, BTreeMap<ComponentKey, Conduct>> {
        self.0.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<ComponentKey, Entry>)) {
        let mut entries = BTreeMap::clone(&self.0.entries.load());
        change(&mut entries);
        self.0.entries.store(Arc::new(entries));
    }
}
