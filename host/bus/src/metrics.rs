//! The counters for Prometheus.
//!
//! ```text
//!   driver, checkers, health thread ──count, without a lock──▶ Metrics ──┐
//!   snapshot, components, notifications, the process itself ────────────┴──▶ a page, when one is asked for
//! ```
//! Counting never waits: counters are atomic, and the table of checkers and modules is read without a lock. Values
//! that can be read from the present snapshot are not counted at all.

mod count;
mod histogram;
mod used;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_core::command::CommandOutcome;
use bellwether_core::event::Event;
use bellwether_core::grant::GrantKind;
use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::moment::Moment;
use bellwether_core::observation::{Observation, Status};
use bellwether_core::record::{Record, RecordKind};
use bellwether_core::snapshot::Snapshot;
use serde::Serialize;

pub use self::count::Count;
use self::histogram::Histogram;
use self::used::UsedGrants;

/// All counters. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counts>);

#[derive(Debug, Default)]
pub struct Counts {
    pub core: CoreCounts,
    pub health: HealthCounts,
    pub records: Count,
    pub commands: [Count; COMMAND_RESULTS.len()],
    pub reloads: [Count; RELOAD_RESULTS.len()],
    pub quarantines: Count,
    pub exports: [[Count; EXPORT_RESULTS.len()]; Signal::ALL.len()],
    pub not_exported: Count,
    pub modules: Table<ModuleName, ModuleCounts>,
    pub checkers: Table<(ModuleName, CheckerName), CheckerCounts>,
    /// The usage of the modules' restart scripts.
    scripts: Table<ModuleName, Spent>,
}

/// The counters of the core's loop.
#[derive(Debug, Default)]
pub struct CoreCounts {
    pub events: Count,
    pub busy: Count,
    pub lag: Histogram<{ LAG.len() }>,
}

#[derive(Debug, Default)]
pub struct HealthCounts {
    pub yes: Count,
    pub no: Count,
}

#[derive(Debug, Default)]
pub struct ModuleCounts {
    pub restarts: Count,
    pub incidents: Count,
    pub plans: [Count; PLAN_RESULTS.len()],
    pub steps: [Count; STEP_RESULTS.len()],
}

#[derive(Debug, Default)]
pub struct CheckerCounts {
    pub runs: [Count; STATUSES.len()],
    pub took: Histogram<{ TOOK.len() }>,
    pub spent: Spent,
}

/// The cost of a component's runs. An observation of a component that is not active does not count: nothing has
/// run.
#[derive(Debug, Default)]
pub struct Spent {
    runs: Count,
    took: Count,
    pub cpu: Count,
    pub memory: AtomicU64,
    pub refusals: Count,
    used: UsedGrants,
}

impl Spent {
    fn add(&self, cost: &Cost<'_>, at: Moment) {
        self.took.add_time(cost.took);
        self.cpu.add_time(cost.usage.cpu);
        self.memory.store(cost.usage.memory, Relaxed);
        self.refusals.add(cost.refusals as u64);
        self.used.note(cost.used, at);
        // This comes last: a reader that sees the run sees its usage.
        self.runs.add(1);
    }

    fn cost(&self) -> RunCost {
        let time = |count: &Count| Duration::try_from_secs_f64(count.seconds()).unwrap_or_default();
        RunCost {
            runs: self.runs.get(),
            took: time(&self.took),
            cpu: time(&self.cpu),
            memory: self.memory.load(Relaxed),
            refusals: self.refusals.get(),
            used: self.used.all(),
        }
    }
}

pub const STATUSES: [Status; 4] = [Status::Pass, Status::Warn, Status::Fail, Status::Unknown];
pub const COMMAND_RESULTS: [&str; 3] = ["accepted", "already-so", "denied"];
pub const RELOAD_RESULTS: [&str; 2] = ["loaded", "refused"];
pub const PLAN_RESULTS: [&str; 2] = ["made", "none"];
pub const EXPORT_RESULTS: [&str; 2] = ["taken", "failed"];
pub const STEP_RESULTS: [&str; 2] = ["done", "failed"];
/// Upper bounds of the delay of the core's timers, in seconds.
const LAG: [f64; 7] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0];
/// The parts of a [`Table`].
const PARTS: usize = 64;
/// Upper bounds of how long checks take, in seconds.
const TOOK: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

