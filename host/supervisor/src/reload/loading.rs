//! Reads, checks and compiles files, concurrently with everything else.
//!
//! ```text
//!   component: a place ──▶ read ──▶ signature ──▶ quarantine? ──▶ cache, compile, link, describe
//!   module:    a place ──▶ read ──▶ mistakes of its own?
//! ```
//! Two components are compiled at the same time, and only one of them may be large, so a small one never waits
//! behind a language runtime of 18 MB.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::id::ComponentName;
use bellwether_core::reload::{FileKey, LARGE, Refusal};
use tokio::sync::Semaphore;

use super::trust::Trust;
use crate::component_registry::ComponentRegistry;
use bellwether_config::spec::ModuleSpec;
use bellwether_config::{ComponentKind, Mistake, Mistakes, Sourced, read};
use bellwether_os::exhaustion::Exhaustion;
use bellwether_os::file::open_without_waiting;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::component::{Component, Kind, LoadError, MAX_SIZE};

/// The number of components that are compiled at the same time, of any size.
const COMPILERS: usize = 2;
/// The number of modules' files that are read at the same time.
const READERS: usize = 4;

/// Loads the files of modules and components.
#[derive(Debug, Clone)]
pub(super) struct Loader {
    root: PathBuf,
    sandbox: Arc<Sandbox>,
    registry: ComponentRegistry,
    pub(super) trust: Arc<Trust>,
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    compilers: Semaphore,
    large: Semaphore,
    readers: Semaphore,
}

/// The loaded content, or why it could not be loaded.
#[derive(Debug)]
pub(super) enum Loaded {
    Module(Result<Box<Sourced<ModuleSpec>>, Mistakes>),
    Component(Result<Component, Refusal>),
}

impl Loader {
    pub(super) fn new(
        root: PathBuf,
        sandbox: Arc<Sandbox>,
        registry: ComponentRegistry,
        trust: Arc<Trust>,
    ) -> Self {
        let places = Places {
            compilers: Semaphore::new(COMPILERS),
            large: Semaphore::new(1),
            readers: Semaphore::new(READERS),
        };
        Self { root, sandbox, registry, trust, places: Arc::new(places) }
    }

    /// Loads a module's file.
    pub(super) async fn module(self, file: FileKey) -> Loaded {
        let _place = self.places.readers.acquire().await;
        let (root, path) = (self.root.clone(), file.path());
        let read = tokio::task::spawn_blocking(move || read::read_module_file(&root, &path)).await;
        Loaded::Module(match read {
            Ok(read) => read.map(Box::new),
            Err(error) => {
                tracing::error!(%error, "reading a module's file failed in the daemon itself");
                let shown = file.path().display().to_string();
                Err(Mistake::of_file(&shown, "could not be read: a bug in the daemon, see its log").into())
            }
        })
    }

    /// Loads a component's file of this size in bytes, unless it is one of the versions in quarantine.
    pub(super) async fn component(
        self,
        kind: ComponentKind,
        file: FileKey,
        size: u64,
        quarantined: BTreeSet<String>,
    ) -> Loaded {
        // One at a time: a small one never waits behind two large ones.
        let large = size >= LARGE;
        let _large = if large { Some(self.places.large.acquire().await) } else { None };
        let _place = self.places.compilers.acquire().await;
        let place = self.clone();
        let loaded = tokio::task::spawn_blocking(move || place.load(kind, &file, &quarantined)).await;
        Loaded::Component(loaded.unwrap_or_else(|error| {
            tracing::error!(%error, "loading a component failed in the daemon itself");
            Err(Refusal::Unsuitable("could not be loaded: a bug in the daemon, see its log".to_owned()))
        }))
    }

    fn load(
        &self,
        kind: ComponentKind,
        file: &FileKey,
        quarantined: &BTreeSet<String>,
    ) -> Result<Component, Refusal> {
        let name = ComponentName::new(&file.stem).map_err(|error| Refusal::Unsuitable(error.to_string()))?;
        let path = self.root.join(file.path());
        let bytes = read_component(&path)?;
        self.trust.check(&path, &bytes).map_err(|distrust| Refusal::Unsuitable(distrust.to_string()))?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        if let Some(same) = self.registry.get(kind, &name).filter(|before| before.digest() == digest) {
            return Ok(same);
        }
        if quarantined.contains(&digest) {
            return Err(Refusal::Quarantined { digest });
        }
        let component = self.sandbox.load(&bytes).map_err(|error| match error {
            LoadError::TooLarge(_) => Refusal::Unsuitable(error.to_string()),
            error => Refusal::Broken { digest, why: error.to_string() },
        })?;
        let fits = match component.kind() {
            Kind::Checker => kind == ComponentKind::Checker,
            Kind::RestartScript => kind == ComponentKind::RestartScript,
        };
        if fits {
            Ok(component)
        } else {
            Err(Refusal::Unsuitable(format!("it is not a {kind}: it belongs in the other folder")))
        }
    }
}

/// The whole content of a regular file that is not too large. Never waits for a pipe, and never reads more than the
/// maximum size of a component, however large the file claims to be (it may have holes).
fn read_component(path: &Path) -> Result<Vec<u8>, Refusal> {
    let unreadable = |error: io::Error| Refusal::Unreadable(error.to_string());
    let file = open_without_waiting(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Refusal::Unsuitable("it is not a regular file".to_owned()));
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > MAX_SIZE {
        return Err(Refusal::Unsuitable(LoadError::TooLarge(size).to_string()));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Refusal::Unsuitable(Exhaustion::Memory.to_string()))?;
    // One byte more than its size: it may be growing.
    file.take(size as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn refusal(path: &Path) -> String {
        read_component(path).unwrap_err().to_string()
    }

    #[test]
    fn only_a_regular_file_of_a_sensible_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wasm");
        fs::write(&path, "bytes").unwrap();
        assert_eq!(read_component(&path).unwrap(), b"bytes");
        let sparse = folder.path().join("sparse.wasm");
        fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(refusal(&sparse), "the file has 1099511627776 bytes; a component has at most 67108864");
        let pipe = folder.path().join("pipe.wasm");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(refusal(&pipe), "it is not a regular file");
        assert_eq!(refusal(folder.path()), "it is not a regular file");
        assert!(refusal(&folder.path().join("none.wasm")).starts_with("cannot be read: "));
    }
}
