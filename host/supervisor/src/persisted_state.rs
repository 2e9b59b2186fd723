//! The part of the modules' state that outlives the daemon, in `state/modules/NAME.json`: the desired state,
//! counters, and work in progress.
//!
//! ```text
//!   core ──remember──▶ the latest of each module ──▶ task: write, sync, rename
//!        ──answer────▶ answers ──────────────────────────────────┴──▶ the command's answer
//! ```
//! A command is answered after its changes are on disk. A separate task waits for the disk, never the core: however
//! slow it is, only the latest state of each module is waiting. A failed write is retried, and reported until it
//! succeeds.
//!
//! A plan and its steps wait until the next daemon would know about them, which is before they are synced: it must
//! not repeat what this one has done.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_core::command::CommandOutcome;
use bellwether_core::event::DesiredState;
use bellwether_core::id::ModuleName;
use bellwether_core::memory::ModuleMemory;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use bellwether_os::at_most;
use bellwether_os::atomic_file::{self, Beside};
use bellwether_os::file;
use bellwether_os::process::identity::BootId;

/// The number of answers that wait for the disk. A user gives one command at a time.
const WAITING: usize = 256;
/// A failed write is retried after this time.
const AGAIN: Duration = Duration::from_secs(2);
/// How long an action waits for its record.
const SETTLED_WITHIN: Duration = at_most!(Duration::from_millis(100));
/// The time limit for writing at shutdown.
const FINISH_WITHIN: Duration = at_most!(Duration::from_secs(2));

/// Persists the modules' state. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PersistedState(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// Notifies the task of new work.
    work: Notify,
    /// Notified when all work has been attempted.
    idle: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    memories: BTreeMap<ModuleName, Box<ModuleMemory>>,
    answers: Vec<(ModuleName, oneshot::Sender<CommandOutcome>, CommandOutcome)>,
    busy: bool,
    /// Writes that are not even in their temporary files.
    unsettled: bool,
    /// What is not on disk, and why.
    unwritten: BTreeMap<ModuleName, String>,
}

/// The state that earlier daemons stored.
#[derive(Debug, Default)]
pub struct Before {
    /// The stored state of each module.
    pub memories: BTreeMap<ModuleName, ModuleMemory>,
    /// Which parts were damaged, for people.
    pub damaged: Vec<String>,
}

/// The content of one file. The desired state is a separate part, so that it can be read even if the rest is
/// damaged.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    boot: BootId,
    #[serde(rename = "wish")]
    desired: DesiredState,
    memory: Value,
}

impl PersistedState {
    /// The stored state, and the task that writes changes from now on.
    pub fn open(root: &Path) -> (Self, Before) {
        let folder = root.join("state/modules");
        let mut before = Before::default();
        if let Err(error) = read_all(&folder, &mut before) {
            before.damaged.push(format!("state/modules cannot be read: {error}"));
        }
        let memories = Self::default();
        for (module, desired) in earlier_desired_states(root, &mut before.damaged) {
            if let Entry::Vacant(unknown) = before.memories.entry(module.clone()) {
                let memory = unknown.insert(ModuleMemory::with_desired_state(desired));
                memories.remember(module, Box::new(memory.clone()));
            }
        }
        tokio::spawn(work(root.to_owned(), folder, Arc::clone(&memories.0)));
        (memories, before)
    }

    /// Stores the state of a module.
    pub fn remember(&self, module: ModuleName, memory: Box<ModuleMemory>) {
        self.0.lock().memories.insert(module, memory);
        self.0.work.notify_one();
    }

    /// Answers a command to `module`, once all earlier state of the module is on disk.
    pub fn answer(
        &self,
        module: ModuleName,
        answer: oneshot::Sender<CommandOutcome>,
        outcome: CommandOutcome,
    ) {
        let mut pending = self.0.lock();
        if pending.answers.len() < WAITING {
            pending.answers.push((module, answer, outcome));
            drop(pending);
            self.0.work.notify_one();
        } else {
            drop(pending);
            // The command was carried out: the answer says that, and what could not be stored.
            tell(answer, outcome, Some("the disk does not keep up"));
        }
    }

    /// The state that would not survive this daemon, and why, for people.
    pub fn problems(&self) -> Vec<String> {
        let pending = self.0.lock();
        let sentence = |(module, why): (&ModuleName, &String)| {
            format!("the state of {module} cannot be written to state/modules: {why}")
        };
        pending.unwritten.iter().map(sentence).collect()
    }

    /// Waits until everything has been written, or the time limit is over.
    pub async fn finish(&self) {
        if timeout(FINISH_WITHIN, self.once(Pending::is_idle)).await.is_err() {
            tracing::error!("the state of a module could not be written in time");
        }
    }

