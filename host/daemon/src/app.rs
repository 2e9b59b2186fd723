//! Builds the daemon of its parts, runs it, and ends it.
//!
//! ```text
//!   root and lock ──▶ listeners, requests wait ──▶ parts are built ──▶ the core runs ──▶ modules are active, health answers
//!        ──▶ API and reload start ──▶ ready ──▶ told to end ──▶ shutdown
//! ```
//! Each part has a file in `app/`, which says what it is built of and which tasks it starts. Here is their order.

mod api;
mod background;
mod base;
mod core_loop;
mod error;
mod farm;
mod listeners;
mod outbound;
mod reloading;
mod storage;
mod supervision;
mod tasks;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bellwether_api::ConsoleStatus;
use bellwether_bus::Message;
use bellwether_bus::inbox::Inbox;
use bellwether_bus::recorder::Recorder;
use bellwether_core::id::ModuleName;
use bellwether_health::HealthServer;
use bellwether_os::exhaustion;
use bellwether_os::handover::Held;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::names;
use bellwether_os::process::{inherited, open_files};
use bellwether_os::service_manager::ServiceManager;
use bellwether_os::spawn::gate::Launcher;
use bellwether_sandbox::compile::Compiler;
pub use bellwether_supervisor::reload::StandardComponent;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::api::{Api, Serving};
use self::base::{Base, Opened};
pub use self::error::RunError;
use self::farm::FarmPart;
use self::listeners::Listeners;
use self::outbound::Outbound;
use self::reloading::Reloading;
use self::storage::{Files, Storage};
use self::supervision::Supervision;
use self::tasks::Tasks;
use crate::driver::Driver;
use crate::lifecycle::{Lifecycle, SignalRequest};
use crate::watchdog;

/// The time limit for telling the other nodes that this one ends. They notice it by themselves a moment later.
const FARM_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug)]
pub struct RunOptions {
    /// Where the operator's files are.
    pub root: PathBuf,
    /// Who compiles components.
    pub compiler: Compiler,
    /// Who waits at the gate to become an application.
    pub launcher: Launcher,
    /// The first argument that makes this program hold the sockets for the next daemon (see
    /// [`handover`](bellwether_os::handover)). Without one, probes are refused between two daemons.
    pub holder: Option<&'static str>,
    /// What comes with the binary.
    pub standard: Vec<StandardComponent>,
    /// Where the daemon keeps what it writes, if not in the root itself.
    pub state: Option<PathBuf>,
}

/// Where the daemon listens, once it does.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Load balancers over HTTP.
    pub health: SocketAddr,
    /// `HAProxy` agents, with the module spoken for.
    pub agents: Vec<(SocketAddr, Option<ModuleName>)>,
    /// Prometheus.
    pub metrics: Option<SocketAddr>,
    /// Browsers, and programs on other hosts. Nothing if there is no console, or none can be reached.
    pub console: Option<ConsoleStatus>,
    /// Clients on this node.
    pub socket: PathBuf,
}

/// Runs until it is `told` to end. The applications run on, unless the node's file says otherwise.
///
/// A module's file that is wrong does not keep the others from running; the
/// daemon only refuses to start if it would have nothing to run.
pub async fn run(
    options: RunOptions,
    on_ready: impl FnOnce(&Ready) + Send,
    mut told: mpsc::Receiver<SignalRequest>,
) -> Result<(), RunError> {
    inherited::close_on_exec();
    names::start();
    open_files::raise();
    exhaustion::hold_back();
    let Some((base, opened)) = Base::open(&options, told_to_end(&mut told)).await? else { return Ok(()) };
    let Opened { inbox, local } = opened;
    let listeners = Listeners::open(&base, local, options.holder).await?;
    let ready = listeners.ready(&base);
    let daemon = Box::pin(Daemon::build(&base, inbox, listeners, options)).await?;
    let mut running = Box::pin(daemon.start(&base, told)).await?;
    on_ready(&ready);
    let outcome = running.ended().await;
    Box::pin(running.shut_down(outcome)).await
}

/// Everything, built and not yet running.
struct Daemon {
    listeners: Listeners,
    storage: Storage,
    supervision: Supervision,
    driver: Driver,
    inbox: Inbox,
    reloading: Reloading,
    outbound: Outbound,
    farm: FarmPart,
    api: Api,
}

/// What runs, and what is needed to end it.
struct Running {
    core: JoinHandle<()>,
    health: HealthServer,
    held: Option<Held>,
    lifecycle: Lifecycle,
    watchdog: watchdog::Running,
    tasks: Tasks,
    farm: JoinHandle<()>,
    serving: Serving,
    files: Files,
    recorder: Recorder,
    /// Ends the core and the listeners when it is dropped.
    end: watch::Sender<()>,
}

impl Daemon {
    async fn build(
        base: &Base,
        inbox: Inbox,
        listeners: Listeners,
        options: RunOptions,
    ) -> anyhow::Result<Self> {
        let RunOptions { compiler, launcher, standard, .. } = options;
        let mut storage = Storage::open(base)?;
        let mut supervision = Supervision::build(base, &storage, compiler, launcher, &standard).await?;
        let driver = core_loop::build(base, &storage, &supervision);
        let reloading = Reloading::build(base, &mut storage, &mut supervision);
        let outbound = Outbound::build(base, &storage, &supervision, &reloading);
        let farm = FarmPart::open(base).await;
        let api = Api::build(base, &storage, &supervision, &reloading, &outbound, &farm, &listeners);
        Ok(Self { listeners, storage, supervision, driver, inbox, reloading, outbound, farm, api })
    }

