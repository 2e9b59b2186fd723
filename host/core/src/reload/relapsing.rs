//! On probation, and after it: a version stays, or is rolled back and quarantined.
//!
//! The modules' files that became active together with it are rolled back with it. Other components of the same
//! change stay. A component that does not accept the config of a file that was rolled back breaks in its next runs,
//! and is rolled back as well if it is still on probation.

use std::sync::Arc;

use super::activating::Edit;
use super::event::Run;
use super::file::{ComponentKey, FileKey};
use super::pending::Stage;
use super::version::{ComponentVersion, Origin};
use super::{Action, Reload};
use crate::change_set::File;

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// A run of a checker has ended.
    pub(super) fn ran(&mut self, run: &Run) {
        let Some(active) = self.components.get_mut(&run.component) else { return };
        if active.conduct.ran(&run.digest, &run.user, &run.ending) {
            self.roll_back(&run.component);
        } else {
            active.forget_proved();
            if !active.conduct.on_probation() {
                self.sets.remove(&run.component);
            }
        }
    }

    /// Activates again what was active before a version that has relapsed, with the modules' files that came with
    /// it.
    fn roll_back(&mut self, key: &ComponentKey) {
        let Some(active) = self.components.get_mut(key) else { return };
        let Some((digest, why)) = active.conduct.relapse() else { return };
        let (digest, why) = (digest.to_owned(), format!("rolled back: {why}"));
        let again = active.roll_back();
        let edits = self.sets.remove(key).unwrap_or_default();
        // A file that has been edited since stays as it is.
        let edits = edits.into_iter().filter(|edit| self.is_active(edit)).collect::<Vec<_>>();
        let content =
            again.iter().map(|(version, origin)| (key.clone(), version.file.content.clone(), *origin));
        self.actions.push(Action::Activate {
            components: content.collect(),
            modules: edits.iter().map(|edit| edit.before.file.content.clone()).collect(),
            together: true,
        });
        let file = FileKey::of(&File::Component(key.clone()));
        if let Some((again, _)) = &again {
            self.remember_asked(&file, &again.file.asks);
        }
        let mut held = Vec::new();
        let stage = self.quarantine(&file, &digest, why);
        match self.pending.stage(&file) {
            None => held.push((file, stage)),
            // A newer version is pending already; it may be the one that is active again.
            Some(newer) if newer.component().is_some_and(|newer| is_file_of(newer, again.as_ref())) => {
                self.settled(&file);
            }
            Some(_) => {}
        }
        for Edit { before, since } in edits {
            let file = FileKey::of(&File::Module(since.file.name.clone()));
            match self.pending.stage(&file) {
                None => held.push((file, Stage::Module(since))),
                Some(Stage::Module(newer)) if newer.file.content == before.file.content => {
                    self.settled(&file);
                }
                Some(_) => {}
            }
            self.introduce(before);
        }
        self.pending.together(held);
        self.undecided = true;
    }

    fn is_active(&self, edit: &Edit<M>) -> bool {
        let active = self.modules.get(&edit.since.file.name);
        active.is_some_and(|active| {
            Arc::ptr_eq(active, &edit.since) || active.file.content == edit.since.file.content
        })
    }
}

/// Whether a version that was loaded from a file is this one.
fn is_file_of<C>(version: &ComponentVersion<C>, active: Option<&(ComponentVersion<C>, Origin)>) -> bool {
    active
        .is_some_and(|(active, origin)| active.file.digest == version.file.digest && *origin == Origin::File)
}