    /// Completes once the next daemon would know the present state, or after a short time: a disk that hangs delays
    /// nothing for long.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + 'static {
        let this = self.clone();
        async move { drop(timeout(SETTLED_WITHIN, this.once(Pending::is_settled)).await) }
    }

    async fn once(&self, done: impl Fn(&Pending) -> bool) {
        loop {
            let changed = self.0.idle.notified();
            if done(&self.0.lock()) {
                return;
            }
            changed.await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Work that is retried later is not waited for.
    fn is_idle(&self) -> bool {
        !self.busy && self.answers.is_empty() && self.is_settled()
    }

    /// Whether no work is left, not even for retries.
    fn is_settled(&self) -> bool {
        let waits = |module: &ModuleName| !self.unwritten.contains_key(module);
        !self.unsettled && !self.memories.keys().any(waits)
    }
}

/// Answers a command. If it was carried out and could not be stored, the answer says so.
fn tell(answer: oneshot::Sender<CommandOutcome>, outcome: CommandOutcome, unwritten: Option<&str>) {
    let outcome = match (outcome, unwritten) {
        (CommandOutcome::Accepted(what), Some(why)) => CommandOutcome::Accepted(format!(
            "{what}; but it could not be stored and will not survive a restart of the daemon: {why}"
        )),
        (outcome, _) => outcome,
    };
    // The client may have disconnected.
    drop(answer.send(outcome));
}

async fn work(root: PathBuf, folder: PathBuf, shared: Arc<Shared>) {
    let mut imported = false;
    loop {
        let again = !shared.lock().unwritten.is_empty();
        let woken = shared.work.notified();
        if again {
            // The time is over: it is retried.
            drop(timeout(AGAIN, woken).await);
        } else {
            woken.await;
        }
        let (memories, answers) = {
            let mut pending = shared.lock();
            (pending.busy, pending.unsettled) = (true, true);
            (std::mem::take(&mut pending.memories), std::mem::take(&mut pending.answers))
        };
        let (to, whole) = (folder.clone(), Arc::clone(&shared));
        let settled = move || {
            whole.lock().unsettled = false;
            whole.idle.notify_waiters();
        };
        let written = tokio::task::spawn_blocking(move || write_all(&to, memories, settled)).await;
        let failed = written.unwrap_or_default();
        let mut pending = shared.lock();
        pending.unwritten.clear();
        for (module, memory, error) in failed {
            tracing::error!(%module, %error, "the state of a module could not be written");
            pending.unwritten.insert(module.clone(), error.to_string());
            // Unless there is a newer state now.
            pending.memories.entry(module).or_insert(memory);
        }
        for (module, answer, outcome) in answers {
            tell(answer, outcome, pending.unwritten.get(&module).map(String::as_str));
        }
        if !imported && pending.unwritten.is_empty() {
            imported = true;
            // Every part has a file of its own now.
            drop(fs::remove_file(earlier_path(&root)));
        }
        (pending.busy, pending.unsettled) = (false, false);
        drop(pending);
        shared.idle.notify_waiters();
    }
}

type Failed = Vec<(ModuleName, Box<ModuleMemory>, io::Error)>;

/// First all temporary files, which is sufficient for the next daemon and takes no time. Then everything that takes
/// time.
fn write_all(
    folder: &Path,
    memories: BTreeMap<ModuleName, Box<ModuleMemory>>,
    settled: impl FnOnce(),
) -> Failed {
    let written = memories.into_iter().map(|(module, memory)| {
        let beside = write(folder, &module, &memory);
        (module, memory, beside)
    });
    let written: Vec<_> = written.collect();
    settled();
    let in_place = |(module, memory, beside): (ModuleName, _, io::Result<Beside>)| {
        let error = beside.and_then(Beside::take_its_place).err()?;
        Some((module, memory, error))
    };
    written.into_iter().filter_map(in_place).collect()
}

fn write(folder: &Path, module: &ModuleName, memory: &ModuleMemory) -> io::Result<Beside> {
    match file::create_private_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let document =
        Document { boot: BootId::current()?, desired: memory.desired, memory: serde_json::to_value(memory)? };
    atomic_file::write_beside(&folder.join(format!("{module}.json")), &serde_json::to_vec_pretty(&document)?)
}

fn read_all(folder: &Path, before: &mut Before) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut modules = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_str().map(|name| name.strip_suffix(".new").unwrap_or(name));
        let module = name.and_then(|name| name.strip_suffix(".json")).map(ModuleName::new);
        modules.extend(module.and_then(Result::ok));
    }
    for module in modules {
        let path = folder.join(format!("{module}.json"));
        // A temporary file that the last daemon could not rename is newer, if it is complete.
        let beside = atomic_file::beside(&path);
        if let Ok((memory, None)) = read(&beside) {
            // Before anything else is written to its path. If that fails, it is read again.
            if fs::rename(&beside, &path).is_ok() {
                atomic_file::remember(&path);
            }
            before.memories.insert(module, memory);
            continue;
        }
        if !path.exists() {
            continue;
        }
        match read(&path) {
            Ok((memory, None)) => {
                atomic_file::remember(&path);
                before.memories.insert(module, memory);
            }
            Ok((memory, Some(problem))) => {
                atomic_file::remember(&path);
                before.memories.insert(module.clone(), memory);
                before.damaged.push(format!(
                    "state/modules/{module}.json is of another version or damaged ({problem}): \
                     the desired state of {module} is known, its counters and unfinished plans are not"
                ));
            }
            Err(error) => before.damaged.push(set_aside(&path, &module, &error)),
        }
    }
    Ok(())
}

