//! Simulated files, and the results of loading them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::super::{
    ComponentFile, ComponentKey, ComponentKind, FileKey, Folder, Loaded, ModuleFile, Refusal, Use,
};
use crate::grant::{GrantRequest, Grants};
use crate::id::{CheckerName, ComponentName, ModuleName};

/// How a component behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Behaviour {
    Well,
    /// Every run of it breaks.
    Breaks,
    /// Every run except the trial breaks.
    BreaksLater,
    /// It does not compile.
    Garbage,
}

/// The file of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Component {
    /// Stands for its digest.
    pub(in super::super) number: u32,
    pub(in super::super) behaviour: Behaviour,
    /// The only config that it accepts; `None` if it accepts any.
    pub(in super::super) takes: Option<u8>,
    /// Whether it requests facts about processes.
    pub(in super::super) asks: bool,
}

/// The file of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Module {
    pub(in super::super) name: ModuleName,
    pub(in super::super) says: Says,
}

/// Its content, apart from its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Says {
    /// Whether it has errors of its own.
    pub(in super::super) mistaken: bool,
    /// One checker for each of these components, named like it.
    pub(in super::super) uses: Vec<&'static str>,
    /// The config of each of them.
    pub(in super::super) config: u8,
    /// Whether it grants facts about processes.
    pub(in super::super) grants: bool,
}

impl Says {
    /// Stands for the digest of its text.
    pub(in super::super) fn digest(&self) -> String {
        format!("{self:?}")
    }
}

/// The content as the machine compares it: equal whatever the name.
#[derive(Debug, Clone)]
pub(in super::super) struct Content(pub(in super::super) Module);

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.0.says == other.0.says
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum OnDiskFile {
    Component(Component),
    Module(Says),
}

pub(in super::super) fn checker(name: &str) -> FileKey {
    FileKey { folder: Folder::Checkers, stem: name.to_owned() }
}

pub(in super::super) fn module(name: &str) -> FileKey {
    FileKey { folder: Folder::Modules, stem: name.to_owned() }
}

pub(in super::super) fn key(name: &str) -> ComponentKey {
    (ComponentKind::Checker, ComponentName::new(name).unwrap())
}

/// A component that works and accepts any config.
pub(in super::super) fn well(number: u32) -> Component {
    Component { number, behaviour: Behaviour::Well, takes: None, asks: false }
}

pub(in super::super) fn uses(components: &[&'static str]) -> Says {
    Says { uses: components.to_vec(), ..Says::default() }
}

pub(super) fn loaded(component: Component) -> ComponentFile<Component> {
    let asks =
        GrantRequest { kind: "processes".to_owned(), value: String::new(), reason: "to look".to_owned() };
    ComponentFile {
        digest: component.number.to_string(),
        version: format!("0.{}", component.number),
        asks: component.asks.then_some(asks).into_iter().collect(),
        content: component,
    }
}

pub(super) fn fits(module: &Module, component: Option<&Component>) -> Result<(), String> {
    match component {
        None => Err("no such component".to_owned()),
        Some(component) if component.takes.is_none_or(|takes| takes == module.says.config) => Ok(()),
        Some(_) => Err(format!("does not take {}", module.says.config)),
    }
}

pub(super) fn result(
    file: &FileKey,
    content: Option<OnDiskFile>,
    quarantined: &BTreeSet<String>,
) -> Loaded<Content, Component> {
    match content {
        Some(OnDiskFile::Component(component)) => Loaded::Component({
            let digest = component.number.to_string();
            if quarantined.contains(&digest) {
                Err(Refusal::Quarantined { digest })
            } else if component.behaviour == Behaviour::Garbage {
                Err(Refusal::Broken { digest, why: "not a component".to_owned() })
            } else {
                Ok(loaded(component))
            }
        }),
        Some(OnDiskFile::Module(says)) if says.mistaken => Loaded::Module(Err("a mistake".to_owned())),
        Some(OnDiskFile::Module(says)) => {
            let name = ModuleName::new(&file.stem).unwrap();
            let grants = Arc::new(Grants { processes: says.grants, ..Grants::default() });
            let script = (ComponentKind::RestartScript, ComponentName::new("script").unwrap());
            let script = Use { component: script, checker: None, grants: Arc::clone(&grants) };
            let checkers = says.uses.iter().map(|name| Use {
                component: key(name),
                checker: Some(CheckerName::new(name).unwrap()),
                grants: Arc::clone(&grants),
            });
            let uses = std::iter::once(script).chain(checkers).collect();
            Loaded::Module(Ok(ModuleFile {
                name: name.clone(),
                digest: says.digest(),
                uses,
                content: Content(Module { name, says }),
            }))
        }
        None if file.folder == Folder::Modules => Loaded::Module(Err("it is gone".to_owned())),
        None => Loaded::Component(Err(Refusal::Unreadable("it is gone".to_owned()))),
    }
}
