//! How a file that the operator adds, edits or removes becomes active: a pure state machine.
//!
//! ```text
//!   a hint, or the clock
//!        │
//!        ▼
//!    looked at      the folders are listed; files that are missing may be gone         looking, vanishing
//!        │ differs from what is known
//!        ▼
//!     settled       the same at two looks: completely written                          settle
//!        │
//!        ▼
//!     loaded        read, signature and mistakes checked, compiled                     loading
//!        │    └───────▶ refused, mistaken: loaded again in time, or once it changes
//!        ▼
//!     decided       complete, fits everything else, asks for nothing new               deciding, approvals
//!        │    └───────▶ held: waits for another file, or for a person
//!        ▼
//!      tried        one run, measured by the version before                            trying
//!        │    └───────▶ quarantined: tried again after 10 s, 20 s … 1 h                loading
//!        ▼
//!     active        all files of a change at one moment                                activating
//!        │
//!        ▼
//!   on probation    the first runs of each checker, measured by the version before     relapsing
//!        │    └───────▶ rolled back with the modules' files that came with it, and quarantined
//!        ▼
//!      stays           stored for the next daemon                                     keeping, restoring
//! ```
//! The machine handles events ([`Event`]) and returns actions ([`Action`]). The daemon lists folders, reads,
//! compiles, compares, runs and writes; each of these actions is answered with an event. A file that changes starts
//! again from the top, wherever it is; the active version stays active until another version takes its place.

mod action;
mod activating;
mod approvals;
mod deciding;
mod event;
mod file;
mod keeping;
mod last_good;
mod loading;
mod looking;
mod pending;
mod relapsing;
mod restoring;
mod runs;
mod settle;
mod trying;
mod vanishing;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::{ModuleName, RequestId};
use crate::memory::ModuleMemory;
use crate::moment::Moment;
use crate::quarantine::Quarantine;

use self::activating::Shown;
use self::activating::{Active, Edit, Removed};
use self::approvals::Approving;
use self::looking::Folders;
use self::pending::{Pending, Stage};
use self::restoring::StoredVersions;
use self::version::{ComponentVersion, ModuleVersion, numbered};

pub use self::action::{Action, Comparison, Trial};
pub use self::approvals::{Approvals, Approved, NotApproved, Waiting};
pub use self::event::{Event, Loaded, Pair, Refusal, Run};
pub use self::file::{
    ComponentKey, ComponentKind, FileKey, Folder, Identity, LARGE, Listing, MAX_FILES, OnDisk, Stamp,
    Standing,
};
pub use self::last_good::{GoodVersion, InPlace, LastGood};
pub use self::runs::Runs;
pub use self::vanishing::Problem;
pub use self::version::{ComponentFile, LoadId, ModuleFile, Origin, Use};

/// The initial data of the machine.
#[derive(Debug)]
pub struct Start<C> {
    /// The components that come with the binary.
    pub standard: BTreeMap<ComponentKey, ComponentFile<C>>,
    /// The interval of scans without a hint.
    pub rescan: Duration,
    /// The approvals that users have given.
    pub approvals: Approvals,
    /// The stored state of the modules when the last daemon ended.
    pub memories: BTreeMap<ModuleName, ModuleMemory>,
    /// The last good versions that the last daemon has stored.
    pub last_good: LastGood,
    /// The versions that were in quarantine when the last daemon ended.
    pub quarantine: Quarantine,
}

/// All files, the stage of each, and what is active. `M` is the content of a module's file, `C` a compiled
/// component: the machine compares the former, and passes both back.
#[derive(Debug)]
pub struct Reload<M, C> {
    now: Moment,
    actions: Vec<Action<M, C>>,
    /// Answers that follow all other actions of an event, and of the decision that it leads to.
    answers: Vec<(RequestId, Result<Approved, NotApproved>)>,
    /// The start is in progress, until then at the latest.
    beginning: Option<Moment>,
    folders: Folders,

    last_load: LoadId,
    pending: Pending<M, C>,
    /// Files with errors that are being read again.
    rereading: BTreeMap<FileKey, LoadId>,
    quarantine: Quarantine,

    /// Whether something has changed since the last decision.
    undecided: bool,
    /// Whether a decision waits for comparisons.
    comparing: bool,
    /// Whether the config of a module's file matches a component; otherwise why not.
    fits: BTreeMap<Pair, Result<(), String>>,
    approvals: Approvals,
    approving: BTreeMap<RequestId, Approving>,
    /// Versions that wait for approval.
    waiting: BTreeMap<FileKey, Waiting>,
    /// Modules' files that do not match the active components.
    unfit: Vec<FileKey>,
    /// Why files are not active, as displayed.
    refused: BTreeMap<FileKey, Shown>,

    /// The last good versions, as they are to be stored.
    last_good: LastGood,
    /// Whether they may have changed since.
    unkept: bool,
    /// Stored versions of the last daemon, as long as their files have no active version.
    stored: StoredVersions<M, C>,
    /// Files in whose place their stored versions are active.
    restored: BTreeSet<FileKey>,

