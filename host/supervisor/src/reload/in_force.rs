//! Puts files in force, takes them back, and tells of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bellwether_bus::recorder::Recorder;
use bellwether_core::change_set::File;
use bellwether_core::event::{Event, Wish};
use bellwether_core::id::ModuleName;
use bellwether_core::memory::ModuleMemory;
use bellwether_core::policy::ModulePolicy;
use bellwether_core::quarantine::Case;
use bellwether_core::record::{RecordKind, short};
use tokio::time::Instant;

use super::Reload;
use super::folders::{FileKey, Folder, MAX_FILES};
use super::pending::{Stage, file_of, names, subject};
use crate::act::kept::Launched;
use crate::registry::{ComponentKey, Origin, Waiting};
use crate::unclaimed::started_with;
use bellwether_bus::Message;
use bellwether_config::spec::{ModuleSpec, Subject};
use bellwether_config::{ComponentKind, Sourced};
use bellwether_sandbox::component::Component;

/// A module's file before a change and since.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    before: Arc<Sourced<ModuleSpec>>,
    since: Arc<Sourced<ModuleSpec>>,
}

/// A module whose file was removed.
#[derive(Debug)]
pub(super) struct Removed {
    module: Arc<Sourced<ModuleSpec>>,
    wish: Wish,
    at: Instant,
}

/// A file that comes so soon after one with the same content was removed is that one, renamed.
const RENAMED_WITHIN: Duration = Duration::from_secs(10);

impl Reload {
    /// Puts these in force, all at one moment.
    pub(super) async fn apply(&mut self, files: BTreeSet<File<ComponentKey>>) {
        let (mut modules, mut components) = (Vec::new(), Vec::new());
        for subject in &files {
            match (subject, self.pending.stage(&file_of(subject))) {
                (File::Module(_), Some(Stage::Module(module))) => modules.push(Arc::clone(module)),
                (File::Component(key), Some(Stage::Component { component, .. })) => {
                    components.push((key.clone(), component.clone()));
                }
                _ => {}
            }
        }
        let put = components.iter().map(|(key, component)| (key.clone(), component.clone(), Origin::File));
        let put = put.collect();
        let registry = self.settings.means.registry.clone();
        self.remember_sets(&modules, &components);
        self.swap(&modules, !components.is_empty(), || registry.put(put));
        for (key, component) in components {
            let file = file_of(&File::Component(key));
            self.settled(&file);
            let about = component.about();
            self.approvals.in_force(&file.path().display().to_string(), &about.grants);
            let detail = format!("version {} ({}) is active", about.version, short(component.digest()));
            self.note(&file, true, detail).await;
        }
        for module in modules {
            self.settled(&file_of(&File::Module(module.spec.name.clone())));
            self.tell_of_module(module).await;
        }
    }

    /// Changes components and modules so that no run ever has the one without the other:
    /// checkers whose definition changes keep the versions that they have to their end.
    fn swap(&self, modules: &[Arc<Sourced<ModuleSpec>>], both: bool, put: impl FnOnce()) {
        let means = &self.settings.means;
        for module in modules.iter().filter(|_| both) {
            let Some(member) = means.roster.get(&module.spec.name) else { continue };
            let (old, new) = (member.spec.policy(), module.spec.policy());
            let script = &member.spec.restart.script;
            member.script_pin.to(means.registry.get(ComponentKind::RestartScript, script));
            for checker in member.spec.checkers.values() {
                let definition = |policy: &ModulePolicy| Some(policy.checkers.get(&checker.name)?.definition);
                let Subject::Component(component) = &checker.subject else { continue };
                if definition(&old) != definition(&new)
                    && let Some(kit) = member.kit(&checker.name)
                {
                    kit.pin.to(means.registry.get(ComponentKind::Checker, &component.component));
                }
            }
        }
        put();
        means.roster.put(modules.iter().map(|module| module.spec.clone()).collect());
    }

    /// If a component relapses, the modules' files that came with it go back with it.
    fn remember_sets(
        &mut self,
        modules: &[Arc<Sourced<ModuleSpec>>],
        components: &[(ComponentKey, Component)],
    ) {
        for (key, _) in components {
            let with = modules.iter().filter_map(|since| {
                let before = self.modules.get(&since.spec.name)?;
                let connected = names(&since.spec).chain(names(&before.spec)).any(|name| name == *key);
                connected.then(|| Edit { before: Arc::clone(before), since: Arc::clone(since) })
            });
            self.sets.insert(key.clone(), with.collect());
        }
    }

