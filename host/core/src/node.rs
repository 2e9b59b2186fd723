//! All the modules of a node: the core's one way in and one way out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::action::Action;
use crate::command::{CommandOutcome, DeniedReason};
use crate::event::{Event, Wish};
use crate::id::{ModuleName, NodeName};
use crate::module::Module;
use crate::moment::Moment;
use crate::outbox::{Counters, Outbox};
use crate::snapshot::{ModuleView, Snapshot};

/// Where the core begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Which node this is.
    pub node: NodeName,
    /// The number of the last record ever written; 0 if there is none.
    pub last_record: u64,
    /// Chance from outside. Equal seeds and equal events give equal actions.
    pub seed: u64,
    /// Now.
    pub now: Moment,
}

/// The core of one node.
#[derive(Debug)]
pub struct Node {
    name: NodeName,
    modules: BTreeMap<ModuleName, Module>,
    /// What people want of modules whose files are gone: a stop outlives the file.
    retired: BTreeMap<ModuleName, Wish>,
    counters: Counters,
    views: BTreeMap<ModuleName, Arc<ModuleView>>,
    snapshot: Arc<Snapshot>,
    /// Time never goes back, whatever comes in.
    now: Moment,
    /// The daemon ends: nobody is obeyed any more.
    ending: bool,
}

impl Node {
    /// A node without modules.
    pub fn new(beginning: Beginning) -> Self {
        let Beginning { node, last_record, seed, now } = beginning;
        Self {
            snapshot: Arc::new(Snapshot::empty(node.clone(), now)),
            name: node,
            modules: BTreeMap::new(),
            retired: BTreeMap::new(),
            counters: Counters::new(last_record, seed),
            views: BTreeMap::new(),
            now,
            ending: false,
        }
    }

    /// Takes in what happened and says what to do, in this order. Then moves on
    /// every module whose time has come.
    pub fn handle(&mut self, event: Event, now: Moment) -> Vec<Action> {
        self.now = self.now.max(now);
        let mut out = Outbox::new(self.now, &self.name, &mut self.counters);
        let mut changed: Vec<ModuleName> = match event {
            Event::Ending(shutdown) => {
                self.ending = true;
                self.modules.values_mut().for_each(|module| module.end(shutdown, &mut out));
                self.modules.keys().cloned().collect()
            }
            Event::Commanded { request, .. } if self.ending => {
                let outcome = CommandOutcome::Denied(DeniedReason::Ending);
                out.push(Action::Answer { request, outcome });
                Vec::new()
            }
            event => {
                let touched = handle_event(&mut self.modules, &mut self.retired, event, &mut out);
                touched.into_iter().collect()
            }
        };
        for module in self.modules.values_mut() {
            if module.deadline() <= self.now {
                module.advance(&mut out);
                changed.push(module.name().clone());
            }
        }
        let actions = out.into_actions();
        self.publish(&changed);
        actions
    }

    /// When the core wants to be called again at the latest, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.modules.values().map(Module::deadline).min().filter(|at| *at != Moment::NEVER)
    }

    /// The picture after the last event. The same one as long as nothing changes.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    fn publish(&mut self, changed: &[ModuleName]) {
        if changed.is_empty() {
            return;
        }
        for name in changed {
            match self.modules.get(name) {
                Some(module) => self.views.insert(name.clone(), Arc::new(module.view(self.now))),
                None => self.views.remove(name),
            };
        }
        self.snapshot = Arc::new(Snapshot {
            generation: self.snapshot.generation + 1,
            node: self.name.clone(),
            at: self.now,
            modules: self.views.values().cloned().collect(),
        });
    }
}

/// Returns the module that the event was about, if there is one.
fn handle_event(
    modules: &mut BTreeMap<ModuleName, Module>,
    retired: &mut BTreeMap<ModuleName, Wish>,
    event: Event,
    out: &mut Outbox<'_>,
) -> Option<ModuleName> {
    match event {
        Event::ModuleLoaded { module: name, policy, wish } => {
            if let Some(module) = modules.get_mut(&name) {
                module.redefine(policy, out);
            } else {
                // The event tells what was wanted before this core began.
                let wish = retired.remove(&name).unwrap_or(wish);
                let module = Module::new(name.clone(), policy, wish, out);
                modules.insert(name.clone(), module);
            }
            Some(name)
        }
        Event::ModuleRemoved { module: name } => {
            let wish = modules.remove(&name)?.retire(out);
            retired.insert(name.clone(), wish);
            Some(name)
        }
        Event::Observed { module: name, checker, generation, observation } => {
            modules.get_mut(&name)?.observed(&checker, generation, observation, out);
            Some(name)
        }
        Event::PlanMade { module: name, attempt, plan } => {
            modules.get_mut(&name)?.plan_made(attempt, plan, out);
            Some(name)
        }
        Event::StepEnded { module: name, attempt, step, result } => {
            modules.get_mut(&name)?.step_ended(attempt, step, result, out);
            Some(name)
        }
        Event::Commanded { request, module: name, command, by } => {
            let outcome = match modules.get_mut(&name) {
                Some(module) => module.command(command, &by, out),
                None => CommandOutcome::Denied(DeniedReason::NoSuchModule),
            };
            out.push(Action::Answer { request, outcome });
            Some(name)
        }
        Event::Noted { module, kind } => {
            out.record(module.as_ref(), kind);
            None
        }
        // Of all modules, and dealt with before.
        Event::Ending(_) | Event::Tick => None,
    }
}
