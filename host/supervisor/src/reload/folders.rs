//! The three watched folders, and the files in them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::reload::{FileKey, Folder, Identity, Listing, MAX_FILES, OnDisk, Stamp, Standing};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use bellwether_os::exhaustion::with_reserve;
use bellwether_os::file::{self, FileId};

/// The maximum number of entries, of any kind, that are read of a folder: another program may fill it without
/// limit.
const MAX_ENTRIES: usize = 1 << 18;

/// All files in the folders. Symbolic links are followed, hidden files are ignored.
pub(super) fn list(root: &Path, previous: &Listing<FileKey>) -> OnDisk {
    let mut on_disk = OnDisk::default();
    for folder in Folder::ALL {
        let path = root.join(folder.name());
        let standing = match with_reserve(|| list_folder(&path, folder, previous)) {
            Ok(seen) => {
                on_disk.files.extend(seen.files);
                on_disk.overfull.extend(seen.overfull.then_some(folder));
                on_disk.dangling.extend(seen.dangling);
                Standing::There(seen.identity)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Standing::Away,
            Err(error) => {
                tracing::warn!(%error, folder = folder.name(), "cannot be read: the previous files stay active");
                let same = previous.iter().filter(|(file, _)| file.folder == folder);
                on_disk.files.extend(same.map(|(file, stamp)| (file.clone(), *stamp)));
                Standing::Unreadable
            }
        };
        on_disk.folders.insert(folder, standing);
    }
    on_disk
}

/// The files of its kind, by their names without the extension, and whether some were left out. Known files come
/// first, so that a flood of new files does not displace them.
fn names_in(
    path: &Path,
    folder: Folder,
    previous: &Listing<FileKey>,
    most_entries: usize,
) -> io::Result<(Vec<FileKey>, bool)> {
    let (mut names, mut entries) = (Vec::new(), 0);
    for entry in fs::read_dir(path)?.take(most_entries) {
        entries += 1;
        let name = entry?.file_name();
        let name = Path::new(&name);
        let matches = name.extension().is_some_and(|extension| extension == folder.extension());
        let stem = name.file_stem().and_then(|stem| stem.to_str());
        if let Some(stem) = stem.filter(|stem| matches && !stem.starts_with('.')) {
            names.push(FileKey { folder, stem: stem.to_owned() });
        }
    }
    let cut_off = entries == most_entries;
    if cut_off {
        // They may be among the entries that were not read: each is checked by its name.
        names.extend(previous.keys().filter(|file| file.folder == folder).cloned());
    }
    let overfull = names.len() > MAX_FILES || cut_off;
    names.sort_by_key(|file| (!previous.contains_key(file), file.stem.clone()));
    names.dedup();
    names.truncate(MAX_FILES);
    Ok((names, overfull))
}

/// The content of one folder.
struct Seen {
    identity: Identity,
    files: Listing<FileKey>,
    overfull: bool,
    dangling: Vec<FileKey>,
}

fn list_folder(path: &Path, folder: Folder, previous: &Listing<FileKey>) -> io::Result<Seen> {
    let FileId { device, number } = FileId::of(path)?;
    let identity = (device, number);
    let (names, overfull) = names_in(path, folder, previous, MAX_ENTRIES)?;
    let (mut files, mut dangling) = (BTreeMap::new(), Vec::new());
    for file in names {
        let path = path.join(format!("{}.{}", file.stem, folder.extension()));
        match stamp(&path, folder) {
            Ok(Some(stamp)) => {
                files.insert(file, stamp);
            }
            // A folder or a pipe with that name, or a file that was removed during the scan.
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            // The link exists, so its file was not removed. A share may be unmounted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files.extend(previous.get(&file).map(|stamp| (file.clone(), *stamp)));
                dangling.push(file);
            }
            // One file that cannot be read (its link leads to a folder without permission) must not prevent reading
            // the others.
            Err(error) => {
                tracing::debug!(%error, file = %path.display(), "cannot be looked at");
                files.extend(previous.get(&file).map(|stamp| (file, *stamp)));
            }
        }
    }
    Ok(Seen { identity, files, overfull, dangling })
}

/// The signature of a component's file: `http.wasm.minisig`.
pub(super) fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// Links are resolved to their present target, so that a changed link counts as another version. `None` if it is
/// not a regular file.
fn stamp(path: &Path, folder: Folder) -> io::Result<Option<Stamp>> {
    let found = file::Stamp::of(path)?;
    if !found.is_file {
        return Ok(None);
    }
    let signature = match folder {
        Folder::Modules => None,
        Folder::Checkers | Folder::RestartScripts => file::Stamp::of(&signature_of(path)).ok(),
    };
    Ok(Some(Stamp {
        size: found.size,
        modified: found.modified,
        changed: found.changed,
        inode: found.id.number,
        device: found.id.device,
        signature: signature.map(|beside| (beside.id.number, beside.size, beside.changed)),
    }))
}

/// Hints that something has changed. Without them (the file system reports nothing, or no watches are left) the
/// periodic scan finds the change a little later.
#[derive(Debug)]
pub(super) struct Hints {
    /// `None` if there is no watcher, and during a scan.
    pub(super) watcher: Option<RecommendedWatcher>,
    hints: mpsc::Receiver<()>,
}

impl Hints {
    pub(super) fn new() -> Self {
        let (hint, hints) = mpsc::channel(1);
        // One pending hint is sufficient: its receiver scans everything.
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let read_only = event.as_ref().is_ok_and(|event| event.kind.is_access());
            if !read_only {
                let _ = hint.try_send(());
            }
        });
        let watcher =
            watcher.map_err(|error| tracing::warn!(%error, "files are only scanned periodically")).ok();
        Self { watcher, hints }
    }

    /// Returns when something may have changed.
    pub(super) async fn next(&mut self) {
        match self.hints.recv().await {
            Some(()) => {}
            None => std::future::pending().await,
        }
    }
}

/// Watches the present folders. Must be called again at each scan: a folder may have been created again.
pub(super) fn watch(watcher: Option<&mut RecommendedWatcher>, root: &Path) {
    let Some(watcher) = watcher else { return };
    for folder in Folder::ALL {
        let path = root.join(folder.name());
        if path.is_dir()
            && let Err(error) = watcher.watch(&path, RecursiveMode::NonRecursive)
        {
            tracing::debug!(%error, folder = %path.display(), "not watched; the periodic look sees it");
        }
    }
}

#[cfg(test)]
mod tests;
