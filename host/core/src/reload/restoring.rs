//! Restored: at the start, what was active under the daemon before.
//!
//! ```text
//!              the file on disk is the same version
//!   Unneeded ─────────────────────────────────────────────────▶ Module, Component ──it fits, and nothing──▶ active
//!      │ it is another version, or cannot be used                   ▲               better is on its way
//!      └──────────────────────────────────▶ Loading ────────────────┘
//!                                              └──▶ Unusable
//!   (any of them) ──another version of the file becomes active, or the file is removed──▶ forgotten
//! ```
//! What was active before counts as active in every decision of the start, so that a restart decides as the daemon
//! would have if it had run on. A version whose file is another one by now becomes active only where that file cannot:
//! whoever edits a good file while no daemon runs never sees the old version again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::activating::Active;
use super::event::{Loaded, Pair};
use super::file::{ComponentKey, FileKey, Folder};
use super::last_good::{GoodVersion, InPlace};
use super::pending::Stage;
use super::version::{ComponentFile, ComponentVersion, LoadId, ModuleVersion, Origin, numbered};
use super::{Action, Reload};
use crate::change_set::{File, Readiness};
use crate::grant::{GrantRequest, Grants, wider};
use crate::id::ModuleName;
use crate::record::short;

/// The stored version of a file that has no active version of its own.
#[derive(Debug)]
pub(super) enum Stored<M, C> {
    /// The file on disk is not known to be another version.
    Unneeded,
    /// Being read, checked and compiled.
    Loading(LoadId),
    /// A module's file.
    Module {
        version: ModuleVersion<M>,
        /// The file on disk is this version.
        unchanged: bool,
        /// It does not fit the components that are active: nothing has to consider it.
        unfit: bool,
    },
    Component {
        version: ComponentVersion<C>,
        unchanged: bool,
    },
    /// It cannot be used, for this reason.
    Unusable(String),
}

