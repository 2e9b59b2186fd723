//! Builds the daemon out of its parts and runs it.
//!
//! ```text
//!   root and lock ──▶ sockets taken over, questions wait ──▶ components ──▶ driver turns
//!        ──▶ modules in force, health answers ──▶ API and reload ──▶ ready ──▶ shutdown
//! ```

mod error;
mod listeners;
mod remembered;
mod side;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use bellwether_core::id::ModuleName;
use bellwether_core::node::{Beginning, Node};
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::Snapshot;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

pub use self::error::RunError;
use self::listeners::{bind_metrics, listeners, open_health, open_site, read_only};
use self::remembered::Remembered;
use self::side::Loops;
use crate::api_backend::{self, ApiBackend};
use crate::continuity::Continuity;
use crate::driver::{Asking, Driver};
use crate::lifecycle::Lifecycle;
use crate::lifecycle::SignalRequest;
use crate::state_folder;
use crate::watchdog::{self, Watched};
use bellwether_api::ConsoleStatus;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::inbox::{Inbox, Senders};
use bellwether_bus::metrics::Metrics;
use bellwether_bus::recorder::Recorder;
use bellwether_bus::{Message, Published};
use bellwether_config::spec::{ConsoleSpec, NodeSpec};
use bellwether_config::{Mistakes, read_node};
use bellwether_health::probers::{self, Probers};
use bellwether_health::{HealthServer, HealthView, Opening};
use bellwether_journal::input_log::InputLog;
use bellwether_journal::{Journal, Notices};
use bellwether_os::clock::Clock;
use bellwether_os::exhaustion;
use bellwether_os::handover::Held;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::names;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::table::ProcessTable;
use bellwether_os::process::{inherited, open_files};
use bellwether_os::root;
use bellwether_os::service_manager::ServiceManager;
use bellwether_os::socket;
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::gate::Launcher;
use bellwether_os::spawn::log_file::rotate_forever;
use bellwether_outbound::exposition::{Exposition, Sources};
use bellwether_outbound::notify::{self, Notify};
use bellwether_outbound::telemetry::{self, Telemetry};
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::compile::Compiler;
use bellwether_server as serve;
use bellwether_server::access::Access;
use bellwether_server::api::{self, Daemon};
use bellwether_server::site::Site;
use bellwether_supervisor::act::Actors;
use bellwether_supervisor::act::kept::Kept;
use bellwether_supervisor::act::step::StepRunner;
use bellwether_supervisor::announcer::Announcer;
use bellwether_supervisor::component_registry::ComponentRegistry;
use bellwether_supervisor::guest_store::GuestStores;
use bellwether_supervisor::loaded_modules::LoadedModules;
use bellwether_supervisor::observe::{Observers, RunContext};
use bellwether_supervisor::persisted_state::PersistedState;
pub use bellwether_supervisor::reload::{
    LookNow, Refused, Reload, Settings, StandardComponent, load_standard,
};
use bellwether_supervisor::unclaimed;

/// Approvals that wait for the reload.
const APPROVALS: usize = 64;

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

