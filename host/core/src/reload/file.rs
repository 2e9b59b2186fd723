//! The files that are watched: where each lies, and what tells one version from another without reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::change_set::File;
use crate::id::{ComponentName, ModuleName};
use crate::text::sentence;

/// More files of its kind than this in a folder are not looked at.
pub const MAX_FILES: usize = 4096;
/// From this size on, in bytes, a component takes long to compile: the start does not wait for it.
pub const LARGE: u64 = 2 << 20;
/// Of a file's path that is shown, in bytes.
const MAX_SHOWN: usize = 300;

/// The two kinds of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    /// In `checkers/`.
    Checker,
    /// In `restart-scripts/`.
    RestartScript,
}

impl ComponentKind {
    /// The folder of such components, in the root.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Checker => "checkers",
            Self::RestartScript => "restart-scripts",
        }
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Checker => "checker",
            Self::RestartScript => "restart script",
        })
    }
}

/// Which component: its folder and its name.
pub type ComponentKey = (ComponentKind, ComponentName);

/// The folders that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Folder {
    /// `checkers/*.wasm`
    Checkers,
    /// `restart-scripts/*.wasm`
    RestartScripts,
    /// `modules/*.toml`
    Modules,
}

impl Folder {
    /// All of them, components first: a module's file may need one that came with it.
    pub const ALL: [Self; 3] = [Self::Checkers, Self::RestartScripts, Self::Modules];

    /// Its name in the root.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkers => ComponentKind::Checker.folder(),
            Self::RestartScripts => ComponentKind::RestartScript.folder(),
            Self::Modules => "modules",
        }
    }

    /// What the names of its files end in.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Checkers | Self::RestartScripts => "wasm",
            Self::Modules => "toml",
        }
    }
}

/// A file in one of the folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileKey {
    /// Which folder.
    pub folder: Folder,
    /// The file's name without its extension.
    pub stem: String,
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The file's name comes from outside.
        f.write_str(&sentence(&self.name(), MAX_SHOWN))
    }
}

impl FileKey {
    /// The file of a module or component.
    pub fn of(subject: &File<ComponentKey>) -> Self {
        let (folder, stem) = match subject {
            File::Module(module) => (Folder::Modules, module.as_str()),
            File::Component((ComponentKind::Checker, name)) => (Folder::Checkers, name.as_str()),
            File::Component((ComponentKind::RestartScript, name)) => (Folder::RestartScripts, name.as_str()),
        };
        Self { folder, stem: stem.to_owned() }
    }

    /// The module or component that it describes; nothing if its name is not a valid one.
    pub fn subject(&self) -> Option<File<ComponentKey>> {
        match self.folder {
            Folder::Modules => Some(File::Module(ModuleName::new(&self.stem).ok()?)),
            Folder::Checkers | Folder::RestartScripts => Some(File::Component(self.component()?)),
        }
    }

    /// The component that it is; nothing if it is a module's file, or its name is not a valid one.
    pub fn component(&self) -> Option<ComponentKey> {
        let kind = match self.folder {
            Folder::Modules => return None,
            Folder::Checkers => ComponentKind::Checker,
            Folder::RestartScripts => ComponentKind::RestartScript,
        };
        Some((kind, ComponentName::new(&self.stem).ok()?))
    }

    /// Relative to the root: `checkers/http.wasm`.
    pub fn path(&self) -> PathBuf {
        Path::new(self.folder.name()).join(format!("{}.{}", self.stem, self.folder.extension()))
    }

    /// The same as text, exactly as the file is named.
    pub fn name(&self) -> String {
        self.path().display().to_string()
    }
}

/// What tells one version of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// In bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds after the Unix epoch.
    pub modified: i128,
    /// Last change of the inode, in nanoseconds after the Unix epoch. Differs even if a program sets the time above back.
    pub changed: i128,
    /// Differs when another file takes the place of this one.
    pub inode: u64,
    /// The file system that it is on: inode numbers of another one are unrelated.
    pub device: u64,
    /// Of the signature beside it, if there is one: inode, size and last change.
    pub signature: Option<(u64, u64, i128)>,
}

/// What is on disk at one moment.
pub type Listing<K> = BTreeMap<K, Stamp>;

/// What tells one folder from another that takes its place: its file system and its inode.
pub type Identity = (u64, u64);

/// Whether a folder is there, apart from its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// This folder is there.
    There(Identity),
    /// There is no folder.
    Away,
    /// It cannot be read at present (no descriptor left, a network that is away).
    Unreadable,
}

/// What a look at the disk has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnDisk {
    /// Every file. In a folder that cannot be read, the files that were there before count as still there.
    pub files: Listing<FileKey>,
    /// The state of each folder.
    pub folders: BTreeMap<Folder, Standing>,
    /// Folders that hold more files than are looked at.
    pub overfull: BTreeSet<Folder>,
    /// Links that lead nowhere. What was there before counts as still there.
    pub dangling: BTreeSet<FileKey>,
}
