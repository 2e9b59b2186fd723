//! What was loaded from a file. The machine decides by the facts here; the content itself it only compares
//! and hands back.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::file::ComponentKey;
use crate::grant::{GrantRequest, Grants};
use crate::id::{CheckerName, ModuleName};

/// Numbers the loads of files, so that a result that is no longer wanted is recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LoadId(pub u64);

/// A module's file without mistakes of its own.
#[derive(Debug, Clone)]
pub struct ModuleFile<M> {
    /// The module.
    pub name: ModuleName,
    /// The components that it names, the restart script first, then one for each checker.
    pub uses: Vec<Use>,
    /// What the file says. Equal if two files say the same, apart from their names.
    pub content: M,
}

impl<M> ModuleFile<M> {
    /// The components that it names.
    pub(super) fn names(&self) -> BTreeSet<ComponentKey> {
        self.uses.iter().map(|its| its.component.clone()).collect()
    }

    /// What it grants this component, each time it uses it.
    pub(super) fn grants<'s>(&'s self, component: &ComponentKey) -> impl Iterator<Item = &'s Grants> {
        self.uses.iter().filter(move |its| its.component == *component).map(|its| &*its.grants)
    }
}

/// A component that a module names.
#[derive(Debug, Clone)]
pub struct Use {
    /// Which component.
    pub component: ComponentKey,
    /// The checker that runs it; nothing if it is the module's restart script.
    pub checker: Option<CheckerName>,
    /// What the module grants it.
    pub grants: Arc<Grants>,
}

/// A component that can run.
#[derive(Debug, Clone)]
pub struct ComponentFile<C> {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// The version that it names itself.
    pub version: String,
    /// What it asks for.
    pub asks: Vec<GrantRequest>,
    /// The compiled component.
    pub content: C,
}

/// Where an active component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the binary.
    Embedded,
    /// It was dropped into the root.
    File,
}

/// Something that was loaded, with the number of its load.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    pub(super) load: LoadId,
    pub(super) file: T,
}

/// One version of a module's file.
pub(super) type ModuleVersion<M> = Arc<Numbered<ModuleFile<M>>>;
/// One version of a component.
pub(super) type ComponentVersion<C> = Arc<Numbered<ComponentFile<C>>>;

pub(super) fn numbered<T>(load: LoadId, file: T) -> Arc<Numbered<T>> {
    Arc::new(Numbered { load, file })
}
