//! Applies the files that the operator adds, replaces, edits and removes.
//!
//! ```text
//!                 ┌──────────────── events ────────────────┐
//!                 ▼                                        │
//!   core/reload: what to do next ──────── actions ──▶ carried out here
//! ```
//! All stages of a file, and all decisions about it, are in [`bellwether_core::reload`]; its diagram shows them.
//! This part does the work: it lists folders, reads, compiles, compares, runs and writes. One task owns the state
//! machine. Slow work is done by other tasks, whose results return to it as events. Events of the file system are
//! only hints; the folders are scanned every second in any case.
//!
//! | | |
//! |---|---|
//! | `folders`, `looking` | which files are there |
//! | `loading`, `trust`, `content` | from a file to something that can run |
//! | `picture` | whether a module's config fits its components |
//! | `trial` | one run of a new version |
//! | `in_force` | makes versions active, and tells of modules |
//! | `approvals`, `refused` | what is kept and shown |
//! | `last_good` | what the next daemon finds: the last good versions, and the quarantine |
//! | `carrying_out` | every action of the core |

mod approvals;
mod carrying_out;
mod content;
mod folders;
mod in_force;
mod last_good;
mod loading;
mod looking;
mod picture;
mod trial;
mod trust;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use bellwether_core::id::{ComponentName, ModuleName, RequestId};
use bellwether_core::memory::ModuleMemory;
use bellwether_core::reload::{self, FileKey, Listing, Stamp, Start};
use bellwether_core::snapshot::Snapshot;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::act::kept::Kept;
use crate::component_registry::ComponentKey;
use crate::observe::RunContext;
use bellwether_bus::Message;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::refused_files::RefusedFiles;
use bellwether_config::spec::TrustSpec;
use bellwether_config::{ComponentKind, Mistakes};
use bellwether_os::at_most;
use bellwether_os::fault;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::component::Component;

pub use self::approvals::{Approve, Approved, NotApproved};
use self::content::{ModuleContent, component_file};
use self::folders::Hints;
use self::last_good::{LastGoodStore, Stored};
use self::loading::Loader;
use self::trust::Trust;

/// The longest interval between two beats of the running task.
const BEAT: Duration = Duration::from_secs(5);
/// A component that comes with the binary.
#[derive(Debug, Clone, Copy)]
pub struct StandardComponent {
    /// Its folder: `checkers` or `restart-scripts`.
    pub folder: &'static str,
    /// Its file name without `.wasm`.
    pub name: &'static str,
    /// The bytes of the component.
    pub bytes: &'static [u8],
}

/// The start waits for everything, but not for a large component without limit.
const BEGIN_WITHIN: Duration = at_most!(Duration::from_secs(20));

/// Of a file that was there under the daemon before: it differs from every file.
const NEVER_SEEN: Stamp = Stamp { size: 0, modified: 0, changed: 0, inode: 0, device: 0, signature: None };

type Event = reload::Event<ModuleContent, Component>;
type Action = reload::Action<ModuleContent, Component>;

/// The dependencies and settings of the reload.
#[derive(Debug)]
pub struct Settings {
    /// The sandbox, and what is active.
    pub context: RunContext,
    /// The folder with the operator's files.
    pub root: PathBuf,
    /// Which signatures are required.
    pub trust: TrustSpec,
    /// The interval of scans without a hint.
    pub rescan: Duration,
    /// The components that come with the binary, loaded.
    pub standard: BTreeMap<ComponentKey, Component>,
    /// The list of rejected files.
    pub refused: RefusedFiles,
    /// The stored state of the modules when the last daemon ended.
    pub memories: BTreeMap<ModuleName, ModuleMemory>,
    pub events: mpsc::Sender<Message>,
    /// Approvals that users give.
    pub approvals: mpsc::Receiver<Approve>,
    /// Requests for an immediate scan.
    pub looks: mpsc::Receiver<LookNow>,
    /// Beats as long as the folders are scanned.
    pub heartbeat: Heartbeat,
    /// The kept applications, including those of modules whose files are gone.
    pub kept: Kept,
    /// The desired state of modules whose files are renamed.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Shows problems with the folders.
    pub problems: Diagnostics,
}

