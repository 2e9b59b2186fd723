//! Simulated folders, a compiler and checkers on virtual time. Every set of files that becomes active is checked
//! here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::*;
use crate::change_set::File;
use crate::event::DesiredState;
use crate::id::{CheckerName, ComponentName};
use crate::probation::Ending;
use crate::record::RecordKind;

mod checks;
mod files;
mod store;
pub(super) use self::files::{Behaviour, Component, Content, Module, Says, checker, key, module, uses, well};
use self::files::{OnDiskFile, fits, loaded, result};
use self::store::Store;

fn digest_of(content: Option<&OnDiskFile>) -> String {
    match content {
        Some(OnDiskFile::Component(component)) => component.number.to_string(),
        Some(OnDiskFile::Module(says)) => says.digest(),
        None => String::new(),
    }
}

type Machine = Reload<Content, Component>;
type Does = Action<Content, Component>;

/// Work that takes time.
#[derive(Debug)]
enum Task {
    Load { file: FileKey, load: LoadId, content: Option<OnDiskFile>, quarantined: BTreeSet<String> },
    Restore { file: FileKey, load: LoadId, digest: String },
    Try(Trial<Content, Component>),
}

pub(super) struct World {
    pub(super) reload: Machine,
    pub(super) now: Moment,
    disk: BTreeMap<FileKey, (Stamp, OnDiskFile)>,
    stamps: u64,
    tasks: Vec<Task>,
    /// Whether tasks complete immediately.
    pub(super) prompt: bool,
    /// Whether writing to the disk fails.
    pub(super) disk_is_full: bool,
    pub(super) desired: Option<DesiredState>,
    pub(super) components: BTreeMap<ComponentKey, (Component, Origin)>,
    pub(super) modules: BTreeMap<ModuleName, Module>,
    /// Checkers of active components whose last run has answered.
    answered: BTreeSet<(ComponentKey, ModuleName)>,
    approvals: Approvals,
    /// The digests of everything that was read and compiled, in order.
    pub(super) loaded: Vec<String>,
    /// What the next daemon finds.
    pub(super) store: Store,
    /// Components that each became active together with others, in order.
    pub(super) activated: Vec<Vec<String>>,
    pub(super) introduced: Vec<(ModuleName, bool, Option<DesiredState>)>,
    pub(super) shown: BTreeMap<FileKey, String>,
    /// What runs in place of a file that is shown.
    pub(super) in_place: BTreeMap<FileKey, InPlace>,
    pub(super) journal: Vec<RecordKind>,
    pub(super) answers: Vec<Result<Approved, NotApproved>>,
    pub(super) problems: Vec<String>,
    requests: u64,
}

impl World {
    /// With a restart script and a checker `a` that come with the binary, and nothing else.
    pub(super) fn new() -> Self {
        Self::after(Approvals::default(), Store::default())
    }

    /// The same, with what the daemon before has stored.
    fn after(approvals: Approvals, store: Store) -> Self {
        let script = (ComponentKind::RestartScript, ComponentName::new("script").unwrap());
        let standard = BTreeMap::from([(script, loaded(well(900))), (key("a"), loaded(well(901)))]);
        let start = Start {
            standard,
            rescan: Duration::from_secs(5),
            approvals: approvals.clone(),
            memories: BTreeMap::new(),
            last_good: store.last_good.clone(),
            quarantine: store.quarantine.clone(),
        };
        Self {
            reload: Machine::new(start),
            now: Moment::from_micros(1_000_000_000),
            disk: BTreeMap::new(),
            stamps: 0,
            tasks: Vec::new(),
            prompt: true,
            disk_is_full: false,
            desired: Some(DesiredState::default()),
            components: BTreeMap::new(),
            modules: BTreeMap::new(),
            answered: BTreeSet::new(),
            approvals,
            loaded: Vec::new(),
            store,
            activated: Vec::new(),
            introduced: Vec::new(),
            shown: BTreeMap::new(),
            in_place: BTreeMap::new(),
            journal: Vec::new(),
            answers: Vec::new(),
            problems: Vec::new(),
            requests: 0,
        }
    }

    /// Sets the approvals of the previous daemon.
    pub(super) fn know(&mut self, approvals: Approvals) {
        self.approvals = approvals.clone();
        self.reload.approvals = approvals;
    }

    pub(super) fn begin(mut self) -> Self {
        let on_disk = self.listing();
        self.tell(Event::Begin { on_disk, within: Duration::from_secs(20) });
        self
    }

