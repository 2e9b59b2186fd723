//! Builds the daemon out of its parts and runs it.
//!
//! ```text
//!   root and lock ──▶ health answers (no) ──▶ components ──▶ driver turns
//!        ──▶ modules in force ──▶ API and reload ──▶ ready ──▶ shutdown
//! ```

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use bellwether_core::event::Event;
use bellwether_core::id::ModuleName;
use bellwether_core::node::{Beginning, Node};
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::Snapshot;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::act::Actors;
use crate::act::child::Home;
use crate::act::kept::Kept;
use crate::act::log_file::rotate_forever;
use crate::act::step::StepRunner;
use crate::clock::Clock;
use crate::config::spec::NodeSpec;
use crate::config::{Mistakes, read_node};
use crate::driver::{self, Asking, Driver, Message, Published};
use crate::journal::Journal;
use crate::metrics::{Exposition, Metrics, Sources};
use crate::notify::{self, Notify};
use crate::observe::{Means, Observers};
use crate::office::Office;
use crate::process::inherited;
use crate::process::kept_table::KeptTable;
use crate::process::table::ProcessTable;
use crate::pulse::Pulse;
use crate::registry::Registry;
use crate::reload::{Refused, Reload, Settings, load_standard};
use crate::root;
use crate::roster::Roster;
use crate::sandbox::Sandbox;
use crate::sandbox::compile::Compiler;
use crate::serve;
use crate::serve::api::{self, socket};
use crate::serve::health::{BindError, HealthServer, HealthView};
use crate::wishes::Wishes;

/// What to run.
#[derive(Debug)]
pub struct RunOptions {
    /// Where the operator's files are.
    pub root: PathBuf,
    /// Who compiles components.
    pub compiler: Compiler,
    /// What comes with the binary.
    pub standard: Vec<StandardComponent>,
}

/// A component that comes with the binary.
#[derive(Debug, Clone, Copy)]
pub struct StandardComponent {
    /// `checkers` or `restart-scripts`.
    pub folder: &'static str,
    /// Its file name without `.wasm`.
    pub name: &'static str,
    /// The component itself.
    pub bytes: &'static [u8],
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
    /// Clients on this node.
    pub socket: PathBuf,
}

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody else listens there.
    #[error("{addr} is in use by another program")]
    PortInUse {
        /// Where.
        addr: SocketAddr,
    },
    /// The root cannot be written.
    #[error("{} cannot be written", root.display())]
    RootNotWritable {
        /// Which.
        root: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// One root, one daemon.
    #[error("another daemon (process {pid}) runs on this root")]
    SecondDaemon {
        /// The other's process id; 0 if it has only just begun.
        pid: u32,
    },
    /// The files are wrong, and nothing is left to run. Rendered, every mistake
    /// with file, line and column.
    #[error("the files have mistakes")]
    Mistakes(String),
    /// The same, and all that is wrong is that declared programs are not there.
    #[error("a program that a module declares is missing")]
    MissingProgram(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<BindError> for RunError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::InUse { address } => Self::PortInUse { addr: address },
            other => Self::Other(other.into()),
        }
    }
}

/// Runs until `shutdown` is done. The applications run on.
///
/// A module's file that is wrong does not keep the others from running; the
/// daemon only refuses to start if it would have nothing to run.
pub async fn run(
    options: RunOptions,
    on_ready: impl FnOnce(&Ready) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    inherited::close_on_exec();
    let (root, _lock) = root::prepare(&options.root)?;
    let node = read_node(&root).map_err(|mistakes| RunError::Mistakes(mistakes.render(false)))?;
    let clock = Clock::start();
    let pulse = Pulse::default();
    let published = Published::new(Arc::new(Snapshot::empty(node.name.clone(), clock.now())));
    // First of all an honest answer: no, until the core turns and the application serves.
    let metrics = Metrics::default();
    let snapshot = Arc::clone(&published.snapshot);
    let view = HealthView { snapshot, pulse: pulse.clone(), clock, metrics: metrics.clone() };
    let health = HealthServer::bind(node.health, &node.agent_checks, view)?;
    let scraped = match node.metrics {
        None => None,
        Some(addr) => Some(serve::metrics::bind(addr).await.map_err(|error| no_metrics(addr, error))?),
    };
    let ready = Ready {
        health: health.local_addrs().first().copied().unwrap_or(node.health),
        agents: health
            .local_addrs()
            .iter()
            .skip(1)
            .copied()
            .zip(node.agent_checks.iter().map(|a| a.module.clone()))
            .collect(),
        metrics: scraped.as_ref().and_then(|listener| listener.local_addr().ok()),
        socket: socket::path(&root),
    };
    let parts = Parts { root, node, clock, pulse, published, metrics, scraped };
    let (daemon, messages) = parts.build(&options.standard, options.compiler).await?;
    daemon.run(messages, &health, || on_ready(&ready), shutdown).await
}