fn set_aside(path: &Path, module: &ModuleName, error: &io::Error) -> String {
    let aside = atomic_file::set_aside(path);
    format!(
        "state/modules/{module}.json {aside}: {error}; {module} is assumed to be wanted started and not suspended"
    )
}

/// The state, and the parts that could not be read.
fn read(path: &Path) -> io::Result<(ModuleMemory, Option<String>)> {
    let document: Document = serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)?;
    match serde_json::from_value::<ModuleMemory>(document.memory) {
        Ok(memory) if document.boot == BootId::current()? => Ok((memory, None)),
        Ok(memory) => Ok((memory.after_reboot(), None)),
        Err(error) => Ok((ModuleMemory::with_desired_state(document.desired), Some(error.to_string()))),
    }
}

fn earlier_path(root: &Path) -> PathBuf {
    root.join("state/wishes.json")
}

/// Version 0.1 kept what people want in one file.
fn earlier_desired_states(root: &Path, damaged: &mut Vec<String>) -> BTreeMap<ModuleName, DesiredState> {
    let Ok(text) = fs::read(earlier_path(root)) else { return BTreeMap::new() };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        damaged.push(format!("state/wishes.json of an earlier version cannot be read: {error}"));
        BTreeMap::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        root
    }

    fn web() -> ModuleName {
        "web".parse().unwrap()
    }

    fn stopped() -> ModuleMemory {
        ModuleMemory::with_desired_state(DesiredState {
            started: false,
            suspended: true,
            ..DesiredState::default()
        })
    }

    async fn told(memories: &PersistedState) -> CommandOutcome {
        let (answer, answered) = oneshot::channel();
        memories.answer(web(), answer, CommandOutcome::Accepted("stopping".to_owned()));
        answered.await.unwrap()
    }

    #[tokio::test]
    async fn what_a_command_changes_is_on_disk_before_it_is_answered() {
        let root = root();
        let (memories, before) = PersistedState::open(root.path());
        assert!(before.memories.is_empty());
        memories.remember(web(), Box::new(stopped()));
        assert_eq!(told(&memories).await, CommandOutcome::Accepted("stopping".to_owned()));
        let (_, after) = PersistedState::open(root.path());
        assert_eq!((after.memories.get(&web()), after.damaged), (Some(&stopped()), Vec::new()));
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_and_reported() {
        let root = root();
        fs::create_dir(root.path().join("state/modules")).unwrap();
        let path = root.path().join("state/modules/web.json");
        for (text, expected) in [("{ \"web\": ", None), ("", None)] {
            fs::write(&path, text).unwrap();
            let (_, before) = PersistedState::open(root.path());
            assert_eq!(before.memories.get(&web()), expected);
            assert!(before.damaged[0].contains("was moved aside"), "{:?}", before.damaged);
            assert!(path.with_extension("json.damaged").exists());
        }
    }

    #[tokio::test]
    async fn what_a_person_wants_is_read_whatever_became_of_the_rest() {
        let root = root();
        fs::create_dir(root.path().join("state/modules")).unwrap();
        let document = Document {
            boot: BootId::current().unwrap(),
            desired: stopped().desired,
            memory: serde_json::json!({ "budget": "of a later version" }),
        };
        let text = serde_json::to_vec(&document).unwrap();
        fs::write(root.path().join("state/modules/web.json"), text).unwrap();
        let (_, before) = PersistedState::open(root.path());
        assert_eq!(before.memories.get(&web()), Some(&stopped()));
        assert_eq!(before.damaged.len(), 1);
    }

    #[tokio::test]
    async fn wishes_of_an_earlier_version_are_taken_over_once() {
        let root = root();
        let earlier = root.path().join("state/wishes.json");
        fs::write(&earlier, r#"{"web":{"started":false,"suspended":true}}"#).unwrap();
        let (memories, before) = PersistedState::open(root.path());
        assert_eq!(before.memories.get(&web()), Some(&stopped()));
        memories.finish().await;
        assert!(!earlier.exists());
        assert_eq!(PersistedState::open(root.path()).1.memories.get(&web()), Some(&stopped()));
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_said_and_written_later() {
        let root = root();
        // A folder in place of the file cannot be written, not even by root.
        let folder = root.path().join("state/modules");
        fs::write(&folder, "").unwrap();
        let (memories, _) = PersistedState::open(root.path());
        memories.remember(web(), Box::new(stopped()));
        let CommandOutcome::Accepted(text) = told(&memories).await else { panic!("it was carried out") };
        assert!(text.contains("will not survive"), "{text}");
        assert!(memories.problems()[0].contains("web"), "{:?}", memories.problems());
        fs::remove_file(&folder).unwrap();
        assert_eq!(told(&memories).await, CommandOutcome::Accepted("stopping".to_owned()));
        assert!(memories.problems().is_empty());
        assert_eq!(PersistedState::open(root.path()).1.memories.get(&web()), Some(&stopped()));
    }
}
