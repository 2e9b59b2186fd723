//! Takes over what the operator drops, replaces, edits and removes.
//!
//! ```text
//!   a hint, or the clock ──▶ look ──▶ settle ──▶ read, check, compile ──▶ in force
//!                              ▲                        │ refused
//!                              │                        ▼
//!                              └──────── the last good version stays, and why is shown
//! ```
//! Events of the file system are hints; a look at the folders every second is
//! the truth. Compiling happens off to the side; a version comes into force
//! between two runs of its checkers.

mod folders;
mod settle;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use bellwether_core::event::{Event, Wish};
use bellwether_core::id::{ComponentName, ModuleName};
use bellwether_core::record::RecordKind;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::app::StandardComponent;
use crate::config::{ComponentKind, Mistakes, check_module, read};
use crate::driver::Message;
use crate::registry::{ComponentKey, Origin, Registry};
use crate::roster::Roster;
use crate::sandbox::Sandbox;
use crate::sandbox::component::{Component, Kind, MAX_SIZE};

use self::folders::{FileKey, Folder, Hints, list};
use self::settle::{Listing, look};

/// Without a hint, look this often.
const RESCAN: Duration = Duration::from_secs(1);
/// While something is changing, look again after so long: a writer that pauses
/// for longer is read in between, refused, and read again when it goes on.
const SETTLE: Duration = Duration::from_millis(120);

/// Files that are refused, and why. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Refused(Arc<ArcSwap<BTreeMap<FileKey, String>>>);

impl Refused {
    /// One sentence for each.
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |(file, why): (&FileKey, &String)| match file.folder {
            // Mistakes say themselves where they are.
            Folder::Modules => why.clone(),
            Folder::Checkers | Folder::RestartScripts => format!("{}: {why}", file.path().display()),
        };
        self.0.load().iter().map(sentence).collect()
    }

    fn set(&self, file: &FileKey, why: Option<String>) {
        let mut refused = BTreeMap::clone(&self.0.load());
        match why {
            Some(why) => refused.insert(file.clone(), why),
            None => refused.remove(file),
        };
        self.0.store(Arc::new(refused));
    }
}

/// The files that have been read already.
#[derive(Debug)]
pub struct Known(Listing<FileKey>);

/// Takes over files.
pub struct Reload {
    /// Where the operator's files are.
    pub root: PathBuf,
    /// Where components are compiled.
    pub sandbox: Arc<Sandbox>,
    /// What comes with the binary, loaded.
    pub standard: BTreeMap<ComponentKey, Component>,
    /// Components in force.
    pub registry: Registry,
    /// Modules in force.
    pub roster: Roster,
    /// What is refused.
    pub refused: Refused,
    /// What people wanted when the last daemon ended.
    pub wishes: BTreeMap<ModuleName, Wish>,
    /// The core.
    pub events: mpsc::Sender<Message>,
}

/// Loads the components that come with the binary, all at once.
pub async fn load_standard(
    sandbox: &Arc<Sandbox>,
    standard: &[StandardComponent],
) -> anyhow::Result<BTreeMap<ComponentKey, Component>> {
    let mut loading = JoinSet::new();
    for StandardComponent { folder, name, bytes } in standard.iter().copied() {
        let kind = [ComponentKind::Checker, ComponentKind::RestartScript]
            .into_iter()
            .find(|kind| kind.folder() == folder)
            .with_context(|| format!("no components lie in {folder}/"))?;
        let key = (kind, ComponentName::new(name)?);
        let sandbox = Arc::clone(sandbox);
        loading.spawn_blocking(move || (key, sandbox.load(bytes)));
    }
    let mut loaded = BTreeMap::new();
    while let Some(result) = loading.join_next().await {
        let (key, component) = result?;
        let component = component.with_context(|| format!("the standard component `{}`", key.1))?;
        loaded.insert(key, component);
    }
    Ok(loaded)
}

