//! The files that have changed and are not active, and the stage of each.
//!
//! ```text
//!             settled           read, compiled, described          fits, tried, approved
//!   Writing ─────────▶ Loading ────────────────▶ Module, Component ────────────────▶ active
//!      ▲                 │                                   │ ▲
//!      │ changed again   │ cannot be used  broke, relapsed   ▼ │ answered
//!   (any of them)        └──▶ Mistaken, Refused ◀───────── Trying
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::approvals::Waiting;
use super::file::{ComponentKey, FileKey};
use super::version::{ComponentVersion, LoadId, ModuleVersion};
use crate::change_set::{ChangedFile, File, Readiness};
use crate::moment::Moment;

/// The stage of a file.
#[derive(Debug)]
pub(super) enum Stage<M, C> {
    /// It differs from what is known, and may still be being written.
    Writing,
    /// Being read, checked and compiled.
    Loading(LoadId),
    /// A module's file without errors of its own.
    Module(ModuleVersion<M>),
    /// A component that could run.
    Component {
        component: ComponentVersion<C>,
        /// Its trial run has answered, or there is nothing to compare it with.
        tried: bool,
    },
    /// Its trial run is in progress.
    Trying {
        component: ComponentVersion<C>,
        /// `its trial run for checker …`
        trial: String,
    },
    /// A module's file with errors.
    Mistaken,
    /// A component that cannot be used.
    Refused {
        /// When it is loaded again.
        retry: Option<Moment>,
    },
}

impl<M, C> Stage<M, C> {
    pub(super) fn readiness(&self) -> Readiness {
        match self {
            Self::Writing | Self::Loading(_) | Self::Trying { .. } => Readiness::Coming,
            Self::Module(_) | Self::Component { .. } => Readiness::Good,
            Self::Mistaken | Self::Refused { .. } => Readiness::Bad,
        }
    }

    /// The component, if it is one that could run.
    pub(super) fn component(&self) -> Option<&ComponentVersion<C>> {
        match self {
            Self::Component { component, .. } | Self::Trying { component, .. } => Some(component),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Item<M, C> {
    batch: u64,
    stage: Stage<M, C>,
}

/// All files that are not active.
#[derive(Debug)]
pub(super) struct Pending<M, C> {
    items: BTreeMap<FileKey, Item<M, C>>,
    batch: u64,
}

impl<M, C> Default for Pending<M, C> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), batch: 0 }
    }
}

impl<M, C> Pending<M, C> {
    /// A file has changed. It is grouped with the files that are changing at this moment.
    pub(super) fn changed(&mut self, file: &FileKey, stage: Stage<M, C>) {
        if let Some(item) = self.items.get_mut(file) {
            item.stage = stage;
            return;
        }
        if !self.on_the_way() {
            self.batch += 1;
        }
        self.items.insert(file.clone(), Item { batch: self.batch, stage });
    }

    /// Groups these files, so that they wait for each other.
    pub(super) fn together(&mut self, files: Vec<(FileKey, Stage<M, C>)>) {
        self.batch += 1;
        let items = files.into_iter().map(|(file, stage)| (file, Item { batch: self.batch, stage }));
        self.items.extend(items);
    }

    /// No other file waits for those that cannot be used.
    pub(super) fn separate_bad(&mut self) {
        for item in self.items.values_mut().filter(|item| item.stage.readiness() == Readiness::Bad) {
            self.batch += 1;
            item.batch = self.batch;
        }
    }

    /// Ungroups this file: no other file waits for it.
    pub(super) fn separate(&mut self, file: &FileKey) {
        if let Some(item) = self.items.get_mut(file) {
            self.batch += 1;
            item.batch = self.batch;
        }
    }

    /// Sets the next stage of a file that is still wanted.
    pub(super) fn advance(&mut self, file: &FileKey, stage: Stage<M, C>) {
        if let Some(item) = self.items.get_mut(file) {
            item.stage = stage;
        }
    }

