//! Everything that the reload is told.

use std::time::Duration;

use super::file::{ComponentKey, FileKey, OnDisk};
use super::version::{ComponentFile, LoadId, ModuleFile};
use crate::event::DesiredState;
use crate::id::{ModuleName, RequestId};
use crate::probation::{Ending, User};

/// What happened. `M` is the content of a module's file, `C` a compiled component.
#[derive(Debug, Clone)]
pub enum Event<M, C> {
    /// The daemon starts: everything that is there is loaded at once.
    Begin {
        /// What lies in the folders.
        on_disk: OnDisk,
        /// The start waits for modules and small components, for at most this long.
        within: Duration,
    },
    /// Time has passed.
    Tick,
    /// Something may have changed in the folders.
    Hint,
    /// A person wants everything to be read again, by these settings from now on.
    LookNow {
        /// Without a hint, look this often.
        rescan: Duration,
        /// Other signatures are trusted than before: components that are not active are loaded again.
        trust_changed: bool,
    },
    /// Answers [`Action::Look`](super::Action::Look).
    Looked {
        /// What lies in the folders.
        on_disk: OnDisk,
        /// Copied from the action.
        confirmed: bool,
    },
    /// The folders could not be looked at.
    NotLooked,
    /// Answers [`Action::Load`](super::Action::Load).
    Loaded {
        /// The file.
        file: FileKey,
        /// Copied from the action.
        load: LoadId,
        /// What was loaded, or why nothing was.
        loaded: Loaded<M, C>,
    },
    /// Answers [`Action::Compare`](super::Action::Compare).
    Compared {
        /// For each pair, whether the module's config fits the component; else why not.
        fits: Vec<(Pair, Result<(), String>)>,
    },
    /// Answers [`Action::Explain`](super::Action::Explain).
    Explained {
        /// The module's file.
        file: FileKey,
        /// Copied from the action.
        load: LoadId,
        /// Its mistakes, in one sentence.
        why: String,
    },
    /// Answers [`Action::Try`](super::Action::Try).
    Tried {
        /// The component's file.
        file: FileKey,
        /// Copied from the action.
        load: LoadId,
        /// How a run of the version before ends.
        before: Ending,
        /// How the run of the new version has ended.
        now: Ending,
    },
    /// A checker has run.
    Ran(Run),
    /// Answers [`Action::Unload`](super::Action::Unload).
    Unloaded {
        /// The module.
        module: ModuleName,
        /// What people wanted of it; nothing if that is not known.
        desired: Option<DesiredState>,
    },
    /// A person approves a version that waits.
    Approve {
        /// To be answered with [`Action::Answer`](super::Action::Answer).
        request: RequestId,
        /// `checkers/http`, or only `http`.
        name: String,
        /// The digest of the version that the person looked at, if that is said.
        seen: Option<String>,
        /// Who, and from where.
        by: String,
    },
    /// Answers [`Action::Write`](super::Action::Write) with a request.
    Written {
        /// Copied from the action.
        request: RequestId,
        /// Whether the approvals are on disk; else why not.
        result: Result<(), String>,
    },
}

/// What came of loading a file.
#[derive(Debug, Clone)]
pub enum Loaded<M, C> {
    /// A module's file; the error is its mistakes, in one sentence.
    Module(Result<ModuleFile<M>, String>),
    /// A component's file.
    Component(Result<ComponentFile<C>, Refusal>),
}

/// Why a component's file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It could not be read just now: it is read again soon.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is one of the versions that were not to be compiled.
    #[error("this version is in quarantine")]
    Quarantined {
        /// BLAKE3 of the file, in hexadecimal.
        digest: String,
    },
    /// This version does not work.
    #[error("{why}")]
    Broken {
        /// BLAKE3 of the file, in hexadecimal.
        digest: String,
        /// What happened.
        why: String,
    },
    /// It may not run as it is there, whatever is in it.
    #[error("{0}")]
    Unsuitable(String),
}

/// A version of a module's file, and a version of a component that it names; nothing if there is no such
/// component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The load of the module's file.
    pub module: LoadId,
    /// The component.
    pub component: ComponentKey,
    /// The load of the component.
    pub version: Option<LoadId>,
}

/// A run of a checker that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The component that ran.
    pub component: ComponentKey,
    /// Which version of it.
    pub digest: String,
    /// The checker.
    pub user: User,
    /// How it ended.
    pub ending: Ending,
}