/// A table that is read without a lock and seldom grows. It has parts, because a new key copies the part that it goes into.
#[derive(Debug)]
pub struct Table<K, V>([ArcSwap<BTreeMap<K, Arc<V>>>; PARTS]);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ArcSwap::default()))
    }
}

impl<K: Ord + Clone + Hash, V: Default> Table<K, V> {
    fn get(&self, key: &K) -> Arc<V> {
        let part = self.part(key);
        if let Some(found) = part.load().get(key) {
            return Arc::clone(found);
        }
        part.rcu(|table| {
            let mut table = BTreeMap::clone(table);
            table.entry(key.clone()).or_default();
            table
        });
        // It may have been taken out again just now: then it is not shown any more.
        part.load().get(key).cloned().unwrap_or_default()
    }

    fn part(&self, key: &K) -> &ArcSwap<BTreeMap<K, Arc<V>>> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let [first, ..] = &self.0;
        let part = usize::try_from(hasher.finish() % PARTS as u64).ok();
        part.and_then(|part| self.0.get(part)).unwrap_or(first)
    }

    fn retain(&self, keep: impl Fn(&K) -> bool) {
        for part in &self.0 {
            if part.load().keys().all(&keep) {
                continue;
            }
            part.rcu(|table| {
                let mut table = BTreeMap::clone(table);
                table.retain(|key, _| keep(key));
                table
            });
        }
    }

    pub fn all(&self) -> BTreeMap<K, Arc<V>> {
        let parts = self.0.iter().map(ArcSwap::load_full);
        parts.flat_map(|part| BTreeMap::clone(&part)).collect()
    }
}

impl Metrics {
    /// All counters, for the page that shows them.
    pub fn counts(&self) -> &Counts {
        &self.0
    }

    /// The core has handled an event, in this time.
    pub fn turned(&self, took: Duration) {
        self.0.core.events.add(1);
        self.0.core.busy.add_time(took);
    }

    /// A timer of the core fired this late.
    pub fn late(&self, by: Duration) {
        self.0.core.lag.observe(by);
    }

    /// Counts an event of the core.
    pub fn told(&self, event: &Event) {
        if let Event::Observed { module, checker, observation, .. } = event {
            self.observed(module, checker, observation);
        }
    }

    pub fn observed(&self, module: &ModuleName, checker: &CheckerName, observation: &Observation) {
        let counts = self.0.checkers.get(&(module.clone(), checker.clone()));
        let status = STATUSES.iter().position(|status| *status == observation.status);
        if let Some(runs) = status.and_then(|at| counts.runs.get(at)) {
            runs.add(1);
        }
        counts.took.observe(observation.took);
    }

    /// Adds the cost of a run of a checker's component.
    pub fn ran(&self, module: &ModuleName, checker: &CheckerName, cost: Cost<'_>, at: Moment) {
        self.0.checkers.get(&(module.clone(), checker.clone())).spent.add(&cost, at);
    }

    /// Adds the cost of a request to a module's restart script.
    pub fn planned(&self, module: &ModuleName, cost: Cost<'_>, at: Moment) {
        self.0.scripts.get(module).add(&cost, at);
    }

    /// The cost of a component's runs for this checker since the daemon's start; without a checker, for the
    /// module's restart script.
    pub fn cost(&self, module: &ModuleName, checker: Option<&CheckerName>) -> RunCost {
        match checker {
            Some(checker) => self.0.checkers.get(&(module.clone(), checker.clone())).spent.cost(),
            None => self.0.scripts.get(module).cost(),
        }
    }

    /// Counts a journal record.
    pub fn recorded(&self, record: &Record) {
        let counts = &*self.0;
        counts.records.add(1);
        let in_module = |count: fn(&ModuleCounts) -> &Count| {
            if let Some(module) = &record.module {
                count(&counts.modules.get(module)).add(1);
            }
        };
        match &record.kind {
            RecordKind::Incident { .. } => in_module(|module| &module.incidents),
            // The restarts that the budget counts.
            RecordKind::Decision { decision, .. } if decision.starts_with("restart") => {
                in_module(|module| &module.restarts);
            }
            RecordKind::Plan { .. } => in_module(|module| &module.plans[0]),
            RecordKind::NoPlan { .. } => in_module(|module| &module.plans[1]),
            RecordKind::Step { ok: true, .. } => in_module(|module| &module.steps[0]),
            RecordKind::Step { ok: false, .. } => in_module(|module| &module.steps[1]),
            RecordKind::Command { outcome: CommandOutcome::Accepted(_), .. } => counts.commands[0].add(1),
            RecordKind::Command { outcome: CommandOutcome::AlreadySo(_), .. } => counts.commands[1].add(1),
            RecordKind::Command { outcome: CommandOutcome::Denied(_), .. } => counts.commands[2].add(1),
            RecordKind::Reload { ok: true, .. } => counts.reloads[0].add(1),
            RecordKind::Reload { ok: false, .. } => counts.reloads[1].add(1),
            RecordKind::Quarantine { .. } => counts.quarantines.add(1),
            RecordKind::Decision { .. }
            | RecordKind::Verdict { .. }
            | RecordKind::CannotTell { .. }
            | RecordKind::State { .. }
            | RecordKind::Approval { .. }
            | RecordKind::Access { .. }
            | RecordKind::Farm { .. }
            | RecordKind::Daemon { .. } => {}
        }
    }

