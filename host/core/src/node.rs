//! All modules of a node: the core's single entry point.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::command::{CommandOutcome, DeniedReason, Order};
use crate::event::Event;
use crate::id::{CheckerName, ModuleName, NodeName};
use crate::memory::ModuleMemory;
use crate::module::Module;
use crate::moment::Moment;
use crate::outbox::{Counters, Outbox};
use crate::readmission::Readmission;
use crate::snapshot::{ModuleView, Snapshot};
use crate::transcript::Repetition;

/// The initial values of the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// Which node this is.
    pub node: NodeName,
    /// The number of the last record ever written; 0 if there is none.
    pub last_record: u64,
    /// The random seed. Equal seeds and equal events give equal actions.
    pub seed: u64,
    pub now: Moment,
}

/// The core of one node.
#[derive(Debug)]
pub struct Node {
    known: NodeState,
    views: BTreeMap<ModuleName, Arc<ModuleView>>,
    snapshot: Arc<Snapshot>,
    stale: Stale,
    deadlines: Deadlines,
    shown: Shown,
}

/// The modules that are shown as special. Each event is about one of thousands.
#[derive(Debug, Default)]
struct Shown {
    looking: BTreeSet<ModuleName>,
    owing: BTreeSet<ModuleName>,
    not_ready: BTreeSet<ModuleName>,
}

impl Shown {
    /// How a module is shown now; `None`: it is not any more.
    fn set(&mut self, name: &ModuleName, module: Option<(&Module, &ModuleView)>) {
        let is =
            |such: fn(&Module, &ModuleView) -> bool| module.is_some_and(|(module, view)| such(module, view));
        for (names, is_in) in [
            (&mut self.looking, is(|module, _| module.is_first_look())),
            (&mut self.owing, is(|module, _| module.owes_readmission())),
            (&mut self.not_ready, is(|_, view| !view.ready)),
        ] {
            if is_in {
                names.insert(name.clone());
            } else {
                names.remove(name);
            }
        }
    }
}

/// When something happens by itself in a module, earliest first. A node may have thousands of modules, and each event is
/// about one of them.
#[derive(Debug, Default)]
struct Deadlines {
    of: BTreeMap<ModuleName, Moment>,
    order: BTreeSet<(Moment, ModuleName)>,
}

impl Deadlines {
    /// `None`: there is no such module.
    fn set(&mut self, name: &ModuleName, at: Option<Moment>) {
        let at = at.filter(|at| *at != Moment::NEVER);
        if self.of.get(name).copied() == at {
            return;
        }
        if let Some(before) = self.of.remove(name) {
            self.order.remove(&(before, name.clone()));
        }
        if let Some(at) = at {
            self.of.insert(name.clone(), at);
            self.order.insert((at, name.clone()));
        }
    }

    fn first(&self) -> Option<Moment> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The modules whose time has come.
    fn due(&self, now: Moment) -> BTreeSet<ModuleName> {
        self.order.iter().take_while(|(at, _)| *at <= now).map(|(_, name)| name.clone()).collect()
    }
}

/// All data that the core decides by.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct NodeState {
    name: NodeName,
    modules: BTreeMap<ModuleName, Module>,
    /// The state of modules whose files are gone: a stop outlives the file.
    retired: BTreeMap<ModuleName, ModuleMemory>,
    counters: Counters,
    /// Time never goes back, whatever comes in.
    now: Moment,
    /// The daemon is shutting down: commands are rejected.
    ending: bool,
    /// What was announced to load balancers that ask for all modules together.
    #[serde(default)]
    readmission: Readmission,
    /// Another daemon has written records on this node before.
    #[serde(default)]
    has_predecessor: bool,
}

/// What the snapshot does not show yet.
#[derive(Debug, Default)]
struct Stale {
    changed: BTreeSet<ModuleName>,
    redefined: BTreeSet<ModuleName>,
}

/// A complete core at one moment, from which another can continue. Opaque: it is valid only for a core of the same
/// version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checkpoint(NodeState);

impl Node {
    /// A node without modules.
    pub fn new(beginning: Beginning) -> Self {
        let Beginning { node, last_record, seed, now } = beginning;
        // Higher than everything that an earlier core has shown: no decision may be based on another core's
        // snapshot.
        let generation = u64::try_from(now.as_micros()).unwrap_or(0);
        Self {
            snapshot: Arc::new(Snapshot { generation, ..Snapshot::empty(node.clone(), now) }),
            known: NodeState {
                name: node,
                modules: BTreeMap::new(),
                retired: BTreeMap::new(),
                counters: Counters::new(last_record, seed),
                now,
                ending: false,
                readmission: Readmission::default(),
                has_predecessor: last_record > 0,
            },
            views: BTreeMap::new(),
            stale: Stale::default(),
            deadlines: Deadlines::default(),
            shown: Shown::default(),
        }
    }

