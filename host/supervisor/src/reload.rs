//! Takes over what the operator drops, replaces, edits and removes.
//!
//! ```text
//!   a hint, or the clock ──▶ look ──▶ settle ──▶ read, check, compile ──▶ try ──▶ in force
//!                              ▲                     │ beside all else     │        │
//!                              │                     ▼                     ▼        ▼ relapsed
//!                              └──────── the last good version stays, or comes back; why is shown
//! ```
//! Events of the file system are hints; a look at the folders every second is
//! the truth. One task looks and decides; what takes time is done by others,
//! whose results come back to it. What belongs together comes into force at one
//! moment, between two runs of its checkers: which that is, the core says.
//!
//! | | |
//! |---|---|
//! | `looking`, `folders`, `settle` | which files are there, which have changed and are whole |
//! | `vanishing` | which are gone, of those that are missing |
//! | `loading`, `trust` | from a file to something that could be in force |
//! | `pending` | how far each changed file has come |
//! | `picture`, `deciding`, `trial`, `approvals` | what goes into force now |
//! | `in_force` | puts it there, and takes it back |

mod approvals;
mod deciding;
mod folders;
mod in_force;
mod loading;
mod looking;
mod pending;
mod picture;
mod refused;
mod settle;
mod trial;
mod trust;
mod vanishing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use bellwether_core::id::{ComponentName, ModuleName};
use bellwether_core::memory::ModuleMemory;
use bellwether_core::moment::Moment;
use bellwether_core::snapshot::Snapshot;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::act::kept::Kept;
use crate::observe::Means;
use crate::registry::{ComponentKey, Origin, Waiting};
use bellwether_bus::Message;
use bellwether_bus::problems::Problems;
use bellwether_config::spec::{ModuleSpec, TrustSpec};
use bellwether_config::{ComponentKind, Mistakes, Sourced};
use bellwether_os::at_most;
use bellwether_os::fault;
use bellwether_os::pulse::Pulse;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::component::Component;

use self::approvals::Approvals;
pub use self::approvals::{Approve, Approved, NotApproved};
use self::folders::{FileKey, Folder, Hints};
use self::loading::{LARGE, Loaded, Loader, Refusal};
use self::pending::{Pending, Stage};
pub use self::refused::Refused;
use self::settle::{Listing, Stamp};
use self::trial::TrialFailure;
use self::trust::Trust;
use self::vanishing::Vanishing;

/// While something is changing, look again after so long: a writer that pauses
/// for longer is read in between, refused, and read again when it goes on.
const SETTLE: Duration = Duration::from_millis(120);
/// However many hints there are, there is so much time between two looks.
const BREATH: Duration = Duration::from_millis(20);
/// The task turns at least this often, as long as it turns.
const BEAT: Duration = Duration::from_secs(5);
/// A file that cannot be read is read again after so long.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// At the start everything is waited for, but not a large component for ever.
const BEGIN_WITHIN: Duration = at_most!(Duration::from_secs(20));

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

/// What the reload works with.
#[derive(Debug)]
pub struct Settings {
    /// Where components run, and what is in force.
    pub means: Means,
    /// Where the operator's files are.
    pub root: PathBuf,
    /// Whose components run here.
    pub trust: TrustSpec,
    /// Without a hint, look this often.
    pub rescan: Duration,
    /// What comes with the binary, loaded.
    pub standard: BTreeMap<ComponentKey, Component>,
    /// What is refused.
    pub refused: Refused,
    /// What was known of the modules when the last daemon ended.
    pub memories: BTreeMap<ModuleName, ModuleMemory>,
    /// The core.
    pub events: mpsc::Sender<Message>,
    /// What people let in.
    pub approvals: mpsc::Receiver<Approve>,
    /// Somebody wants everything looked at now.
    pub looks: mpsc::Receiver<LookNow>,
    /// Beats as long as the folders are looked at.
    pub pulse: Pulse,
    /// Who keeps the applications, also those of modules whose files are gone.
    pub kept: Kept,
    /// What people want of a module whose file is renamed.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What is shown of the folders.
    pub problems: Problems,
}

