//! Tried: one run of a new version before it becomes active, compared with the previous version.

use super::Reload;
use super::action::{Action, Trial};
use super::file::{ComponentKey, ComponentKind, FileKey};
use super::pending::Stage;
use super::version::{ComponentVersion, LoadId, ModuleVersion};
use crate::change_set::{Decision, File};
use crate::id::CheckerName;
use crate::probation::{Ending, judge};

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// Begins the trial runs of versions that have not been tried. Returns whether there are any.
    pub(super) fn try_out(&mut self, decision: &Decision<ComponentKey>) -> bool {
        let mut begun = false;
        for subject in &decision.apply {
            let File::Component(key) = subject else { continue };
            let file = FileKey::of(subject);
            let Some(Stage::Component { component, tried: false }) = self.pending.stage(&file) else {
                continue;
            };
            let component = component.clone();
            let modules = self.after(decision);
            let Some((module, checker)) = self.comparable_user(key, &modules) else { continue };
            let Some(before) = self.components.get(key) else { continue };
            let name = &module.file.name;
            let trial = match &checker {
                Some(checker) => format!("its trial run for checker `{checker}` of module `{name}`"),
                None => format!("its trial plan for module `{name}`"),
            };
            self.actions.push(Action::Try(Trial {
                file: file.clone(),
                load: component.load,
                candidate: component.file.content.clone(),
                before: before.version.file.content.clone(),
                module: module.file.content.clone(),
                checker,
            }));
            self.pending.advance(&file, Stage::Trying { component, trial });
            begun = true;
        }
        begun
    }

    /// The first user of an active component that a new version can be compared for: an active checker whose last
    /// run has answered, or an active module that has it as its restart script.
    fn comparable_user(
        &self,
        key: &ComponentKey,
        modules: &[&ModuleVersion<M>],
    ) -> Option<(ModuleVersion<M>, Option<CheckerName>)> {
        let active = self.components.get(key)?;
        // A checker that is added with the new version has no state to run with, and may have had another
        // component.
        let has = |module: &ModuleVersion<M>, checker: &CheckerName| {
            let active = self.modules.get(&module.file.name);
            active.is_some_and(|active| {
                active
                    .file
                    .uses
                    .iter()
                    .any(|its| its.component == *key && its.checker.as_ref() == Some(checker))
            })
        };
        let is_comparable = |module: &ModuleVersion<M>, checker: Option<&CheckerName>| match (key.0, checker)
        {
            (ComponentKind::RestartScript, None) => true,
            (ComponentKind::Checker, Some(checker)) => {
                let user = (module.file.name.clone(), checker.clone());
                has(module, checker) && active.conduct.last(&user) == Some(&Ending::Answered)
            }
            _ => false,
        };
        let active_modules = modules.iter().filter(|module| self.modules.contains_key(&module.file.name));
        active_modules.copied().find_map(|module| {
            let of_key = module.file.uses.iter().filter(|its| its.component == *key);
            let mut checkers = of_key.map(|its| its.checker.as_ref());
            let checker = checkers.find(|checker| is_comparable(module, *checker))?;
            Some((ModuleVersion::clone(module), checker.cloned()))
        })
    }

    /// A trial run has ended.
    pub(super) fn tried(&mut self, file: &FileKey, load: LoadId, before: &Ending, now: &Ending) {
        let Some(Stage::Trying { component, trial }) = self.pending.stage(file) else { return };
        if component.load != load {
            return;
        }
        let stage = match judge(before, now) {
            Ok(()) => Stage::Component { component: ComponentVersion::clone(component), tried: true },
            Err(why) => {
                let (digest, why) = (component.file.digest.clone(), format!("{trial}: {why}"));
                self.quarantine(file, &digest, why)
            }
        };
        self.undecided = true;
        self.pending.advance(file, stage);
    }
}
