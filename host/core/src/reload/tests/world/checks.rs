//! Checks of everything that becomes active.

use super::files::fits;
use super::{Behaviour, Component, ComponentKey, Content, File, FileKey, Origin, World, key};

impl World {
    /// Checks that everything that becomes active works together.
    pub(super) fn activate(
        &mut self,
        components: &[(ComponentKey, Component, Origin)],
        modules: Vec<Content>,
    ) {
        let was_active = |component: &Component| {
            self.activated.iter().flatten().any(|before| *before == component.number.to_string())
        };
        // A version that is rolled back to is better than none, whatever has been edited since.
        let rolled_back = components.iter().any(|(_, component, _)| was_active(component));
        for (key, component, origin) in components {
            assert!(component.behaviour != Behaviour::Garbage, "{key:?}");
            if *origin == Origin::File && !was_active(component) {
                let answers = self.still_answers(key, &modules);
                assert!(
                    component.behaviour != Behaviour::Breaks || !answers,
                    "it broke in its trial: {key:?}"
                );
            }
        }
        let before = (self.components.clone(), self.modules.clone());
        let numbers = components.iter().map(|(_, component, _)| component.number.to_string());
        let names = modules.iter().map(|module| module.0.name.to_string());
        self.activated.push(numbers.chain(names).collect());
        for (key, component, origin) in components {
            self.components.insert(key.clone(), (*component, *origin));
            self.answered.retain(|(of, _)| of != key);
        }
        for Content(module) in modules {
            self.modules.insert(module.name.clone(), module);
        }
        // The answer of a checker counts as long as the module has it.
        let modules = &self.modules;
        self.answered.retain(|(of, name)| {
            modules.get(name).is_none_or(|module| module.says.uses.contains(&of.1.as_str()))
        });
        for module in self.modules.values() {
            for name in &module.says.uses {
                let (new, old) = (self.components.get(&key(name)), before.0.get(&key(name)));
                let same = new == old && before.1.get(&module.name) == Some(module);
                let fit = fits(module, new.map(|(component, _)| component));
                assert!(rolled_back || same || fit.is_ok(), "{module:?} and {name}: {fit:?}");
            }
        }
        self.check_approvals(components);
    }

    /// Whether a checker that has answered still uses the component once these modules are active.
    fn still_answers(&self, component: &ComponentKey, modules: &[Content]) -> bool {
        self.answered.iter().filter(|(of, _)| of == component).any(|(_, name)| {
            let new = modules.iter().map(|module| &module.0).find(|module| module.name == *name);
            let module = new.or_else(|| self.modules.get(name));
            module.is_some_and(|module| module.says.uses.contains(&component.1.as_str()))
        })
    }

    /// A component that requests more than before was granted it, or approved.
    fn check_approvals(&self, components: &[(ComponentKey, Component, Origin)]) {
        for (component, active, origin) in components {
            let what = FileKey::of(&File::Component(component.clone())).name();
            let Some(asked) = self.approvals.asked(&what) else { continue };
            let approved = self.approvals.is_approved(&what, &active.number.to_string());
            let mut users = self.modules.values().filter(|it| it.says.uses.contains(&component.1.as_str()));
            let all_grant = users.all(|module| module.says.grants);
            let wider = *origin == Origin::File && active.asks && asked.is_empty();
            let is_back =
                self.activated.iter().flatten().filter(|it| **it == active.number.to_string()).count() > 1;
            assert!(!wider || approved || all_grant || is_back, "{what}: {active:?}");
        }
    }
}
