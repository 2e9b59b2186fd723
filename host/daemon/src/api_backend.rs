//! The API's backend in the daemon: everything is read from published data, and commands are passed to the driver.

use std::sync::Arc;
use std::time::Duration;

use bellwether_bus::recorder::Recorder;
use bellwether_core::command::{CommandOutcome, DeniedReason, Order};
use bellwether_core::id::{CheckerName, CommandName, ComponentName, ModuleName};
use bellwether_core::observation::{NotRun, Observation};
use bellwether_core::permission::Authorization;
use bellwether_core::plan::{Occasion, Plan, PlanError};
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::Snapshot;
use bellwether_core::why::{Inactive, Remedy};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

use bellwether_api as wire;
use bellwether_api::configuration::module_path;
use bellwether_api::notifications::Tested;
use bellwether_api::{
    ComponentDetail, ComponentStatus, ConsoleStatus, NotifyStatus, QuarantineStatus, UseLine, WaitingStatus,
};
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::refused_files::RefusedFiles;
use bellwether_bus::{Message, Published};
use bellwether_config::spec::Subject;
use bellwether_config::{ComponentKind, ComponentUse, RootReport, Sourced, read_root};
use bellwether_core::chart::{Chart, ChartQuery};
use bellwether_journal as journal;
use bellwether_journal::{Journal, NotRead, RecordQuery};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::spawn::log_file::{self, LogTail};
use bellwether_outbound::notify::Desk;
use bellwether_server::access::Access;
use bellwether_server::api::{self, Daemon};
use bellwether_server::site::ConsoleAddress;
use bellwether_supervisor::act::preview::preview;
use bellwether_supervisor::component_registry::{ComponentKey, Origin, RegisteredComponent};
use bellwether_supervisor::guest_store::GuestStores;
use bellwether_supervisor::observe::RunContext;
use bellwether_supervisor::persisted_state::PersistedState;
use bellwether_supervisor::reload::{Approve, Approved, NotApproved};

use crate::farm::Farm;

/// A disk that hangs delays a request no longer than this.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// The number of applications' logs that are read at the same time.
pub const LOG_READERS: usize = 2;

/// The daemon as the API's backend.
#[derive(Debug)]
pub struct ApiBackend {
    /// For running a checker once.
    pub context: RunContext,
    /// Users, tokens and sessions.
    pub access: Access,
    /// The published snapshot of all modules.
    pub published: Published,
    /// The heartbeat of the core.
    pub heartbeat: Heartbeat,
    /// Limits how many applications' logs are read at the same time.
    pub log_readers: Arc<Semaphore>,
    /// The records of the journal.
    pub journal: Journal,
    /// The state that outlives the daemon.
    pub persisted_state: PersistedState,
    /// The stored state of checkers.
    pub guest_stores: GuestStores,
    /// Files that are not active.
    pub refused: RefusedFiles,
    /// Problems of the daemon itself.
    pub problems: Diagnostics,
    /// The driver's queue for events.
    pub events: mpsc::Sender<Message>,
    /// The driver's queue for commands of users.
    pub commands: mpsc::Sender<Message>,
    /// The queue of the reload.
    pub approve: mpsc::Sender<Approve>,
    /// The notification targets, for tests.
    pub notify: Desk,
    /// The farm, unless its files cannot be used.
    pub farm: Option<Farm>,
    /// The address of the console.
    pub console: ConsoleAddress,
}

impl Daemon for ApiBackend {
    fn access(&self) -> &Access {
        &self.access
    }

    fn clock(&self) -> Clock {
        self.context.clock
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot.load_full()
    }

    fn generations(&self) -> watch::Receiver<u64> {
        self.published.generation.subscribe()
    }

    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<journal::Entry>, NotRead>> {
        self.journal.records(query).boxed()
    }

