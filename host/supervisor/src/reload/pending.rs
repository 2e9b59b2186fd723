//! The files that have changed and are not in force, and how far each has come.
//!
//! ```text
//!             settled           read, compiled, described        fits, tried, approved
//!   Writing ─────────▶ Loading ───────────────────────────▶ Good ────────────────────▶ in force
//!      ▲                 │                                   │ ▲
//!      │ changed again   │ no use          broke, relapsed   ▼ │ answered
//!   (any of them)        └──────────▶ Refused ◀──────────── Trying
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwether_core::change_set::{Change, File, Readiness};
use bellwether_core::id::{ComponentName, ModuleName};
use bellwether_core::moment::Moment;

use super::folders::{FileKey, Folder};
use crate::registry::{ComponentKey, Waiting};
use bellwether_config::spec::{ModuleSpec, Subject};
use bellwether_config::{ComponentKind, Mistakes, Sourced};
use bellwether_sandbox::component::Component;

/// How far a file has come.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Seen to differ, and perhaps still being written.
    Writing,
    /// Being read, checked and compiled.
    Loading,
    /// A module's file without mistakes of its own.
    Module(Arc<Sourced<ModuleSpec>>),
    /// A component that could run.
    Component {
        component: Component,
        /// Its trial run has answered, or there is nothing to compare it with.
        tried: bool,
    },
    /// Its trial run is under way.
    Trying(Component),
    /// A module's file with mistakes.
    Mistaken(Mistakes),
    /// A component that is of no use.
    Refused {
        /// When it is tried again by itself.
        retry: Option<Moment>,
    },
}

#[derive(Debug)]
pub(super) struct Item {
    batch: u64,
    pub(super) stage: Stage,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Pending {
    items: BTreeMap<FileKey, Item>,
    batch: u64,
}

impl Pending {
    /// A file has changed. It belongs together with what is on its way at this moment.
    pub(super) fn changed(&mut self, file: &FileKey, stage: Stage) {
        if let Some(item) = self.items.get_mut(file) {
            item.stage = stage;
            return;
        }
        if !self.on_the_way() {
            self.batch += 1;
        }
        self.items.insert(file.clone(), Item { batch: self.batch, stage });
    }

    /// These wait for each other.
    pub(super) fn together(&mut self, files: Vec<(FileKey, Stage)>) {
        self.batch += 1;
        let items = files.into_iter().map(|(file, stage)| (file, Item { batch: self.batch, stage }));
        self.items.extend(items);
    }

    /// Nothing waits for what is of no use.
    pub(super) fn separate_bad(&mut self) {
        for item in self.items.values_mut().filter(|item| readiness(&item.stage) == Readiness::Bad) {
            self.batch += 1;
            item.batch = self.batch;
        }
    }

    /// The next stage of a file that is still wanted.
    pub(super) fn advance(&mut self, file: &FileKey, stage: Stage) {
        if let Some(item) = self.items.get_mut(file) {
            item.stage = stage;
        }
    }

    pub(super) fn stage(&self, file: &FileKey) -> Option<&Stage> {
        self.items.get(file).map(|item| &item.stage)
    }

    pub(super) fn remove(&mut self, file: &FileKey) {
        self.items.remove(file);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&FileKey) -> bool) {
        self.items.retain(|file, _| keep(file));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&FileKey, &Stage)> {
        self.items.iter().map(|(file, item)| (file, &item.stage))
    }

    /// Whether anything will come of a file by itself.
    pub(super) fn on_the_way(&self) -> bool {
        self.iter().any(|(_, stage)| readiness(stage) == Readiness::Coming)
    }

    pub(super) fn is_on_the_way(&self, file: &FileKey) -> bool {
        self.stage(file).is_some_and(|stage| readiness(stage) == Readiness::Coming)
    }

    /// Components whose quarantine is over, and when the next one is.
    pub(super) fn due(&self, now: Moment) -> (Vec<FileKey>, Option<Moment>) {
        let mut due = Vec::new();
        let mut next: Option<Moment> = None;
        for (file, stage) in self.iter() {
            let Stage::Refused { retry: Some(at), .. } = stage else { continue };
            if *at <= now {
                due.push(file.clone());
            } else {
                next = Some(next.map_or(*at, |next| next.min(*at)));
            }
        }
        (due, next)
    }