/// The stored versions of files, by file.
pub(super) type StoredVersions<M, C> = BTreeMap<FileKey, Stored<M, C>>;

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// Takes over the versions that the daemon before has stored. A file that was removed while no daemon ran is
    /// removed.
    pub(super) fn take_over(&mut self) {
        let known = &self.folders.known;
        let last_good = std::mem::take(&mut self.last_good);
        self.last_good = last_good.taken_over(|file| known.contains_key(file), self.now);
        self.stored = self.last_good.iter().map(|(file, _)| (file.clone(), Stored::Unneeded)).collect();
        self.quarantine.resume(self.now);
    }

    /// At the start, a file that is the stored version has not changed: it is no change that something could wait for,
    /// and returns to where it was.
    pub(super) fn unchanged(&mut self, file: &FileKey, stage: Stage<M, C>) -> Option<Stage<M, C>> {
        let good = self.last_good.of(file).map(|good| &good.digest);
        let (Some(good), Some(Stored::Unneeded), true) =
            (good, self.stored.get(file), self.beginning.is_some())
        else {
            return Some(stage);
        };
        let stored = match stage {
            Stage::Module(version) if version.file.digest == *good => {
                Stored::Module { version, unchanged: true, unfit: false }
            }
            Stage::Component { component, .. }
                if component.file.digest == *good && !self.asks_for_more(file, &component.file) =>
            {
                Stored::Component { version: component, unchanged: true }
            }
            other => return Some(other),
        };
        self.stored.insert(file.clone(), stored);
        None
    }

    /// The file on disk has this digest, or is not a version that could be used. If it is not the stored version, that
    /// one is loaded as well.
    pub(super) fn on_disk(&mut self, file: &FileKey, digest: Option<&str>) {
        let Some(good) = self.last_good.of(file) else { return };
        if digest == Some(&*good.digest) || !matches!(self.stored.get(file), Some(Stored::Unneeded)) {
            return;
        }
        let digest = good.digest.clone();
        let load = self.next_load();
        self.stored.insert(file.clone(), Stored::Loading(load));
        self.actions.push(Action::Restore { file: file.clone(), load, digest });
    }

    /// Handles the loaded content if it is that of a stored version. Returns whether it is.
    pub(super) fn stored_loaded(&mut self, file: &FileKey, load: LoadId, loaded: &Loaded<M, C>) -> bool {
        if !matches!(self.stored.get(file), Some(Stored::Loading(expected)) if *expected == load) {
            return false;
        }
        self.undecided = true;
        let stored = match loaded.clone() {
            Loaded::Module(Ok(module)) => {
                Stored::Module { version: numbered(load, module), unchanged: false, unfit: false }
            }
            Loaded::Component(Ok(component)) if self.asks_for_more(file, &component) => {
                Stored::Unusable("it requests more than the version that was active last".to_owned())
            }
            Loaded::Component(Ok(component)) => {
                Stored::Component { version: numbered(load, component), unchanged: false }
            }
            Loaded::Module(Err(why)) => Stored::Unusable(why),
            Loaded::Component(Err(refusal)) => Stored::Unusable(refusal.to_string()),
        };
        let is_unusable = matches!(stored, Stored::Unusable(_));
        self.stored.insert(file.clone(), stored);
        if is_unusable {
            self.show_again(file);
        }
        true
    }

    /// Whether the version requests more than the one that was active last: if that one could not be stored, the one
    /// before it is. It needs an approval again.
    fn asks_for_more(&self, file: &FileKey, component: &ComponentFile<C>) -> bool {
        let what = file.name();
        let more = |before: &[GrantRequest]| !wider(before, &component.asks, &Grants::default()).is_empty();
        !self.approvals.is_approved(&what, &component.digest) && self.approvals.asked(&what).is_some_and(more)
    }

    /// The trusted signatures have changed: a stored version that could not be used may be valid now.
    pub(super) fn reconsider_stored(&mut self) {
        for stored in self.stored.values_mut() {
            if matches!(stored, Stored::Unusable(_)) {
                *stored = Stored::Unneeded;
            }
        }
    }

    /// At the start, nothing is decided before it is known what counts as active.
    pub(super) fn is_loading_stored(&self) -> bool {
        self.stored.values().any(|stored| matches!(stored, Stored::Loading(_)))
    }

    /// Whether a stored module may become active with something that is on its way.
    pub(super) fn has_stored_modules(&self) -> bool {
        self.stored.values().any(|stored| matches!(stored, Stored::Module { unfit: false, .. }))
    }

    /// The stored modules that are not active. `all`: also those that nothing has to consider.
    pub(super) fn stored_modules(&self, all: bool) -> impl Iterator<Item = (&ModuleName, &ModuleVersion<M>)> {
        self.stored.values().filter_map(move |stored| match stored {
            Stored::Module { version, unfit, .. } if all || !unfit => Some((&version.file.name, version)),
            _ => None,
        })
    }

    /// The version of a module that is active, or counts as active.
    pub(super) fn standing_module(&self, name: &ModuleName) -> Option<&ModuleVersion<M>> {
        self.modules.get(name).or_else(|| match self.stored.get(&FileKey::of(&File::Module(name.clone()))) {
            Some(Stored::Module { version, unfit: false, .. }) => Some(version),
            _ => None,
        })
    }

    /// The version of a component that is active, or counts as active.
    pub(super) fn standing_component(&self, key: &ComponentKey) -> Option<&ComponentVersion<C>> {
        let active = self.components.get(key).map(|active| &active.version);
        self.stored_component(key).or(active)
    }

    /// The stored version of a component. If active modules use the built-in one, it stays.
    fn stored_component(&self, key: &ComponentKey) -> Option<&ComponentVersion<C>> {
        let Stored::Component { version, .. } =
            self.stored.get(&FileKey::of(&File::Component(key.clone())))?
        else {
            return None;
        };
        let is_used = self.modules.values().any(|module| module.file.names().contains(key));
        (!is_used).then_some(version)
    }

    /// The stored components that these modules, which become active, have been found to fit.
    pub(super) fn stored_components_of(
        &self,
        modules: &[ModuleVersion<M>],
        components: &[(ComponentKey, ComponentVersion<C>)],
    ) -> Vec<(ComponentKey, ComponentVersion<C>)> {
        let names = modules.iter().flat_map(|module| module.file.names());
        let replaced = |key: &ComponentKey| components.iter().any(|(new, _)| new == key);
        let mut keys: Vec<ComponentKey> = names.filter(|key| !replaced(key)).collect();
        keys.sort();
        keys.dedup();
        let stored = |key: ComponentKey| Some((self.stored_component(&key).cloned()?, key));
        keys.into_iter().filter_map(stored).map(|(version, key)| (key, version)).collect()
    }

    /// This stored component is active from now on.
    pub(super) fn component_restored(&mut self, key: ComponentKey, version: ComponentVersion<C>) {
        let file = FileKey::of(&File::Component(key.clone()));
        self.remember_asked(&file, &version.file.asks);
        let what = format!("{} ({})", version.file.version, short(&version.file.digest));
        let detail = match self.stored.get(&file) {
            Some(Stored::Component { unchanged: true, .. }) => format!("version {what} is active"),
            _ => format!("the last good version, {what}, stays active"),
        };
        let old = self.restored(&file);
        self.note(&file, old.is_none(), detail);
        self.components.insert(key, Active::trusted(version, Origin::File));
    }

    /// The stored version of this file is active from now on. Returns it if the file on disk is another one.
    fn restored(&mut self, file: &FileKey) -> Option<GoodVersion> {
        self.unkept = true;
        if let Some(Stored::Module { unchanged: true, .. } | Stored::Component { unchanged: true, .. }) =
            self.stored.remove(file)
        {
            self.settled(file);
            return None;
        }
        let good = self.last_good.0.get_mut(file)?;
        good.replaced.get_or_insert(self.now);
        let good = good.clone();
        self.restored.insert(file.clone());
        self.show_again(file);
        Some(good)
    }

    /// Activates the stored versions that nothing better can take the place of: at the end of the start all of them.
    /// Returns whether anything has changed that a decision depends on.
    pub(super) fn restore(&mut self) -> bool {
        let is_over = self.beginning.is_none();
        if self.comparing || self.undecided || !is_over && self.is_loading_stored() {
            return false;
        }
        let mut changed = is_over && self.give_back_unused();
        let (modules, unfit) = self.restorable_modules();
        if is_over {
            changed |= self.give_back_unfit(unfit);
        }
        let modules: Vec<_> =
            modules.into_iter().filter(|module| is_over || self.is_last_word(module)).collect();
        let components =
            if is_over { self.stored_components() } else { self.stored_components_of(&modules, &[]) };
        if !components.is_empty() || !modules.is_empty() {
            changed = true;
            self.activate_stored(components, modules);
        }
        self.undecided |= changed;
        changed
    }

    fn activate_stored(
        &mut self,
        components: Vec<(ComponentKey, ComponentVersion<C>)>,
        modules: Vec<ModuleVersion<M>>,
    ) {
        let content = |(key, version): &(ComponentKey, ComponentVersion<C>)| {
            (key.clone(), version.file.content.clone(), Origin::File)
        };
        self.actions.push(Action::Activate {
            components: components.iter().map(content).collect(),
            modules: modules.iter().map(|module| module.file.content.clone()).collect(),
            together: false,
        });
        for (key, version) in components {
            self.component_restored(key, version);
        }
        for module in modules {
            let old = self.restored(&FileKey::of(&File::Module(module.file.name.clone())));
            self.introduce_as(module, old);
        }
    }

    /// Whether nothing on its way, or ready to become active, concerns this module.
    fn is_last_word(&self, module: &ModuleVersion<M>) -> bool {
        let components = module.file.names().into_iter().map(File::Component);
        components.chain([File::Module(module.file.name.clone())]).all(|subject| {
            let file = FileKey::of(&subject);
            let stage = self.pending.stage(&file);
            stage.is_none_or(|stage| stage.readiness() == Readiness::Bad) || self.waiting.contains_key(&file)
        })
    }

    /// All stored components, except those that active modules have the built-in version of.
    fn stored_components(&self) -> Vec<(ComponentKey, ComponentVersion<C>)> {
        let keys = self.stored.keys().filter_map(FileKey::component);
        let stored = |key: ComponentKey| Some((self.stored_component(&key).cloned()?, key));
        keys.filter_map(stored).map(|(version, key)| (key, version)).collect()
    }

    /// Stored components that active modules have the built-in version of: these are used by now.
    fn give_back_unused(&mut self) -> bool {
        let components = self.stored.iter().filter(|(_, stored)| matches!(stored, Stored::Component { .. }));
        let files: Vec<FileKey> = components.map(|(file, _)| file.clone()).collect();
        let is_unused =
            |file: &FileKey| file.component().is_none_or(|key| self.stored_component(&key).is_none());
        let unused: Vec<FileKey> = files.into_iter().filter(is_unused).collect();
        let any = !unused.is_empty();
        for file in unused {
            let unused = Stored::Unusable("modules use the built-in version by now".to_owned());
            match self.stored.insert(file.clone(), unused) {
                Some(Stored::Component { version: component, unchanged: true }) => {
                    self.pending.changed(&file, Stage::Component { component, tried: false });
                }
                _ => self.show_again(&file),
            }
        }
        any
    }

    /// Stored modules that do not fit. A file that is this version waits from now on like any other one.
    fn give_back_unfit(&mut self, files: Vec<FileKey>) -> bool {
        let mut changed = false;
        for file in files {
            match self.stored.get_mut(&file) {
                Some(Stored::Module { version, unchanged: true, .. }) => {
                    let stage = Stage::Module(Arc::clone(version));
                    self.stored.insert(file.clone(), Stored::Unneeded);
                    self.pending.changed(&file, stage);
                    changed = true;
                }
                Some(Stored::Module { unfit, .. }) => changed |= !std::mem::replace(unfit, true),
                _ => {}
            }
        }
        changed
    }

    /// The stored modules that fit the components that are active, and the files of the others.
    fn restorable_modules(&self) -> (Vec<ModuleVersion<M>>, Vec<FileKey>) {
        let (fit, unfit): (Vec<_>, Vec<_>) = self.stored_modules(true).partition(|(_, module)| {
            module.file.names().into_iter().all(|component| {
                let version = self.standing_component(&component).map(|version| version.load);
                let pair = Pair { module: module.load, component, version };
                self.fits.get(&pair).is_some_and(Result::is_ok)
            })
        });
        let file = |name: &ModuleName| FileKey { folder: Folder::Modules, stem: name.as_str().to_owned() };
        let unfit = unfit.into_iter().map(|(name, _)| file(name)).collect();
        (fit.into_iter().map(|(_, module)| Arc::clone(module)).collect(), unfit)
    }

    /// What runs in place of a file that is not active.
    pub(super) fn in_place(&self, file: &FileKey) -> Option<InPlace> {
        if self.restored.contains(file) {
            return self.last_good.of(file).cloned().map(InPlace::Restored);
        }
        match self.stored.get(file) {
            Some(Stored::Unusable(why)) => Some(InPlace::Unusable(why.clone())),
            _ => None,
        }
    }
}