/// Completes when the daemon is told to end. A request to read the files again is ignored: nothing has been
/// read yet.
async fn end_is_told(told: &mut mpsc::Receiver<SignalRequest>) {
    loop {
        match told.recv().await {
            Some(SignalRequest::End) => return,
            Some(SignalRequest::Reload) => {}
            None => std::future::pending().await,
        }
    }
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
    let prepared = root::prepare_unless(&options.root, options.state.as_deref(), end_is_told(&mut told));
    let Some((root, _lock)) = prepared.await? else { return Ok(()) };
    let node = read_node(&root).map_err(|mistakes| RunError::Mistakes(mistakes.render(false)))?;
    // Whoever gives a command from here on waits until it can be carried out.
    let commands = socket::bind(&root).context("cannot listen on the local socket")?;
    let clock = Clock::carry_on(&root);
    let published = Published::new(Arc::new(Snapshot::empty(node.name.clone(), clock.now())));
    // First of all load balancers: they are heard, and answered once there is something to say.
    let view = HealthView {
        snapshot: Arc::clone(&published.snapshot),
        heartbeat: Heartbeat::default(),
        clock,
        metrics: Metrics::default(),
        probers: Probers::default(),
        opening: Opening::begin(clock),
    };
    let (health, held) = open_health(&root, &node, &view, options.holder).await?;
    let scraped = bind_metrics(&node).await?;
    let (site, not_open) = open_site(&root, &node).await?;
    let ready = Ready {
        health: health.local_addrs().first().copied().unwrap_or(node.health),
        agents: health
            .local_addrs()
            .iter()
            .skip(1)
            .copied()
            .zip(node.agent_checks.iter().map(|check| check.agent.module.clone()))
            .collect(),
        metrics: scraped.as_ref().and_then(|listener| listener.local_addr().ok()),
        console: site.as_ref().and_then(|site| site.whereabouts().status()),
        socket: socket::path(&root),
    };
    let launcher = options.launcher;
    let parts = Parts { root, node, view, published, launcher, scraped, site, not_open, commands };
    let (daemon, messages) = Box::pin(parts.build(&options.standard, options.compiler)).await?;
    Box::pin(daemon.run(messages, (health, held), || on_ready(&ready), told)).await
}

/// What is there before anything runs.
struct Parts {
    root: PathBuf,
    node: NodeSpec,
    /// What health answers are made from.
    view: HealthView,
    published: Published,
    launcher: Launcher,
    /// Where metrics are served, if they are.
    scraped: Option<TcpListener>,
    /// Where the console is served, if it is.
    site: Option<Site>,
    /// Why it is not.
    not_open: Option<String>,
    /// Where clients of this node ask, and the place of it.
    commands: Option<(UnixListener, PathBuf)>,
}

/// Everything, built and not yet running.
struct Running {
    driver: Driver,
    reload: Reload,
    notify: Notify,
    telemetry: Option<Telemetry>,
    scraped: Option<(TcpListener, Exposition)>,
    site: Option<Site>,
    backend: Arc<ApiBackend>,
    listener: Option<UnixListener>,
    events: mpsc::Sender<Message>,
    root: PathBuf,
    journal: Journal,
    /// What the journal has to say of itself.
    notices: Notices,
    persisted_state: PersistedState,
    guest_stores: GuestStores,
    /// What was found damaged.
    damaged: Vec<String>,
    node: NodeSpec,
    looks: mpsc::Sender<LookNow>,
    beside: Loops,
    /// Those who beat by themselves, but for the health thread.
    watched: Vec<Watched>,
    continuity: Continuity,
}