/// A request to scan now, with these settings from now on.
#[derive(Debug)]
pub struct LookNow {
    /// Which signatures are required.
    pub trust: TrustSpec,
    /// The interval of scans without a hint.
    pub rescan: Duration,
    /// Notified when the scan is done.
    pub done: oneshot::Sender<()>,
}

/// The task that applies files.
#[derive(Debug)]
pub struct Reload {
    settings: Settings,
    /// Makes all decisions about files.
    machine: reload::Reload<ModuleContent, Component>,
    loader: Loader,
    /// Stores what the next daemon needs.
    store: LastGoodStore,
    hints: Hints,
    /// The files at the last scan.
    seen: Listing<FileKey>,
    tasks: JoinSet<Done>,
    /// Users who wait for an answer.
    requests: BTreeMap<RequestId, oneshot::Sender<Result<Approved, NotApproved>>>,
    last_request: RequestId,
    /// The problems with the folders that were reported last.
    told: Vec<String>,
    /// The start is in progress, until its last action: the machine may have ended it while actions are carried
    /// out.
    collects_mistakes: bool,
    /// At the start, the errors of modules' files: in themselves, and concerning components.
    mistaken: BTreeMap<FileKey, Mistakes>,
    unfit: BTreeMap<FileKey, Mistakes>,
}

/// The result of a task.
#[derive(Debug)]
struct Done {
    event: Event,
    mistakes: Option<(FileKey, Mistakes)>,
}

/// Loads the components that come with the binary, in parallel.
pub async fn load_standard(
    sandbox: &Arc<Sandbox>,
    standard: &[StandardComponent],
) -> anyhow::Result<BTreeMap<ComponentKey, Component>> {
    let mut loading = JoinSet::new();
    for StandardComponent { folder, name, bytes } in standard.iter().copied() {
        let kind = [ComponentKind::Checker, ComponentKind::RestartScript]
            .into_iter()
            .find(|kind| kind.folder() == folder)
            .with_context(|| format!("no components lie in {folder}/"))?;
        let key = (kind, ComponentName::new(name)?);
        let sandbox = Arc::clone(sandbox);
        loading.spawn_blocking(move || (key, sandbox.load(bytes)));
    }
    let mut loaded = BTreeMap::new();
    while let Some(result) = loading.join_next().await {
        let (key, component) = result?;
        let component = component.with_context(|| format!("the standard component `{}`", key.1))?;
        loaded.insert(key, component);
    }
    Ok(loaded)
}

impl Reload {
    /// Nothing is active yet. The second value reports damaged files.
    pub fn new(mut settings: Settings) -> (Self, Vec<String>) {
        let (approvals, damaged) = approvals::open(&settings.root);
        let mut damaged = Vec::from_iter(damaged);
        let Stored { last_good, quarantine } = last_good::read(&settings.root, &mut damaged);
        let store = LastGoodStore::open(&settings.root, last_good.clone(), settings.problems.clone());
        // Their files may be there, although they cannot be seen at present.
        let seen = last_good.iter().map(|(file, _)| (file.clone(), NEVER_SEEN)).collect();
        let loader = Loader::new(
            settings.root.clone(),
            Arc::clone(&settings.context.sandbox),
            settings.context.registry.clone(),
            Arc::new(Trust::new(settings.trust.clone())),
        );
        let standard = std::mem::take(&mut settings.standard).into_iter();
        let machine = reload::Reload::new(Start {
            standard: standard.map(|(key, component)| (key, component_file(component))).collect(),
            rescan: settings.rescan,
            approvals,
            memories: std::mem::take(&mut settings.memories),
            last_good,
            quarantine,
        });
        let reload = Self {
            settings,
            machine,
            loader,
            store,
            hints: Hints::new(),
            seen,
            tasks: JoinSet::new(),
            requests: BTreeMap::new(),
            last_request: RequestId::default(),
            told: Vec::new(),
            collects_mistakes: true,
            mistaken: BTreeMap::new(),
            unfit: BTreeMap::new(),
        };
        (reload, damaged)
    }

