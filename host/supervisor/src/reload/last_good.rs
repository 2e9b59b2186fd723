//! What the next daemon finds: the last good versions of files in `state/last-good/`, and the versions in quarantine
//! in `state/quarantine.json`. What is stored is decided in [`bellwether_core::reload`].
//!
//! ```text
//!   index.json        which versions are promised
//!   DIGEST.toml       the text of a module's file
//!   DIGEST.wasm       a component, with DIGEST.wasm.minisig if it was signed
//! ```
//! A task writes, and nobody waits for it: contents first, then the index, then what is no longer needed is removed.
//! Whatever is on the disk when the daemon is killed, the index names only contents that are whole, and every content
//! is compared with its digest when it is loaded. What cannot be written is tried again, and shown until it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_bus::diagnostics::Diagnostics;
use bellwether_core::quarantine::Quarantine;
use bellwether_core::reload::{FileKey, Folder, LastGood};
use bellwether_os::atomic_file;
use bellwether_os::exhaustion::Exhaustion;
use bellwether_os::file::{self, Stamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::timeout;

use super::content::{ModuleContent, digest_of};
use super::folders::signature_of;
use super::loading::read_component;

/// What could not be written is written again after this time.
const AGAIN: Duration = Duration::from_secs(10);
/// What somebody has removed is found missing after this time.
const LOOK: Duration = Duration::from_secs(60);
/// The maximum number of files in the folder that are looked at: another program may fill it without limit.
const MAX_ENTRIES: usize = 1 << 16;
/// The length of a digest in hexadecimal.
const DIGEST: usize = 2 * blake3::OUT_LEN;
/// In the diagnostics.
const WHO: &str = "last good versions";

fn folder(root: &Path) -> PathBuf {
    root.join("state/last-good")
}

fn index(root: &Path) -> PathBuf {
    folder(root).join("index.json")
}

fn quarantine(root: &Path) -> PathBuf {
    root.join("state/quarantine.json")
}

/// The stored version of a file that has this digest.
pub(super) fn stored_content(root: &Path, file: &FileKey, digest: &str) -> PathBuf {
    folder(root).join(format!("{digest}.{}", file.folder.extension()))
}

/// Its size in bytes.
pub(super) fn stored_size(root: &Path, file: &FileKey, digest: &str) -> u64 {
    Stamp::of(&stored_content(root, file, digest)).map_or(0, |stamp| stamp.size)
}

/// What the daemon before has stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) last_good: LastGood,
    pub(super) quarantine: Quarantine,
}

