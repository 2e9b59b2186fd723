//! The events that the reload handles.

use std::time::Duration;

use super::file::{ComponentKey, FileKey, OnDisk};
use super::version::{ComponentFile, LoadId, ModuleFile};
use crate::event::DesiredState;
use crate::id::{ModuleName, RequestId};
use crate::probation::{Ending, User};

/// An event. `M` is the content of a module's file, `C` a compiled component.
#[derive(Debug, Clone)]
pub enum Event<M, C> {
    /// The daemon starts: all present files are loaded immediately.
    Begin {
        /// The files in the folders.
        on_disk: OnDisk,
        /// The longest time that the start waits for modules and small components.
        within: Duration,
    },
    /// Only time has passed.
    Tick,
    /// Something may have changed in the folders.
    Hint,
    /// A user wants everything to be read again, with these settings from now on.
    LookNow {
        /// The interval of scans without a hint.
        rescan: Duration,
        /// The trusted signatures have changed: components that are not active are loaded again.
        trust_changed: bool,
    },
    /// The answer to [`Action::Look`](super::Action::Look).
    Looked {
        /// The files in the folders.
        on_disk: OnDisk,
        /// Copied from the action.
        confirmed: bool,
    },
    /// The folders could not be read.
    NotLooked,
    /// The answer to [`Action::Load`](super::Action::Load) or [`Action::Restore`](super::Action::Restore).
    Loaded {
        file: FileKey,
        /// Copied from the action.
        load: LoadId,
        /// The loaded content, or why it could not be loaded.
        loaded: Loaded<M, C>,
    },
    /// The answer to [`Action::Compare`](super::Action::Compare).
    Compared {
        /// For each pair, whether the module's config matches the component; otherwise why not.
        fits: Vec<(Pair, Result<(), String>)>,
    },
    /// The answer to [`Action::Explain`](super::Action::Explain).
    Explained {
        file: FileKey,
        /// Copied from the action.
        load: LoadId,
        /// Its errors, in one sentence.
        why: String,
    },
    /// The answer to [`Action::Try`](super::Action::Try).
    Tried {
        file: FileKey,
        /// Copied from the action.
        load: LoadId,
        /// How a run of the previous version ends.
        before: Ending,
        /// How the run of the new version has ended.
        now: Ending,
    },
    /// A run of a checker has ended.
    Ran(Run),
    /// The answer to [`Action::Unload`](super::Action::Unload).
    Unloaded {
        module: ModuleName,
        /// What people wanted of it; nothing if that is not known.
        desired: Option<DesiredState>,
    },
    /// A user approves a version that waits.
    Approve {
        /// To be answered with [`Action::Answer`](super::Action::Answer).
        request: RequestId,
        /// `checkers/http`, or only `http`.
        name: String,
        /// The digest of the version that the user has inspected, if specified.
        seen: Option<String>,
        /// The user and the origin.
        by: String,
    },
    /// The answer to [`Action::Write`](super::Action::Write) with a request.
    Written {
        /// Copied from the action.
        request: RequestId,
        /// Whether the approvals are on disk; otherwise why not.
        result: Result<(), String>,
    },
}

/// The result of loading a file.
#[derive(Debug, Clone)]
pub enum Loaded<M, C> {
    /// A module's file; the error contains its errors, in one sentence.
    Module(Result<ModuleFile<M>, String>),
    /// The component, or why it is rejected.
    Component(Result<ComponentFile<C>, Refusal>),
}

impl<M, C> Loaded<M, C> {
    /// The digest of the file, if it is known.
    pub(super) fn digest(&self) -> Option<&str> {
        match self {
            Self::Module(Ok(module)) => Some(&module.digest),
            Self::Component(Ok(component)) => Some(&component.digest),
            Self::Component(Err(Refusal::Broken { digest, .. } | Refusal::Quarantined { digest })) => {
                Some(digest)
            }
            Self::Module(Err(_)) | Self::Component(Err(Refusal::Unreadable(_) | Refusal::Unsuitable(_))) => {
                None
            }
        }
    }
}

/// Why a component's file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It could not be read at this time: it will be read again soon.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is one of the versions that must not be compiled.
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
        /// Why it does not work.
        why: String,
    },
    /// It must not run under the present settings, whatever its content.
    #[error("{0}")]
    Unsuitable(String),
}

/// A version of a module's file, and a version of a component that it names; `None` if there is no such component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The load of the module's file.
    pub module: LoadId,
    pub component: ComponentKey,
    /// The load of the component.
    pub version: Option<LoadId>,
}

/// A run of a checker that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The component that ran.
    pub component: ComponentKey,
    /// The digest of its version.
    pub digest: String,
    /// The checker that ran it.
    pub user: User,
    /// How the run ended.
    pub ending: Ending,
}