    /// As the core's decision wants it. Files whose names are none concern nobody else.
    pub(super) fn changes(
        &self,
        waiting: &BTreeMap<FileKey, Waiting>,
    ) -> BTreeMap<File<ComponentKey>, Change<ComponentKey>> {
        let change = |(key, item): (&FileKey, &Item)| {
            let names = match &item.stage {
                Stage::Module(module) => names(&module.spec).collect(),
                _ => BTreeSet::new(),
            };
            // What waits for a person goes into force as little as what is of no use.
            let waits = waiting.contains_key(key);
            let readiness = if waits { Readiness::Bad } else { readiness(&item.stage) };
            let change = Change { batch: item.batch, readiness, names };
            Some((subject(key)?, change))
        };
        self.items.iter().filter_map(change).collect()
    }
}

fn readiness(stage: &Stage) -> Readiness {
    match stage {
        Stage::Writing | Stage::Loading | Stage::Trying(_) => Readiness::Coming,
        Stage::Module(_) | Stage::Component { .. } => Readiness::Good,
        Stage::Mistaken(_) | Stage::Refused { .. } => Readiness::Bad,
    }
}

/// The components that a module names.
pub(super) fn names(spec: &ModuleSpec) -> impl Iterator<Item = ComponentKey> {
    let script = (ComponentKind::RestartScript, spec.restart.script.clone());
    let checkers = spec.checkers.values().filter_map(|checker| match &checker.subject {
        Subject::Component(component) => Some((ComponentKind::Checker, component.component.clone())),
        Subject::Process(_) => None,
    });
    std::iter::once(script).chain(checkers)
}

/// What a file is about, if its name is one.
pub(super) fn subject(file: &FileKey) -> Option<File<ComponentKey>> {
    let component = |kind| Some(File::Component((kind, ComponentName::new(&file.stem).ok()?)));
    match file.folder {
        Folder::Modules => Some(File::Module(ModuleName::new(&file.stem).ok()?)),
        Folder::Checkers => component(ComponentKind::Checker),
        Folder::RestartScripts => component(ComponentKind::RestartScript),
    }
}

/// The file of a module or component.
pub(super) fn file_of(subject: &File<ComponentKey>) -> FileKey {
    let (folder, stem) = match subject {
        File::Module(module) => (Folder::Modules, module.as_str()),
        File::Component((ComponentKind::Checker, name)) => (Folder::Checkers, name.as_str()),
        File::Component((ComponentKind::RestartScript, name)) => (Folder::RestartScripts, name.as_str()),
    };
    FileKey { folder, stem: stem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(stem: &str) -> FileKey {
        FileKey { folder: Folder::Checkers, stem: stem.to_owned() }
    }

    fn refused() -> Stage {
        Stage::Refused { retry: None }
    }

    #[test]
    fn files_that_change_while_another_is_on_its_way_belong_together() {
        let mut pending = Pending::default();
        pending.changed(&file("a"), Stage::Writing);
        pending.changed(&file("b"), Stage::Loading);
        pending.advance(&file("a"), refused());
        pending.advance(&file("b"), refused());
        pending.changed(&file("c"), Stage::Writing);
        let batches: Vec<u64> = pending.items.values().map(|item| item.batch).collect();
        assert_eq!(batches, [1, 1, 2]);
        // What is changed again stays with what it was changed with.
        pending.changed(&file("a"), Stage::Writing);
        assert_eq!(pending.items[&file("a")].batch, 1);
    }

    #[test]
    fn a_file_in_quarantine_is_due_at_its_time() {
        let at = Moment::from_micros;
        let mut pending = Pending::default();
        for (stem, moment) in [("a", 5), ("b", 9)] {
            pending.changed(&file(stem), Stage::Refused { retry: Some(at(moment)) });
        }
        pending.changed(&file("c"), refused());
        assert_eq!(pending.due(at(4)), (vec![], Some(at(5))));
        assert_eq!(pending.due(at(5)), (vec![file("a")], Some(at(9))));
    }
}
