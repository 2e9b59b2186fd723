//! One immutable picture of everything, for all who show it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Wish;
use crate::id::{CheckerName, ModuleName, NodeName};
use crate::moment::Moment;
use crate::observation::{Observation, ProcessFact};
use crate::pieces::{Named, Pieces};
use crate::policy::{CheckerKind, OnDown};
use crate::state::StateName;
use crate::verdict::Verdict;

/// Everything that can be seen of a node at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows with every change.
    pub generation: u64,
    /// Which node.
    pub node: NodeName,
    /// When it was taken.
    pub at: Moment,
    /// By name.
    pub modules: Vec<Arc<ModuleView>>,
    /// All modules together serve again after a drain: until then a load balancer is told to use the
    /// node again.
    #[serde(default)]
    pub readmit_until: Option<Moment>,
    /// By name: modules of which is not known yet whether their application runs, because this core has
    /// only just begun.
    #[serde(default)]
    pub looking: Vec<ModuleName>,
}

impl Snapshot {
    /// What is known of a node whose core has not turned yet: nothing.
    pub fn empty(node: NodeName, at: Moment) -> Self {
        Self { generation: 0, node, at, modules: Vec::new(), readmit_until: None, looking: Vec::new() }
    }

    /// The module of that name.
    pub fn module(&self, name: &str) -> Option<&ModuleView> {
        let found = self.modules.binary_search_by(|m| m.name.as_str().cmp(name)).ok()?;
        self.modules.get(found).map(AsRef::as_ref)
    }

    /// Whether load balancers are told the same as by `earlier`, and no module's file has changed since.
    pub fn answers_like(&self, earlier: &Self) -> bool {
        let alike = |(now, earlier): (&Arc<ModuleView>, &Arc<ModuleView>)| {
            let answer = |view: &ModuleView| (view.ready, view.changed);
            Arc::ptr_eq(now, earlier) || (now.name == earlier.name && answer(now) == answer(earlier))
        };
        self.looking == earlier.looking
            && self.modules.len() == earlier.modules.len()
            && self.modules.iter().zip(&earlier.modules).all(alike)
    }

    /// Whether there are modules, and all of them serve.
    pub fn ready(&self) -> bool {
        !self.modules.is_empty() && self.modules.iter().all(|m| m.ready)
    }
}

/// How much work a module that serves asks load balancers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// As much as any other node.
    Full,
    /// Less: it serves, and a checker that only notifies is down.
    Degraded,
}

/// One module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleView {
    /// Its name.
    pub name: ModuleName,
    /// The generation of the snapshot in which last changed what a person decides by: its state,
    /// its answer, its wish, its counted restarts, its plan or its file.
    #[serde(default)]
    pub changed: u64,
    /// Its state.
    pub state: StateName,
    /// What the load balancer is told.
    pub ready: bool,
    /// Since when it is in this state.
    pub since: Moment,
    /// Since when the load balancer is told so, as far as this daemon knows.
    #[serde(default)]
    pub ready_since: Moment,
    /// Why it is in this state, and why it is not ready if it is not: one sentence.
    pub reason: String,
    /// What a person wants.
    pub wish: Wish,
    /// When something will happen by itself (a next try, the end of a drain).
    pub next: Option<Moment>,
    /// Automatic restarts within the budget's window.
    pub restarts: u32,
    /// How many are allowed.
    pub restarts_allowed: u32,
    /// The budget's window.
    pub restarts_within: Duration,
    /// How long health says no before the application is stopped.
    #[serde(default)]
    pub drain: Duration,
    /// How much work it asks load balancers for, if its file lets them be told.
    #[serde(default)]
    pub load: Option<Load>,
    /// How often the slowest of the load balancers asks that ask regularly.
    #[serde(default)]
    pub probed_every: Option<Duration>,
    /// It serves again after a drain: until then a load balancer is told to use it again.
    #[serde(default)]
    pub readmit_until: Option<Moment>,
    /// What is being carried out.
    pub plan: Option<PlanView>,
    /// The processes that its process checkers see, by their ids.
    pub processes: Vec<ProcessFact>,
    /// By name. Pictures that follow each other share most of it.
    pub checkers: Pieces<CheckerView>,
}

impl ModuleView {
    /// A module in this state of which nothing else is known. Ready if it is up.
    pub fn empty(name: ModuleName, state: StateName) -> Self {
        Self {
            name,
            changed: 0,
            state,
            ready: state == StateName::Up,
            since: Moment::default(),
            ready_since: Moment::default(),
            reason: String::new(),
            wish: Wish::default(),
            next: None,
            restarts: 0,
            restarts_allowed: 0,
            restarts_within: Duration::ZERO,
            drain: Duration::ZERO,
            load: None,
            probed_every: None,
            readmit_until: None,
            plan: None,
            processes: Vec::new(),
            checkers: Pieces::default(),
        }
    }

    /// Whether a person who decides by `earlier` would see something else here.
    fn differs(&self, earlier: &Self) -> bool {
        let occasion = |view: &Self| view.plan.as_ref().map(|plan| plan.occasion.clone());
        self.state != earlier.state
            || self.since != earlier.since
            || self.ready != earlier.ready
            || self.wish != earlier.wish
            || self.restarts != earlier.restarts
            || occasion(self) != occasion(earlier)
    }

    /// Since when it is what its word says: an application that is up may be ready, and not ready, and
    /// those are two words.
    pub fn shown_since(&self) -> Moment {
        if self.state == StateName::Up { self.since.max(self.ready_since) } else { self.since }
    }

    /// The same answer for the load balancer as before has been given since then.
    pub(crate) fn follow(&mut self, earlier: Option<&Self>) {
        if let Some(earlier) = earlier.filter(|earlier| earlier.ready == self.ready) {
            self.ready_since = earlier.ready_since;
        }
    }

    /// The generation that a person must have seen to decide, if this view follows `earlier`.
    pub(crate) fn changed_since(&self, earlier: Option<&Self>, generation: u64) -> u64 {
        earlier.filter(|earlier| !self.differs(earlier)).map_or(generation, |earlier| earlier.changed)
    }
}

/// A plan that is being carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// What for.
    pub occasion: String,
    /// In the script's words.
    pub summary: String,
    /// Its steps in words.
    pub steps: Vec<String>,
    /// Which one is at work, from 0.
    pub step: usize,
}

/// What is said of a checker on probation, everywhere.
pub const ON_PROBATION: &str = "on probation: has not been up yet";

/// One checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckerView {
    /// Its name.
    pub name: CheckerName,
    /// Native or component.
    pub kind: CheckerKind,
    /// What its going down does.
    pub on_down: OnDown,
    /// What its observations add up to.
    pub verdict: Verdict,
    /// Since when.
    pub since: Moment,
    /// Whether it is being run at present.
    pub watched: bool,
    /// It was added or changed while the application served, and has not been up since: until then
    /// nothing follows from what it sees.
    #[serde(default)]
    pub on_probation: bool,
    /// Stands for what it observes and how often: it changes when that does.
    #[serde(default)]
    pub definition: u64,
    /// From the beginning of one run to the beginning of the next, if nothing presses.
    #[serde(default)]
    pub interval: Duration,
    /// When the next run begins, about; nothing if it is not being run, or has not been yet.
    #[serde(default)]
    pub next: Option<Moment>,
    /// What it saw last.
    pub last: Option<Arc<Observation>>,
}

impl Named for CheckerView {
    fn name(&self) -> &CheckerName {
        &self.name
    }
}
