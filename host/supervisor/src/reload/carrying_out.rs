//! Carries out the core's actions about files.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bellwether_core::reload::{Comparison, ComponentKey, FileKey, Folder, LoadId, Loaded, Pair, Trial};

use super::content::{ModuleContent, component_file, module_file};
use super::{Action, Done, Event, Reload, approvals, loading, picture, trial};
use bellwether_config::{ComponentKind, Mistakes};
use bellwether_sandbox::component::Component;

impl Reload {
    /// Returns the answer to an action that is answered immediately. Files are loaded and tried by tasks.
    pub(super) async fn carry_out(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Look { confirmed } => {
                let on_disk = self.list().await;
                return Some(
                    on_disk.map_or(Event::NotLooked, |on_disk| Event::Looked { on_disk, confirmed }),
                );
            }
            Action::Load { file, load, size, quarantined } => self.load(file, load, size, quarantined),
            Action::Restore { file, load, digest } => self.restore(file, load, digest),
            Action::Compare(comparisons) => return Some(compare(comparisons).await),
            Action::Explain { file, load, module, components, why } => {
                let mistakes = explain(module, components).await;
                let why = mistakes.as_ref().map_or(why, picture::sentence);
                if let Some(mistakes) = mistakes.filter(|_| self.collects_mistakes) {
                    self.unfit.insert(file.clone(), mistakes);
                }
                return Some(Event::Explained { file, load, why });
            }
            Action::Try(trial) => self.try_out(trial),
            Action::Activate { components, modules, together } => {
                self.activate(components, &modules, together);
            }
            Action::Introduce { module, first, memory, restored } => {
                self.introduce(&module, first, memory, restored).await;
            }
            Action::Unload { module } => {
                let desired = self.unload(&module).await;
                return Some(Event::Unloaded { module, desired });
            }
            Action::Withdraw { component } => self.settings.context.registry.remove(&component),
            Action::Show { file, why, case, waiting, in_place } => {
                let clock = self.settings.context.clock;
                let in_place = in_place.map(|it| format!("; {}", it.sentence(|at| clock.timestamp(at))));
                let why = why + &in_place.unwrap_or_default();
                if let Some(key) = file.component() {
                    self.settings.context.registry.refuse(key, why.clone(), case, waiting);
                }
                self.settings.refused.set(file, why);
            }
            Action::Clear { file } => {
                self.settings.refused.clear(&file);
                if let Some(key) = file.component() {
                    self.settings.context.registry.clear(&key);
                }
            }
            Action::Diagnostics(problems) => self.show_problems(&problems).await,
            Action::Write { approvals, request } => {
                let root = self.settings.root.clone();
                let written = tokio::task::spawn_blocking(move || approvals::write(&root, &approvals)).await;
                let result = written.map_err(io::Error::other).flatten().map_err(|error| error.to_string());
                if let Err(error) = &result {
                    tracing::error!(%error, "what components ask for could not be written to state/approvals.json");
                }
                return request.map(|request| Event::Written { request, result });
            }
            Action::Keep { last_good, modules } => self.store.keep(last_good, modules),
            Action::KeepQuarantine(quarantine) => self.store.keep_quarantine(quarantine),
            Action::Note { module, kind } => self.record(module, kind).await,
            Action::Answer { request, answer } => {
                if let Some(asked) = self.requests.remove(&request) {
                    // The client may have disconnected.
                    drop(asked.send(answer));
                }
            }
        }
        None
    }

    fn try_out(&mut self, trial: Trial<ModuleContent, Component>) {
        let context = self.settings.context.clone();
        self.tasks.spawn(async move {
            let (file, load) = (trial.file.clone(), trial.load);
            let (before, now) = trial::run_within(trial::deadline(&trial), context, trial).await;
            Done { event: Event::Tried { file, load, before, now }, mistakes: None }
        });
    }

    fn load(&mut self, file: FileKey, load: LoadId, size: u64, quarantined: BTreeSet<String>) {
        let places = self.loader.clone();
        self.tasks.spawn(async move {
            let loaded = match kind_of(&file) {
                None => places.module(file.clone()).await,
                Some(kind) => places.component(kind, file.clone(), size, quarantined).await,
            };
            let (loaded, mistakes) = match loaded {
                loading::Loaded::Module(Ok(module)) => (Loaded::Module(Ok(module_file(*module))), None),
                loading::Loaded::Module(Err(mistakes)) => {
                    let why = picture::sentence(&mistakes);
                    (Loaded::Module(Err(why)), Some((file.clone(), mistakes)))
                }
                loading::Loaded::Component(loaded) => (Loaded::Component(loaded.map(component_file)), None),
            };
            Done { event: Event::Loaded { file, load, loaded }, mistakes }
        });
    }

    /// Loads a stored version. Its errors are not those of the file on disk.
    fn restore(&mut self, file: FileKey, load: LoadId, digest: String) {
        let places = self.loader.clone();
        self.tasks.spawn(async move {
            let loaded = match places.stored(kind_of(&file), file.clone(), digest).await {
                loading::Loaded::Module(module) => Loaded::Module(
                    module
                        .map(|module| module_file(*module))
                        .map_err(|mistakes| picture::sentence(&mistakes)),
                ),
                loading::Loaded::Component(loaded) => Loaded::Component(loaded.map(component_file)),
            };
            Done { event: Event::Loaded { file, load, loaded }, mistakes: None }
        });
    }
}

/// The kind of a component's file; `None` for that of a module.
fn kind_of(file: &FileKey) -> Option<ComponentKind> {
    match file.folder {
        Folder::Modules => None,
        Folder::Checkers => Some(ComponentKind::Checker),
        Folder::RestartScripts => Some(ComponentKind::RestartScript),
    }
}

/// On another thread: checking configs against schemas may take long. Every pair is answered, because the core
/// decides nothing before.
async fn compare(comparisons: Vec<Comparison<ModuleContent, Component>>) -> Event {
    let pairs: Vec<Pair> = comparisons.iter().map(|comparison| comparison.pair.clone()).collect();
    let compared = tokio::task::spawn_blocking(move || picture::compare(comparisons)).await;
    let fits = compared.unwrap_or_else(|error| {
        tracing::error!(%error, "files could not be compared: a bug in the daemon");
        pairs.into_iter().map(|pair| (pair, Err(picture::NOT_CHECKED.to_owned()))).collect()
    });
    Event::Compared { fits }
}

/// The same for all errors of one file.
async fn explain(module: ModuleContent, components: BTreeMap<ComponentKey, Component>) -> Option<Mistakes> {
    let explained = tokio::task::spawn_blocking(move || picture::mistakes(&module, &components)).await;
    explained.unwrap_or_else(|error| {
        tracing::error!(%error, "the mistakes of a file could not be listed: a bug in the daemon");
        None
    })
}
