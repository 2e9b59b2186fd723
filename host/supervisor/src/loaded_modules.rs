//! The active modules as their files describe them, and the data that belongs to each.
//!
//! Only the reload writes it; it is read without a lock. The state that a checker keeps from run to run belongs to
//! its name, across reloads of the file and of the component, and across daemons.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_core::id::{CheckerName, ModuleName};

use crate::component_registry::Pin;
use crate::guest_store::{GuestStores, Memory, Owner, OwnerKind};
use bellwether_config::spec::{CheckerSpec, ComponentSpec, Grants, ModuleSpec, Subject};
use bellwether_sandbox::StateHandle;

#[derive(Debug)]
pub struct LoadedModule {
    /// The content of its file.
    pub spec: ModuleSpec,
    /// The grants of the restart script.
    pub script_grants: Arc<Grants>,
    /// The stored state of the restart script.
    pub script_state: StateHandle,
    /// The version of the restart script that belongs to this version of the file.
    pub script_pin: Pin,
    checkers: BTreeMap<CheckerName, Arc<CheckerKit>>,
}

/// What the runs of a component checker need, prepared once.
#[derive(Debug)]
pub struct CheckerKit {
    /// Its configuration, as the component reads it.
    pub config: Arc<str>,
    /// The grants of the checker.
    pub grants: Arc<Grants>,
    /// Its stored state, and the number of its runs.
    pub memory: Memory,
    /// The version of the component that belongs to this configuration.
    pub pin: Pin,
}

impl CheckerKit {
    /// For the runs of this checker.
    pub(crate) fn new(component: &ComponentSpec, memory: Memory) -> Self {
        Self {
            config: component.config.to_string().into(),
            grants: Arc::clone(&component.grants),
            memory,
            pin: Pin::default(),
        }
    }
}

impl LoadedModule {
    /// The checker of that name, as the file describes it.
    pub fn checker(&self, name: &CheckerName) -> Option<&CheckerSpec> {
        self.spec.checkers.get(name)
    }

    /// The data for the runs of that component checker.
    pub(crate) fn kit(&self, name: &CheckerName) -> Option<Arc<CheckerKit>> {
        self.checkers.get(name).cloned()
    }

    fn new(spec: ModuleSpec, stores: &GuestStores) -> Self {
        let memory = |kind, name: &str| {
            let module = spec.name.clone();
            stores.memory(Owner { module, kind, name: name.to_owned() })
        };
        let checkers = spec.checkers.values().filter_map(|checker| {
            let Subject::Component(component) = &checker.definition.subject else { return None };
            let kit = CheckerKit::new(component, memory(OwnerKind::Checker, checker.name.as_str()));
            Some((checker.name.clone(), Arc::new(kit)))
        });
        Self {
            checkers: checkers.collect(),
            script_grants: Arc::clone(&spec.restart.grants),
            script_state: memory(OwnerKind::RestartScript, "").state,
            script_pin: Pin::default(),
            spec,
        }
    }
}

/// All active modules. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct LoadedModules {
    members: Arc<ArcSwap<BTreeMap<ModuleName, Arc<LoadedModule>>>>,
    stores: GuestStores,
}

impl LoadedModules {
    /// No module yet, and the state that earlier daemons stored for modules.
    pub fn new(stores: GuestStores) -> Self {
        Self { members: Arc::default(), stores }
    }

    /// The module of that name.
    pub fn get(&self, module: &ModuleName) -> Option<Arc<LoadedModule>> {
        self.members.load().get(module).cloned()
    }

    /// Whether there is no module at all.
    pub fn is_empty(&self) -> bool {
        self.members.load().is_empty()
    }

    /// Activates modules, or new versions of their files, all at the same time.
    pub(crate) fn put(&self, specs: Vec<ModuleSpec>) {
        if specs.is_empty() {
            return;
        }
        let mut members = BTreeMap::clone(&self.members.load());
        for spec in specs {
            let member = LoadedModule::new(spec, &self.stores);
            members.insert(member.spec.name.clone(), Arc::new(member));
        }
        self.members.store(Arc::new(members));
    }

    pub(crate) fn remove(&self, module: &ModuleName) {
        let mut members = BTreeMap::clone(&self.members.load());
        members.remove(module);
        self.members.store(Arc::new(members));
    }
}
