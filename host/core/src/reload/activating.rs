//! Active: which versions are active, which become active together, and which are removed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::approvals::Waiting;
use super::file::{ComponentKey, FileKey, MAX_FILES};
use super::last_good::GoodVersion;
use super::pending::Stage;
use super::version::{ComponentVersion, ModuleVersion, Origin};
use super::{Action, Reload};
use crate::change_set::File;
use crate::event::DesiredState;
use crate::id::ModuleName;
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::probation::Conduct;
use crate::quarantine::Case;
use crate::record::{RecordKind, short};

/// A new file this soon after one with the same content was removed counts as renamed.
pub(super) const RENAMED_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Active<C> {
    pub(super) version: ComponentVersion<C>,
    pub(super) origin: Origin,
    /// The version to roll back to if this one relapses.
    before: Option<(ComponentVersion<C>, Origin)>,
    /// How its runs end.
    pub(super) conduct: Conduct,
}

impl<C> Active<C> {
    /// A version that is not compared with another one.
    pub(super) fn trusted(version: ComponentVersion<C>, origin: Origin) -> Self {
        let mut conduct = Conduct::default();
        conduct.trusted(&version.file.digest);
        Self { version, origin, before: None, conduct }
    }

    pub(super) fn digest(&self) -> &str {
        &self.version.file.digest
    }

    /// The digest of the version to come back to.
    pub(super) fn digest_before(&self) -> Option<&str> {
        self.before.as_ref().map(|(version, _)| &*version.file.digest)
    }

    /// Replaces this version by another one, on probation.
    fn replace(&mut self, version: ComponentVersion<C>, origin: Origin) {
        if self.digest() != version.file.digest {
            // Only a proven version is worth a rollback.
            let proved = self.conduct.replaced(&version.file.digest);
            let old = (ComponentVersion::clone(&self.version), self.origin);
            self.before = if proved { Some(old) } else { self.before.take().or(Some(old)) };
        }
        (self.version, self.origin) = (version, origin);
        self.forget_proved();
    }

    /// Drops the previous version once this one stays.
    pub(super) fn forget_proved(&mut self) {
        if !self.conduct.on_probation() && self.conduct.relapse().is_none() {
            self.before = None;
        }
    }

    /// Whether there is a version to come back to.
    pub(super) fn can_go_back(&self) -> bool {
        self.before.is_some()
    }

    /// The version before this one is active again, if there is one.
    pub(super) fn roll_back(&mut self) -> Option<(ComponentVersion<C>, Origin)> {
        let (version, origin) = self.before.take()?;
        self.conduct.trusted(&version.file.digest);
        (self.version, self.origin) = (ComponentVersion::clone(&version), origin);
        Some((version, origin))
    }
}

/// Why a file is not active, as displayed.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    why: String,
    case: Option<Case>,
    waiting: Option<Waiting>,
}

/// A module's file before a change and after it.
#[derive(Debug)]
pub(super) struct Edit<M> {
    pub(super) before: ModuleVersion<M>,
    pub(super) since: ModuleVersion<M>,
}

impl<M> Edit<M> {
    /// Whether both are of the same module.
    pub(super) fn is_of_module_of(&self, other: &Self) -> bool {
        self.since.file.name == other.since.file.name
    }
}