impl Reload {
    /// Puts everything in force that is there. Returns the mistakes of the
    /// modules that could not be.
    pub async fn begin(&mut self) -> (Known, Vec<Mistakes>) {
        for (key, component) in &self.standard {
            self.registry.put(key.clone(), component.clone(), Origin::Embedded);
        }
        let listing = list(&self.root, &Listing::new());
        let mut mistakes = Vec::new();
        for file in listing.keys() {
            if let Err(mistake) = self.take(file).await {
                mistakes.extend(mistake);
            }
        }
        (Known(listing), mistakes)
    }

    /// Takes over what changes from now on. `known` is what [`begin`](Self::begin) saw.
    pub async fn run(mut self, known: Known) {
        let Known(mut known) = known;
        let mut hints = Hints::new();
        let mut before = known.clone();
        let mut missed = BTreeMap::new();
        let mut unsettled = false;
        loop {
            hints.arm(&self.root);
            let wait = if unsettled { SETTLE } else { RESCAN };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = hints.next(), if !unsettled => {}
            }
            let (root, previous) = (self.root.clone(), before.clone());
            let listed = tokio::task::spawn_blocking(move || list(&root, &previous)).await;
            let Ok(present) = listed else { continue };
            let seen = look(&known, &before, &present, &mut missed);
            unsettled = seen.unsettled;
            for file in &seen.gone {
                known.remove(file);
                self.remove(file).await;
            }
            for file in &seen.ready {
                if let Some(stamp) = present.get(file) {
                    known.insert(file.clone(), *stamp);
                }
                // What was refused is shown; there is nobody else to tell.
                let _shown = self.take(file).await;
            }
            if !unsettled {
                self.retry_refused_modules().await;
            }
            before = present;
        }
    }

    /// What a module's file needs (a component, a program, a folder) may be there now.
    async fn retry_refused_modules(&mut self) {
        let refused = self.refused.0.load_full();
        for file in refused.keys().filter(|file| file.folder == Folder::Modules) {
            let _shown = self.take(file).await;
        }
    }

    async fn take(&mut self, file: &FileKey) -> Result<(), Option<Mistakes>> {
        match file.folder {
            Folder::Checkers => self.take_component(ComponentKind::Checker, file).await.map_err(|()| None),
            Folder::RestartScripts => {
                self.take_component(ComponentKind::RestartScript, file).await.map_err(|()| None)
            }
            Folder::Modules => self.take_module(file).await.map_err(Some),
        }
    }

    async fn take_component(&mut self, kind: ComponentKind, file: &FileKey) -> Result<(), ()> {
        let loaded = match ComponentName::new(&file.stem) {
            Ok(name) => self.load(kind, name, file).await,
            Err(error) => Err(anyhow::Error::from(error)),
        };
        match loaded {
            Ok((key, component)) => {
                self.refused.set(file, None);
                let before = self.registry.get(key.0, &key.1);
                let same = before.is_some_and(|before| before.digest() == component.digest());
                let (version, digest) = (component.about().version.clone(), component.digest().to_owned());
                self.registry.put(key, component, Origin::File);
                if !same {
                    let short = digest.get(..12).unwrap_or(&digest);
                    self.note(None, file, true, format!("version {version} ({short}) is in force")).await;
                }
                Ok(())
            }
            Err(error) => {
                let why = format!("{error:#}");
                if let Ok(name) = ComponentName::new(&file.stem) {
                    self.registry.refuse((kind, name), why.clone());
                }
                self.refuse(None, file, why).await;
                Err(())
            }
        }
    }

    async fn load(
        &self,
        kind: ComponentKind,
        name: ComponentName,
        file: &FileKey,
    ) -> anyhow::Result<(ComponentKey, Component)> {
        let (path, sandbox) = (self.root.join(file.path()), Arc::clone(&self.sandbox));
        let component = tokio::task::spawn_blocking(move || {
            let bytes = read_component(&path)?;
            sandbox.load(bytes).map_err(anyhow::Error::from)
        });
        let component = component.await??;
        let fits = match component.kind() {
            Kind::Checker => kind == ComponentKind::Checker,
            Kind::RestartScript => kind == ComponentKind::RestartScript,
        };
        anyhow::ensure!(fits, "it is no {kind}: it belongs into the other folder");
        Ok(((kind, name), component))
    }

    async fn take_module(&mut self, file: &FileKey) -> Result<(), Mistakes> {
        let (root, path, registry) = (self.root.clone(), file.path(), self.registry.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let module = read::read_module_file(&root, &path)?;
            check_module(&module, &|kind, name| registry.config_schema(kind, name))?;
            Ok::<_, Mistakes>(module.spec)
        });
        let spec = match checked.await {
            Ok(Ok(spec)) => spec,
            Ok(Err(mistakes)) => {
                let why = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                // Tried again when a component changes: said again only if it is something else.
                self.refuse(ModuleName::new(&file.stem).ok(), file, why).await;
                return Err(mistakes);
            }
            Err(error) => {
                tracing::error!(%error, "reading a module's file failed in the daemon itself");
                return Ok(());
            }
        };
        self.refused.set(file, None);
        let name = spec.name.clone();
        let before = self.roster.get(&name);
        if before.as_ref().is_some_and(|before| before.spec == spec) {
            return Ok(());
        }
        let detail = if before.is_some() { "the new version is in force" } else { "in force" };
        let policy = Arc::new(spec.policy());
        self.roster.put(spec);
        self.note(Some(name.clone()), file, true, detail.to_owned()).await;
        let wish = self.wishes.remove(&name).unwrap_or_default();
        self.tell(Event::ModuleLoaded { module: name, policy, wish }).await;
        Ok(())
    }

    async fn remove(&mut self, file: &FileKey) {
        self.refused.set(file, None);
        let kind = match file.folder {
            Folder::Checkers => ComponentKind::Checker,
            Folder::RestartScripts => ComponentKind::RestartScript,
            Folder::Modules => return self.remove_module(file).await,
        };
        let Ok(name) = ComponentName::new(&file.stem) else { return };
        let key = (kind, name);
        let detail = if let Some(component) = self.standard.get(&key) {
            self.registry.put(key, component.clone(), Origin::Embedded);
            "removed: the one that comes with the binary is in force again"
        } else {
            self.registry.remove(&key);
            "removed: whatever uses it cannot tell any more"
        };
        self.note(None, file, true, detail.to_owned()).await;
    }

    async fn remove_module(&mut self, file: &FileKey) {
        let Ok(name) = ModuleName::new(&file.stem) else { return };
        if self.roster.get(&name).is_none() {
            return;
        }
        let detail = "removed: the module is watched no more, its application is left as it is";
        self.note(Some(name.clone()), file, true, detail.to_owned()).await;
        self.tell(Event::ModuleRemoved { module: name.clone() }).await;
        self.roster.remove(&name);
    }

    /// Shows why a file is refused, once for each reason.
    async fn refuse(&self, module: Option<ModuleName>, file: &FileKey, why: String) {
        let known = self.refused.0.load().get(file) == Some(&why);
        self.refused.set(file, Some(why.clone()));
        if !known {
            self.note(module, file, false, format!("{why}; what was in force before stays in force")).await;
        }
    }

    async fn note(&self, module: Option<ModuleName>, file: &FileKey, ok: bool, detail: String) {
        let what = file.path().display().to_string();
        self.tell(Event::Noted { module, kind: RecordKind::Reload { what, ok, detail } }).await;
    }

    async fn tell(&self, event: Event) {
        if self.events.send(Message::Event(event)).await.is_err() {
            tracing::debug!("a reload came after the end of the core");
        }
    }
}

/// At most one byte more than what is allowed is ever read.
fn read_component(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_SIZE)? + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).context("cannot be read")?;
    Ok(bytes)
}
