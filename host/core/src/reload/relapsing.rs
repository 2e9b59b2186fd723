//! On probation, and after it: a version stays, or is rolled back and quarantined.
//!
//! The modules' files that became active together with it go back with it, and the other components on probation that
//! came with those files: they may not take the config of a file that has gone back. All of them wait for the version
//! that has relapsed, and come again with it or with a better one. A component whose new version has proved itself, or
//! that has no version before it, stays.

use std::sync::Arc;

use super::activating::{Active, Edit};
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
        let could_go_back = active.can_go_back();
        if active.conduct.ran(&run.digest, &run.user, &run.ending) {
            self.roll_back(&run.component);
        } else {
            active.forget_proved();
            self.unkept |= active.can_go_back() != could_go_back;
            if !active.conduct.on_probation() {
                self.sets.remove(&run.component);
            }
        }
    }

    /// Makes active again what was there before a version that has relapsed, with all that came with it.
    fn roll_back(&mut self, relapsed: &ComponentKey) {
        let Some(active) = self.components.get(relapsed) else { return };
        let Some((digest, why)) = active.conduct.relapse() else { return };
        let (digest, why) = (digest.to_owned(), format!("rolled back: {why}"));
        let (keys, edits) = self.take_set(relapsed);
        let returns: Vec<Return<C>> = keys.into_iter().filter_map(|key| self.go_back(key)).collect();
        self.actions.push(Action::Activate {
            components: returns.iter().map(Return::content).collect(),
            modules: edits.iter().map(|edit| edit.before.file.content.clone()).collect(),
            together: true,
        });
        let mut held = Vec::new();
        let file = FileKey::of(&File::Component(relapsed.clone()));
        let stage = self.quarantine(&file, &digest, why);
        if self.pending.stage(&file).is_none() {
            held.push((file, stage));
        }
        for Return { key, since, again, origin } in returns {
            let file = FileKey::of(&File::Component(key.clone()));
            self.remember_asked(&file, &again.file.asks);
            match self.pending.stage(&file) {
                None if key != *relapsed => {
                    held.push((file, Stage::Component { component: since, tried: true }));
                }
                // A newer version is on its way already; perhaps it is the one that is active again.
                Some(newer) if newer.component().is_some_and(|newer| is_file_of(newer, &again, origin)) => {
                    self.settled(&file);
                }
                None | Some(_) => {}
            }
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
        (self.undecided, self.unkept) = (true, true);
    }

    /// What goes back with this component: the edits of modules' files that came with it, and the other components on
    /// probation that came with one of those. A file that has been edited since stays as it is.
    fn take_set(&mut self, key: &ComponentKey) -> (Vec<ComponentKey>, Vec<Edit<M>>) {
        let (mut keys, mut edits): (Vec<ComponentKey>, Vec<Edit<M>>) = (vec![key.clone()], Vec::new());
        let mut next = 0;
        while let Some(key) = keys.get(next).cloned() {
            next += 1;
            for edit in self.sets.remove(&key).unwrap_or_default() {
                if !self.is_active(&edit) || edits.iter().any(|known| known.is_of_module_of(&edit)) {
                    continue;
                }
                let came_with_it = |(key, with): &(&ComponentKey, &Vec<Edit<M>>)| {
                    let can_go_back = self.components.get(*key).is_some_and(Active::can_go_back);
                    can_go_back && with.iter().any(|other| Arc::ptr_eq(&other.since, &edit.since))
                };
                let others = self.sets.iter().filter(came_with_it).map(|(key, _)| key.clone());
                let others: Vec<ComponentKey> = others.filter(|key| !keys.contains(key)).collect();
                keys.extend(others);
                edits.push(edit);
            }
        }
        (keys, edits)
    }

    /// The version before this one is active again, if there is one.
    fn go_back(&mut self, key: ComponentKey) -> Option<Return<C>> {
        let active = self.components.get_mut(&key)?;
        let since = ComponentVersion::clone(&active.version);
        let (again, origin) = active.roll_back()?;
        Some(Return { key, since, again, origin })
    }

    fn is_active(&self, edit: &Edit<M>) -> bool {
        let active = self.modules.get(&edit.since.file.name);
        active.is_some_and(|active| {
            Arc::ptr_eq(active, &edit.since) || active.file.content == edit.since.file.content
        })
    }
}

/// A component that has gone back from one version to the one before.
struct Return<C> {
    key: ComponentKey,
    since: ComponentVersion<C>,
    again: ComponentVersion<C>,
    origin: Origin,
}

impl<C: Clone> Return<C> {
    fn content(&self) -> (ComponentKey, C, Origin) {
        (self.key.clone(), self.again.file.content.clone(), self.origin)
    }
}

/// Whether a version that was loaded from a file is the one that is active again.
fn is_file_of<C>(version: &ComponentVersion<C>, again: &ComponentVersion<C>, origin: Origin) -> bool {
    again.file.digest == version.file.digest && origin == Origin::File
}