/// Everything is to be looked at now, by these rules from now on.
#[derive(Debug)]
pub struct LookNow {
    /// Whose components run here.
    pub trust: TrustSpec,
    /// Without a hint, look this often.
    pub rescan: Duration,
    /// Told when it has been looked at.
    pub done: oneshot::Sender<()>,
}

/// Takes over files.
#[derive(Debug)]
pub struct Reload {
    settings: Settings,
    loader: Loader,
    pending: Pending,
    /// The modules in force, with their text.
    modules: BTreeMap<ModuleName, Arc<Sourced<ModuleSpec>>>,
    /// Modules' files that went into force together with a component: before, and since.
    sets: BTreeMap<ComponentKey, Vec<in_force::Edit>>,
    /// What people have let in, and versions that wait for that.
    approvals: Approvals,
    waiting: BTreeMap<FileKey, Waiting>,
    /// Modules' files that do not fit what is in force.
    unfit: BTreeMap<FileKey, Mistakes>,
    /// The files that have been read already, or are being read.
    known: Listing<FileKey>,
    before: Listing<FileKey>,
    vanishing: Vanishing,
    /// Modules whose files were removed a moment ago.
    removed: Vec<in_force::Removed>,
    /// What is missing or left out, as it was told last.
    told: Vec<String>,
    /// Files with mistakes that are being read again.
    rereading: BTreeSet<FileKey>,
    tasks: JoinSet<Done>,
    /// Something has changed since the last decision.
    undecided: bool,
}

/// What a task brings back.
#[derive(Debug)]
enum Done {
    Loaded { file: FileKey, stamp: Stamp, loaded: Loaded },
    Tried { file: FileKey, digest: String, result: Result<(), TrialFailure> },
}