impl Parts {
    #[expect(clippy::too_many_lines, reason = "a list of parts, each told of the others, and no decision")]
    async fn build(
        self,
        standard: &[StandardComponent],
        compiler: Compiler,
    ) -> Result<(Running, Inbox), RunError> {
        let Self { root, node, view, published, launcher, scraped, site, not_open, commands } = self;
        let HealthView { heartbeat, clock, metrics, probers, opening, .. } = view;
        // What is wrong with the daemon itself.
        let problems = Diagnostics::default();
        let in_force = node.clone();
        let Remembered { journal, notices, persisted_state, before, guest_stores, mut damaged, continuity } =
            Remembered::open(&root, &node, clock)?;
        let means = RunContext {
            root: root.clone(),
            node: node.name.clone(),
            clock,
            limits: node.limits,
            sandbox: sandbox(&root, &node, compiler)?,
            registry: ComponentRegistry::default(),
            loaded_modules: LoadedModules::new(guest_stores.clone()),
            processes: ProcessTable::default(),
            kept: KeptTable::default(),
            metrics: metrics.clone(),
            launcher: launcher.clone(),
        };
        let home = Home { root: root.clone(), node: node.name.clone(), launcher };
        // The applications first: compiling may take its time.
        let (processes, states) = (means.processes.clone(), means.kept.clone());
        let kept = Box::pin(Kept::open(home.clone(), clock, processes, states)).await?;
        let standard = load_standard(&means.sandbox, standard).await?;
        problems.set("console's listener", not_open.as_slice());
        let unclaimed = unclaimed::Watch {
            root: root.clone(),
            kept: kept.clone(),
            loaded_modules: means.loaded_modules.clone(),
            published: published.clone(),
            problems: problems.clone(),
        };
        let keeper = kept.clone();
        let announces_from = home.clone();
        let steps = StepRunner { home, kept, table: means.processes.clone(), states: means.kept.clone() };
        let (Senders { events, commands: from_people }, messages) = Inbox::new();
        let beside = Loops {
            unclaimed,
            probers: probers::Watch {
                probers,
                published: published.clone(),
                clock,
                messages: events.clone(),
            },
            announcer: Announcer {
                home: announces_from,
                loaded_modules: means.loaded_modules.clone(),
                published: published.clone(),
                clock,
                messages: events.clone(),
                problems: problems.clone(),
            },
            listeners: listeners(&node),
            problems: problems.clone(),
            kept: keeper.clone(),
        };
        let beginning = Beginning {
            node: node.name,
            last_record: journal.last_seq(),
            seed: fastrand::u64(..),
            now: clock.now(),
        };
        let (reload_heartbeat, beats) = (Heartbeat::default(), heartbeat.clone());
        let watched = vec![
            Watched { task: watchdog::CORE, heartbeat: heartbeat.clone() },
            Watched { task: watchdog::RELOAD, heartbeat: reload_heartbeat.clone() },
            Watched { task: watchdog::JOURNAL, heartbeat: journal.heart() },
        ];
        let driver = Driver {
            input_log: InputLog::new(journal.clone(), &beginning),
            node: Node::new(beginning),
            clock,
            heartbeat: heartbeat.clone(),
            published: published.clone(),
            observers: Observers::new(means.clone(), events.clone()),
            actors: Actors::new(means.clone(), steps, events.clone()),
            journal: journal.clone(),
            persisted_state: persisted_state.clone(),
            asking: Asking::default(),
            metrics: metrics.clone(),
            opening,
            shown: bellwether_core::moment::Moment::default(),
        };
        let refused = Refused::default();
        let (approve, approvals) = mpsc::channel(APPROVALS);
        let (looks, looked_for) = mpsc::channel(1);
        let (reload, damaged_approvals) = Reload::new(Settings {
            means: means.clone(),
            root: root.clone(),
            trust: node.trust,
            rescan: node.rescan,
            standard,
            refused: refused.clone(),
            memories: before,
            events: events.clone(),
            approvals,
            looks: looked_for,
            heartbeat: reload_heartbeat,
            kept: keeper,
            snapshot: Arc::clone(&published.snapshot),
            problems: problems.clone(),
        });
        let (notify, desk, damaged_notifications) = Notify::open(notify::Settings {
            root: root.clone(),
            node: means.node.clone(),
            clock,
            targets: node.notify,
            http: node.http,
            console: node.console.as_ref().and_then(ConsoleSpec::address),
            journal: journal.clone(),
            published: published.clone(),
            refused: refused.clone(),
            events: events.clone(),
        });
        damaged.extend(damaged_approvals.into_iter().chain(damaged_notifications));
        let sources = Sources {
            metrics,
            snapshot: Arc::clone(&published.snapshot),
            heartbeat,
            clock,
            events: events.downgrade(),
            components: means.registry.clone(),
            board: desk.board().clone(),
            journal: journal.clone(),
        };
        let (access, damaged_access) = Access::open(&root, clock, events.clone());
        damaged.extend(damaged_access);
        let (listener, place) = commands.unzip();
        problems.set("disk", read_only(&root, place.as_deref()).as_slice());
        let telemetry = in_force.telemetry.clone().map(|spec| {
            Telemetry::open(telemetry::Settings {
                root: root.clone(),
                node: means.node.clone(),
                spec,
                clock,
                http: in_force.http.clone(),
                journal: journal.clone(),
                sources: sources.clone(),
                problems: problems.clone(),
            })
        });
        let backend = Arc::new(ApiBackend {
            means,
            access,
            published,
            heartbeat: beats,
            log_readers: Arc::new(Semaphore::new(api_backend::LOG_READERS)),
            journal: journal.clone(),
            persisted_state: persisted_state.clone(),
            guest_stores: guest_stores.clone(),
            refused,
            problems,
            events: events.clone(),
            commands: from_people,
            approve,
            notify: desk,
            console: site.as_ref().map(Site::whereabouts).unwrap_or_default(),
        });
        let scraped = scraped.map(|listener| (listener, Exposition::new(sources)));
        let node = in_force;
        let running = Running {
            driver,
            reload,
            notify,
            telemetry,
            scraped,
            site,
            backend,
            listener,
            events,
            root,
            journal,
            notices,
            persisted_state,
            guest_stores,
            damaged,
            node,
            looks,
            beside,
            watched,
            continuity,
        };
        Ok((running, messages))
    }
}