/// Damaged files are moved aside, and reported.
pub(super) fn read(root: &Path, damaged: &mut Vec<String>) -> Stored {
    let mut report = |path: &Path, error: &io::Error, so: &str| {
        let aside = atomic_file::set_aside(path);
        let shown = path.strip_prefix(root).unwrap_or(path).display();
        damaged.push(format!("{shown} {aside}: {error}; {so}"));
    };
    let (index, quarantine) = (index(root), quarantine(root));
    let last_good = read_json::<LastGood>(&index).unwrap_or_else(|error| {
        report(&index, &error, "files that cannot be used have no last good version");
        LastGood::default()
    });
    let quarantine = read_json(&quarantine).unwrap_or_else(|error| {
        report(&quarantine, &error, "versions that were in quarantine are tried again");
        Quarantine::default()
    });
    // A digest is part of a path.
    let is_digest = |digest: &String| {
        digest.len() == DIGEST && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let last_good =
        last_good.filtered(|_, version| is_digest(&version.digest) && version.before.iter().all(is_digest));
    Stored { last_good, quarantine }
}

/// A missing file is an empty one.
fn read_json<T: DeserializeOwned + Default>(path: &Path) -> io::Result<T> {
    match fs::read(path) {
        Ok(bytes) => {
            let value = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
            atomic_file::remember(path);
            Ok(value)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error),
    }
}

/// What is to be stored.
#[derive(Debug, Clone, Default)]
struct Wanted {
    last_good: Option<Arc<LastGood>>,
    modules: Arc<BTreeMap<FileKey, ModuleContent>>,
    quarantine: Option<Arc<Quarantine>>,
}

/// Stores what the next daemon needs. Once it is dropped, its task ends after the last write.
#[derive(Debug)]
pub(super) struct LastGoodStore(watch::Sender<Wanted>);

impl LastGoodStore {
    /// `promised`: what the daemon before has stored.
    pub(super) fn open(root: &Path, promised: LastGood, problems: Diagnostics) -> Self {
        let (sender, wanted) = watch::channel(Wanted::default());
        let shelf = Shelf::new(root.to_owned(), promised);
        tokio::spawn(work(shelf, wanted, problems));
        Self(sender)
    }

    /// Stores these versions and no others.
    pub(super) fn keep(&self, last_good: LastGood, modules: Vec<(FileKey, ModuleContent)>) {
        self.0.send_modify(|wanted| {
            wanted.last_good = Some(Arc::new(last_good));
            wanted.modules = Arc::new(modules.into_iter().collect());
        });
    }

    /// Stores these cases and no others.
    pub(super) fn keep_quarantine(&self, quarantine: Quarantine) {
        self.0.send_modify(|wanted| wanted.quarantine = Some(Arc::new(quarantine)));
    }
}

async fn work(mut shelf: Shelf, mut wanted: watch::Receiver<Wanted>, problems: Diagnostics) {
    let mut wait = LOOK;
    loop {
        if let Ok(Err(_)) = timeout(wait, wanted.changed()).await {
            // The reload has ended, and everything has been written.
            return;
        }
        let now = wanted.borrow_and_update().clone();
        let stored = tokio::task::spawn_blocking(move || {
            let problems = shelf.store(&now);
            (shelf, problems)
        });
        let told = match stored.await {
            Ok((same, told)) => {
                shelf = same;
                told
            }
            Err(error) => {
                tracing::error!(%error, "storing the last good versions failed in the daemon itself");
                return;
            }
        };
        wait = if told.is_empty() { LOOK } else { AGAIN };
        problems.set(WHO, &told);
    }
}

/// The stored versions on the disk.
#[derive(Debug)]
struct Shelf {
    root: PathBuf,
    /// What the index on the disk says.
    promised: LastGood,
    /// Contents that this daemon has written, or has compared with their digests.
    whole: BTreeSet<(FileKey, String)>,
    /// For each component, the signature beside its file that was stored last.
    signatures: BTreeMap<FileKey, Stamp>,
    /// The JSON files that were written last.
    written: BTreeMap<PathBuf, Vec<u8>>,
}

impl Shelf {
    fn new(root: PathBuf, promised: LastGood) -> Self {
        let (whole, signatures, written) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { root, promised, whole, signatures, written }
    }

    /// Stores all that is wanted, as far as possible. Returns the problems, for people.
    fn store(&mut self, wanted: &Wanted) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(last_good) = &wanted.last_good {
            self.store_last_good(last_good, &wanted.modules, &mut problems);
        }
        if let Some(quarantine) = &wanted.quarantine
            && let Err(error) = self.write(&self::quarantine(&self.root), quarantine.as_ref())
        {
            problems.push(format!(
                "state/quarantine.json cannot be written, so after a restart of the daemon versions in quarantine \
                 are tried again: {}",
                reason(&error)
            ));
        }
        problems
    }

    fn store_last_good(
        &mut self,
        last_good: &LastGood,
        modules: &BTreeMap<FileKey, ModuleContent>,
        problems: &mut Vec<String>,
    ) {
        let problem = |what: &str, error: &io::Error| {
            format!(
                "{what} cannot be stored in state/last-good, so a restart of the daemon may not find its last good \
                 version: {}",
                reason(error)
            )
        };
        if let Err(error) = make_folder(&folder(&self.root)) {
            problems.push(problem("the active version of every file", &error));
            return;
        }
        for content in last_good.contents() {
            let (file, digest) = &content;
            let stored = match modules.get(file) {
                Some(module) => self.store_module(&content, module.text()),
                None => self.store_component(&content),
            };
            // Of files without an active version, only what is stored already can be had.
            let is_active = last_good.of(file).is_some_and(|version| version.digest == *digest);
            match stored {
                Ok(()) => drop(self.whole.insert(content)),
                Err(error) if is_active => problems.push(problem(&file.to_string(), &error)),
                Err(_) => {}
            }
        }
        let promised = last_good
            .promised(&self.promised, |file, digest| self.whole.contains(&(file.clone(), digest.to_owned())));
        if let Err(error) = self.write(&index(&self.root), &promised) {
            problems.push(problem("the active version of every file", &error));
            return;
        }
        self.promised = promised;
        self.clear_up();
    }

    fn is_whole(&mut self, content: &(FileKey, String)) -> bool {
        let (file, digest) = content;
        let path = stored_content(&self.root, file, digest);
        let is_whole = if self.whole.contains(content) {
            path.exists()
        } else {
            read_component(&path).is_ok_and(|bytes| digest_of(&bytes) == *digest)
        };
        if !is_whole {
            self.whole.remove(content);
        }
        is_whole
    }

    fn store_module(&mut self, content: &(FileKey, String), text: &str) -> io::Result<()> {
        if self.is_whole(content) {
            return Ok(());
        }
        let (file, digest) = content;
        if digest_of(text.as_bytes()) != *digest {
            return Err(io::Error::other("its text is not stored"));
        }
        atomic_file::place(&stored_content(&self.root, file, digest), text.as_bytes())
    }

    /// A component is copied from its file, if that is still this version. So is its signature, whenever that has
    /// changed.
    fn store_component(&mut self, content: &(FileKey, String)) -> io::Result<()> {
        let (file, digest) = content;
        let (source, place) = (self.root.join(file.path()), stored_content(&self.root, file, digest));
        let is_whole = self.is_whole(content);
        let signature = match file.folder {
            Folder::Modules => None,
            Folder::Checkers | Folder::RestartScripts => Stamp::of(&signature_of(&source)).ok(),
        };
        let is_signed = signature.is_none() || self.signatures.get(file) == signature.as_ref();
        if is_whole && is_signed {
            return Ok(());
        }
        let bytes = read_component(&source).map_err(io::Error::other);
        let bytes = match bytes {
            Ok(bytes) if digest_of(&bytes) == *digest => bytes,
            // The signature is that of another version.
            _ if is_whole => return Ok(()),
            Ok(_) => return Err(io::Error::other("its file has been replaced since it became active")),
            Err(error) => return Err(error),
        };
        if !is_whole {
            atomic_file::place(&place, &bytes)?;
        }
        if let Some(stamp) = signature {
            let text = read_component(&signature_of(&source)).map_err(io::Error::other)?;
            atomic_file::place(&signature_of(&place), &text)?;
            self.signatures.insert(file.clone(), stamp);
        }
        Ok(())
    }

    /// Writes a JSON file, unless it has this content.
    fn write(&mut self, path: &Path, value: &impl Serialize) -> io::Result<()> {
        let content = serde_json::to_vec_pretty(value)?;
        if self.written.get(path) != Some(&content) {
            atomic_file::replace(path, &content)?;
            self.written.insert(path.to_owned(), content);
        }
        Ok(())
    }

    /// Removes everything that the index does not name. What cannot be removed now is removed later.
    fn clear_up(&mut self) {
        let needed = self.promised.contents();
        self.whole.retain(|content| needed.contains(content));
        let contents = needed.iter().map(|(file, digest)| stored_content(&self.root, file, digest));
        let signed = contents.flat_map(|path| [signature_of(&path), path]);
        let keep: BTreeSet<PathBuf> = signed.chain([index(&self.root)]).collect();
        let Ok(entries) = fs::read_dir(folder(&self.root)) else { return };
        for entry in entries.take(MAX_ENTRIES).flatten() {
            let path = entry.path();
            if !keep.contains(&path) {
                drop(fs::remove_file(path));
            }
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match file::create_private_dir(folder) {
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

/// What an operator can do something about.
fn reason(error: &io::Error) -> String {
    Exhaustion::of(error).map_or_else(|| error.to_string(), |exhaustion| exhaustion.to_string())
}

#[cfg(test)]
mod tests;