    fn put(&mut self, file: FileKey, content: OnDiskFile) {
        self.stamps += 1;
        let inode = self.stamps;
        let stamp = Stamp { size: 10, modified: 0, changed: 0, inode, device: 1, signature: None };
        self.disk.insert(file, (stamp, content));
    }

    pub(super) fn drop_component(&mut self, name: &str, component: Component) {
        self.put(checker(name), OnDiskFile::Component(component));
    }

    pub(super) fn drop_module(&mut self, name: &str, says: Says) {
        self.put(module(name), OnDiskFile::Module(says));
    }

    pub(super) fn delete(&mut self, file: &FileKey) {
        self.disk.remove(file);
    }

    pub(super) fn files(&self) -> Vec<FileKey> {
        self.disk.keys().cloned().collect()
    }

    /// Whether the file is active with its present content.
    pub(super) fn is_active(&self, file: &FileKey) -> bool {
        match &self.disk[file].1 {
            OnDiskFile::Component(component) => self
                .components
                .get(&key(&file.stem))
                .is_some_and(|(active, origin)| active == component && *origin == Origin::File),
            OnDiskFile::Module(says) => {
                self.modules.get(file.stem.as_str()).is_some_and(|active| active.says == *says)
            }
        }
    }

    /// Whether every file is valid by itself, and none requests anything.
    pub(super) fn all_is_well(&self) -> bool {
        self.disk.values().all(|(_, content)| match content {
            OnDiskFile::Component(component) => *component == well(component.number),
            OnDiskFile::Module(says) => {
                let there = |name: &&str| *name == "a" || self.disk.contains_key(&checker(name));
                !says.mistaken && says.uses.iter().all(there)
            }
        })
    }

    fn listing(&self) -> OnDisk {
        OnDisk {
            files: self.disk.iter().map(|(file, (stamp, _))| (file.clone(), *stamp)).collect(),
            folders: Folder::ALL.into_iter().map(|folder| (folder, Standing::There((1, 1)))).collect(),
            ..OnDisk::default()
        }
    }