impl Running {
    async fn run(
        mut self,
        messages: Inbox,
        (health, held): (HealthServer, Option<Held>),
        on_ready: impl FnOnce() + Send,
        told: mpsc::Receiver<SignalRequest>,
    ) -> Result<(), RunError> {
        let service = ServiceManager::from_environment();
        let mut steward = self.steward(told, service);
        let (end, ending) = watch::channel(());
        // On a thread of its own: a core that stands still must not take with it a worker that was about
        // to watch the sockets for all others (tokio wakes no other one for that), pages and API with it.
        let (turning, runtime) = (self.driver.run(messages, ended(ending.clone())), Handle::current());
        let mut core = tokio::task::spawn_blocking(move || runtime.block_on(turning));
        let say = Recorder::new(self.events.clone());
        say.say(format!("daemon {} has started", env!("CARGO_PKG_VERSION"))).await;
        for damaged in self.damaged {
            say.say(damaged).await;
        }
        let mistakes = self.reload.begin().await;
        if !mistakes.is_empty() {
            return Err(nothing_to_run(&mistakes));
        }
        // A core that has ended is seen below.
        drop(self.events.send(Message::Loaded).await);
        // What a daemon needs that has loaded its modules, it has by now.
        exhaustion::grow_heap();
        self.watched.push(Watched { task: watchdog::HEALTH, heartbeat: health.heart() });
        self.watched.push(Watched { task: watchdog::HEALTH_HTTP2, heartbeat: health.multiplexed_heart() });
        let clock = self.backend.means.clock;
        let mut side = JoinSet::new();
        self.watched.extend(self.beside.begin(&mut side, clock));
        let watchdog = watchdog::start(watchdog::Settings {
            watched: self.watched,
            sandbox: Arc::clone(&self.backend.means.sandbox),
            clock,
            published: self.backend.published.clone(),
            problems: self.backend.problems.clone(),
            events: self.events.clone(),
            service,
        })
        .context("cannot start the watchdog's thread")?;
        side.spawn(self.reload.run());
        side.spawn(self.notify.run());
        if let Some((listener, exposition)) = self.scraped {
            side.spawn(serve::metrics::serve(listener, Arc::new(move || exposition.page())));
        }
        if let Some(telemetry) = self.telemetry {
            side.spawn(telemetry.run());
        }
        side.spawn(rotate_forever(self.root.clone()));
        let problems = self.backend.problems.clone();
        side.spawn(state_folder::look_after(self.root.clone(), problems, self.events.clone()));
        self.guest_stores.tell(self.events.clone());
        if let Some(certificates) = health.certificates() {
            let (backend, problems) = (Arc::clone(&self.backend), self.backend.problems.clone());
            let say = move |message| backend.note(None, RecordKind::Daemon { message });
            side.spawn(certificates.look_after(problems, say));
        }
        side.spawn(self.continuity.keep_forever(clock));
        let access = self.backend.access.clone();
        side.spawn({
            let access = access.clone();
            async move { access.keep_forever().await }
        });
        side.spawn(pass_on(self.notices, Recorder::new(self.events.clone())));
        let visitors = tokio::spawn(serve_site(self.site, Arc::clone(&self.backend), ended(ending.clone())));
        let clients = tokio::spawn(serve_api(self.listener, self.backend, ended(ending)));
        service.ready();
        on_ready();
        let outcome = tokio::select! {
            () = steward.attend(&mut side) => Ok(()),
            core = &mut core => Err(RunError::Other(anyhow!("the core has ended: {core:?}"))),
            () = stopped(&health) => Err(RunError::Other(anyhow!("the health endpoint's thread has ended"))),
        };
        // What ends now beats no more.
        drop(watchdog);
        side.shutdown().await;
        say.say("the daemon has ended; applications that run go on running".to_owned()).await;
        drop(end);
        if outcome.is_ok() {
            drop(core.await);
        }
        // Before whatever takes time: what is asked from here on is the next daemon's to answer.
        let closing = tokio::task::spawn_blocking(move || drop(health));
        if outcome.is_ok() {
            drop(tokio::join!(clients, visitors));
        }
        let guest_stores = self.guest_stores;
        let finished = tokio::task::spawn_blocking(move || guest_stores.finish());
        drop(tokio::join!(
            self.journal.end(),
            self.persisted_state.finish(),
            access.keep(),
            finished,
            closing
        ));
        drop(held);
        outcome
    }

