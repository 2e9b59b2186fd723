//! The content that was loaded from a file. The machine decides by the facts here; it only compares the content
//! itself and passes it back.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::file::ComponentKey;
use crate::grant::{GrantRequest, Grants};
use crate::id::{CheckerName, ModuleName};

/// Numbers the loads of files, so that outdated results are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LoadId(pub u64);

/// A module's file without errors of its own.
#[derive(Debug, Clone)]
pub struct ModuleFile<M> {
    pub name: ModuleName,
    /// BLAKE3 of its text, in hexadecimal.
    pub digest: String,
    /// The components that it names, the restart script first, then one for each checker.
    pub uses: Vec<Use>,
    /// The content of the file. Equal if two files have the same content, apart from their names.
    pub content: M,
}

impl<M> ModuleFile<M> {
    /// The components that it names.
    pub(super) fn names(&self) -> BTreeSet<ComponentKey> {
        self.uses.iter().map(|its| its.component.clone()).collect()
    }

    /// The grants for this component, each time it is used.
    pub(super) fn grants<'s>(&'s self, component: &ComponentKey) -> impl Iterator<Item = &'s Grants> {
        self.uses.iter().filter(move |its| its.component == *component).map(|its| &*its.grants)
    }
}

/// A component that a module names.
#[derive(Debug, Clone)]
pub struct Use {
    pub component: ComponentKey,
    /// The checker that runs it; `None` if it is the module's restart script.
    pub checker: Option<CheckerName>,
    /// The grants that the module gives it.
    pub grants: Arc<Grants>,
}

/// A component that can run.
#[derive(Debug, Clone)]
pub struct ComponentFile<C> {
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// The version in its own description.
    pub version: String,
    /// The grants that it requests.
    pub asks: Vec<GrantRequest>,
    pub content: C,
}

/// The origin of an active component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the binary.
    Embedded,
    /// It was added to the root.
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