    /// A copy of the present state.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.known.clone())
    }

    /// Another core, that decides from here on as the one would that the checkpoint is of.
    pub fn restore(Checkpoint(mut known): Checkpoint) -> Self {
        known.modules.values_mut().for_each(Module::restored);
        let snapshot = Arc::new(Snapshot::empty(known.name.clone(), known.now));
        let mut deadlines = Deadlines::default();
        known.modules.iter().for_each(|(name, module)| deadlines.set(name, Some(module.deadline())));
        let (stale, shown) = (Stale::default(), Shown::default());
        let mut node = Self { snapshot, views: BTreeMap::new(), stale, deadlines, shown, known };
        let all: BTreeSet<ModuleName> = node.known.modules.keys().cloned().collect();
        node.publish(&all, &BTreeSet::new());
        node
    }

    /// Handles an event and returns the actions, in this order. Then advances every module whose deadline has come.
    pub fn handle(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let actions = self.take(event, now);
        self.refresh();
        actions
    }

    /// The same, but the snapshot is updated only by [`Self::refresh`], unless there is an action other than a
    /// record, or the health answer changes: then it is updated first. For many events in a row: the cost of a
    /// snapshot grows with the number of checkers.
    pub fn take(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let redefined = match &event {
            Event::ModuleLoaded { module, .. } => Some(module.clone()),
            _ => None,
        };
        let about = event.module().cloned();
        let (known, deadlines) = (&mut self.known, &mut self.deadlines);
        known.now = known.now.max(now);
        let mut out = Outbox::new(known.now, &known.name, &mut known.counters);
        let mut changed: Vec<ModuleName> = match event {
            Event::Ending(shutdown) => {
                known.ending = true;
                for (name, module) in &mut known.modules {
                    module.end(shutdown, &mut out);
                    deadlines.set(name, Some(module.deadline()));
                }
                known.modules.keys().cloned().collect()
            }
            Event::Commanded { request, .. } if known.ending => {
                let outcome = CommandOutcome::Denied(DeniedReason::Ending);
                out.push(Action::Answer { request, outcome });
                Vec::new()
            }
            event => {
                let (modules, retired) = (&mut known.modules, &mut known.retired);
                let touched = handle_event(modules, retired, event, known.has_predecessor, &mut out);
                touched.into_iter().collect()
            }
        };
        if let Some(name) = &about {
            deadlines.set(name, known.modules.get(name).map(Module::deadline));
        }
        for name in deadlines.due(known.now) {
            let Some(module) = known.modules.get_mut(&name) else { continue };
            module.advance(&mut out);
            deadlines.set(&name, Some(module.deadline()));
            changed.push(name);
        }
        let actions = out.into_actions();
        let at_once = actions.iter().any(Action::needs_picture)
            || changed.iter().any(|name| !self.answers_as_shown(name));
        self.stale.changed.extend(changed);
        self.stale.redefined.extend(redefined);
        if at_once {
            self.refresh();
        }
        actions
    }

    fn answers_as_shown(&self, name: &ModuleName) -> bool {
        match (self.known.modules.get(name), self.views.get(name)) {
            (Some(module), Some(view)) => {
                module.is_first_look() == self.snapshot.looking.contains(name) && module.answers_like(view)
            }
            (module, view) => module.is_none() && view.is_none(),
        }
    }

    /// Whether the picture is up to date.
    pub fn is_shown(&self) -> bool {
        self.stale.changed.is_empty()
    }

    /// Brings the picture up to date.
    pub fn refresh(&mut self) {
        let Stale { changed, redefined } = std::mem::take(&mut self.stale);
        self.publish(&changed, &redefined);
    }

    /// When the core has to be called again at the latest, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first()
    }

    /// The snapshot after the last event. The same object as long as nothing changes.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// Whether the event, now, adds nothing to the core's knowledge: it would decide the same without it, now and
    /// later. Only the last observation and its time would differ.
    pub fn repeats(&self, event: &Event, now: Moment) -> bool {
        let due = self.next_deadline().is_some_and(|due| due <= now);
        let same = match event {
            Event::Observed { module, checker, generation, observation } => self
                .known
                .modules
                .get(module)
                .is_some_and(|module| module.repeats(checker, *generation, observation)),
            Event::Tick => true,
            Event::ModuleLoaded { .. }
            | Event::ModuleRemoved { .. }
            | Event::PlanMade { .. }
            | Event::StepEnded { .. }
            | Event::Starved { .. }
            | Event::StepDelayed { .. }
            | Event::Commanded { .. }
            | Event::Noted { .. }
            | Event::Probed { .. }
            | Event::Ending(_) => false,
        };
        same && !due
    }

    /// A checker repeated its last result, and nothing followed from that.
    pub fn repeat(&mut self, Repetition { module, checker, times, last }: &Repetition) {
        if let Some(known) = self.known.modules.get_mut(module) {
            known.repeat(checker, *times, *last);
            self.deadlines.set(module, Some(known.deadline()));
        }
    }

    /// When the core expects the next observation of a checker.
    pub fn expected(&self, module: &ModuleName, checker: &CheckerName) -> Option<Moment> {
        self.known.modules.get(module)?.expected(checker)
    }

    /// Whether what is kept up to date step by step is what it would be if it were made anew.
    #[cfg(test)]
    pub(crate) fn is_kept_up(&self) -> bool {
        let deadlines = self.known.modules.values().map(Module::deadline);
        self.deadlines.first() == deadlines.min().filter(|at| *at != Moment::NEVER)
            && self.known.modules.values().all(|module| module.is_kept_up(self.known.now, &self.known.name))
            && self.snapshot.looking.len()
                == self.known.modules.values().filter(|m| m.is_first_look()).count()
            && self.shown.owing.is_empty() != self.known.modules.values().any(Module::owes_readmission)
            && self.snapshot.ready() == (!self.views.is_empty() && self.shown.not_ready.is_empty())
    }

    /// `redefined` are the modules whose files have changed.
    fn publish(&mut self, changed: &BTreeSet<ModuleName>, redefined: &BTreeSet<ModuleName>) {
        if changed.is_empty() {
            return;
        }
        let generation = self.snapshot.generation + 1;
        for name in changed {
            let Some(module) = self.known.modules.get_mut(name) else {
                self.views.remove(name);
                self.shown.set(name, None);
                continue;
            };
            let mut view = module.view(self.known.now);
            view.follow(self.views.get(name).map(AsRef::as_ref));
            let earlier = self.views.get(name).filter(|_| !redefined.contains(name));
            view.changed = view.changed_since(earlier.map(AsRef::as_ref), generation);
            self.shown.set(name, Some((&*module, &view)));
            self.views.insert(name.clone(), Arc::new(view));
        }
        let mut snapshot = Snapshot {
            generation,
            node: self.known.name.clone(),
            at: self.known.now,
            modules: self.views.values().cloned().collect(),
            readmit_until: None,
            looking: self.shown.looking.iter().cloned().collect(),
        };
        let known = &mut self.known;
        let ready = !self.views.is_empty() && self.shown.not_ready.is_empty();
        known.readmission = known.readmission.follow(!self.shown.owing.is_empty(), ready, known.now);
        snapshot.readmit_until = known.readmission.until();
        self.snapshot = Arc::new(snapshot);
    }
}