    modules: BTreeMap<ModuleName, ModuleVersion<M>>,
    components: BTreeMap<ComponentKey, Active<C>>,
    standard: BTreeMap<ComponentKey, ComponentVersion<C>>,
    /// The edits of modules' files that became active together with a component on probation.
    sets: BTreeMap<ComponentKey, Vec<Edit<M>>>,
    /// Modules whose files were removed a moment ago.
    removed: Vec<Removed<M>>,
    memories: BTreeMap<ModuleName, ModuleMemory>,
}

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// Nothing is active yet.
    pub fn new(start: Start<C>) -> Self {
        let Start { standard, rescan, approvals, memories, last_good, quarantine } = start;
        let mut reload = Self {
            now: Moment::default(),
            actions: Vec::new(),
            answers: Vec::new(),
            beginning: None,
            folders: Folders::new(rescan),
            last_load: LoadId::default(),
            pending: Pending::default(),
            rereading: BTreeMap::new(),
            quarantine,
            undecided: true,
            comparing: false,
            fits: BTreeMap::new(),
            approvals,
            approving: BTreeMap::new(),
            waiting: BTreeMap::new(),
            unfit: Vec::new(),
            refused: BTreeMap::new(),
            last_good,
            unkept: true,
            stored: BTreeMap::new(),
            restored: BTreeSet::new(),
            modules: BTreeMap::new(),
            components: BTreeMap::new(),
            standard: BTreeMap::new(),
            sets: BTreeMap::new(),
            removed: Vec::new(),
            memories,
        };
        for (key, component) in standard {
            let load = reload.next_load();
            reload.standard.insert(key, numbered(load, component));
        }
        reload
    }

    /// Handles an event, and returns the actions.
    pub fn handle(&mut self, event: Event<M, C>, now: Moment) -> Vec<Action<M, C>> {
        self.now = now;
        match event {
            Event::Begin { on_disk, within } => {
                self.beginning = Some(now + within);
                self.activate_standard();
                self.begin(on_disk, now);
            }
            Event::Tick => self.tick(now),
            Event::Hint => self.folders.hint(),
            Event::LookNow { rescan, trust_changed } => self.look_now(rescan, trust_changed),
            Event::Looked { on_disk, confirmed } => self.looked(on_disk, confirmed, now),
            Event::NotLooked => self.not_looked(now),
            Event::Loaded { file, load, loaded } => self.loaded(&file, load, loaded),
            Event::Compared { fits } => self.compared(fits),
            Event::Explained { file, load, why } => self.explained(&file, load, why),
            Event::Tried { file, load, before, now } => self.tried(&file, load, &before, &now),
            Event::Ran(run) => self.ran(&run),
            Event::Unloaded { module, desired } => self.unloaded(&module, desired),
            Event::Approve { request, name, seen, by } => self.approve(request, &name, seen.as_deref(), by),
            Event::Written { request, result } => self.written(request, result),
        }
        self.end_the_start(|reload| reload.beginning.is_some_and(|until| now >= until));
        self.decide();
        self.end_the_start(|reload| !reload.is_waiting_at_the_start());
        // What has been restored may end the start, and what could not be restored counts for nothing.
        for _ in 0..3 {
            if !self.restore() {
                break;
            }
            self.decide();
            self.end_the_start(|reload| !reload.is_waiting_at_the_start());
        }
        self.keep();
        if !self.comparing {
            let answers = self.answers.drain(..).map(|(request, answer)| Action::Answer { request, answer });
            self.actions.extend(answers);
        }
        std::mem::take(&mut self.actions)
    }

    fn end_the_start(&mut self, is_over: impl Fn(&Self) -> bool) {
        if self.beginning.is_some() && is_over(self) {
            // Maybe nothing was decided so far: a file that was invalid all along does not hold back others.
            self.pending.separate_bad();
            self.beginning = None;
            self.folders.begun(self.now);
        }
    }

    fn tick(&mut self, now: Moment) {
        self.retry(now);
        if self.beginning.is_none() && self.folders.next().is_some_and(|next| now >= next) {
            self.ask_for_look(false);
        }
    }

    /// When to send [`Event::Tick`] at the latest.
    pub fn next_deadline(&self) -> Moment {
        let next = self.beginning.or_else(|| self.folders.next());
        next.into_iter().chain(self.pending.next_due()).min().unwrap_or(Moment::NEVER)
    }

    /// Whether [`Event::Hint`] has an effect at present.
    pub fn heeds_hints(&self) -> bool {
        self.beginning.is_none() && self.folders.heeds_hints()
    }

    /// Whether the start is in progress.
    pub fn is_beginning(&self) -> bool {
        self.beginning.is_some()
    }

    /// The start waits for all modules that may become active, and for all small components. A language runtime
    /// that no module uses comes later.
    fn is_waiting_at_the_start(&self) -> bool {
        let is_small = |file: &FileKey| self.folders.known.get(file).is_none_or(|stamp| stamp.size < LARGE);
        let may_follow = self.comparing || self.pending.on_the_way();
        if self.is_loading_stored() || may_follow && self.has_stored_modules() {
            return true;
        }
        self.pending.iter().any(|(file, stage)| match stage {
            Stage::Loading(_) => is_small(file),
            Stage::Module(_) => may_follow && !self.unfit.contains(file),
            _ => false,
        })
    }

    /// Whether no module is active, and every module's file has errors.
    pub fn has_only_mistakes(&self) -> bool {
        let is_mistaken = |(file, stage): (&FileKey, &Stage<M, C>)| match stage {
            Stage::Mistaken => true,
            Stage::Module(_) => self.unfit.contains(file),
            _ => file.folder != Folder::Modules,
        };
        self.modules.is_empty() && self.pending.iter().all(is_mistaken)
    }

    /// Whether the module is not active and has no file. A file may become active later, whatever is wrong with it
    /// now.
    pub fn is_gone(&self, module: &ModuleName) -> bool {
        let file = FileKey { folder: Folder::Modules, stem: module.as_str().to_owned() };
        !self.modules.contains_key(module) && !self.folders.known.contains_key(&file)
    }
}

#[cfg(test)]
mod tests;
