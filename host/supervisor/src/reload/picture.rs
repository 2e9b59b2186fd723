//! What the core is shown, so that it can say what goes into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_core::change_set::{self, Decision, File, Picture, Version};
use bellwether_core::id::{ComponentName, ModuleName};

use super::folders::FileKey;
use super::pending::{Pending, Stage, names, subject};
use crate::registry::{ComponentKey, Registry, Waiting};
use bellwether_config::spec::ModuleSpec;
use bellwether_config::{Mistakes, Sourced, check_module};

/// Both versions of everything that could be in force. Can be decided on any thread.
pub(super) struct Material {
    picture: Picture<ComponentKey>,
    modules: BTreeMap<(ModuleName, Version), Arc<Sourced<ModuleSpec>>>,
    /// The schemas of their configs.
    components: BTreeMap<(ComponentKey, Version), String>,
}

impl Material {
    pub(super) fn new(
        pending: &Pending,
        in_force: &BTreeMap<ModuleName, Arc<Sourced<ModuleSpec>>>,
        registry: &Registry,
        waiting: &BTreeMap<FileKey, Waiting>,
    ) -> Self {
        let mut modules = BTreeMap::new();
        let mut components = BTreeMap::new();
        for (name, module) in in_force {
            modules.insert((name.clone(), Version::InForce), Arc::clone(module));
        }
        for (key, entry) in registry.entries().iter() {
            if let Some((component, _)) = &entry.component {
                let schema = component.about().config_schema.clone();
                components.insert((key.clone(), Version::InForce), schema);
            }
        }
        for (file, stage) in pending.iter() {
            match (subject(file), stage) {
                (Some(File::Module(name)), Stage::Module(module)) => {
                    modules.insert((name, Version::New), Arc::clone(module));
                }
                (
                    Some(File::Component(key)),
                    Stage::Component { component, .. } | Stage::Trying(component),
                ) => {
                    components.insert((key, Version::New), component.about().config_schema.clone());
                }
                _ => {}
            }
        }
        let in_force =
            in_force.iter().map(|(name, module)| (name.clone(), names(&module.spec).collect())).collect();
        let picture = Picture { in_force, changed: pending.changes(waiting) };
        Self { picture, modules, components }
    }

    /// Lets the core decide.
    pub(super) fn decide(&self) -> Decision<ComponentKey> {
        change_set::decide(&self.picture, &|module, of_module, component, of_component| {
            let Some(module) = self.modules.get(&(module.clone(), of_module)) else { return Ok(()) };
            let schema = self.components.get(&(component.clone(), of_component));
            fit(module, component, schema).map_err(|mistakes| sentence(&mistakes))
        })
    }

    /// Every mistake that a module's new file makes about components, as they are once this
    /// decision is in force.
    pub(super) fn mistakes(&self, name: &ModuleName, decision: &Decision<ComponentKey>) -> Option<Mistakes> {
        let module = self.modules.get(&(name.clone(), Version::New))?;
        let known = |kind, name: &ComponentName| {
            let key = (kind, name.clone());
            let new = decision.apply.contains(&File::Component(key.clone()));
            let version = if new { Version::New } else { Version::InForce };
            self.components.get(&(key, version)).cloned()
        };
        check_module(module, &known).err()
    }
}

/// Whether the module fits this one component, if this is its schema; all others do not matter.
fn fit(
    module: &Sourced<ModuleSpec>,
    component: &ComponentKey,
    schema: Option<&String>,
) -> Result<(), Mistakes> {
    check_module(module, &|kind, name| {
        let meant = (kind, name) == (component.0, &component.1);
        if meant { schema.cloned() } else { Some("{}".to_owned()) }
    })
}

/// All mistakes of a file on one line.
pub(super) fn sentence(mistakes: &Mistakes) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