/// Returns the module that the event concerns, if there is one.
fn handle_event(
    modules: &mut BTreeMap<ModuleName, Module>,
    retired: &mut BTreeMap<ModuleName, ModuleMemory>,
    event: Event,
    has_predecessor: bool,
    out: &mut Outbox<'_>,
) -> Option<ModuleName> {
    match event {
        Event::ModuleLoaded { module: name, policy, memory } => {
            if let Some(module) = modules.get_mut(&name) {
                module.redefine(policy, out);
            } else {
                // The event contains what was known before this core began.
                let memory = retired.remove(&name).or(memory.map(|memory| *memory)).unwrap_or_default();
                let memory = memory.no_later_than(out.now);
                let module = Module::new(name.clone(), policy, memory, has_predecessor, out);
                modules.insert(name.clone(), module);
            }
            Some(name)
        }
        Event::ModuleRemoved { module: name } => {
            let memory = modules.remove(&name)?.retire(out);
            retired.insert(name.clone(), memory);
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
        Event::Starved { module: name, attempt } => {
            modules.get_mut(&name)?.starved(attempt);
            None
        }
        Event::StepDelayed { module: name, attempt, step, reason, within } => {
            modules.get_mut(&name)?.step_delayed((attempt, step), reason, within, out);
            Some(name)
        }
        Event::Commanded { request, module: name, command, lasts, by, reason } => {
            let outcome = match modules.get_mut(&name) {
                Some(module) => module.command(Order { command, lasts, reason }, &by, out),
                None => CommandOutcome::Denied(DeniedReason::NoSuchModule),
            };
            out.push(Action::Answer { request, outcome });
            Some(name)
        }
        Event::Probed { module: name, every } => {
            modules.get_mut(&name)?.probed(every);
            Some(name)
        }
        Event::Noted { module, kind } => {
            out.record(module.as_ref(), kind);
            None
        }
        // It concerns all modules, and was handled before.
        Event::Ending(_) | Event::Tick => None,
    }
}

#[cfg(test)]
mod tests;
