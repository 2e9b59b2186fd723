//! An immutable snapshot of everything, for everything that shows it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::DesiredState;
use crate::id::{CheckerName, ModuleName, NodeName};
use crate::moment::Moment;
use crate::observation::{Observation, ProcessFact};
use crate::pieces::{Named, Pieces};
use crate::policy::{CheckerKind, OnDown};
use crate::state::StateName;
use crate::verdict::Verdict;

/// The visible state of a node at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Increases with every change.
    pub generation: u64,
    /// The name of the node.
    pub node: NodeName,
    /// When it was taken.
    pub at: Moment,
    /// The modules, ordered by name.
    pub modules: Vec<Arc<ModuleView>>,
    /// All modules together serve again after a drain: how long a load balancer is told to use the node again.
    #[serde(default)]
    pub readmit_until: Option<Moment>,
    /// Ordered by name: modules of which it is not known yet whether their application runs, because this core has
    /// only just started.
    #[serde(default)]
    pub looking: Vec<ModuleName>,
}

impl Snapshot {
    /// The snapshot of a node whose core has not run yet: empty.
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

/// How much traffic a serving module asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// As much as any other node.
    Full,
    /// Less: it serves, and a checker that only notifies is down.
    Degraded,
}

/// The view of one module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleView {
    pub name: ModuleName,
    /// The generation of the snapshot in which last changed what a person decides by: its state,
    /// its answer, its desired state, its counted restarts, its plan or its file.
    #[serde(default)]
    pub changed: u64,
    pub state: StateName,
    /// Whether the health check passes.
    pub ready: bool,
    /// Since when it is in this state.
    pub since: Moment,
    /// Since when the health answer is the same, as far as this daemon knows.
    #[serde(default)]
    pub ready_since: Moment,
    /// Why it is in this state, and why it is not ready if it is not: one sentence.
    pub reason: String,
    /// What a person wants.
    #[serde(rename = "wish")]
    pub desired: DesiredState,
    /// When something will happen by itself (a next try, the end of a drain).
    pub next: Option<Moment>,
    /// Automatic restarts within the budget's window.
    pub restarts: u32,
    /// The number of restarts that the budget allows.
    pub restarts_allowed: u32,
    /// The length of the budget's window.
    pub restarts_within: Duration,
    /// How long the health check fails before the application is stopped.
    #[serde(default)]
    pub drain: Duration,
    /// How much traffic it asks for, if its file enables that.
    #[serde(default)]
    pub load: Option<Load>,
    /// The interval of the slowest load balancer that probes regularly.
    #[serde(default)]
    pub probed_every: Option<Duration>,
    /// It serves again after a drain: how long a load balancer is told to use it again.
    #[serde(default)]
    pub readmit_until: Option<Moment>,
    /// The plan in progress.
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
            desired: DesiredState::default(),
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

    /// Whether a user who decided on the basis of `earlier` would see something relevant changed here.
    fn differs(&self, earlier: &Self) -> bool {
        let occasion = |view: &Self| view.plan.as_ref().map(|plan| plan.occasion.clone());
        self.state != earlier.state
            || self.since != earlier.since
            || self.ready != earlier.ready
            || self.desired != earlier.desired
            || self.restarts != earlier.restarts
            || occasion(self) != occasion(earlier)
    }

    /// Since when its displayed state is the same: an application that is up may be ready or not, and those are two
    /// displayed states.
    pub fn shown_since(&self) -> Moment {
        if self.state == StateName::Up { self.since.max(self.ready_since) } else { self.since }
    }

    /// Since then the health answer has been the same as before.
    pub(crate) fn follow(&mut self, earlier: Option<&Self>) {
        if let Some(earlier) = earlier.filter(|earlier| earlier.ready == self.ready) {
            self.ready_since = earlier.ready_since;
        }
    }

    /// The generation that a user must have seen to decide, if this view follows `earlier`.
    pub(crate) fn changed_since(&self, earlier: Option<&Self>, generation: u64) -> u64 {
        earlier.filter(|earlier| !self.differs(earlier)).map_or(generation, |earlier| earlier.changed)
    }
}

/// A plan in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// The occasion of the plan.
    pub occasion: String,
    /// In the script's words.
    pub summary: String,
    /// Its steps in words.
    pub steps: Vec<String>,
    /// The step in progress, from 0.
    pub step: usize,
}

/// The text for a checker on probation.
pub const ON_PROBATION: &str = "on probation: has not been up yet";

/// The view of one checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckerView {
    pub name: CheckerName,
    /// Native, or a component.
    pub kind: CheckerKind,
    /// The effect of its going down.
    pub on_down: OnDown,
    pub verdict: Verdict,
    /// Since when it has this verdict.
    pub since: Moment,
    /// Whether it is being run at present.
    pub watched: bool,
    /// It was added or changed while the application was serving, and has not been up since: until then its results
    /// have no effect.
    #[serde(default)]
    pub on_probation: bool,
    /// Stands for what it observes and how often: it changes when that does.
    #[serde(default)]
    pub definition: u64,
    /// The time from the beginning of one run to the beginning of the next, at the normal pace.
    #[serde(default)]
    pub interval: Duration,
    /// The approximate time of the next run; `None` if it is not being run, or has not run yet.
    #[serde(default)]
    pub next: Option<Moment>,
    pub last: Option<Arc<Observation>>,
}

impl Named for CheckerView {
    fn name(&self) -> &CheckerName {
        &self.name
    }
}