/// A module whose file was removed.
#[derive(Debug)]
pub(super) struct Removed<M> {
    module: ModuleVersion<M>,
    /// What people wanted of it; nothing if that is not known.
    desired: Option<DesiredState>,
    at: Moment,
}

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// Activates these files, all at the same time.
    pub(super) fn activate(&mut self, files: &BTreeSet<File<ComponentKey>>) {
        let (mut modules, mut components) = (Vec::new(), Vec::new());
        for subject in files {
            match (subject, self.pending.stage(&FileKey::of(subject))) {
                (File::Module(_), Some(Stage::Module(module))) => modules.push(Arc::clone(module)),
                (File::Component(key), Some(Stage::Component { component, .. })) => {
                    components.push((key.clone(), Arc::clone(component)));
                }
                _ => {}
            }
        }
        if modules.is_empty() && components.is_empty() {
            return;
        }
        self.remember_sets(&modules, &components);
        let restored = self.stored_components_of(&modules, &components);
        self.actions.push(Action::Activate {
            together: !components.is_empty(),
            components: components
                .iter()
                .chain(&restored)
                .map(|(key, version)| (key.clone(), version.file.content.clone(), Origin::File))
                .collect(),
            modules: modules.iter().map(|module| module.file.content.clone()).collect(),
        });
        self.unkept = true;
        for (key, version) in restored {
            self.component_restored(key, version);
        }
        for (key, version) in components {
            let file = FileKey::of(&File::Component(key.clone()));
            self.settled(&file);
            self.remember_asked(&file, &version.file.asks);
            let detail =
                format!("version {} ({}) is active", version.file.version, short(&version.file.digest));
            self.note(&file, true, detail);
            match self.components.get_mut(&key) {
                Some(active) => active.replace(version, Origin::File),
                None => drop(self.components.insert(key, Active::trusted(version, Origin::File))),
            }
        }
        for module in modules {
            self.settled(&FileKey::of(&File::Module(module.file.name.clone())));
            self.introduce(module);
        }
    }

    /// Activates the components that come with the binary.
    pub(super) fn activate_standard(&mut self) {
        let standard = self.standard.iter().map(|(key, version)| (key.clone(), Arc::clone(version)));
        let standard: Vec<_> = standard.collect();
        let components = standard
            .iter()
            .map(|(key, version)| (key.clone(), version.file.content.clone(), Origin::Embedded));
        let (components, modules) = (components.collect(), Vec::new());
        self.actions.push(Action::Activate { components, modules, together: false });
        let active = |(key, version)| (key, Active::trusted(version, Origin::Embedded));
        self.components.extend(standard.into_iter().map(active));
    }

    /// If a component relapses, the modules' files that came with it are rolled back with it.
    fn remember_sets(
        &mut self,
        modules: &[ModuleVersion<M>],
        components: &[(ComponentKey, ComponentVersion<C>)],
    ) {
        for (key, _) in components {
            let with = modules.iter().filter_map(|since| {
                let before = self.modules.get(&since.file.name)?;
                let connected =
                    since.file.uses.iter().chain(&before.file.uses).any(|its| its.component == *key);
                connected.then(|| Edit { before: Arc::clone(before), since: Arc::clone(since) })
            });
            let with = with.collect();
            self.sets.insert(key.clone(), with);
        }
    }

    /// A module is active with this version of its file from now on.
    pub(super) fn introduce(&mut self, module: ModuleVersion<M>) {
        self.introduce_as(module, None);
    }

    /// The same; `restored`: with its stored version.
    pub(super) fn introduce_as(&mut self, module: ModuleVersion<M>, restored: Option<GoodVersion>) {
        self.unkept = true;
        let name = module.file.name.clone();
        let content = module.file.content.clone();
        let first = self.modules.insert(name.clone(), module).is_none();
        let memory = if first {
            self.memories.remove(&name).or_else(|| self.renamed(&content)).map(Box::new)
        } else {
            None
        };
        self.actions.push(Action::Introduce { module: content, first, memory, restored });
    }

    /// The desired state of the module that had this file a moment ago, under another name: a stopped module is not
    /// started because its file was renamed.
    fn renamed(&mut self, content: &M) -> Option<ModuleMemory> {
        let now = self.now;
        let same = |removed: &Removed<M>| {
            removed.desired.is_some()
                && now.since(removed.at) < RENAMED_WITHIN
                && removed.module.file.content == *content
        };
        let index = self.removed.iter().position(same)?;
        self.removed.swap_remove(index).desired.map(ModuleMemory::with_desired_state)
    }

    /// A file was removed.
    pub(super) fn remove(&mut self, file: &FileKey, now: Moment) {
        self.undecided = true;
        self.rereading.remove(file);
        self.settled(file);
        match file.subject() {
            None => {}
            Some(File::Module(name)) => self.remove_module(file, name, now),
            Some(File::Component(key)) => self.remove_component(file, key),
        }
    }

    fn remove_component(&mut self, file: &FileKey, key: ComponentKey) {
        self.sets.remove(&key);
        let detail = if let Some(standard) = self.standard.get(&key) {
            let components = vec![(key.clone(), standard.file.content.clone(), Origin::Embedded)];
            let active = Active::trusted(Arc::clone(standard), Origin::Embedded);
            self.actions.push(Action::Activate { components, modules: Vec::new(), together: false });
            self.components.insert(key, active);
            "removed: the built-in one is active again"
        } else {
            self.components.remove(&key);
            self.actions.push(Action::Withdraw { component: key });
            "removed: modules that use it can no longer run it"
        };
        self.note(file, true, detail.to_owned());
    }

    fn remove_module(&mut self, file: &FileKey, name: ModuleName, now: Moment) {
        let Some(module) = self.modules.remove(&name) else { return };
        self.removed.retain(|removed| now.since(removed.at) < RENAMED_WITHIN);
        if self.removed.len() < MAX_FILES {
            self.removed.push(Removed { module, desired: None, at: now });
        }
        let detail = "removed: the module is no longer monitored, its application is not touched";
        self.note(file, true, detail.to_owned());
        self.actions.push(Action::Unload { module: name });
    }

    /// What people wanted of a module that was removed.
    pub(super) fn unloaded(&mut self, module: &ModuleName, desired: Option<DesiredState>) {
        let mut latest_first = self.removed.iter_mut().rev();
        if let Some(removed) = latest_first.find(|removed| removed.module.file.name == *module) {
            removed.desired = desired;
        }
    }

    /// The file is the active version.
    pub(super) fn settled(&mut self, file: &FileKey) {
        self.unkept = true;
        self.stored.remove(file);
        self.restored.remove(file);
        self.pending.remove(file);
        if self.refused.remove(file).is_some() {
            self.actions.push(Action::Clear { file: file.clone() });
        }
    }

    /// Shows why a file is not active; each reason is recorded once.
    pub(super) fn refuse(&mut self, file: &FileKey, why: String, case: Option<Case>) {
        let detail = format!("{why}; the previous version stays active");
        if self.show(file, why, case, None) {
            self.note(file, false, detail);
        }
    }

    /// Shows why a file is not active. Returns whether that is new.
    pub(super) fn show(
        &mut self,
        file: &FileKey,
        why: String,
        case: Option<Case>,
        waiting: Option<Waiting>,
    ) -> bool {
        let is_new = self.refused.get(file).is_none_or(|shown| shown.why != why);
        self.unkept |= is_new;
        self.refused.insert(file.clone(), Shown { why, case, waiting });
        self.show_again(file);
        is_new
    }

    /// Shows why a file is not active, if it is not: what runs in its place may have changed.
    pub(super) fn show_again(&mut self, file: &FileKey) {
        let Some(Shown { why, case, waiting }) = self.refused.get(file).cloned() else { return };
        let in_place = self.in_place(file);
        self.actions.push(Action::Show { file: file.clone(), why, case, waiting, in_place });
    }

    pub(super) fn note(&mut self, file: &FileKey, ok: bool, detail: String) {
        let module = match file.subject() {
            Some(File::Module(name)) => Some(name),
            _ => None,
        };
        let kind = RecordKind::Reload { what: file.name(), ok, detail };
        self.actions.push(Action::Note { module, kind });
    }
}
