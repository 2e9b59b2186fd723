//! The modules as their files describe them, with what belongs to each beside it.
//!
//! Written by the reload alone; read without a lock. What a checker leaves
//! behind from run to run lives as long as the checker's name does, across
//! reloads of the file and of the component.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bellwether_core::id::{CheckerName, ModuleName};

use crate::config::spec::{CheckerSpec, ComponentSpec, Grants, ModuleSpec, Subject};
use crate::registry::Pin;
use crate::sandbox::StateHandle;

/// One module that is in force.
#[derive(Debug)]
pub struct Member {
    /// What its file says.
    pub spec: ModuleSpec,
    /// The restart script's configuration, as the script reads it.
    pub script_config: Arc<str>,
    /// What the restart script is allowed.
    pub script_grants: Arc<Grants>,
    /// What the restart script left behind.
    pub script_state: StateHandle,
    /// The version of the restart script that belongs to this version of the file.
    pub script_pin: Pin,
    checkers: BTreeMap<CheckerName, Arc<CheckerKit>>,
}

/// What a component checker needs for its runs, made ready once.
#[derive(Debug)]
pub struct CheckerKit {
    /// Its configuration, as the component reads it.
    pub config: Arc<str>,
    /// What it is allowed.
    pub grants: Arc<Grants>,
    /// What it left behind, and how often it ran.
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

/// Survives reloads. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The checker's own store.
    pub state: StateHandle,
    runs: Arc<AtomicU64>,
    /// Held by the run that is under way: never two of one checker at once.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

impl Memory {
    /// The same at this moment, for a run that leaves nothing behind.
    pub(crate) fn copy(&self) -> Self {
        let runs = AtomicU64::new(self.runs.load(Ordering::Relaxed));
        Self { state: self.state.copy(), runs: Arc::new(runs), turn: Arc::default() }
    }

    /// The number of the next run, from 1.
    pub fn next_run(&self) -> u64 {
        self.runs.load(Ordering::Relaxed) + 1
    }

    /// A run has come to its end. One that was given up half-way never was.
    pub fn count_run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

impl Member {
    /// The checker of that name, as the file describes it.
    pub fn checker(&self, name: &CheckerName) -> Option<&CheckerSpec> {
        self.spec.checkers.get(name)
    }

    /// What a run of that component checker needs.
    pub fn kit(&self, name: &CheckerName) -> Option<Arc<CheckerKit>> {
        self.checkers.get(name).cloned()
    }

    fn new(spec: ModuleSpec, before: Option<&Self>) -> Self {
        let checkers = spec.checkers.values().filter_map(|checker| {
            let Subject::Component(component) = &checker.subject else { return None };
            let memory = before.and_then(|before| before.checkers.get(&checker.name));
            let kit = CheckerKit::new(component, memory.map(|kit| kit.memory.clone()).unwrap_or_default());
            Some((checker.name.clone(), Arc::new(kit)))
        });
        Self {
            checkers: checkers.collect(),
            script_grants: Arc::clone(&spec.restart.grants),
            script_config: spec.restart.config.to_string().into(),
            script_state: before.map(|before| before.script_state.clone()).unwrap_or_default(),
            script_pin: Pin::default(),
            spec,
        }
    }
}

/// All modules in force. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Roster(Arc<ArcSwap<BTreeMap<ModuleName, Arc<Member>>>>);

impl Roster {
    /// The module of that name.
    pub fn get(&self, module: &ModuleName) -> Option<Arc<Member>> {
        self.0.load().get(module).cloned()
    }

    /// Whether there is no module at all.
    pub fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }

    /// Puts modules in force, or what their files say now, all at one moment.
    pub(crate) fn put(&self, specs: Vec<ModuleSpec>) {
        if specs.is_empty() {
            return;
        }
        let mut members = BTreeMap::clone(&self.0.load());
        for spec in specs {
            let before = members.get(&spec.name).cloned();
            let member = Member::new(spec, before.as_deref());
            members.insert(member.spec.name.clone(), Arc::new(member));
        }
        self.0.store(Arc::new(members));
    }

    pub(crate) fn remove(&self, module: &ModuleName) {
        let mut members = BTreeMap::clone(&self.0.load());
        members.remove(module);
        self.0.store(Arc::new(members));
    }
}