    async fn start(self, base: &Base, told: mpsc::Receiver<SignalRequest>) -> Result<Running, RunError> {
        let Self { listeners, storage, supervision, driver, inbox, mut reloading, outbound, farm, api } =
            self;
        let service = ServiceManager::from_environment();
        let lifecycle = lifecycle(base, &supervision, &reloading, told, service);
        let (end, ending) = watch::channel(());
        let core = core_loop::start(driver, inbox, until_dropped(ending.clone()));
        let recorder = Recorder::new(base.events.clone());
        recorder.say(format!("daemon {} has started", env!("CARGO_PKG_VERSION"))).await;
        let damaged = storage.damaged.iter().chain(&reloading.damaged);
        for damaged in damaged.chain(&outbound.damaged).chain(&api.damaged) {
            recorder.say(damaged.clone()).await;
        }
        reloading.load().await?;
        // A core that has ended is noticed below.
        drop(base.events.send(Message::Loaded).await);
        // What a daemon needs that has loaded its modules, it has by now.
        exhaustion::grow_heap();
        let mut tasks = Tasks::default();
        tasks.watch(watchdog::CORE, base.heartbeat.clone());
        reloading.watch(&mut tasks);
        tasks.watch(watchdog::JOURNAL, storage.files.journal.heart());
        listeners.watch_health(&mut tasks);
        background::start(base, &supervision, &mut tasks);
        let farm = farm.start(base, &api.daemon(), &ending, &mut tasks);
        let watchdog = tasks.start_watchdog(base, &supervision.context.sandbox, service);
        let watchdog = watchdog.context("cannot start the watchdog's thread")?;
        reloading.start(&mut tasks);
        listeners.start_renewal(base, &mut tasks);
        let Listeners { health, held, metrics, console, local } = listeners;
        outbound.start(metrics, &mut tasks);
        let files = storage.start(base, &mut tasks);
        let serving = api.start(console, local, &ending, &mut tasks);
        service.ready();
        Ok(Running { core, health, held, lifecycle, watchdog, tasks, farm, serving, files, recorder, end })
    }
}

impl Running {
    /// Returns when the daemon was told to end and has done what that asks for first, or when it cannot go on.
    async fn ended(&mut self) -> Result<(), RunError> {
        tokio::select! {
            () = self.lifecycle.attend(&mut self.tasks.running) => Ok(()),
            core = &mut self.core => Err(RunError::Other(anyhow!("the core has ended: {core:?}"))),
            () = stopped(&self.health) => {
                Err(RunError::Other(anyhow!("the health endpoint's thread has ended")))
            }
        }
    }

    async fn shut_down(self, outcome: Result<(), RunError>) -> Result<(), RunError> {
        let Self { core, health, held, watchdog, mut tasks, farm, mut serving, files, recorder, end, .. } =
            self;
        // What ends now sends no more heartbeats.
        drop(watchdog);
        tasks.running.shutdown().await;
        recorder.say("the daemon has ended; applications that run go on running".to_owned()).await;
        drop(end);
        if outcome.is_ok() {
            drop(core.await);
        }
        // Before anything that takes time: what is asked from here on is for the next daemon to answer.
        let closing = tokio::task::spawn_blocking(move || drop(health));
        let farm = tokio::time::timeout(FARM_ENDS_WITHIN, farm);
        if outcome.is_ok() {
            drop(tokio::join!(serving.ended(), farm));
        }
        drop(tokio::join!(files.finish(), serving.finish(), closing));
        drop(held);
        outcome
    }
}

fn lifecycle(
    base: &Base,
    supervision: &Supervision,
    reloading: &Reloading,
    told: mpsc::Receiver<SignalRequest>,
    service: ServiceManager,
) -> Lifecycle {
    Lifecycle {
        root: base.root.clone(),
        started: base.node.clone(),
        in_force: base.node.clone(),
        told,
        looks: reloading.looks.clone(),
        events: base.events.clone(),
        published: base.published.clone(),
        sandbox: Arc::clone(&supervision.context.sandbox),
        problems: base.problems.clone(),
        service,
    }
}

/// Completes when the daemon is told to end. A request to read the files again is ignored: nothing has been
/// read yet.
async fn told_to_end(told: &mut mpsc::Receiver<SignalRequest>) {
    loop {
        match told.recv().await {
            Some(SignalRequest::End) => return,
            Some(SignalRequest::Reload) => {}
            None => std::future::pending().await,
        }
    }
}

/// Completes when the sender of `ending` is dropped.
async fn until_dropped(mut ending: watch::Receiver<()>) {
    while ending.changed().await.is_ok() {}
}

/// Completes when the health endpoint's thread has ended: nobody would be told anything any more.
async fn stopped(health: &HealthServer) {
    let mut looks = tokio::time::interval(Heartbeat::STALE);
    while health.is_running() {
        looks.tick().await;
    }
}