    /// Time passes; the machine is called when it asks for it.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            let next = self.reload.next_deadline().max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            self.tell(Event::Tick);
        }
        panic!("it does not come to rest: {:?}", self.reload);
    }

    /// Long enough for files to settle.
    pub(super) fn settle(&mut self) {
        self.tell(Event::Hint);
        self.pass(Duration::from_secs(3));
    }

    pub(super) fn tell(&mut self, event: Event<Content, Component>) {
        let mut events = vec![event];
        for _ in 0..100_000 {
            let Some(event) = events.pop() else {
                return self.work();
            };
            for action in self.reload.handle(event, self.now) {
                let answer = self.carry_out(action);
                // In their order, although the last one is taken first.
                drop(events.splice(0..0, answer));
            }
        }
        panic!("it does not come to rest: {:?}", self.reload);
    }

    fn work(&mut self) {
        if self.prompt && !self.tasks.is_empty() {
            self.finish(0);
        }
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// One of the tasks completes.
    pub(super) fn finish(&mut self, task: usize) {
        let event = match self.tasks.remove(task) {
            Task::Load { file, load, content, quarantined } => {
                let digest = digest_of(content.as_ref());
                if !quarantined.contains(&digest) {
                    self.loaded.push(digest);
                }
                Event::Loaded { loaded: result(&file, content, &quarantined), file, load }
            }
            Task::Restore { file, load, digest } => {
                let content = self.store.contents.get(&(file.clone(), digest)).cloned();
                // Removed since, if it is no longer needed.
                self.loaded.push(digest_of(content.as_ref()));
                Event::Loaded { loaded: result(&file, content, &BTreeSet::new()), file, load }
            }
            Task::Try(Trial { file, load, candidate, .. }) => {
                let breaks = candidate.behaviour == Behaviour::Breaks;
                let now = if breaks { Ending::Broke("trapped".to_owned()) } else { Ending::Answered };
                Event::Tried { file, load, before: Ending::Answered, now }
            }
        };
        self.tell(event);
    }

    /// One of the stored versions cannot be used. Returns whether one was being loaded.
    pub(super) fn finish_restoring(&mut self, refusal: Refusal) -> bool {
        let Some(at) = self.tasks.iter().position(|task| matches!(task, Task::Restore { .. })) else {
            return false;
        };
        if let Task::Restore { file, load, .. } = self.tasks.remove(at) {
            self.tell(Event::Loaded { file, load, loaded: Loaded::Component(Err(refusal)) });
        }
        true
    }

    /// One of the tasks completes, with this content of a module's file.
    pub(super) fn finish_reading(&mut self, task: usize, says: Says) {
        if let Task::Load { content, .. } = &mut self.tasks[task] {
            *content = Some(OnDiskFile::Module(says));
        }
        self.finish(task);
    }

    /// Every checker runs once.
    pub(super) fn run_checkers(&mut self) {
        let users = self
            .modules
            .values()
            .flat_map(|module| module.says.uses.iter().map(|component| (module.name.clone(), *component)));
        for (module, name) in users.collect::<Vec<_>>() {
            let Some((component, _)) = self.components.get(&key(name)).copied() else { continue };
            let breaks = matches!(component.behaviour, Behaviour::Breaks | Behaviour::BreaksLater);
            let ending = if breaks { Ending::Broke("trapped".to_owned()) } else { Ending::Answered };
            let user = (key(name), module.clone());
            if breaks {
                self.answered.remove(&user)
            } else {
                self.answered.insert(user)
            };
            self.tell(Event::Ran(Run {
                component: key(name),
                digest: component.number.to_string(),
                user: (module, CheckerName::new(name).unwrap()),
                ending,
            }));
        }
    }

    pub(super) fn approve(&mut self, name: &str) {
        self.requests += 1;
        let (request, name, by) = (RequestId(self.requests), name.to_owned(), "ann".to_owned());
        self.tell(Event::Approve { request, name, seen: None, by });
    }

    pub(super) fn says(&self, file: &FileKey) -> &str {
        self.shown.get(file).map_or("", String::as_str)
    }

    fn carry_out(&mut self, action: Does) -> Option<Event<Content, Component>> {
        match action {
            Action::Look { confirmed } => {
                return Some(Event::Looked { on_disk: self.listing(), confirmed });
            }
            Action::Load { file, load, quarantined, .. } => {
                let content = self.disk.get(&file).map(|(_, content)| content.clone());
                self.tasks.push(Task::Load { file, load, content, quarantined });
            }
            Action::Restore { file, load, digest } => self.tasks.push(Task::Restore { file, load, digest }),
            Action::Keep { last_good, modules } => self.keep(&last_good, modules),
            Action::KeepQuarantine(quarantine) => self.keep_quarantine(quarantine),
            Action::Compare(comparisons) => {
                let fit =
                    |it: Comparison<Content, Component>| (it.pair, fits(&it.module.0, it.component.as_ref()));
                return Some(Event::Compared { fits: comparisons.into_iter().map(fit).collect() });
            }
            Action::Explain { file, load, why, .. } => return Some(Event::Explained { file, load, why }),
            Action::Try(trial) => self.tasks.push(Task::Try(trial)),
            Action::Activate { components, modules, .. } => self.activate(&components, modules),
            Action::Introduce { module, first, memory, .. } => {
                let memory = memory.map(|memory| memory.desired);
                self.introduced.push((module.0.name, first, memory));
            }
            Action::Unload { module } => {
                self.modules.remove(&module);
                self.answered.retain(|(_, of)| *of != module);
                return Some(Event::Unloaded { module, desired: self.desired });
            }
            Action::Withdraw { component } => {
                self.components.remove(&component);
                self.answered.retain(|(of, _)| *of != component);
            }
            Action::Show { file, why, in_place, .. } => {
                match in_place {
                    Some(in_place) => drop(self.in_place.insert(file.clone(), in_place)),
                    None => drop(self.in_place.remove(&file)),
                }
                self.shown.insert(file, why);
            }
            Action::Clear { file } => {
                self.in_place.remove(&file);
                self.shown.remove(&file);
            }
            Action::Diagnostics(problems) => {
                self.problems =
                    problems.iter().map(|problem| problem.sentence(|at| format!("{at:?}"))).collect();
            }
            Action::Write { approvals, request } => {
                let result = if self.disk_is_full { Err("full".to_owned()) } else { Ok(()) };
                // The machine knows what was remembered, whether it is stored or not.
                if result.is_ok() || request.is_none() {
                    self.approvals = approvals;
                }
                return request.map(|request| Event::Written { request, result });
            }
            Action::Note { kind, .. } => self.journal.push(kind),
            Action::Answer { answer, .. } => self.answers.push(answer),
        }
        None
    }
}