    fn records_of(
        &self,
        queries: Vec<RecordQuery>,
    ) -> BoxFuture<'_, Result<Vec<Vec<journal::Entry>>, NotRead>> {
        self.journal.records_of(queries).boxed()
    }

    fn follow(&self) -> broadcast::Receiver<journal::Entry> {
        self.journal.follow()
    }

    fn chart(&self, query: ChartQuery) -> BoxFuture<'_, Result<Chart, NotRead>> {
        self.journal.chart(query).boxed()
    }

    fn log(&self, module: ModuleName) -> BoxFuture<'_, Vec<LogTail>> {
        let Some(member) = self.context.loaded_modules.get(&module) else {
            return std::future::ready(Vec::new()).boxed();
        };
        let commands: Vec<CommandName> = member.spec.commands.keys().cloned().collect();
        let root = self.context.root.clone();
        // A disk that hangs blocks two threads, not all of them.
        let permit = Arc::clone(&self.log_readers).acquire_owned();
        let read = async move {
            let permit = permit.await.ok()?;
            let read = tokio::task::spawn_blocking(move || {
                let tails = log_file::tails(&root, &module, &commands);
                drop(permit);
                tails
            });
            read.await.ok()
        };
        async move { tokio::time::timeout(READ_WITHIN, read).await.ok().flatten().unwrap_or_default() }
            .boxed()
    }

    fn preview(&self, module: ModuleName, occasion: Occasion) -> BoxFuture<'_, Result<Plan, PlanError>> {
        async move { preview(&self.context, &module, occasion).await }.boxed()
    }

    fn files(&self) -> BoxFuture<'_, Option<Arc<RootReport>>> {
        let root = self.context.root.clone();
        let read = tokio::task::spawn_blocking(move || Arc::new(read_root(&root)));
        async move { tokio::time::timeout(READ_WITHIN, read).await.ok()?.ok() }.boxed()
    }

    fn component(&self, folder: String, name: String) -> BoxFuture<'_, Option<ComponentDetail>> {
        async move {
            let kind = [ComponentKind::Checker, ComponentKind::RestartScript]
                .into_iter()
                .find(|kind| kind.folder() == folder)?;
            let name = ComponentName::new(&name).ok()?;
            let entries = self.context.registry.entries();
            let (key, entry) = entries.get_key_value(&(kind, name))?;
            let status = self.status_of(key, entry);
            let about = entry.component.as_ref().map(|(component, _)| component.about().clone());
            let files = self.files().await;
            let modules = files.iter().flat_map(|files| &files.modules);
            let uses =
                modules.filter_map(|(_, module)| module.as_ref().ok()).flat_map(Sourced::component_uses);
            let mine = uses.filter(|of| of.kind == key.0 && of.component == key.1);
            let asked = about.as_ref().map(|about| about.grants.clone()).unwrap_or_default();
            let line = |of: ComponentUse| {
                let cost = self.context.metrics.cost(&of.module, of.checker.as_ref());
                UseLine::new(&of, &asked, &cost, self.clock())
            };
            Some(ComponentDetail::new(status, about, mine.map(line).collect()))
        }
        .boxed()
    }

    fn components(&self) -> Vec<ComponentStatus> {
        let entries = self.context.registry.entries();
        let status = entries.iter().map(|(key, entry)| self.status_of(key, entry));
        status.collect()
    }

    fn turns(&self) -> bool {
        self.heartbeat.alive(self.clock())
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.sentences();
        problems.extend(self.refused.sentences());
        problems.extend(self.persisted_state.problems());
        problems.extend(self.guest_stores.problem());
        problems.extend(self.notify.board().problems());
        problems.extend(self.journal.health().problems());
        problems
    }

    fn not_in_force(&self) -> Vec<(String, String)> {
        self.refused.all()
    }

    fn inactive(&self, module: &ModuleName) -> Vec<Inactive> {
        let Some(member) = self.context.loaded_modules.get(module) else { return Vec::new() };
        let spec = &member.spec;
        let checkers = spec.checkers.values().filter_map(|checker| match &checker.definition.subject {
            Subject::Component(component) => Some((ComponentKind::Checker, component.component.clone())),
            Subject::Process(_) => None,
        });
        let script = (ComponentKind::RestartScript, spec.restart.script.clone());
        let used: Vec<ComponentKey> = checkers.chain([script]).collect();
        let entries = self.context.registry.entries();
        let own = module_path(&format!("{module}.toml"));
        let remedy = |file: &str| {
            if file == own {
                return Some(Remedy::Correct);
            }
            let named = |key: &&ComponentKey| file == format!("{}/{}.wasm", key.0.folder(), key.1);
            let entry = entries.get(used.iter().find(named)?)?;
            Some(match (&entry.quarantined, &entry.waiting) {
                (Some(_), _) => Remedy::Replace,
                (None, Some(_)) => Remedy::Approve,
                (None, None) => Remedy::Correct,
            })
        };
        let files = self.refused.all().into_iter();
        files.filter_map(|(file, why)| Some(Inactive { remedy: remedy(&file)?, file, why })).collect()
    }

    fn console(&self) -> Option<ConsoleStatus> {
        self.console.status()
    }

    fn farm(&self) -> Option<&dyn api::farm::Farm> {
        self.farm.as_ref().map(|farm| farm as &dyn api::farm::Farm)
    }

    fn notifications(&self) -> Vec<NotifyStatus> {
        let targets = self.notify.board().targets();
        targets.iter().map(|(name, target, _)| NotifyStatus::new(name, target, self.clock())).collect()
    }

    fn test_notifications(&self, target: Option<String>, by: String) -> BoxFuture<'_, Vec<Tested>> {
        self.notify.test(target, by).boxed()
    }

    fn command(
        &self,
        module: ModuleName,
        order: Order,
        authorization: Authorization,
        by: String,
    ) -> BoxFuture<'_, CommandOutcome> {
        async move {
            let (answer, answered) = oneshot::channel();
            let Order { command, lasts, reason } = order;
            let message = Message::Command { module, command, lasts, authorization, by, reason, answer };
            if self.commands.send(message).await.is_err() {
                return CommandOutcome::Denied(DeniedReason::Ending);
            }
            let outcome = answered.await.unwrap_or(CommandOutcome::Denied(DeniedReason::Ending));
            // A user who got an answer finds the command in the journal, even if this daemon is killed.
            self.journal.settled().await;
            outcome
        }
        .boxed()
    }

    fn note(&self, module: Option<ModuleName>, kind: RecordKind) {
        Recorder::new(self.events.clone()).record_later(module, kind);
    }

    fn approve(
        &self,
        name: String,
        seen: Option<String>,
        by: String,
    ) -> BoxFuture<'_, Result<Approved, NotApproved>> {
        async move {
            let (answer, answered) = oneshot::channel();
            if self.approve.send(Approve { name, seen, by, answer }).await.is_err() {
                return Err(NotApproved::Ending);
            }
            answered.await.unwrap_or(Err(NotApproved::Ending))
        }
        .boxed()
    }

    fn run_checker(
        &self,
        module: ModuleName,
        checker: CheckerName,
    ) -> BoxFuture<'_, Result<Observation, NotRun>> {
        async move { self.context.run_once(&module, &checker).await }.boxed()
    }
}

impl ApiBackend {
    fn status_of(&self, (kind, name): &ComponentKey, entry: &RegisteredComponent) -> ComponentStatus {
        let loaded = entry.component.as_ref();
        ComponentStatus {
            kind: match kind {
                ComponentKind::Checker => wire::ComponentKind::Checker,
                ComponentKind::RestartScript => wire::ComponentKind::RestartScript,
            },
            name: name.to_string(),
            version: loaded.map(|(component, _)| component.about().version.clone()),
            digest: loaded.map(|(component, _)| component.digest().to_owned()).unwrap_or_default(),
            origin: match loaded {
                Some((_, Origin::Embedded)) => wire::Origin::Embedded,
                Some((_, Origin::File)) | None => wire::Origin::File,
            },
            error: entry.error.clone(),
            quarantine: entry
                .quarantined
                .as_ref()
                .map(|case| QuarantineStatus::new(case, self.context.clock)),
            waiting: entry.waiting.as_ref().map(|waiting| WaitingStatus {
                digest: waiting.digest.clone(),
                version: waiting.version.clone(),
                asks: waiting.asks.clone(),
            }),
        }
    }
}
