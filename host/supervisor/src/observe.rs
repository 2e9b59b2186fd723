//! Runs the checkers that the core wants to run.
//!
//! ```text
//!   Watch ──▶ a task for this checker ──observation──▶ event for the core
//!               ▲ │ same generation: only the pace changes
//!               └─┘
//!   Unwatch ──▶ the task is dropped, and its run with it
//! ```

pub mod component;
pub mod process;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::event::Event;
use bellwether_core::id::{CheckerName, Generation, ModuleName, NodeName};
use bellwether_core::observation::{NotRun, Observation, Status};
use bellwether_core::policy::{CheckerKind, pace};
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::component_registry::ComponentRegistry;
use crate::facilities::ModuleFacilities;
use crate::loaded_modules::{CheckerKit, LoadedModules};
use bellwether_bus::Message;
use bellwether_bus::metrics::Metrics;
use bellwether_config::spec::{CheckerDefinition, LimitsSpec, ProcessSpec, Subject};
use bellwether_os::clock::Clock;
use bellwether_os::fault;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::table::ProcessTable;
use bellwether_os::spawn::gate::Launcher;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::facilities::{Facilities, NoModule};

use self::component::ComponentChecker;
use self::process::{ProcessContext, watch_processes};

/// The delay before a checker is restarted after a failure in the daemon itself.
const AGAIN: Duration = Duration::from_secs(1);
/// The number of observations of one process checker that may wait for the core.
const WAITING: usize = 4;

/// The data that all checkers need.
#[derive(Debug, Clone)]
pub struct RunContext {
    /// The daemon's folder: relative paths in the modules' files are relative to it.
    pub root: PathBuf,
    pub node: NodeName,
    /// The daemon's time line.
    pub clock: Clock,
    /// Limits of every run of a component.
    pub limits: LimitsSpec,
    pub sandbox: Arc<Sandbox>,
    pub registry: ComponentRegistry,
    pub loaded_modules: LoadedModules,
    /// The processes of this node.
    pub processes: ProcessTable,
    /// The processes that the host keeps.
    pub kept: KeptTable,
    /// Counts the cost of runs.
    pub metrics: Metrics,
    /// Starts commands as another user, or with limits of their own.
    pub launcher: Launcher,
}

/// The checkers that are being run.
#[derive(Debug)]
pub struct Observers {
    context: RunContext,
    events: mpsc::Sender<Message>,
    running: HashMap<(ModuleName, CheckerName), Running>,
}

#[derive(Debug)]
struct Running {
    generation: Generation,
    eager: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Observers {
    /// Nothing is run yet. Observations go to `events`.
    pub fn new(context: RunContext, events: mpsc::Sender<Message>) -> Self {
        Self { context, events, running: HashMap::new() }
    }

    /// Runs a checker from now on, in place of an earlier version of it.
    pub fn watch(&mut self, module: ModuleName, checker: CheckerName, generation: Generation, eager: bool) {
        let key = (module, checker);
        if let Some(running) = self.running.get(&key).filter(|running| running.generation == generation) {
            running.eager.send_replace(eager);
            return;
        }
        // The old run ends before the new one begins: there are never two at the same time.
        self.running.remove(&key);
        let (module, checker) = key.clone();
        let Some(member) = self.context.loaded_modules.get(&module) else { return };
        let Some(definition) = member.checker(&checker).map(|spec| spec.definition.clone()) else { return };
        let (pace, paces) = watch::channel(eager);
        let outlet = Outlet { module, checker: checker.clone(), generation, events: self.events.clone() };
        let context = self.context.clone();
        let task = tokio::spawn(supervise(definition, member.kit(&checker), context, paces, outlet));
        self.running.insert(key, Running { generation, eager: pace, task });
    }

    /// Stops running a checker.
    pub fn unwatch(&mut self, module: ModuleName, checker: CheckerName) {
        self.running.remove(&(module, checker));
    }
}

impl RunContext {
    /// Runs a checker once, in addition to its schedule.
    pub async fn run_once(&self, module: &ModuleName, checker: &CheckerName) -> Result<Observation, NotRun> {
        let member = self.loaded_modules.get(module).ok_or_else(|| NotRun::NoModule(module.clone()))?;
        let definition = member.checker(checker).map(|spec| spec.definition.clone());
        let CheckerDefinition { interval, timeout, subject } = definition.ok_or_else(|| {
            let names: Vec<&str> = member.spec.checkers.keys().map(CheckerName::as_str).collect();
            let (module, checker) = (module.clone(), checker.clone());
            NotRun::NoChecker { module, checker, others: names.join(", ") }
        })?;
        match (subject, member.kit(checker)) {
            (Subject::Process(process), _) => {
                let (sender, mut receiver) = mpsc::channel(1);
                let context = self.process_context(module);
                let watching = watch_processes(process, interval, false, context, sender);
                tokio::select! {
                    seen = receiver.recv() => seen.ok_or(NotRun::NoAnswer),
                    () = watching => Err(NotRun::NoAnswer),
                    () = tokio::time::sleep(timeout) => Err(NotRun::TimedOut(timeout)),
                }
            }
            (Subject::Component(component), kit) => {
                let kit: Arc<CheckerKit> = kit.ok_or(NotRun::Loading)?;
                let name = checker.clone();
                Ok(ComponentChecker { name, interval, timeout, component, kit }.run(self, module).await)
            }
        }
    }