    /// Puts back what was there before a version that has relapsed.
    pub(super) async fn roll_back(&mut self) {
        let registry = self.settings.means.registry.clone();
        for relapse in registry.relapses() {
            let edits = self.sets.remove(&relapse.key).unwrap_or_default();
            let still = |edit: &Edit| {
                let now = self.modules.get(&edit.since.spec.name);
                now.is_some_and(|now| Arc::ptr_eq(now, &edit.since))
            };
            let edits: Vec<Edit> = edits.into_iter().filter(still).collect();
            let before: Vec<_> = edits.iter().map(|edit| Arc::clone(&edit.before)).collect();
            self.swap(&before, true, || registry.roll_back(&relapse.key));
            let again = registry.get(relapse.key.0, &relapse.key.1);
            let file = file_of(&File::Component(relapse.key));
            if let Some(again) = again {
                self.approvals.in_force(&file.path().display().to_string(), &again.about().grants);
            }
            let why = format!("rolled back: {}", relapse.why);
            let mut held = Vec::new();
            let stage = self.quarantine(&file, &relapse.digest, why).await;
            // Unless a newer version is on its way already.
            if self.pending.stage(&file).is_none() {
                held.push((file, stage));
            }
            for edit in edits {
                let file = file_of(&File::Module(edit.since.spec.name.clone()));
                if self.pending.stage(&file).is_none() {
                    held.push((file, Stage::Module(edit.since)));
                }
                self.tell_of_module(edit.before).await;
            }
            self.pending.together(held);
            self.undecided = true;
        }
    }

    pub(super) fn is_in_force(&self, file: &FileKey, component: &Component) -> bool {
        let Some(File::Component(key)) = subject(file) else { return false };
        let entries = self.settings.means.registry.entries();
        let entry = entries.get(&key).and_then(|entry| entry.component.as_ref());
        entry.is_some_and(|(before, origin)| before.digest() == component.digest() && *origin == Origin::File)
    }

    /// The file is what is in force.
    pub(super) fn settled(&mut self, file: &FileKey) {
        self.pending.remove(file);
        self.settings.refused.clear(file);
        if let Some(File::Component(key)) = subject(file) {
            self.settings.means.registry.clear(&key);
        }
    }

    /// A file is gone.
    pub(super) async fn remove(&mut self, file: &FileKey) {
        self.undecided = true;
        self.settled(file);
        match subject(file) {
            None => {}
            Some(File::Module(name)) => self.remove_module(file, name).await,
            Some(File::Component(key)) => {
                let detail = if let Some(component) = self.settings.standard.get(&key) {
                    self.settings.means.registry.restore(key, component.clone(), Origin::Embedded);
                    "removed: the built-in one is active again"
                } else {
                    self.settings.means.registry.remove(&key);
                    "removed: whatever uses it cannot tell any more"
                };
                self.note(file, true, detail.to_owned()).await;
            }
        }
    }

    async fn remove_module(&mut self, file: &FileKey, name: ModuleName) {
        let Some(module) = self.modules.remove(&name) else { return };
        let wish = self.settings.snapshot.load().module(name.as_str()).map(|view| view.wish);
        self.removed.retain(|removed| removed.at.elapsed() < RENAMED_WITHIN);
        if let Some(wish) = wish.filter(|_| self.removed.len() < MAX_FILES) {
            self.removed.push(Removed { module, wish, at: Instant::now() });
        }
        let detail = "removed: the module is no longer monitored, its application is not touched";
        self.note(file, true, detail.to_owned()).await;
        self.tell(Event::ModuleRemoved { module: name.clone() }).await;
        self.settings.means.roster.remove(&name);
    }

    /// Shows why a file is not in force, once for each reason.
    pub(super) async fn refuse(&self, file: &FileKey, why: &str, quarantined: Option<&Case>) {
        if let Some(File::Component(key)) = subject(file) {
            self.settings.means.registry.refuse(key, why.to_owned(), quarantined.cloned(), None);
        }
        if self.settings.refused.set(file, why) {
            self.note(file, false, format!("{why}; the previous version stays active")).await;
        }
    }

