//! Loaded: what to load, and how to handle the result.

use std::time::Duration;

use super::event::{Loaded, Refusal};
use super::file::FileKey;
use super::pending::Stage;
use super::version::{ComponentFile, LoadId, ModuleFile, Origin, numbered};
use super::{Action, Reload};
use crate::moment::Moment;
use crate::quarantine::Case;
use crate::record::RecordKind;

/// The delay before a file that cannot be read is read again.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(1);

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// Loads a file that has changed. Results of earlier loads are ignored.
    pub(super) fn load(&mut self, file: &FileKey) {
        self.rereading.remove(file);
        let load = self.next_load();
        self.pending.changed(file, Stage::Loading(load));
        self.undecided = true;
        self.ask_for_load(file, load);
    }

    /// Loads a file again, if it still exists.
    pub(super) fn load_again(&mut self, file: &FileKey) {
        if self.folders.known.contains_key(file) {
            self.load(file);
        } else {
            self.pending.advance(file, Stage::Refused { retry: None });
        }
    }

    /// Other things that a module's file needs (a program, a folder) may exist now. Until that is known, the file
    /// counts as invalid.
    pub(super) fn reread_mistaken(&mut self) {
        for file in self.pending.files(|stage| matches!(stage, Stage::Mistaken)) {
            if self.folders.known.contains_key(&file) && !self.rereading.contains_key(&file) {
                let load = self.next_load();
                self.rereading.insert(file.clone(), load);
                self.ask_for_load(&file, load);
            }
        }
    }

    pub(super) fn next_load(&mut self) -> LoadId {
        self.last_load.0 += 1;
        self.last_load
    }

    fn ask_for_load(&mut self, file: &FileKey, load: LoadId) {
        let size = self.folders.known.get(file).map_or(0, |stamp| stamp.size);
        let quarantined = self.quarantine.held(&file.name(), self.now);
        self.actions.push(Action::Load { file: file.clone(), load, size, quarantined });
    }

    /// Handles the loaded content, unless the file has changed again since.
    pub(super) fn loaded(&mut self, file: &FileKey, load: LoadId, loaded: Loaded<M, C>) {
        if self.stored_loaded(file, load, &loaded) {
            return;
        }
        let reread = self.rereading.get(file) == Some(&load);
        if reread {
            self.rereading.remove(file);
        }
        let expected = match self.pending.stage(file) {
            Some(Stage::Loading(expected)) => *expected == load,
            Some(Stage::Mistaken) => reread,
            _ => false,
        };
        if !expected {
            return;
        }
        self.undecided = true;
        self.on_disk(file, loaded.digest());
        let stage = match loaded {
            Loaded::Module(Ok(module)) => self.module_loaded(load, module),
            Loaded::Module(Err(mistakes)) => {
                self.refuse(file, mistakes, None);
                Some(Stage::Mistaken)
            }
            Loaded::Component(Ok(component)) => self.component_loaded(file, load, component),
            Loaded::Component(Err(refusal)) => Some(self.component_refused(file, refusal)),
        };
        match stage {
            Some(stage) => match self.unchanged(file, stage) {
                Some(stage) => self.pending.advance(file, stage),
                None => self.pending.remove(file),
            },
            None => self.settled(file),
        }
    }

    /// `None` if the content is the active one.
    fn module_loaded(&mut self, load: LoadId, module: ModuleFile<M>) -> Option<Stage<M, C>> {
        let new = numbered(load, module);
        if let Some(active) = self.modules.get_mut(&new.file.name)
            && active.file.content == new.file.content
        {
            // Positions in the file may differ.
            *active = new;
            return None;
        }
        Some(Stage::Module(new))
    }

    /// `None` if it is the active version.
    fn component_loaded(
        &mut self,
        file: &FileKey,
        load: LoadId,
        component: ComponentFile<C>,
    ) -> Option<Stage<M, C>> {
        let active = file.component().and_then(|key| self.components.get(&key));
        if active.is_some_and(|active| active.digest() == component.digest && active.origin == Origin::File) {
            return None;
        }
        // It may have been quarantined while it was compiled.
        if let Some(case) = self.quarantine.holds(&file.name(), &component.digest, self.now).cloned() {
            return Some(self.refuse_quarantined(file, case));
        }
        Some(Stage::Component { component: numbered(load, component), tried: false })
    }

    fn component_refused(&mut self, file: &FileKey, refusal: Refusal) -> Stage<M, C> {
        match refusal {
            Refusal::Broken { digest, why } => self.quarantine(file, &digest, why),
            Refusal::Quarantined { digest } => {
                match self.quarantine.holds(&file.name(), &digest, self.now).cloned() {
                    Some(case) => self.refuse_quarantined(file, case),
                    // Its quarantine has ended in the meantime.
                    None => Stage::Refused { retry: Some(self.now) },
                }
            }
            Refusal::Unreadable(_) => {
                self.refuse(file, refusal.to_string(), None);
                Stage::Refused { retry: Some(self.now + READ_AGAIN) }
            }
            Refusal::Unsuitable(_) => {
                self.refuse(file, refusal.to_string(), None);
                Stage::Refused { retry: None }
            }
        }
    }

    fn refuse_quarantined(&mut self, file: &FileKey, case: Case) -> Stage<M, C> {
        let retry = Some(case.next);
        self.refuse(file, case.why.clone(), Some(case));
        Stage::Refused { retry }
    }

    /// This version has failed, and is not tried again for a while.
    pub(super) fn quarantine(&mut self, file: &FileKey, digest: &str, why: String) -> Stage<M, C> {
        let what = file.name();
        let case = self.quarantine.put(&what, digest, &why, self.now);
        self.refuse(file, why, Some(case.clone()));
        let Case { digest, why, tries, next, .. } = case;
        let kind = RecordKind::Quarantine { what, digest, why, tries, next };
        self.actions.push(Action::Note { module: None, kind });
        self.actions.push(Action::KeepQuarantine(self.quarantine.clone()));
        Stage::Refused { retry: Some(next) }
    }

    /// Loads the files whose retry is due.
    pub(super) fn retry(&mut self, now: Moment) {
        for file in self.pending.due(now) {
            self.load_again(&file);
        }
    }
}
