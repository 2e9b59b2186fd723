//! The three folders that are watched, and what lies in them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::settle::{Listing, Stamp};
use crate::config::ComponentKind;
use crate::shortage::with_reserve;

/// More files than this in a folder are not looked at.
const MAX_FILES: usize = 4096;

/// What a folder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Folder {
    /// `checkers/*.wasm`
    Checkers,
    /// `restart-scripts/*.wasm`
    RestartScripts,
    /// `modules/*.toml`
    Modules,
}

impl Folder {
    /// All of them, components first: a module's file may need one that came with it.
    pub(super) const ALL: [Self; 3] = [Self::Checkers, Self::RestartScripts, Self::Modules];

    /// Its name in the root.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Checkers => ComponentKind::Checker.folder(),
            Self::RestartScripts => ComponentKind::RestartScript.folder(),
            Self::Modules => crate::config::read::MODULES_FOLDER,
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Checkers | Self::RestartScripts => "wasm",
            Self::Modules => "toml",
        }
    }
}

/// A file in one of the folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileKey {
    /// Which folder.
    pub(super) folder: Folder,
    /// The file's name without its extension.
    pub(super) stem: String,
}

impl FileKey {
    /// Relative to the root: `checkers/http.wasm`.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(self.folder.name()).join(format!("{}.{}", self.stem, self.folder.extension()))
    }
}

/// Everything in the folders. Symbolic links are followed, hidden files passed over.
/// A folder that is not there is empty; of one that cannot be read at present (no
/// descriptor left, a network that is away), what was there before counts as still there.
pub(super) fn list(root: &Path, previous: &Listing<FileKey>) -> Listing<FileKey> {
    let mut listing = BTreeMap::new();
    for folder in Folder::ALL {
        let path = root.join(folder.name());
        match with_reserve(|| list_folder(&path, folder, previous)) {
            Ok(files) => listing.extend(files),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, folder = folder.name(), "cannot be read: what was there before stays in force");
                let same = previous.iter().filter(|(file, _)| file.folder == folder);
                listing.extend(same.map(|(file, stamp)| (file.clone(), *stamp)));
            }
        }
    }
    listing
}

fn list_folder(path: &Path, folder: Folder, previous: &Listing<FileKey>) -> io::Result<Listing<FileKey>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path)?.take(MAX_FILES) {
        let path = entry?.path();
        let matches = path.extension().is_some_and(|extension| extension == folder.extension());
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if !matches || stem.starts_with('.') {
            continue;
        }
        let file = FileKey { folder, stem: stem.to_owned() };
        match stamp(&path, folder) {
            Ok(Some(stamp)) => {
                files.insert(file, stamp);
            }
            // A folder or a pipe by that name; removed while we looked; a link that leads nowhere.
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // One file that cannot be looked at (its link leads where we may not go) is no reason
            // to pass over the others.
            Err(error) => {
                tracing::debug!(%error, file = %path.display(), "cannot be looked at");
                files.extend(previous.get(&file).map(|stamp| (file, *stamp)));
            }
        }
    }
    Ok(files)
}

/// The signature that belongs to a component's file: `http.wasm.minisig`.
pub(super) fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// Links are followed to what they lead to at this moment, so that a link that is set to another
/// version is another version. Nothing if it is no regular file.
fn stamp(path: &Path, folder: Folder) -> io::Result<Option<Stamp>> {
    let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let changed = |metadata: &fs::Metadata| nanos(metadata.ctime(), metadata.ctime_nsec());
    let signature = match folder {
        Folder::Modules => None,
        Folder::Checkers | Folder::RestartScripts => fs::metadata(signature_of(path)).ok(),
    };
    Ok(Some(Stamp {
        size: metadata.len(),
        modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
        changed: changed(&metadata),
        inode: metadata.ino(),
        device: metadata.dev(),
        signature: signature.map(|beside| (beside.ino(), beside.len(), changed(&beside))),
    }))
}

/// Hints that something has changed. Without them (a file system that reports
/// nothing, no more watches to be had) the periodic look finds it a little later.
#[derive(Debug)]
pub(super) struct Hints {
    watcher: Option<RecommendedWatcher>,
    hints: mpsc::Receiver<()>,
}

impl Hints {
    /// Begins to watch.
    pub(super) fn new() -> Self {
        let (hint, hints) = mpsc::channel(1);
        // One hint that waits is enough: whoever takes it looks at everything.
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let read_only = event.as_ref().is_ok_and(|event| event.kind.is_access());
            if !read_only {
                let _ = hint.try_send(());
            }
        });
        let watcher =
            watcher.map_err(|error| tracing::warn!(%error, "files are looked at by the clock only")).ok();
        Self { watcher, hints }
    }

    /// Watches the folders that are there now. To be called again at each look:
    /// a folder may have been made anew.
    pub(super) fn arm(&mut self, root: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in Folder::ALL {
            let path = root.join(folder.name());
            if path.is_dir()
                && let Err(error) = watcher.watch(&path, RecursiveMode::NonRecursive)
            {
                tracing::debug!(%error, folder = %path.display(), "not watched; the periodic look sees it");
            }
        }
    }

    /// Something may have changed.
    pub(super) async fn next(&mut self) {
        match self.hints.recv().await {
            Some(()) => {}
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