    /// Shows what a version asks for, once.
    pub(super) async fn ask_for_approval(&self, file: &FileKey, waiting: &Waiting) {
        let what = file.path().display().to_string();
        let asks = waiting.asks.join(", ");
        let name = what.trim_end_matches(".wasm");
        let why = format!(
            "waits for approval: it requests {asks}; grant it, or let it run without: bellwether approve {name}"
        );
        if let Some(File::Component(key)) = subject(file) {
            self.settings.means.registry.refuse(key, why.clone(), None, Some(waiting.clone()));
        }
        if self.settings.refused.set(file, &why) {
            let (digest, asks) = (waiting.digest.clone(), waiting.asks.clone());
            let kind = RecordKind::Approval { what, digest, asks, by: None };
            self.record(None, kind).await;
        }
    }

    async fn tell_of_module(&mut self, module: Arc<Sourced<ModuleSpec>>) {
        let name = module.spec.name.clone();
        let policy = Arc::new(module.spec.policy());
        let spec = Arc::clone(&module);
        let before = self.modules.insert(name.clone(), module);
        let detail = if before.is_some() {
            self.what_is_in_force(&spec.spec)
        } else {
            format!("active{}", self.inherited(&spec.spec))
        };
        self.note(&file_of(&File::Module(name.clone())), true, detail).await;
        let known = self.settings.memories.remove(&name);
        let memory = known.or_else(|| self.renamed(&spec.spec)).map(Box::new);
        self.tell(Event::ModuleLoaded { module: name, policy, memory }).await;
    }

    /// A module that is new takes over what runs of one that is gone, if it would start just the same:
    /// its file was renamed.
    fn inherited(&self, spec: &ModuleSpec) -> String {
        let kept = &self.settings.kept;
        // A file that is there may come into force yet, whatever is wrong with it now.
        let is_orphan = |module: &ModuleName| {
            let file = file_of(&File::Module(module.clone()));
            !self.modules.contains_key(module) && !self.known.contains_key(&file)
        };
        let inherited = spec.commands.iter().filter(|(_, command)| command.keep).filter_map(|(name, command)| {
            let (former, pid) = kept.inherit(&spec.name, name, &Launched::by(command), is_orphan)?;
            Some(format!(
                "; it takes over process {pid}, which module `{former}` had started in the same way and whose \
                 output goes on in the log of `{former}`"
            ))
        });
        inherited.collect()
    }

    /// What a person wants of the module that had this file a moment ago, under another name: one that
    /// was stopped is not started because its file was renamed.
    fn renamed(&mut self, spec: &ModuleSpec) -> Option<ModuleMemory> {
        let same = |removed: &Removed| {
            let ModuleSpec { name: _, restart, commands, health, checkers } = &removed.module.spec;
            removed.at.elapsed() < RENAMED_WITHIN
                && (restart, commands, health, checkers)
                    == (&spec.restart, &spec.commands, &spec.health, &spec.checkers)
        };
        let index = self.removed.iter().position(same)?;
        Some(ModuleMemory::wishing(self.removed.swap_remove(index).wish))
    }

    /// An edited command is not: what runs was started by the one before.
    fn what_is_in_force(&self, spec: &ModuleSpec) -> String {
        let mut detail = "the new version is active".to_owned();
        for (name, command) in spec.commands.iter().filter(|(_, command)| command.keep) {
            let running = self.settings.kept.launched(&spec.name, name);
            if let Some(launched) = running.filter(|launched| *launched != Launched::by(command)) {
                let with = started_with(&launched, &command.run);
                // Writing into a text cannot fail.
                let _ = write!(
                    detail,
                    ", and command `{name}` from its next start on: what runs now was started with {with}"
                );
            }
        }
        detail
    }

    pub(super) async fn tell_of_quarantine(&self, what: String, case: &Case) {
        let Case { digest, why, tries, next, .. } = case.clone();
        let kind = RecordKind::Quarantine { what, digest, why, tries, next };
        self.record(None, kind).await;
    }

    async fn note(&self, file: &FileKey, ok: bool, detail: String) {
        let what = file.path().display().to_string();
        let module = match file.folder {
            Folder::Modules => ModuleName::new(&file.stem).ok(),
            Folder::Checkers | Folder::RestartScripts => None,
        };
        self.record(module, RecordKind::Reload { what, ok, detail }).await;
    }

    pub(super) async fn record(&self, module: Option<ModuleName>, kind: RecordKind) {
        if !Recorder::new(self.settings.events.clone()).record(module, kind).await {
            tracing::debug!("a record of a reload came after the end of the core");
        }
    }

    pub(super) async fn tell(&self, event: Event) {
        if self.settings.events.send(Message::Event(event)).await.is_err() {
            tracing::debug!("a reload came after the end of the core");
        }
    }
}