/// Loads the components that come with the binary, all at once.
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
    /// Nothing is in force yet. What was found damaged is in the second value.
    pub fn new(settings: Settings) -> (Self, Option<String>) {
        let (approvals, damaged) = Approvals::open(&settings.root);
        let loader = Loader::new(
            settings.root.clone(),
            Arc::clone(&settings.means.sandbox),
            settings.means.registry.clone(),
            Arc::new(Trust::new(settings.trust.clone())),
            settings.means.clock,
        );
        let reload = Self {
            settings,
            loader,
            pending: Pending::default(),
            modules: BTreeMap::new(),
            sets: BTreeMap::new(),
            approvals,
            waiting: BTreeMap::new(),
            unfit: BTreeMap::new(),
            known: Listing::new(),
            before: Listing::new(),
            vanishing: Vanishing::default(),
            removed: Vec::new(),
            told: Vec::new(),
            rereading: BTreeSet::new(),
            tasks: JoinSet::new(),
            undecided: true,
        };
        (reload, damaged)
    }

    /// Puts everything in force that is there. Returns the mistakes of the
    /// modules that could not be, and were the only ones.
    pub async fn begin(&mut self) -> Vec<Mistakes> {
        let standard = self.settings.standard.iter();
        let standard = standard.map(|(key, component)| (key.clone(), component.clone(), Origin::Embedded));
        self.settings.means.registry.put(standard.collect());
        let on_disk = self.list().await.unwrap_or_default();
        self.believe(&on_disk, false).await;
        let listing = on_disk.files;
        for (file, stamp) in &listing {
            self.load(file, *stamp);
        }
        (self.known, self.before) = (listing.clone(), listing);
        let deadline = Instant::now() + BEGIN_WITHIN;
        while self.is_beginning() {
            tokio::select! {
                done = self.tasks.join_next() => self.done(done).await,
                () = tokio::time::sleep_until(deadline) => return Vec::new(),
            }
            // What was bad all along holds up nothing else.
            self.pending.separate_bad();
            self.decide().await;
        }
        self.decide().await;
        let own = self.pending.iter().filter_map(|(_, stage)| match stage {
            Stage::Mistaken(mistakes) => Some(mistakes),
            _ => None,
        });
        let mistakes = own.chain(self.unfit.values()).cloned().collect();
        if self.modules.is_empty() { mistakes } else { Vec::new() }
    }

    /// Whether something is to be waited for at the start: all modules, and everything small. A
    /// language runtime that no module uses comes when it comes.
    fn is_beginning(&self) -> bool {
        self.pending.iter().any(|(file, stage)| match stage {
            Stage::Module(_) => !self.unfit.contains_key(file),
            Stage::Loading => self.known.get(file).is_none_or(|stamp| stamp.size < LARGE),
            _ => false,
        })
    }

    /// Takes over what changes from now on.
    pub async fn run(mut self) {
        let mut hints = Hints::new();
        let mut looked = Instant::now();
        let mut unsettled = false;
        loop {
            self.settings.pulse.beat(self.settings.means.clock);
            fault::hang("reload").await;
            let mut told = None;
            let (due, next) = self.pending.due(self.settings.means.clock.now());
            for file in due {
                if let Some(stamp) = self.known.get(&file).copied() {
                    self.load(&file, stamp);
                }
            }
            let clock = self.settings.means.clock;
            let wait = if unsettled { SETTLE } else { self.settings.rescan };
            let registry = self.settings.means.registry.clone();
            let look = tokio::select! {
                () = tokio::time::sleep_until(looked + wait) => true,
                () = hints.next(), if !unsettled => {
                    tokio::time::sleep_until(looked + BREATH).await;
                    true
                }
                done = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.done(done).await;
                    false
                }
                Some(approve) = self.settings.approvals.recv() => {
                    self.approve(approve).await;
                    false
                }
                () = registry.relapsed() => {
                    self.roll_back().await;
                    false
                }
                Some(now) = self.settings.looks.recv() => {
                    told = Some(now.done);
                    self.go_by(now.trust, now.rescan);
                    true
                }
                () = tokio::time::sleep(BEAT) => false,
                () = tokio::time::sleep_until(clock.instant(next.unwrap_or(Moment::NEVER))) => false,
            };
            if look {
                // First watched, then looked at: nothing falls in between.
                hints.arm(&self.settings.root);
                unsettled = self.look(told.is_some()).await;
                looked = Instant::now();
                registry.forget_proved();
            }
            self.decide().await;
            if let Some(told) = told {
                // Whoever asked may have given up.
                let _ = told.send(());
            }
        }
    }

    /// Takes over what the node's file says now. Components in force stay; those that were
    /// refused may be good now.
    fn go_by(&mut self, trust: TrustSpec, rescan: Duration) {
        self.settings.rescan = rescan;
        if self.settings.trust == trust {
            return;
        }
        self.settings.trust = trust.clone();
        self.loader.trust = Arc::new(Trust::new(trust));
        let refused = self.pending.iter().filter(|(_, stage)| matches!(stage, Stage::Refused { .. }));
        let refused: Vec<FileKey> = refused.map(|(file, _)| file.clone()).collect();
        for file in refused {
            if let Some(stamp) = self.known.get(&file).copied() {
                self.load(&file, stamp);
            }
        }
    }

    /// Begins to load a file. What is loading already is of no interest when it comes.
    fn load(&mut self, file: &FileKey, stamp: Stamp) {
        self.pending.changed(file, Stage::Loading);
        self.undecided = true;
        self.spawn_load(file.clone(), stamp);
    }

    fn spawn_load(&mut self, file: FileKey, stamp: Stamp) {
        let places = self.loader.clone();
        self.tasks.spawn(async move {
            let loaded = match file.folder {
                Folder::Modules => places.module(file.clone()).await,
                Folder::Checkers => places.component(ComponentKind::Checker, file.clone(), stamp).await,
                Folder::RestartScripts => {
                    places.component(ComponentKind::RestartScript, file.clone(), stamp).await
                }
            };
            Done::Loaded { file, stamp, loaded }
        });
    }

    /// What a module's file needs besides components (a program, a folder) may be there now.
    fn reread_mistaken(&mut self) {
        let mistaken = self.pending.iter().filter(|(_, stage)| matches!(stage, Stage::Mistaken(_)));
        let mistaken: Vec<FileKey> = mistaken.map(|(file, _)| file.clone()).collect();
        for file in mistaken {
            if let Some(stamp) = self.known.get(&file).copied()
                && self.rereading.insert(file.clone())
            {
                self.spawn_load(file, stamp);
            }
        }
    }

    async fn done(&mut self, done: Option<Result<Done, tokio::task::JoinError>>) {
        match done {
            None => {}
            // Only what the tasks wait for can panic, and that is caught there.
            Some(Err(error)) => tracing::error!(%error, "a task of the reload has ended by itself"),
            Some(Ok(Done::Loaded { file, stamp, loaded })) => {
                self.rereading.remove(&file);
                let expected = matches!(self.pending.stage(&file), Some(Stage::Loading | Stage::Mistaken(_)));
                // Changed again meanwhile: a newer one is on its way.
                if expected && self.known.get(&file) == Some(&stamp) {
                    self.undecided = true;
                    self.loaded(&file, loaded).await;
                }
            }
            Some(Ok(Done::Tried { file, digest, result })) => {
                let Some(Stage::Trying(component)) = self.pending.stage(&file) else { return };
                if component.digest() != digest {
                    return;
                }
                self.undecided = true;
                let stage = match result {
                    Ok(()) => Stage::Component { component: component.clone(), tried: true },
                    Err(broke) => self.quarantine(&file, &digest, broke.to_string()).await,
                };
                self.pending.advance(&file, stage);
            }
        }
    }

    async fn loaded(&mut self, file: &FileKey, loaded: Loaded) {
        let stage = match loaded {
            Loaded::Module(Ok(module)) => {
                let in_force = self.modules.get(&module.spec.name);
                if in_force.is_some_and(|before| before.spec == module.spec) {
                    self.modules.insert(module.spec.name.clone(), Arc::from(module));
                    return self.settled(file);
                }
                Stage::Module(Arc::from(module))
            }
            Loaded::Module(Err(mistakes)) => {
                self.refuse(file, &picture::sentence(&mistakes), None).await;
                Stage::Mistaken(mistakes)
            }
            Loaded::Component(Ok(component)) => {
                if self.is_in_force(file, &component) {
                    return self.settled(file);
                }
                Stage::Component { component, tried: false }
            }
            Loaded::Component(Err(Refusal::Broken { digest, why })) => {
                self.quarantine(file, &digest, why).await
            }
            Loaded::Component(Err(Refusal::Quarantined(case))) => {
                self.refuse(file, &case.why, Some(&case)).await;
                Stage::Refused { retry: Some(case.next) }
            }
            Loaded::Component(Err(refusal)) => {
                self.refuse(file, &refusal.to_string(), None).await;
                let again = self.settings.means.clock.now() + READ_AGAIN;
                Stage::Refused { retry: matches!(refusal, Refusal::Unreadable(_)).then_some(again) }
            }
        };
        self.pending.advance(file, stage);
    }

    /// This version is not tried again for a while.
    async fn quarantine(&mut self, file: &FileKey, digest: &str, why: String) -> Stage {
        let now = self.settings.means.clock.now();
        let what = file.path().display().to_string();
        let case = {
            let mut quarantine = self.loader.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
            quarantine.put(&what, digest, &why, now)
        };
        self.refuse(file, &why, Some(&case)).await;
        self.tell_of_quarantine(what, &case).await;
        Stage::Refused { retry: Some(case.next) }
    }
}

#[cfg(test)]
mod tests;