    /// The facilities of the module; `None` if its file is gone.
    pub fn facilities(&self, module: &ModuleName) -> Arc<dyn Facilities> {
        match self.loaded_modules.get(module) {
            Some(member) => Arc::new(ModuleFacilities::new(self, member)),
            None => Arc::new(NoModule),
        }
    }

    fn process_context(&self, module: &ModuleName) -> ProcessContext {
        ProcessContext {
            clock: self.clock,
            table: self.processes.clone(),
            kept: self.kept.clone(),
            module: module.clone(),
        }
    }
}

/// The receiver of a checker's observations.
struct Outlet {
    module: ModuleName,
    checker: CheckerName,
    generation: Generation,
    events: mpsc::Sender<Message>,
}

impl Outlet {
    /// Returns whether the receiver still exists. Waits while the core is busy, so that a checker never gets ahead
    /// of it.
    async fn send(&self, observation: Observation) -> bool {
        let event = Event::Observed {
            module: self.module.clone(),
            checker: self.checker.clone(),
            generation: self.generation,
            observation,
        };
        self.events.send(Message::Event(event)).await.is_ok()
    }
}

/// Runs a checker for as long as it is watched. A checker that fails in the daemon itself must not keep its last
/// verdict forever: the failure is reported, and the checker is restarted.
async fn supervise(
    definition: CheckerDefinition,
    kit: Option<Arc<CheckerKit>>,
    context: RunContext,
    watched: watch::Receiver<bool>,
    outlet: Outlet,
) {
    loop {
        let CheckerDefinition { interval, timeout, subject } = definition.clone();
        let paces = watched.clone();
        let running = async {
            match (subject, kit.clone()) {
                // A look has no end of its own: the core knows by `timeout` how long it may be silent.
                (Subject::Process(process), _) => {
                    run_process(process, interval, &context, paces, &outlet).await;
                }
                (Subject::Component(component), Some(kit)) => {
                    let name = outlet.checker.clone();
                    let checker = ComponentChecker { name, interval, timeout, component, kit };
                    run_component(checker, &context, paces, &outlet).await;
                }
                (Subject::Component(_), None) => {}
            }
        };
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        // It is no longer watched, or the daemon is shutting down.
        if ended.is_ok() && (watched.has_changed().is_err() || outlet.events.is_closed()) {
            return;
        }
        let summary =
            "the checker failed because of an error in the daemon itself; it is restarted".to_owned();
        tracing::error!(module = %outlet.module, checker = %outlet.checker, "{summary}");
        if !outlet.send(unknown(summary, context.clock)).await {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn run_process(
    process: ProcessSpec,
    interval: Duration,
    context: &RunContext,
    mut paces: watch::Receiver<bool>,
    outlet: &Outlet,
) {
    loop {
        let eager = *paces.borrow_and_update();
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let process_context = context.process_context(&outlet.module);
        let watching = watch_processes(process.clone(), interval, eager, process_context, sender);
        let passing_on = async {
            while let Some(observation) = receiver.recv().await {
                if !outlet.send(observation).await {
                    return;
                }
            }
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(watching, passing_on) } => return,
            changed = paces.changed() => if changed.is_err() { return },
        }
    }
}

async fn run_component(
    checker: ComponentChecker,
    context: &RunContext,
    mut paces: watch::Receiver<bool>,
    outlet: &Outlet,
) {
    let interval = checker.interval;
    let mut eager = *paces.borrow_and_update();
    let first = if eager { Duration::ZERO } else { spread(&outlet.module, &outlet.checker, interval) };
    let mut since = tokio::time::Instant::now();
    let mut due = since + first;
    let pace =
        |eager, since: tokio::time::Instant| pace(CheckerKind::Component, interval, eager, since.elapsed());
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            changed = paces.changed() => {
                if changed.is_err() {
                    return;
                }
                eager = *paces.borrow_and_update();
                since = tokio::time::Instant::now();
                let soonest = since + pace(eager, since);
                due = if eager { due.min(soonest) } else { soonest };
                continue;
            }
        }
        let begun = tokio::time::Instant::now();
        fault::hang("checker").await;
        let observation = checker.run(context, &outlet.module).await;
        let passes = matches!(observation.status, Status::Pass | Status::Warn);
        if !outlet.send(observation).await {
            return;
        }
        // The interval is from the beginning of one run to the beginning of the next; a run that took longer is
        // followed immediately, and missed runs are not made up for.
        let before = std::mem::replace(&mut eager, *paces.borrow_and_update());
        if eager != before || passes {
            since = begun;
        }
        due = (begun + pace(eager, since)).max(tokio::time::Instant::now());
    }
}

/// The offset of a checker's runs in its interval: constant for one checker, different for different ones, so that
/// a thousand checkers do not run at the same instant.
pub(crate) fn spread(module: &ModuleName, checker: &CheckerName, interval: Duration) -> Duration {
    let name = format!("{module}/{checker}");
    let digest = blake3::hash(name.as_bytes());
    let [a, b, ..] = *digest.as_bytes();
    interval.mul_f64(f64::from(u16::from_be_bytes([a, b])) / 65536.0)
}

/// The observation of a checker that could not be run.
fn unknown(summary: String, clock: Clock) -> Observation {
    Observation::new(Status::Unknown, summary, clock.now())
}
