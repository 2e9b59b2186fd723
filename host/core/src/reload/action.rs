//! The actions that the reload requests of the daemon. They are carried out in their order.

use std::collections::{BTreeMap, BTreeSet};

use super::approvals::{Approvals, Approved, NotApproved, Waiting};
use super::event::Pair;
use super::file::{ComponentKey, FileKey};
use super::last_good::{GoodVersion, InPlace, LastGood};
use super::vanishing::Problem;
use super::version::{LoadId, Origin};
use crate::id::{CheckerName, ModuleName, RequestId};
use crate::memory::ModuleMemory;
use crate::quarantine::{Case, Quarantine};
use crate::record::RecordKind;

/// An action. `M` is the content of a module's file, `C` a compiled component.
#[derive(Debug, Clone)]
pub enum Action<M, C> {
    /// List the folders. Answered with [`Event::Looked`](super::Event::Looked) or
    /// [`Event::NotLooked`](super::Event::NotLooked).
    Look {
        /// A user has asked for it, and so knows about missing files.
        confirmed: bool,
    },
    /// Read and check the file, and compile a component. Answered with [`Event::Loaded`](super::Event::Loaded).
    Load {
        /// The file to load.
        file: FileKey,
        /// To be copied to the answer.
        load: LoadId,
        /// The file's size in bytes.
        size: u64,
        /// Versions that must not be compiled: those in quarantine.
        quarantined: BTreeSet<String>,
    },
    /// The same for the stored version of a file, with this digest. Answered with
    /// [`Event::Loaded`](super::Event::Loaded), too. A module's file counts as good even if this host lacks something
    /// that it names: it was good when it was stored.
    Restore {
        /// The file that it is a version of.
        file: FileKey,
        /// To be copied to the answer.
        load: LoadId,
        digest: String,
    },
    /// Check the configs of modules against components. Answered with [`Event::Compared`](super::Event::Compared).
    Compare(Vec<Comparison<M, C>>),
    /// List the errors of a module's file concerning these components. Answered with
    /// [`Event::Explained`](super::Event::Explained).
    Explain {
        file: FileKey,
        /// To be copied to the answer.
        load: LoadId,
        /// The content of the file.
        module: M,
        /// The components that are active.
        components: BTreeMap<ComponentKey, C>,
        /// The answer if there are none.
        why: String,
    },
    /// Run a new version once and discard its effects. Answered with [`Event::Tried`](super::Event::Tried).
    Try(Trial<M, C>),
    /// Activate these versions, all at the same time.
    Activate {
        components: Vec<(ComponentKey, C, Origin)>,
        modules: Vec<M>,
        /// Checkers whose definition changes keep the component that they have until they end, so that no run
        /// combines the new component with the old config.
        together: bool,
    },
    /// Inform the core of a module that is active now.
    Introduce {
        module: M,
        /// It was not active before: it may take over the application of a module that
        /// [is gone](super::Reload::is_gone).
        first: bool,
        memory: Option<Box<ModuleMemory>>,
        /// It is the stored version, because the file on disk cannot become active.
        restored: Option<GoodVersion>,
    },
    /// The module is no longer active. Answered with [`Event::Unloaded`](super::Event::Unloaded).
    Unload { module: ModuleName },
    /// The component is no longer active, and has no replacement.
    Withdraw { component: ComponentKey },
    /// Show why a file is not active.
    Show {
        file: FileKey,
        /// The reason in one sentence.
        why: String,
        /// The version is in quarantine.
        case: Option<Case>,
        /// The version waits for approval.
        waiting: Option<Waiting>,
        /// What has been restored in its place, if there was something to restore.
        in_place: Option<InPlace>,
    },
    /// No longer show that the file is not active.
    Clear { file: FileKey },
    /// Show these problems with the folders, and no others.
    Diagnostics(Vec<Problem>),
    /// Write the approvals to disk.
    Write {
        /// All approvals, not only the new one.
        approvals: Approvals,
        /// With a request: answered with [`Event::Written`](super::Event::Written).
        request: Option<RequestId>,
    },
    /// Store the last good versions for the next daemon, and nothing else. Nobody waits for it: a disk that is full
    /// is tried again.
    Keep {
        last_good: LastGood,
        /// The contents of the active modules' files. Those of components are on disk, or stored already.
        modules: Vec<(FileKey, M)>,
    },
    /// Store the quarantined versions for the next daemon. Nobody waits for it, either.
    KeepQuarantine(Quarantine),
    /// Write a record to the journal.
    Note {
        /// The module that it concerns, if it concerns one.
        module: Option<ModuleName>,
        kind: RecordKind,
    },
    /// Answer a user's approval.
    Answer {
        request: RequestId,
        /// What was approved, or why nothing was.
        answer: Result<Approved, NotApproved>,
    },
}

/// A module's file, and a component to check its config against.
#[derive(Debug, Clone)]
pub struct Comparison<M, C> {
    /// To be copied to the answer.
    pub pair: Pair,
    /// The content of the module's file.
    pub module: M,
    /// The component; `None` if it does not exist.
    pub component: Option<C>,
}

/// One run of a new version, before it becomes active.
#[derive(Debug, Clone)]
pub struct Trial<M, C> {
    pub file: FileKey,
    /// To be copied to the answer.
    pub load: LoadId,
    pub candidate: C,
    pub before: C,
    /// The module to run it for, with its file as it will be once the new version is active.
    pub module: M,
    /// The checker to run, whose last run has answered; `None` if it is the module's restart script, which is asked
    /// for a plan.
    pub checker: Option<CheckerName>,
}