/// What is there before anything runs.
struct Parts {
    root: PathBuf,
    node: NodeSpec,
    clock: Clock,
    pulse: Pulse,
    published: Published,
    metrics: Metrics,
    /// Where metrics are served, if they are.
    scraped: Option<TcpListener>,
}

/// Everything, built and not yet running.
struct Running {
    driver: Driver,
    reload: Reload,
    notify: Notify,
    scraped: Option<(TcpListener, Exposition)>,
    office: Arc<Office>,
    listener: UnixListener,
    events: mpsc::Sender<Message>,
    root: PathBuf,
    journal: Journal,
    /// What was found damaged.
    damaged: Vec<String>,
}

impl Parts {
    async fn build(
        self,
        standard: &[StandardComponent],
        compiler: Compiler,
    ) -> Result<(Running, mpsc::Receiver<Message>), RunError> {
        let Self { root, node, clock, pulse, published, metrics, scraped } = self;
        let mut sandbox = Sandbox::new(&node.limits, compiler)?;
        sandbox.request_by(&node.http);
        if let Err(error) = sandbox.cache_in(&root.join("state/compiled")) {
            tracing::warn!(%error, "compiled code is not kept: every start compiles all components anew");
        }
        let sandbox = Arc::new(sandbox);
        tracing::debug!(allocator = ?sandbox.allocator(), "components run");
        let means = Means {
            root: root.clone(),
            node: node.name.clone(),
            clock,
            limits: node.limits,
            sandbox,
            registry: Registry::default(),
            roster: Roster::default(),
            processes: ProcessTable::default(),
            kept: KeptTable::default(),
            metrics: metrics.clone(),
        };
        let journal = Journal::open(&root).context("cannot open state/journal.jsonl")?;
        let (wishes, wanted, damaged) = Wishes::open(&root);
        let home = Home { root: root.clone(), node: node.name.clone() };
        // The applications first: compiling may take its time.
        let kept = Kept::open(home.clone(), clock, means.processes.clone(), means.kept.clone()).await?;
        let standard = load_standard(&means.sandbox, standard).await?;
        let steps = StepRunner { home, kept, table: means.processes.clone(), states: means.kept.clone() };
        let (events, messages) = mpsc::channel(driver::WAITING);
        let beginning = Beginning {
            node: node.name,
            last_record: journal.last_seq(),
            seed: fastrand::u64(..),
            now: clock.now(),
        };
        let driver = Driver {
            node: Node::new(beginning),
            clock,
            pulse: pulse.clone(),
            published: published.clone(),
            observers: Observers::new(means.clone(), events.clone()),
            actors: Actors::new(means.clone(), steps, events.clone()),
            journal: journal.clone(),
            wishes,
            asking: Asking::default(),
            metrics: metrics.clone(),
        };
        let refused = Refused::default();
        let (approve, approvals) = mpsc::channel(driver::WAITING);
        let (reload, damaged_approvals) = Reload::new(Settings {
            means: means.clone(),
            root: root.clone(),
            trust: node.trust,
            rescan: node.rescan,
            standard,
            refused: refused.clone(),
            wishes: wanted,
            events: events.clone(),
            approvals,
        });
        let (notify, desk, damaged_notifications) = Notify::open(notify::Settings {
            root: root.clone(),
            node: means.node.clone(),
            clock,
            targets: node.notify,
            authorities: node.http.authorities,
            journal: journal.clone(),
            published: published.clone(),
            refused: refused.clone(),
            events: events.clone(),
        });
        let damaged = damaged.into_iter().chain(damaged_approvals).chain(damaged_notifications).collect();
        let exposition = Exposition::new(Sources {
            metrics,
            snapshot: Arc::clone(&published.snapshot),
            pulse,
            clock,
            events: events.downgrade(),
            components: means.registry.clone(),
            board: desk.board().clone(),
        });
        let listener = socket::bind(&root).context("cannot listen on the local socket")?;
        let office = Arc::new(Office {
            means,
            published,
            journal: journal.clone(),
            refused,
            events: events.clone(),
            approve,
            notify: desk,
        });
        let scraped = scraped.map(|listener| (listener, exposition));
        Ok((
            Running { driver, scraped, reload, notify, office, listener, events, root, journal, damaged },
            messages,
        ))
    }
}

