//! Reads, checks and compiles files, concurrently with everything else.
//!
//! ```text
//!   component: a place ──▶ read ──▶ signature ──▶ quarantine? ──▶ cache, compile, link, describe
//!   module:    a place ──▶ read ──▶ mistakes of its own?
//! ```
//! Two components are compiled at the same time, and only one of them may be large, so a small one never waits
//! behind a language runtime of 18 MB. Stored versions of files go the same way from `state/last-good/`.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::id::{ComponentName, ModuleName};
use bellwether_core::reload::{FileKey, LARGE, Refusal};
use tokio::sync::Semaphore;

use super::content::digest_of;
use super::last_good::{stored_content, stored_size};
use super::trust::Trust;
use crate::component_registry::ComponentRegistry;
use bellwether_config::spec::ModuleSpec;
use bellwether_config::{ComponentKind, Mistake, Mistakes, Sourced, parse_module_of_any_host, read};
use bellwether_os::exhaustion::Exhaustion;
use bellwether_os::file::open_without_waiting;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::component::{Component, Kind, LoadError, MAX_SIZE};

/// Why a stored version cannot be used.
const DAMAGED: &str = "its copy in state/last-good is damaged";
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
        let digest = digest_of(&bytes);
        if let Some(same) = self.registry.get(kind, &name).filter(|before| before.digest() == digest) {
            return Ok(same);
        }
        if quarantined.contains(&digest) {
            return Err(Refusal::Quarantined { digest });
        }
        self.compile(kind, &bytes, digest)
    }

    /// Loads the stored version of a file that has this digest.
    pub(super) async fn stored(self, kind: Option<ComponentKind>, file: FileKey, digest: String) -> Loaded {
        let (root, of, version) = (self.root.clone(), file.clone(), digest.clone());
        let size = tokio::task::spawn_blocking(move || stored_size(&root, &of, &version)).await;
        let large = kind.is_some() && size.is_ok_and(|size| size >= LARGE);
        let _large = if large { Some(self.places.large.acquire().await) } else { None };
        let place = if kind.is_some() { &self.places.compilers } else { &self.places.readers };
        let _place = place.acquire().await;
        let (own, is_module) = (self.clone(), kind.is_none());
        let loaded = tokio::task::spawn_blocking(move || match kind {
            None => Loaded::Module(own.stored_module(&file, &digest)),
            Some(kind) => Loaded::Component(own.stored_component(kind, &file, digest)),
        });
        loaded.await.unwrap_or_else(|error| {
            tracing::error!(%error, "loading a stored version failed in the daemon itself");
            let why = "could not be loaded: a bug in the daemon, see its log";
            if is_module {
                Loaded::Module(Err(Mistake::of_file("its stored version", why).into()))
            } else {
                Loaded::Component(Err(Refusal::Unsuitable(why.to_owned())))
            }
        })
    }

    fn stored_module(&self, file: &FileKey, digest: &str) -> Result<Box<Sourced<ModuleSpec>>, Mistakes> {
        let path = stored_content(&self.root, file, digest);
        let shown = file.name();
        let wrong = |why: String| Mistakes::from(Mistake::of_file(&shown, why));
        let name = ModuleName::new(&file.stem).map_err(|error| wrong(error.to_string()))?;
        let bytes = read_component(&path).map_err(|refusal| wrong(refusal.to_string()))?;
        let text = String::from_utf8(bytes).ok().filter(|text| digest_of(text.as_bytes()) == digest);
        let text = text.ok_or_else(|| wrong(DAMAGED.to_owned()))?;
        parse_module_of_any_host(&self.root, name, &shown, &text).map(Box::new)
    }

    fn stored_component(
        &self,
        kind: ComponentKind,
        file: &FileKey,
        digest: String,
    ) -> Result<Component, Refusal> {
        let path = stored_content(&self.root, file, &digest);
        let bytes = read_component(&path)?;
        if digest_of(&bytes) != digest {
            return Err(Refusal::Unsuitable(DAMAGED.to_owned()));
        }
        // The signature was stored with it: see `last_good`.
        self.trust.check(&path, &bytes).map_err(|distrust| Refusal::Unsuitable(distrust.to_string()))?;
        self.compile(kind, &bytes, digest)
    }

    fn compile(&self, kind: ComponentKind, bytes: &[u8], digest: String) -> Result<Component, Refusal> {
        let component = self.sandbox.load(bytes).map_err(|error| match error {
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
pub(super) fn read_component(path: &Path) -> Result<Vec<u8>, Refusal> {
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

    use bellwether_config::spec::LimitsSpec;
    use bellwether_sandbox::compile::Compiler;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::super::trust::tests::{OURS, SIGNED_BY_US, trust};
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

    #[tokio::test]
    async fn a_stored_component_is_compared_with_its_digest_and_needs_its_signature() {
        let root = tempfile::tempdir().unwrap();
        let file = FileKey::named("checkers/c.wasm").unwrap();
        // The bytes that the signature was made for.
        let (bytes, digest) = (b"a component", digest_of(b"a component"));
        let path = stored_content(root.path(), &file, &digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let sandbox = Arc::new(Sandbox::new(&LimitsSpec::default(), Compiler::Own).unwrap());
        let under = |trust| {
            let sandbox = Arc::clone(&sandbox);
            Loader::new(root.path().to_owned(), sandbox, ComponentRegistry::default(), Arc::new(trust))
        };
        let said = async |trust: Trust| {
            let loaded =
                under(trust).stored(Some(ComponentKind::Checker), file.clone(), digest.clone()).await;
            let Loaded::Component(Err(refusal)) = loaded else { panic!("{loaded:?}") };
            refusal.to_string()
        };
        assert!(said(trust(&[OURS])).await.starts_with("cannot be read: "));
        fs::write(&path, bytes).unwrap();
        assert!(said(trust(&[OURS])).await.starts_with("not signed: "));
        let signature = format!("{digest}.wasm.minisig");
        fs::write(path.with_file_name(&signature), SIGNED_BY_US).unwrap();
        // It is trusted, and no component.
        assert!(said(trust(&[OURS])).await.contains("not WebAssembly"));
        assert!(said(trust(&[])).await.starts_with("signed by a key that this node does not trust"));
        fs::write(&path, "another component").unwrap();
        assert_eq!(said(trust(&[OURS])).await, DAMAGED);
    }

    #[tokio::test]
    async fn a_stored_module_is_good_whatever_this_host_lacks() {
        let root = tempfile::tempdir().unwrap();
        let file = FileKey::named("modules/m.toml").unwrap();
        let text =
            "[restart]\nscript = \"s\"\n[commands]\nstart = { run = [\"/nonexistent/app\"], keep = true }\n";
        let digest = digest_of(text.as_bytes());
        let path = stored_content(root.path(), &file, &digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let sandbox = Arc::new(Sandbox::new(&LimitsSpec::default(), Compiler::Own).unwrap());
        let own =
            Loader::new(root.path().to_owned(), sandbox, ComponentRegistry::default(), Arc::new(trust(&[])));
        for (content, expected) in [(text, Ok("m")), ("damaged", Err(DAMAGED))] {
            fs::write(&path, content).unwrap();
            let loaded = own.clone().stored(None, file.clone(), digest.clone()).await;
            let Loaded::Module(loaded) = loaded else { panic!("{loaded:?}") };
            match (loaded, expected) {
                (Ok(module), Ok(name)) => assert_eq!(module.spec.name.as_str(), name),
                (Err(mistakes), Err(why)) => assert!(mistakes.render(false).contains(why), "{mistakes:?}"),
                (loaded, _) => panic!("{loaded:?}"),
            }
        }
    }
}
