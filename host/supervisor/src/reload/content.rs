//! Describes loaded files for the core, and identifies them in its actions.

use std::iter::once;
use std::sync::Arc;

use bellwether_core::reload::{ComponentFile, ModuleFile, Use};

use bellwether_config::spec::{ModuleSpec, Subject};
use bellwether_config::{ComponentKind, Sourced};
use bellwether_sandbox::component::Component;

/// A module's file. Two are equal if they have the same content, apart from their names.
#[derive(Debug, Clone)]
pub(super) struct ModuleContent(pub(super) Arc<Sourced<ModuleSpec>>);

impl PartialEq for ModuleContent {
    fn eq(&self, other: &Self) -> bool {
        let ModuleSpec { name: _, restart, commands, health, checkers } = self.spec();
        let other = other.spec();
        (restart, commands, health, checkers)
            == (&other.restart, &other.commands, &other.health, &other.checkers)
    }
}

impl ModuleContent {
    pub(super) fn spec(&self) -> &ModuleSpec {
        &self.0.spec
    }

    pub(super) fn text(&self) -> &str {
        self.0.source.text()
    }
}

/// BLAKE3 in hexadecimal.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

pub(super) fn module_file(module: Sourced<ModuleSpec>) -> ModuleFile<ModuleContent> {
    let spec = &module.spec;
    let script = Use {
        component: (ComponentKind::RestartScript, spec.restart.script.clone()),
        checker: None,
        grants: Arc::clone(&spec.restart.grants),
    };
    let checkers = spec.checkers.values().filter_map(|checker| match &checker.definition.subject {
        Subject::Component(component) => Some(Use {
            component: (ComponentKind::Checker, component.component.clone()),
            checker: Some(checker.name.clone()),
            grants: Arc::clone(&component.grants),
        }),
        Subject::Process(_) => None,
    });
    let uses = once(script).chain(checkers).collect();
    let digest = digest_of(module.source.text().as_bytes());
    ModuleFile { name: spec.name.clone(), digest, uses, content: ModuleContent(Arc::new(module)) }
}

pub(super) fn component_file(component: Component) -> ComponentFile<Component> {
    let about = component.about();
    ComponentFile {
        digest: component.digest().to_owned(),
        version: about.version.clone(),
        asks: about.grants.clone(),
        content: component,
    }
}
