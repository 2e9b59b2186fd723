//! The watched files: where each is, and how versions are distinguished without reading them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use crate::change_set::File;
use crate::id::{ComponentName, ModuleName};
use crate::text::sentence;

/// The maximum number of files of its kind in a folder; further ones are ignored.
pub const MAX_FILES: usize = 4096;
/// From this size on, in bytes, a component takes long to compile: the start does not wait for it.
pub const LARGE: u64 = 2 << 20;
/// The maximum length of a file's path that is shown, in bytes.
const MAX_SHOWN: usize = 300;

/// The two kinds of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    /// A checker, in `checkers/`.
    Checker,
    /// A restart script, in `restart-scripts/`.
    RestartScript,
}

impl ComponentKind {
    /// The folder of such components, below the root.
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

/// A component: its folder and its name.
pub type ComponentKey = (ComponentKind, ComponentName);

/// The folders that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Folder {
    /// The folder of `checkers/*.wasm`.
    Checkers,
    /// The folder of `restart-scripts/*.wasm`.
    RestartScripts,
    /// The folder of `modules/*.toml`.
    Modules,
}

impl Folder {
    /// All of them, components first: a module's file may need one that was added with it.
    pub const ALL: [Self; 3] = [Self::Checkers, Self::RestartScripts, Self::Modules];

    /// Its name below the root.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkers => ComponentKind::Checker.folder(),
            Self::RestartScripts => ComponentKind::RestartScript.folder(),
            Self::Modules => "modules",
        }
    }

    /// The extension of its files.
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

    /// The file with this [name](Self::name); `None` if none is named like that.
    pub fn named(name: &str) -> Option<Self> {
        let (folder, file) = name.split_once('/')?;
        let folder = Folder::ALL.into_iter().find(|known| known.name() == folder)?;
        let stem = file.strip_suffix(folder.extension())?.strip_suffix('.')?;
        (!stem.is_empty() && !stem.contains('/')).then(|| Self { folder, stem: stem.to_owned() })
    }

    /// The module or component that it describes; `None` if its name is not valid.
    pub fn subject(&self) -> Option<File<ComponentKey>> {
        match self.folder {
            Folder::Modules => Some(File::Module(ModuleName::new(&self.stem).ok()?)),
            Folder::Checkers | Folder::RestartScripts => Some(File::Component(self.component()?)),
        }
    }

    /// The component that it is; `None` if it is a module's file, or its name is not valid.
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

/// The metadata by which versions of a file are distinguished without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The size in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since the Unix epoch.
    pub modified: i128,
    /// Last change of the inode, in nanoseconds since the Unix epoch. Differs even if a program sets the time above
    /// back.
    pub changed: i128,
    /// The inode: differs when another file takes the place of this one.
    pub inode: u64,
    /// The device: inode numbers of another one are unrelated.
    pub device: u64,
    /// Inode, size and last change of the signature beside it, if there is one.
    pub signature: Option<(u64, u64, i128)>,
}

/// The files on disk at one moment.
pub type Listing<K> = BTreeMap<K, Stamp>;

/// The identity of a folder: its file system and its inode.
pub type Identity = (u64, u64);

/// Whether a folder exists, apart from its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It exists, with this identity.
    There(Identity),
    /// The folder does not exist.
    Away,
    /// It cannot be read at present (no descriptor left, a network that is unavailable).
    Unreadable,
}

/// The result of a scan of the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnDisk {
    /// Every file. In a folder that cannot be read, the previous files count as present.
    pub files: Listing<FileKey>,
    /// The state of each folder.
    pub folders: BTreeMap<Folder, Standing>,
    /// Folders with more files than the maximum.
    pub overfull: BTreeSet<Folder>,
    /// Broken links. Their previous files count as present.
    pub dangling: BTreeSet<FileKey>,
}