impl Running {
    async fn run(
        mut self,
        messages: mpsc::Receiver<Message>,
        health: &HealthServer,
        on_ready: impl FnOnce() + Send,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let (end, ending) = watch::channel(());
        let mut core = tokio::spawn(self.driver.run(messages, ended(ending.clone())));
        let say = Voice(self.events.clone());
        say.say(format!("daemon {} has started", env!("CARGO_PKG_VERSION"))).await;
        for damaged in self.damaged {
            say.say(damaged).await;
        }
        let mistakes = self.reload.begin().await;
        if !mistakes.is_empty() {
            return Err(nothing_to_run(&mistakes));
        }
        let mut side = JoinSet::new();
        side.spawn(self.reload.run());
        side.spawn(self.notify.run());
        if let Some((listener, exposition)) = self.scraped {
            side.spawn(serve::metrics::serve(listener, exposition));
        }
        side.spawn(rotate_forever(self.root.clone()));
        let clients = tokio::spawn(api::serve(self.listener, self.office, ended(ending)));
        on_ready();
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            core = &mut core => Err(RunError::Other(anyhow!("the core has ended: {core:?}"))),
            () = stopped(health) => Err(RunError::Other(anyhow!("the health endpoint's thread has ended"))),
        };
        side.shutdown().await;
        say.say("the daemon has ended; the applications run on".to_owned()).await;
        drop(end);
        if outcome.is_ok() {
            drop(tokio::join!(core, clients));
        }
        self.journal.flush().await;
        outcome
    }
}

/// Says something of the daemon itself in the journal.
struct Voice(mpsc::Sender<Message>);

impl Voice {
    async fn say(&self, message: String) {
        let event = Event::Noted { module: None, kind: RecordKind::Daemon { message } };
        // A core that has ended is reported by whoever waits for it.
        drop(self.0.send(Message::Event(event)).await);
    }
}

/// Done when the sender of `ending` is dropped.
async fn ended(mut ending: watch::Receiver<()>) {
    while ending.changed().await.is_ok() {}
}

/// Done when the health endpoint answers no more. Nobody would be told anything.
async fn stopped(health: &HealthServer) {
    let mut looks = tokio::time::interval(Pulse::STALE);
    while health.is_running() {
        looks.tick().await;
    }
}

fn no_metrics(addr: SocketAddr, error: io::Error) -> RunError {
    if error.kind() == io::ErrorKind::AddrInUse {
        return RunError::PortInUse { addr };
    }
    RunError::Other(anyhow!(error).context(format!("metrics cannot be served on {addr}")))
}

fn nothing_to_run(mistakes: &[Mistakes]) -> RunError {
    let rendered = mistakes.iter().map(|mistakes| mistakes.render(false)).collect::<Vec<_>>().join("\n");
    if mistakes.iter().flat_map(Mistakes::iter).all(|mistake| mistake.program_missing) {
        RunError::MissingProgram(rendered)
    } else {
        RunError::Mistakes(rendered)
    }
}