    fn steward(&self, told: mpsc::Receiver<SignalRequest>, service: ServiceManager) -> Lifecycle {
        Lifecycle {
            root: self.root.clone(),
            started: self.node.clone(),
            in_force: self.node.clone(),
            told,
            looks: self.looks.clone(),
            events: self.events.clone(),
            published: self.backend.published.clone(),
            sandbox: Arc::clone(&self.backend.means.sandbox),
            problems: self.backend.problems.clone(),
            service,
        }
    }
}

fn sandbox(root: &Path, node: &NodeSpec, compiler: Compiler) -> anyhow::Result<Arc<Sandbox>> {
    let mut sandbox = Sandbox::new(&node.limits, compiler)?;
    sandbox.request_by(&node.http);
    if let Err(error) = sandbox.cache_in(&root.join("state/compiled")) {
        tracing::warn!(%error, "compiled code is not kept: every start compiles all components again");
    }
    tracing::debug!(allocator = ?sandbox.allocator(), "components run");
    Ok(Arc::new(sandbox))
}

/// What the journal says of itself becomes records.
async fn pass_on(mut notices: Notices, recorder: Recorder) {
    while let Some(notice) = notices.recv().await {
        recorder.say(notice).await;
    }
}

/// Done when the sender of `ending` is dropped.
async fn ended(mut ending: watch::Receiver<()>) {
    while ending.changed().await.is_ok() {}
}

/// Done when the health endpoint answers no more. Nobody would be told anything.
async fn stopped(health: &HealthServer) {
    let mut looks = tokio::time::interval(Heartbeat::STALE);
    while health.is_running() {
        looks.tick().await;
    }
}

/// Until the daemon ends.
async fn serve_api(
    listener: Option<UnixListener>,
    backend: Arc<ApiBackend>,
    end: impl Future<Output = ()> + Send,
) {
    let Some(listener) = listener else { return };
    if let Err(error) = api::serve(listener, backend, end).await {
        tracing::error!(%error, "no commands are taken any more");
    }
}

/// Until the daemon ends.
async fn serve_site(site: Option<Site>, backend: Arc<ApiBackend>, end: impl Future<Output = ()> + Send) {
    let Some(site) = site else { return };
    let daemon: Arc<dyn Daemon> = Arc::clone(&backend) as Arc<dyn Daemon>;
    let router = serve::site::router(&daemon, site.whereabouts().names());
    let certificates = site.certificates();
    let looking_after = async {
        if let Some(certificates) = certificates {
            let say = |message| backend.note(None, RecordKind::Daemon { message });
            certificates.look_after(backend.problems.clone(), say).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = site.serve(router, end) => {}
        () = looking_after => {}
    }
}

fn nothing_to_run(mistakes: &[Mistakes]) -> RunError {
    let rendered = mistakes.iter().map(|mistakes| mistakes.render(false)).collect::<Vec<_>>().join("\n");
    if mistakes.iter().flat_map(Mistakes::iter).all(|mistake| mistake.program_missing) {
        RunError::MissingProgram(rendered)
    } else {
        RunError::Mistakes(rendered)
    }
}