    /// Activates all present files. Returns the errors of the modules that could not be activated and have no
    /// earlier version.
    pub async fn begin(&mut self) -> Vec<Mistakes> {
        let on_disk = self.list().await.unwrap_or_default();
        self.take(Event::Begin { on_disk, within: BEGIN_WITHIN }).await;
        while self.machine.is_beginning() {
            let wake = self.wake();
            let event = tokio::select! {
                Some(done) = self.tasks.join_next() => self.done(done),
                () = tokio::time::sleep_until(wake) => Some(Event::Tick),
            };
            if let Some(event) = event {
                self.take(event).await;
            }
        }
        self.collects_mistakes = false;
        let (own, unfit) = (std::mem::take(&mut self.mistaken), std::mem::take(&mut self.unfit));
        let all = own.into_values().chain(unfit.into_values()).collect();
        if self.machine.has_only_mistakes() { all } else { Vec::new() }
    }

    /// Applies changes from now on.
    pub async fn run(mut self) {
        let registry = self.settings.context.registry.clone();
        loop {
            self.settings.heartbeat.beat(self.settings.context.clock);
            fault::hang("reload").await;
            self.take(Event::Tick).await;
            let (wake, heeds_hints) = (self.wake(), self.machine.heeds_hints());
            let mut told = None;
            let event = tokio::select! {
                () = tokio::time::sleep_until(wake) => None,
                () = self.hints.next(), if heeds_hints => Some(Event::Hint),
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => self.done(done),
                Some(approve) = self.settings.approvals.recv() => Some(self.approve(approve)),
                // The runs are collected with the next event.
                () = registry.broke() => None,
                Some(now) = self.settings.looks.recv() => {
                    told = Some(now.done);
                    Some(self.look_now(now.trust, now.rescan))
                }
                () = tokio::time::sleep(BEAT) => None,
            };
            if let Some(event) = event {
                self.take(event).await;
            }
            if let Some(told) = told {
                // The client may have given up.
                let _ = told.send(());
            }
        }
    }

    /// When the machine has to be called next.
    fn wake(&self) -> tokio::time::Instant {
        self.settings.context.clock.instant(self.machine.next_deadline())
    }

    /// Passes an event to the machine, and carries out its actions.
    async fn take(&mut self, event: Event) {
        let runs = self.settings.context.registry.take_runs().into_iter();
        let mut events: VecDeque<Event> = runs.map(Event::Ran).chain([event]).collect();
        // This ends, because each answer leads to fewer actions: at most a decision, and the errors that it
        // concerns.
        while let Some(event) = events.pop_front() {
            for action in self.machine.handle(event, self.settings.context.clock.now()) {
                let answer = self.carry_out(action).await;
                events.extend(answer);
            }
        }
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) -> Option<Event> {
        match done {
            Ok(Done { event, mistakes }) => {
                if self.collects_mistakes {
                    self.mistaken.extend(mistakes);
                }
                Some(event)
            }
            // Only the work that the tasks wait for can panic, and that is caught there.
            Err(error) => {
                tracing::error!(%error, "a task of the reload has ended by itself");
                None
            }
        }
    }

    /// A user approves a version.
    fn approve(&mut self, approve: Approve) -> Event {
        let Approve { name, seen, by, answer } = approve;
        self.last_request = self.last_request.next();
        self.requests.insert(self.last_request, answer);
        Event::Approve { request: self.last_request, name, seen, by }
    }

    /// Applies the settings of the node's file.
    fn look_now(&mut self, trust: TrustSpec, rescan: Duration) -> Event {
        let trust_changed = self.settings.trust != trust;
        if trust_changed {
            self.loader.trust = Arc::new(Trust::new(trust.clone()));
            self.settings.trust = trust;
        }
        Event::LookNow { rescan, trust_changed }
    }
}

#[cfg(test)]
mod tests;