    /// A request to the collector has ended.
    pub fn exported(&self, signal: Signal, ok: bool) {
        let [metrics, logs] = &self.0.exports;
        let [taken, failed] = match signal {
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        };
        if ok { taken } else { failed }.add(1);
    }

    /// The collector has rejected this many records.
    pub fn not_exported(&self, records: u64) {
        self.0.not_exported.add(records);
    }

    /// A load balancer was notified by a command.
    pub fn answered(&self, yes: bool) {
        if yes { &self.0.health.yes } else { &self.0.health.no }.add(1);
    }

    /// Removes modules and checkers that no longer exist.
    pub fn forget_all_but(&self, snapshot: &Snapshot) {
        self.0.modules.retain(|module| snapshot.module(module.as_str()).is_some());
        self.0.scripts.retain(|module| snapshot.module(module.as_str()).is_some());
        self.0.checkers.retain(|(module, checker)| {
            let module = snapshot.module(module.as_str());
            module.is_some_and(|module| module.checkers.get(checker).is_some())
        });
    }
}

/// A kind of exported data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Counters and gauges, as metrics.
    Metrics,
    /// The records of the journal.
    Logs,
}

impl Signal {
    pub const ALL: [Self; 2] = [Self::Metrics, Self::Logs];

    /// The name in the semantic conventions.
    pub fn word(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// The total cost of a component's runs for one checker or one restart script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCost {
    /// The number of runs.
    pub runs: u64,
    /// The total duration of all runs.
    pub took: Duration,
    /// The total processor time.
    pub cpu: Duration,
    /// The peak memory of the last run, in bytes.
    pub memory: u64,
    /// The number of refusals.
    pub refusals: u64,
    /// The grants that were used, in the notation of grants, and when last.
    pub used: BTreeMap<(GrantKind, String), Moment>,
}

/// The resource usage of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Processor time, including the host's work for the guest.
    pub cpu: Duration,
    /// The peak size of all memories and tables, in bytes.
    pub memory: u64,
    /// The number of calls from guest to host.
    pub host_calls: u64,
}

/// The cost of a component's run.
#[derive(Debug, Clone, Copy)]
pub struct Cost<'c> {
    /// From its beginning to its end.
    pub took: Duration,
    /// The resources that it used.
    pub usage: Usage,
    /// The number of refusals.
    pub refusals: usize,
    /// The grants that it used.
    pub used: &'c [(GrantKind, String)],
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local!(static COPIED: Cell<usize> = const { Cell::new(0) });

    /// Counts its copies.
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    struct Key(usize);

    impl Clone for Key {
        fn clone(&self) -> Self {
            COPIED.set(COPIED.get() + 1);
            Self(self.0)
        }
    }

    #[test]
    fn a_new_key_copies_a_small_part_of_a_table_and_a_known_one_nothing() {
        let table: Table<Key, Count> = Table::default();
        for key in 0..4_000 {
            table.get(&Key(key)).add(1);
        }
        assert!(COPIED.get() < 4_000 * 4_000 / 2 / 32, "{} copies", COPIED.get());
        COPIED.set(0);
        for key in 0..4_000 {
            assert_eq!(table.get(&Key(key)).get(), 1);
        }
        assert_eq!(COPIED.get(), 0);
        table.retain(|key| key.0 % 2 == 0);
        assert_eq!(
            table.all().into_keys().map(|key| key.0).collect::<Vec<_>>(),
            (0..4_000).step_by(2).collect::<Vec<_>>()
        );
    }
}