    pub(super) fn stage(&self, file: &FileKey) -> Option<&Stage<M, C>> {
        self.items.get(file).map(|item| &item.stage)
    }

    pub(super) fn remove(&mut self, file: &FileKey) {
        self.items.remove(file);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&FileKey) -> bool) {
        self.items.retain(|file, _| keep(file));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&FileKey, &Stage<M, C>)> {
        self.items.iter().map(|(file, item)| (file, &item.stage))
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The files in this stage.
    pub(super) fn files(&self, is: impl Fn(&Stage<M, C>) -> bool) -> Vec<FileKey> {
        self.iter().filter(|(_, stage)| is(stage)).map(|(file, _)| file.clone()).collect()
    }

    /// Whether the file can become active without another event from outside.
    pub(super) fn on_the_way(&self) -> bool {
        self.iter().any(|(_, stage)| stage.readiness() == Readiness::Coming)
    }

    pub(super) fn is_on_the_way(&self, file: &FileKey) -> bool {
        self.stage(file).is_some_and(|stage| stage.readiness() == Readiness::Coming)
    }

    /// Files whose retry is due.
    pub(super) fn due(&self, now: Moment) -> Vec<FileKey> {
        self.files(|stage| matches!(stage, Stage::Refused { retry: Some(at) } if *at <= now))
    }

    /// When the first retry is due.
    pub(super) fn next_due(&self) -> Option<Moment> {
        let retry = |(_, stage): (&FileKey, &Stage<M, C>)| match stage {
            Stage::Refused { retry } => *retry,
            _ => None,
        };
        self.iter().filter_map(retry).min()
    }

    /// In the form for [`change_set`](crate::change_set). Files whose names are not valid concern no other file.
    pub(super) fn changes(
        &self,
        waiting: &BTreeMap<FileKey, Waiting>,
    ) -> BTreeMap<File<ComponentKey>, ChangedFile<ComponentKey>> {
        let change = |(key, item): (&FileKey, &Item<M, C>)| {
            let names = match &item.stage {
                Stage::Module(module) => module.file.names(),
                _ => BTreeSet::new(),
            };
            // A version that waits for approval cannot become active either.
            let waits = waiting.contains_key(key);
            let readiness = if waits { Readiness::Bad } else { item.stage.readiness() };
            Some((key.subject()?, ChangedFile { batch: item.batch, readiness, names }))
        };
        self.items.iter().filter_map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::Folder;
    use super::*;

    type Items = Pending<(), ()>;

    fn file(stem: &str) -> FileKey {
        FileKey { folder: Folder::Checkers, stem: stem.to_owned() }
    }

    #[test]
    fn files_that_change_while_another_is_on_its_way_belong_together() {
        let mut pending = Items::default();
        pending.changed(&file("a"), Stage::Writing);
        pending.changed(&file("b"), Stage::Loading(LoadId(1)));
        pending.advance(&file("a"), Stage::Refused { retry: None });
        pending.advance(&file("b"), Stage::Refused { retry: None });
        pending.changed(&file("c"), Stage::Writing);
        let batches: Vec<u64> = pending.items.values().map(|item| item.batch).collect();
        assert_eq!(batches, [1, 1, 2]);
        // A file that changes again stays with those it was changed with.
        pending.changed(&file("a"), Stage::Writing);
        assert_eq!(pending.items[&file("a")].batch, 1);
    }

    #[test]
    fn a_file_in_quarantine_is_due_at_its_time() {
        let at = Moment::from_micros;
        let mut pending = Items::default();
        for (stem, moment) in [("a", 5), ("b", 9)] {
            pending.changed(&file(stem), Stage::Refused { retry: Some(at(moment)) });
        }
        pending.changed(&file("c"), Stage::Refused { retry: None });
        assert_eq!((pending.due(at(4)), pending.next_due()), (vec![], Some(at(5))));
        assert_eq!(pending.due(at(5)), vec![file("a")]);
        pending.remove(&file("a"));
        assert_eq!(pending.next_due(), Some(at(9)));
    }
}
