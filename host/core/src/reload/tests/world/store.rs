//! The disk that the next daemon finds, as far as it concerns the last good versions.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::{FileKey, Folder, LastGood, Origin};
use super::files::{Content, Module, OnDiskFile, checker, fits};
use super::{World, key};
use crate::id::ModuleName;
use crate::quarantine::Quarantine;

/// What is stored. Without space on the disk, it stays what it was.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Store {
    pub(in super::super) last_good: LastGood,
    pub(in super::super) quarantine: Quarantine,
    /// By file and digest.
    pub(super) contents: BTreeMap<(FileKey, String), OnDiskFile>,
    /// What could not be stored, and is tried again.
    due: Option<(LastGood, Vec<(FileKey, Content)>)>,
    due_quarantine: Option<Quarantine>,
}

impl World {
    /// There is space on the disk again.
    pub(in super::super) fn disk_is_free(&mut self) {
        self.disk_is_full = false;
        if let Some((last_good, modules)) = self.store.due.take() {
            self.keep(&last_good, modules);
        }
        if let Some(quarantine) = self.store.due_quarantine.take() {
            self.store.quarantine = quarantine;
        }
    }

    /// The daemon is killed. The next one has not started yet.
    pub(in super::super) fn killed(self) -> Self {
        let (now, stamps, prompt) = (self.now, self.stamps, self.prompt);
        let (approvals, disk) = (self.approvals.clone(), self.disk.clone());
        let store = Store { due: None, due_quarantine: None, ..self.store };
        Self { now, disk, stamps, prompt, ..Self::after(approvals, store) }
    }

    /// The modules that fit the active components, and are stored with them: a component that was replaced at the moment
    /// at which it became active is not.
    pub(in super::super) fn fitting_modules(&self) -> Vec<ModuleName> {
        let fits = |module: &&Module| {
            let file = FileKey { folder: Folder::Modules, stem: module.name.to_string() };
            let is_stored = |file: FileKey, digest: String| self.store.contents.contains_key(&(file, digest));
            is_stored(file, module.says.digest())
                && module.says.uses.iter().all(|name| {
                    let active = self.components.get(&key(name));
                    fits(module, active.map(|(component, _)| component)).is_ok()
                        && active.is_some_and(|(component, origin)| {
                            *origin == Origin::Embedded
                                || is_stored(checker(name), component.number.to_string())
                        })
                })
        };
        self.modules.values().filter(fits).map(|module| module.name.clone()).collect()
    }

    /// The digests of all versions that must not be tried yet.
    pub(in super::super) fn quarantined(&self) -> BTreeSet<String> {
        self.disk.keys().flat_map(|file| self.store.quarantine.held(&file.name(), self.now)).collect()
    }

    pub(super) fn keep_quarantine(&mut self, quarantine: Quarantine) {
        if self.disk_is_full {
            self.store.due_quarantine = Some(quarantine);
        } else {
            (self.store.quarantine, self.store.due_quarantine) = (quarantine, None);
        }
    }

    pub(super) fn keep(&mut self, last_good: &LastGood, modules: Vec<(FileKey, Content)>) {
        if self.disk_is_full {
            self.store.due = Some((last_good.clone(), modules));
            return;
        }
        let store = &mut self.store;
        store.due = None;
        for (file, Content(module)) in modules {
            let digest = module.says.digest();
            store.contents.insert((file, digest), OnDiskFile::Module(module.says));
        }
        for (file, digest) in last_good.contents() {
            if let Some((_, OnDiskFile::Component(component))) = self.disk.get(&file)
                && component.number.to_string() == digest
            {
                store.contents.insert((file, digest), OnDiskFile::Component(*component));
            }
        }
        let contents = &store.contents;
        let is_stored =
            |file: &FileKey, digest: &str| contents.contains_key(&(file.clone(), digest.to_owned()));
        let promised = last_good.promised(&store.last_good, is_stored);
        let needed = promised.contents();
        store.contents.retain(|content, _| needed.contains(content));
        store.last_good = promised;
    }
}
