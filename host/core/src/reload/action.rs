//! Everything that the reload asks the daemon for. Actions are carried out in their order.

use std::collections::{BTreeMap, BTreeSet};

use super::approvals::{Approvals, Approved, NotApproved, Waiting};
use super::event::Pair;
use super::file::{ComponentKey, FileKey};
use super::vanishing::Problem;
use super::version::{LoadId, Origin};
use crate::id::{CheckerName, ModuleName, RequestId};
use crate::memory::ModuleMemory;
use crate::quarantine::Case;
use crate::record::RecordKind;

/// What to do. `M` is the content of a module's file, `C` a compiled component.
#[derive(Debug, Clone)]
pub enum Action<M, C> {
    /// List the folders. Answered with [`Event::Looked`](super::Event::Looked) or
    /// [`Event::NotLooked`](super::Event::NotLooked).
    Look {
        /// A person has asked for it, and so knows of what is missing.
        confirmed: bool,
    },
    /// Read and check the file, and compile a component. Answered with [`Event::Loaded`](super::Event::Loaded).
    Load {
        /// The file.
        file: FileKey,
        /// To be copied to the answer.
        load: LoadId,
        /// The file's size in bytes.
        size: u64,
        /// Versions that are not to be compiled: those in quarantine.
        quarantined: BTreeSet<String>,
    },
    /// Check the configs of modules against components. Answered with [`Event::Compared`](super::Event::Compared).
    Compare(Vec<Comparison<M, C>>),
    /// List the mistakes that a module's file makes about these components. Answered with
    /// [`Event::Explained`](super::Event::Explained).
    Explain {
        /// The module's file.
        file: FileKey,
        /// To be copied to the answer.
        load: LoadId,
        /// What the file says.
        module: M,
        /// The components that are active.
        components: BTreeMap<ComponentKey, C>,
        /// The answer if there are none.
        why: String,
    },
    /// Run a new version once and discard what it does. Answered with [`Event::Tried`](super::Event::Tried).
    Try(Trial<M, C>),
    /// Make these versions active, all at one moment.
    Activate {
        /// The components.
        components: Vec<(ComponentKey, C, Origin)>,
        /// The modules.
        modules: Vec<M>,
        /// Checkers whose definition changes keep the component that they have until they end, so that no run
        /// has the new component with the old config.
        together: bool,
    },
    /// Tell of a module that is active now.
    Introduce {
        /// The module.
        module: M,
        /// It was not active before: it may take over the application of a module that
        /// [is gone](super::Reload::is_gone).
        first: bool,
        /// What is remembered of it.
        memory: Option<Box<ModuleMemory>>,
    },
    /// The module is active no more. Answered with [`Event::Unloaded`](super::Event::Unloaded).
    Unload {
        /// The module.
        module: ModuleName,
    },
    /// The component is active no more, and no other takes its place.
    Withdraw {
        /// The component.
        component: ComponentKey,
    },
    /// Show why a file is not active.
    Show {
        /// The file.
        file: FileKey,
        /// Why, in one sentence.
        why: String,
        /// The version is in quarantine.
        case: Option<Case>,
        /// The version waits for approval.
        waiting: Option<Waiting>,
    },
    /// Show no more that the file is not active.
    Clear {
        /// The file.
        file: FileKey,
    },
    /// Show these problems of the folders, and no others.
    Diagnostics(Vec<Problem>),
    /// Write the approvals to disk.
    Write {
        /// All of them.
        approvals: Approvals,
        /// With a request: answered with [`Event::Written`](super::Event::Written).
        request: Option<RequestId>,
    },
    /// Write a record to the journal.
    Note {
        /// The module that it is about, if it is about one.
        module: Option<ModuleName>,
        /// The record.
        kind: RecordKind,
    },
    /// Answer a person.
    Answer {
        /// Which request.
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
    /// What the module's file says.
    pub module: M,
    /// The component; nothing if there is none.
    pub component: Option<C>,
}

/// One run of a new version, before it becomes active.
#[derive(Debug, Clone)]
pub struct Trial<M, C> {
    /// The component's file.
    pub file: FileKey,
    /// To be copied to the answer.
    pub load: LoadId,
    /// The new version.
    pub candidate: C,
    /// The active version.
    pub before: C,
    /// The module to run it for, as its file will be once the new version is active.
    pub module: M,
    /// The checker to run, whose last run has answered; nothing if it is the module's restart script, which is
    /// asked for a plan.
    pub checker: Option<CheckerName>,
}
