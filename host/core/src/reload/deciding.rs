//! Decided: what becomes active now, what is tried first, and what waits.

use std::collections::BTreeMap;

use super::Reload;
use super::action::{Action, Comparison};
use super::approvals::{Waiting, shown};
use super::event::Pair;
use super::file::{ComponentKey, FileKey, Folder};
use super::pending::Stage;
use super::version::{ComponentVersion, LoadId, ModuleVersion};
use crate::change_set::{self, Decision, File, Hold, Picture, Version};
use crate::grant::{Grants, wider};
use crate::id::ModuleName;

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// Activates everything that can be active.
    pub(super) fn decide(&mut self) {
        if !self.undecided || self.modules_are_still_read() {
            return;
        }
        self.undecided = false;
        if self.beginning.is_some() {
            // A file that was invalid all along does not hold back others.
            self.pending.separate_bad();
        }
        if self.ask_for_comparisons() {
            return;
        }
        let mut waiting = BTreeMap::new();
        // Each round finds a version that waits for approval or begins a trial, or is the last: a trial may release
        // something else that has to be tried, too.
        for _ in 0..=2 * self.pending.len() {
            let picture = self.picture(&waiting);
            let decision = change_set::decide(&picture, &|module, of_module, component, of_component| {
                self.fit(module, of_module, component, of_component)
            });
            let unapproved = self.unapproved(&decision);
            if unapproved.is_empty() && !self.try_out(&decision) {
                self.waiting = waiting;
                self.show_waiting();
                self.show_held(&decision);
                self.activate(&decision.apply);
                return;
            }
            for file in unapproved.keys() {
                self.let_others_begin(file);
            }
            waiting.extend(unapproved);
        }
    }

    /// At the start, nothing is decided before it is known which modules use a component, and what they grant it.
    fn modules_are_still_read(&self) -> bool {
        let is_read = |(file, stage): (&FileKey, &Stage<M, C>)| {
            file.folder == Folder::Modules && matches!(stage, Stage::Loading(_))
        };
        self.beginning.is_some() && (self.is_loading_stored() || self.pending.iter().any(is_read))
    }

    /// At the start, modules do not wait for a new version that waits for approval if there is another one.
    fn let_others_begin(&mut self, file: &FileKey) {
        let is_active = file.component().is_some_and(|key| self.standing_component(&key).is_some());
        if self.beginning.is_some() && is_active {
            self.pending.separate(file);
        }
    }

    fn picture(&self, waiting: &BTreeMap<FileKey, Waiting>) -> Picture<ComponentKey> {
        let names = |(name, module): (&ModuleName, &ModuleVersion<M>)| (name.clone(), module.file.names());
        let in_force = self.stored_modules(false).chain(&self.modules).map(names).collect();
        Picture { in_force, changed: self.pending.changes(waiting) }
    }

    /// Requests each comparison that a decision may need and that is not known. Returns whether there are any.
    fn ask_for_comparisons(&mut self) -> bool {
        let needed = self.needed_comparisons();
        self.fits.retain(|pair, _| needed.contains_key(pair));
        let unknown: Vec<_> =
            needed.into_iter().filter(|(pair, _)| !self.fits.contains_key(pair)).map(|(_, it)| it).collect();
        self.comparing = !unknown.is_empty();
        if self.comparing {
            self.actions.push(Action::Compare(unknown));
        }
        self.comparing
    }

    /// Every module that could be active with every component that it names and that could be active, except those
    /// that are active together.
    fn needed_comparisons(&self) -> BTreeMap<Pair, Comparison<M, C>> {
        let mut needed = BTreeMap::new();
        let mut need =
            |module: &ModuleVersion<M>, key: &ComponentKey, version: Option<&ComponentVersion<C>>| {
                let pair = Pair {
                    module: module.load,
                    component: key.clone(),
                    version: version.map(|version| version.load),
                };
                let (content, component) =
                    (&module.file.content, version.map(|version| version.file.content.clone()));
                needed.entry(pair.clone()).or_insert_with(|| Comparison {
                    pair,
                    module: content.clone(),
                    component,
                });
            };
        let new = |key: &ComponentKey| self.new_component(key);
        for (_, module) in self.stored_modules(true) {
            for its in &module.file.uses {
                need(module, &its.component, self.standing_component(&its.component));
            }
        }
        for (_, module) in self.stored_modules(false).chain(&self.modules) {
            for its in &module.file.uses {
                if let Some(component) = new(&its.component) {
                    need(module, &its.component, Some(component));
                }
            }
        }
        for (_, stage) in self.pending.iter() {
            let Stage::Module(module) = stage else { continue };
            for its in &module.file.uses {
                need(module, &its.component, self.standing_component(&its.component));
                if let Some(component) = new(&its.component) {
                    need(module, &its.component, Some(component));
                }
            }
        }
        needed
    }

    /// The changed version of a component, if it could run.
    fn new_component(&self, key: &ComponentKey) -> Option<&ComponentVersion<C>> {
        self.pending.stage(&FileKey::of(&File::Component(key.clone())))?.component()
    }

    /// The changed version of a module's file, if it has no errors of its own.
    fn new_module(&self, name: &ModuleName) -> Option<&ModuleVersion<M>> {
        match self.pending.stage(&FileKey::of(&File::Module(name.clone())))? {
            Stage::Module(module) => Some(module),
            _ => None,
        }
    }

    fn fit(
        &self,
        module: &ModuleName,
        of_module: Version,
        component: &ComponentKey,
        of_component: Version,
    ) -> Result<(), String> {
        let module = match of_module {
            Version::InForce => self.standing_module(module),
            Version::New => self.new_module(module),
        };
        let version = match of_component {
            Version::InForce => self.standing_component(component),
            Version::New => self.new_component(component),
        };
        let Some(module) = module else { return Ok(()) };
        let version = version.map(|version| version.load);
        let pair = Pair { module: module.load, component: component.clone(), version };
        self.fits.get(&pair).cloned().unwrap_or(Ok(()))
    }

    /// Handles the results of comparisons.
    pub(super) fn compared(&mut self, fits: Vec<(Pair, Result<(), String>)>) {
        self.fits.extend(fits);
        (self.comparing, self.undecided) = (false, true);
    }

    /// The modules as they are once this is active.
    pub(super) fn after<'s>(&'s self, decision: &Decision<ComponentKey>) -> Vec<&'s ModuleVersion<M>> {
        let new = |name: &ModuleName| {
            let applied = decision.apply.contains(&File::Module(name.clone()));
            if applied { self.new_module(name) } else { None }
        };
        let active = self.stored_modules(false).chain(&self.modules);
        let active = active.map(|(name, module)| new(name).unwrap_or(module));
        let added = decision.apply.iter().filter_map(|subject| match subject {
            File::Module(name) if self.standing_module(name).is_none() => new(name),
            _ => None,
        });
        active.chain(added).collect()
    }

    /// The versions that request more than the one before them, and more than every module that uses them grants,
    /// and that are not approved.
    fn unapproved(&self, decision: &Decision<ComponentKey>) -> BTreeMap<FileKey, Waiting> {
        let modules = self.after(decision);
        let waiting = decision.apply.iter().filter_map(|subject| {
            let File::Component(key) = subject else { return None };
            let file = FileKey::of(subject);
            let component = &self.new_component(key)?.file;
            let what = file.name();
            if self.approvals.is_approved(&what, &component.digest) {
                return None;
            }
            let active = self.standing_component(key).map(|version| &*version.file.asks);
            let before = self.approvals.asked(&what).or(active)?;
            let more = |grants: &Grants| wider(before, &component.asks, grants);
            let more = modules.iter().flat_map(|module| module.file.grants(key)).flat_map(more);
            let mut asks: Vec<String> = more.map(|request| shown(&request)).collect();
            asks.sort();
            asks.dedup();
            let (digest, version) = (component.digest.clone(), component.version.clone());
            (!asks.is_empty()).then_some((file, Waiting { digest, version, asks }))
        });
        waiting.collect()
    }

    /// Shows why files that could run are not active yet.
    fn show_held(&mut self, decision: &Decision<ComponentKey>) {
        self.unfit.clear();
        for (subject, hold) in &decision.held {
            let file = FileKey::of(subject);
            match (subject, hold) {
                (_, Hold::With(other)) => {
                    let other = FileKey::of(other);
                    if !self.pending.is_on_the_way(&other) {
                        let other = other.name();
                        let why = format!("waits: it was changed together with {other}, which is not active");
                        self.refuse(&file, why, None);
                    }
                }
                (File::Module(name), Hold::Misfit(_, why)) => {
                    self.unfit.push(file.clone());
                    self.ask_for_mistakes(file, name, why.clone(), decision);
                }
                (File::Component(_), Hold::Misfit(module, why)) => {
                    let module = FileKey::of(module).name();
                    let why = format!(
                        "waits: it does not accept the config of {module}: {why}; both are activated together once that file matches"
                    );
                    self.refuse(&file, why, None);
                }
            }
        }
    }

    /// All errors of a module's new file concerning components, with the versions that will be active.
    fn ask_for_mistakes(
        &mut self,
        file: FileKey,
        name: &ModuleName,
        why: String,
        decision: &Decision<ComponentKey>,
    ) {
        let Some(new) = self.new_module(name) else { return };
        let (load, module) = (new.load, new.file.content.clone());
        let will_be_active = |key: ComponentKey| {
            let version = if decision.apply.contains(&File::Component(key.clone())) {
                self.new_component(&key)
            } else {
                self.standing_component(&key)
            };
            let content = version?.file.content.clone();
            Some((key, content))
        };
        let components = new.file.names().into_iter().filter_map(will_be_active).collect();
        self.actions.push(Action::Explain { file, load, module, components, why });
    }

    /// Shows the errors of a module's file that still waits.
    pub(super) fn explained(&mut self, file: &FileKey, load: LoadId, why: String) {
        if matches!(self.pending.stage(file), Some(Stage::Module(module)) if module.load == load) {
            self.refuse(file, why, None);
        }
    }
}
